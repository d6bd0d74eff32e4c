"""A dask cluster is an executor like any other."""

import pandas as pd
import pytest
from distributed import Client, LocalCluster

import rustybt as rb
from tests.sweeps.strategies import Serial


@pytest.mark.parametrize("processes", [False, True])
def test_a_cluster_gives_the_same_rows(us, hold, processes):
    grid = {"SHARES": [1, 3, -1, 2]}
    serial = rb.sweep(hold, grid, us, Serial(), capital_base=1_000)
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=processes,
            # Without both, dask looks for an address of this machine on the network.
            host="127.0.0.1",
            protocol="tcp://",
            # Port 8787 may belong to another cluster.
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        found = rb.sweep(hold, grid, us, client.get_executor(), capital_base=1_000)
    pd.testing.assert_frame_equal(
        serial.frame.drop(columns="seconds"), found.frame.drop(columns="seconds"), check_exact=True
    )

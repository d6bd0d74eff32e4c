"""A bundle of one share whose prices are written by hand, and a script that holds it."""

import pytest

from rustybt.market.provenance import Provenance
from tests.sweeps.strategies import HOLD


@pytest.fixture
def commit(store, make_bars):
    """Return a function that makes a new version of the bundle ``us``."""

    def make(closes):
        return store.commit("us", make_bars({"A": closes})._bars, Provenance("frame"))

    return make


@pytest.fixture
def us(commit, store):
    """us@1: a share bought in the second session, at 110, has gained 33 at the end."""
    commit([100, 110, 121, 143])
    return store.open("us@1")


@pytest.fixture
def hold(tmp_path):
    (tmp_path / "hold.py").write_text(HOLD)
    return tmp_path / "hold.py"

"""A cached source before the vendor that each module invents, in a home of its own and by the vendor's clock."""

import pytest

from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources import CachedDataSource


@pytest.fixture
def store(vendor, tmp_path):
    with BundleStore(tmp_path / "home", clock=vendor.clock) as opened:
        yield opened


@pytest.fixture
def cached(vendor, store):
    return CachedDataSource(vendor, store=store)

"""An empty cache in a home of its own, by a clock that the test sets."""

import pytest

from rustybt.data.bundles.store import BundleStore
from tests.data.bundles.cached_days import Clock, cache_of, dataset_of


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(home, clock):
    with BundleStore(home, clock=clock) as opened:
        yield opened


@pytest.fixture
def cache(store):
    return cache_of(store)


@pytest.fixture
def dataset(cache):
    return dataset_of(cache)

"""A filled cache, a fresh look at it, and what it warned of."""

import logging

import pytest

from rustybt.data.bundles import file_reader
from rustybt.data.bundles.store import BundleStore
from tests.fault.cache_checks import cache_of, is_uncached_answer
from tests.fault.cache_damage.damages import EIGHT, files_of
from tests.fault.cache_vendor import EVENING


@pytest.fixture
def log(tmp_path):
    return tmp_path / "fetches"


@pytest.fixture
def warned(caplog):
    """Return the events that were logged as warnings."""
    caplog.set_level(logging.WARNING, logger="rustybt")
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.fixture
def anew(home, log):
    """Open the cache as a new process would."""
    stores = []

    def _anew(**options):
        file_reader.forget_verified()
        stores.append(BundleStore(home, clock=lambda: EVENING))
        return cache_of(stores[-1], log, **options)

    yield _anew
    for store in stores:
        store.close()


@pytest.fixture
def filled(anew, home):
    """Files of a cache that holds eight symbols in several files."""
    cached, _ = anew()
    for at in range(0, 8, 2):
        assert is_uncached_answer(cached, EIGHT[at : at + 2])
    files = files_of(home)
    assert len(files) == 4
    return files

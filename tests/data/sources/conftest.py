"""A store of its own and files of its own for each test."""

from pathlib import Path

import pytest

from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources import CSVDataSource
from rustybt.errors import BadResponseError

#: XNYS was open on these five days of January 2020; the 4th and 5th were a weekend.
ROWS = """date,open,high,low,close,volume
2020-01-02,10.0,11.0,9.0,10.5,100
2020-01-03,10.5,11.5,9.5,11.0,200
2020-01-06,11.0,12.0,10.0,11.5,300
"""


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("RUSTYBT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RUSTYBT_CONFIG_FILE", str(tmp_path / "config.toml"))


@pytest.fixture
def store(tmp_path):
    with BundleStore(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def write(tmp_path):
    """Write a file below the test's directory and return its path."""

    def _write(name: str, content: str | bytes = ROWS) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


@pytest.fixture
def refused(write, store):
    """Ingest one file and return the error it ends with; no bundle may exist afterwards."""

    def _refused(content, error=BadResponseError, name="A.csv", **options):
        with pytest.raises(error) as caught:
            CSVDataSource(write(name, content), **options).ingest_to_bundle("us", store=store)
        assert store.list_bundles() == []
        return caught.value

    return _refused


@pytest.fixture
def ingested(write, store):
    """Ingest one file and return the report."""

    def _ingested(content, name="A.csv", **options):
        return CSVDataSource(write(name, content), **options).ingest_to_bundle("us", store=store)

    return _ingested

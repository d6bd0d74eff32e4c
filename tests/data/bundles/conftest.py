import pytest

from rustybt.data.bundles import file_reader
from rustybt.data.bundles.store import BundleStore


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def store(home):
    with BundleStore(home) as opened:
        yield opened


@pytest.fixture(autouse=True)
def unverified(monkeypatch):
    """Let every test read its files as a new process would."""
    monkeypatch.setattr(file_reader, "_verified", {})

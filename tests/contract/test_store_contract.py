"""The suites that we ship, on our own store and on one without local paths."""

import pytest

from rustybt.data.bundles import layout
from rustybt.data.bundles.storage import LocalStorage
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import StorageError
from rustybt.testing import StorageContract, StoreContract


class PathlessStorage:
    """As an object store would be: bytes under keys, kept in memory of the test."""

    def __init__(self):
        self.files = {}
        self.writes = 0
        self.location = "memory://test"

    def _check(self, key):
        if not key or key.startswith("/") or "\\" in key or ".." in key.split("/"):
            raise StorageError(f"{key!r} is not a key")

    def local_path(self, key):
        return None

    def put_new(self, key, data):
        self._check(key)
        if key in self.files:
            raise StorageError(f"{key} exists already")
        self.writes += 1
        self.files[key] = (bytes(data), self.writes)

    def open(self, key):
        self._check(key)
        if key not in self.files:
            raise FileNotFoundError(key)
        return self.files[key][0]

    def list(self, prefix):
        for key, (data, _) in sorted(self.files.items()):
            if key.startswith(f"{prefix}/"):
                yield type("File", (), {"key": key, "size_bytes": len(data), "modified_at": 1.0})

    def delete(self, key):
        self.files.pop(key, None)

    def stamp(self, key):
        if key not in self.files:
            raise FileNotFoundError(key)
        return (self.files[key][1],)


class TestLocalStorage(StorageContract):
    @pytest.fixture
    def storage(self, tmp_path):
        return LocalStorage(tmp_path / "root")


class TestPathlessStorage(StorageContract):
    @pytest.fixture
    def storage(self):
        return PathlessStorage()


class TestLocalStore(StoreContract):
    pass


class TestStoreOfTinyFiles(StoreContract):
    @pytest.fixture(autouse=True)
    def tiny(self, monkeypatch):
        monkeypatch.setattr(layout, "MAX_FILE_ROWS", 1)


class TestStoreWithoutPaths(StoreContract):
    @pytest.fixture
    def home(self, tmp_path):
        return tmp_path / "home", PathlessStorage()

    def open_store(self, home):
        folder, storage = home
        return BundleStore(folder, storage=storage)

# ruff: noqa: S101 - assertions are what a test suite is made of
"""The promises of `Storage` as tests: a place for files that passes them can hold bundles.

::

    class TestMyStorage(StorageContract):
        @pytest.fixture
        def storage(self):
            return MyStorage(...)  # empty

Needs pytest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rustybt.errors import StorageError

if TYPE_CHECKING:
    from rustybt.data.bundles.storage import Storage

_BYTES = bytes(range(256)) * 17


class StorageContract:
    """Derive a test class and give the fixture `storage`, empty for each test."""

    @pytest.fixture
    def storage(self) -> Storage:
        """Return the empty storage under test."""
        pytest.fail("derive from this class and give the fixture `storage`")

    def test_a_file_comes_back_byte_for_byte(self, storage: Storage) -> None:
        """Whatever the bytes, none at all included."""
        for key, data in {"us/daily_bars/a.parquet": _BYTES, "us/empty": b"", "größe/日本.json": b"x"}.items():
            storage.put_new(key, data)
            assert storage.open(key) == data

    def test_a_file_is_written_once(self, storage: Storage) -> None:
        """Files are immutable: a second write under the same key is refused, and the first one stays."""
        storage.put_new("us/a", b"first")
        with pytest.raises(StorageError):
            storage.put_new("us/a", b"second")
        assert storage.open("us/a") == b"first"

    def test_a_file_that_is_not_there_is_said_so(self, storage: Storage) -> None:
        """`FileNotFoundError` and nothing else: readers then ask again where a version's files are."""
        storage.put_new("us/a", b"x")
        for use in (storage.open, storage.stamp):
            with pytest.raises(FileNotFoundError):
                use("us/b")

    def test_deleting_twice_is_no_error(self, storage: Storage) -> None:
        """Garbage collection may have been interrupted before."""
        storage.put_new("us/a", b"x")
        storage.delete("us/a")
        storage.delete("us/a")
        with pytest.raises(FileNotFoundError):
            storage.open("us/a")
        storage.put_new("us/a", b"y")
        assert storage.open("us/a") == b"y"

    def test_listing_names_all_files_below_a_folder_and_no_others(self, storage: Storage) -> None:
        """With their sizes and ages; a folder whose name only begins alike is another one."""
        for key, data in {"us/a": b"1", "us/deep/er/b": b"22", "us-x/c": b"333", "usx": b"4444"}.items():
            storage.put_new(key, data)
        found = {file.key: file.size_bytes for file in storage.list("us")}
        assert found == {"us/a": 1, "us/deep/er/b": 2}
        assert list(storage.list("nothing")) == []
        assert all(file.modified_at > 0 for file in storage.list("us"))

    def test_a_stamp_tells_other_bytes_apart(self, storage: Storage) -> None:
        """The same while nothing happens, another when a file took the place of a deleted one."""
        storage.put_new("us/a", b"x")
        before = storage.stamp("us/a")
        assert storage.stamp("us/a") == before
        storage.delete("us/a")
        storage.put_new("us/a", b"xyz")
        assert storage.stamp("us/a") != before

    def test_no_key_leaves_the_home(self, storage: Storage) -> None:
        """Keys come from the database: a tampered one must not reach other files."""
        for key in ("", "/etc/passwd", "../x", "us/../../x", "us\\..\\x"):
            with pytest.raises(StorageError):
                storage.put_new(key, b"x")
            with pytest.raises(StorageError):
                storage.open(key)

    def test_a_local_path_holds_the_same_bytes(self, storage: Storage) -> None:
        """Where there is such a thing as a local path."""
        storage.put_new("us/a", _BYTES)
        path = storage.local_path("us/a")
        assert path is None or path.read_bytes() == _BYTES
        assert storage.location

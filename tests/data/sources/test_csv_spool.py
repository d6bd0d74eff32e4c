"""Rows that wait until a symbol is whole, in memory or on disk."""

import tempfile
from pathlib import Path

import polars as pl
import pytest

from rustybt.data.sources.csv.spool import Spool
from rustybt.errors import StorageError


def rows(*symbols, start=0):
    return pl.DataFrame(
        {"symbol": symbols, "at": range(start, start + len(symbols))}, schema={"symbol": pl.String, "at": pl.Int64}
    )


def drained(spool, batch_rows=4):
    return [(names, list(zip(found["symbol"], found["at"], strict=True))) for names, found in spool.drain(batch_rows)]


def test_what_fits_into_memory_comes_at_once_in_its_order():
    with Spool() as spool:
        spool.add(rows("B", "A"))
        spool.add(rows("A", start=2))
        spool.add(rows())
        assert spool.counts == {"A": 2, "B": 1}
        assert drained(spool) == [(["A", "B"], [("B", 0), ("A", 1), ("A", 2)])]
        assert drained(spool) == []


def test_what_does_not_fit_comes_in_runs_of_whole_symbols():
    with Spool(memory_bytes=0) as spool:
        spool.add(rows("B", "A", "C"))
        spool.add(rows("C", "A", "B", "A", start=3))
        (first, of_a), (second, of_others) = drained(spool)
        assert (first, of_a) == (["A"], [("A", 1), ("A", 4), ("A", 6)])
        assert second == ["B", "C"]
        # Each symbol's rows keep their order; which symbol comes first within a run is nobody's business.
        assert [at for name, at in of_others if name == "B"] == [0, 5]
        assert [at for name, at in of_others if name == "C"] == [2, 3]


def test_rows_without_symbol_are_kept_under_the_empty_text():
    with Spool(memory_bytes=0) as spool:
        spool.add(rows("A", None))
        assert spool.counts == {"": 1, "A": 1}
        assert drained(spool) == [(["", "A"], [(None, 1), ("A", 0)])]


def test_a_run_skips_the_files_that_have_none_of_its_symbols():
    with Spool(memory_bytes=0) as spool:
        spool.add(rows("A"))
        spool.add(rows("Z"))
        assert drained(spool, 1) == [(["A"], [("A", 0)]), (["Z"], [("Z", 0)])]


def test_temporary_files_are_gone_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Spool(memory_bytes=0) as spool:
        spool.add(rows("A"))
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_full_temporary_directory_is_a_storage_error(monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_ipc", full)
    with Spool(memory_bytes=0) as spool, pytest.raises(StorageError, match="No space left on device") as caught:
        spool.add(rows("A"))
    assert "TMPDIR" in caught.value.hint
    assert Path(tempfile.gettempdir()).is_dir()

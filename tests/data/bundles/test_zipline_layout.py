"""Zipline's root, and the names of its folders."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from rustybt.data.bundles.zipline_layout import ingestion_moment, ingestion_name, minute_table, zipline_root


def test_the_root_is_the_given_one_or_that_of_the_environment_or_ziplines_own(monkeypatch, tmp_path):
    monkeypatch.setenv("ZIPLINE_ROOT", str(tmp_path / "a"))
    assert zipline_root(tmp_path / "b") == tmp_path / "b"
    assert zipline_root() == tmp_path / "a"
    assert zipline_root(environ={"ZIPLINE_ROOT": str(tmp_path / "c")}) == tmp_path / "c"
    assert zipline_root(environ={"ZIPLINE_ROOT": ""}) == Path.home() / ".zipline"
    monkeypatch.delenv("ZIPLINE_ROOT")
    assert zipline_root("~/z") == Path.home() / "z"


def test_a_folder_is_named_by_its_moment_in_utc_and_read_back():
    moment = datetime(2018, 1, 2, 3, 4, 5, 678901, UTC)
    assert ingestion_name(moment) == "2018-01-02T03;04;05.678901"
    assert ingestion_name(moment.astimezone(timezone(timedelta(hours=5)))) == "2018-01-02T03;04;05.678901"
    assert ingestion_moment("2018-01-02T03;04;05.678901") == moment


@pytest.mark.parametrize("name", ["notes", "", ".cache", "2018-13-01T00;00;00", "0001-01-01T00;00;00+14;00"])
def test_a_folder_of_another_name_has_no_moment(name):
    assert ingestion_moment(name) is None


def test_the_table_of_an_asset_lies_two_folders_deep():
    assert [minute_table(sid) for sid in (24, 123456, 1234567)] == [
        "00/00/000024.bcolz",
        "12/34/123456.bcolz",
        "12/34/1234567.bcolz",
    ]

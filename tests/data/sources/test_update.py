"""A bundle brought up to date from the source it came from."""

import pytest

import rustybt as rb
from rustybt.data.sources import CSVDataSource
from rustybt.data.sources.ingest.update import update_bundle
from rustybt.errors import RequestError, SourceError

MORE = "2020-01-07,10,11,9,10.5,100\n"


def test_a_bundle_of_a_csv_reads_the_file_again(write, store):
    path = write("A.csv")
    CSVDataSource(path).ingest_to_bundle("us", store=store)
    path.write_text(path.read_text() + MORE)
    (report,) = update_bundle("us", store=store)
    assert (report.version, report.rows_added) == (2, 1)


def test_an_update_without_news_makes_no_version(write, store):
    CSVDataSource(write("A.csv")).ingest_to_bundle("us", store=store)
    (report,) = update_bundle("us", store=store)
    assert report.unchanged


def test_an_update_asks_for_the_symbols_and_the_start_asked_for_then(write, store, tmp_path):
    path = write("d/A.csv")
    write("d/B.csv")
    CSVDataSource(tmp_path / "d").ingest_to_bundle("us", ["A"], "2020-01-03", "2020-01-03", store=store)
    path.write_text(path.read_text() + MORE)
    (report,) = update_bundle("us", store=store)
    assert report.symbols == ("A",)
    assert report.rows_added == 2


def test_an_update_keeps_the_calendar_that_was_chosen(write, store):
    weekend = "date,open,high,low,close,volume\n2020-01-04,10,11,9,10.5,100\n"
    CSVDataSource(write("A.csv", weekend)).ingest_to_bundle("us", store=store, calendar="24/7")
    assert update_bundle("us", store=store)[0].rows_quarantined == 0


def test_a_bundle_of_a_frame_cannot_be_updated(write, store):
    import polars as pl

    rb.ingest_frame(pl.read_csv(write("A.csv")), "mine", store=store, symbol="A")
    with pytest.raises(RequestError, match="cannot be updated from 'frame'"):
        update_bundle("mine", store=store)


def test_a_file_that_is_gone_fails_the_update_and_keeps_the_bundle(write, store):
    path = write("A.csv")
    CSVDataSource(path).ingest_to_bundle("us", store=store)
    path.unlink()
    with pytest.raises((RequestError, SourceError), match="no file or directory"):
        update_bundle("us", store=store)
    with store.open("us") as bundle:
        assert bundle.version == 1

"""csvdir_bundle and quandl_bundle within a function of one's own."""

import pytest

from rustybt.data.bundles.csvdir import csvdir_bundle, csvdir_equities
from rustybt.data.bundles.quandl import quandl_bundle
from rustybt.errors import RequestError
from tests.data.sources.registered.conftest import bars_of, equities

pytestmark = pytest.mark.filterwarnings("ignore:rustybt.data.bundles.*is deprecated:DeprecationWarning")

WIKI = """ticker,date,open,high,low,close,volume,ex-dividend,split_ratio,adj_open
AAPL,2014-06-06,649.9,651.26,644.47,645.57,12497800.0,0.0,1.0,92.8
AAPL,2014-06-09,92.7,93.88,91.75,93.7,75415000.0,0.47,7.0,92.7
"""


def within(function, environ):
    """Return an ingest function that calls another one with its own arguments."""

    def ingest(asset_db_writer, minute_bar_writer, daily_bar_writer, adjustment_writer, calendar, cache, output_dir):
        function(
            environ,
            asset_db_writer,
            minute_bar_writer,
            daily_bar_writer,
            adjustment_writer,
            calendar,
            calendar.first_session,
            calendar.last_session,
            cache,
            False,
            output_dir,
        )

    return ingest


def test_csvdir_bundle_reads_the_folder_that_the_environment_names(define, store, write, tmp_path):
    write("d/daily/A.csv", "date,open,high,low,close,volume\n2020-01-02,10,11,9,10.5,100\n")
    report = define(within(csvdir_bundle, {"CSVDIR": str(tmp_path / "d")})).ingest_to_bundle("mine", store=store)
    assert (report.symbols, report.rows) == (("A",), 1)


def test_quandl_bundle_reads_the_table_that_the_environment_names(define, store, write):
    path = write("WIKI.csv", WIKI)
    source = define(within(quandl_bundle, {"QUANDL_WIKI_PRICES": str(path)}))
    source.ingest_to_bundle("mine", store=store)
    with store.open("mine") as bundle:
        assert [event.kind for event in bundle.corporate_actions()] == ["cash_dividend", "split"]
    assert source.list_symbols() == ["AAPL"]


@pytest.mark.parametrize(
    ("function", "environ", "message"),
    [
        (csvdir_bundle, {}, "no csvdir is named"),
        (csvdir_bundle, {"CSVDIR": "/nowhere"}, "csvdir /nowhere is not a directory"),
        (quandl_bundle, {}, "no table of WIKI prices is named"),
    ],
)
def test_what_is_missing_is_said(define, function, environ, message):
    with pytest.raises(RequestError, match=message):
        define(within(function, environ)).fetch_sync(["A"])


def test_a_folder_without_time_frames_and_unknown_ones_are_refused(define, tmp_path):
    environ = {"CSVDIR": str(tmp_path)}
    with pytest.raises(RequestError, match="has neither daily/ nor minute/"):
        define(within(csvdir_bundle, environ)).fetch_sync(["A"])

    def weekly(daily_bar_writer, minute_bar_writer):
        csvdir_equities(["weekly"], tmp_path)(environ, None, minute_bar_writer, daily_bar_writer, None)

    with pytest.raises(RequestError, match="unknown time frame 'weekly'"):
        define(weekly, "weekly").fetch_sync(["A"])


def test_writers_of_others_are_refused(tmp_path):
    (tmp_path / "daily").mkdir()
    with pytest.raises(RequestError, match="object is not a writer that rustybt hands"):
        csvdir_equities(None, tmp_path)({}, None, None, object(), None)


def test_a_function_cannot_write_bars_of_its_own_beside_a_csvdir(define, store, write, tmp_path):
    write("d/daily/A.csv", "date,open,high,low,close,volume\n2020-01-02,10,11,9,10.5,100\n")

    def both(daily_bar_writer, minute_bar_writer, asset_db_writer):
        csvdir_equities(["daily"], tmp_path / "d")({}, None, minute_bar_writer, daily_bar_writer, None)
        daily_bar_writer.write([(0, bars_of([10]))])
        asset_db_writer.write(equities=equities({0: "AAA"}))

    with pytest.raises(RequestError, match="writes more by itself"):
        define(both).ingest_to_bundle("mine", store=store)
    assert store.list_bundles() == []


def test_a_directory_is_taken_once_for_each_frequency(define, write, tmp_path):
    write("d/daily/A.csv", "date,open,high,low,close,volume\n2020-01-02,10,11,9,10.5,100\n")

    def twice(daily_bar_writer, minute_bar_writer):
        for _ in range(2):
            csvdir_equities(None, tmp_path / "d")({}, None, minute_bar_writer, daily_bar_writer, None)

    with pytest.raises(RequestError, match="called twice for one frequency"):
        define(twice).fetch_sync(["A"])

"""Frames in memory, of any library and shape."""

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest

import rustybt as rb
from rustybt.data.sources import FrameDataSource
from rustybt.errors import BadResponseError, DataQualityError, RequestError, SymbolNotFoundError

VALUES = {
    "open": [10.0, 10.5, 11.0],
    "high": [11.0, 11.5, 12.0],
    "low": [9.0, 9.5, 10.0],
    "close": [10.5, 11.1, 11.7],
    "volume": [100, 200, 300],
}
DAYS = ["2020-01-02", "2020-01-03", "2020-01-06"]
INDEX = pd.DatetimeIndex(DAYS)
TITLED = {name.title(): values for name, values in VALUES.items()}


def long_frame(**columns):
    return pl.DataFrame({"date": DAYS, "symbol": ["A"] * 3, **VALUES, **columns})


FRAMES = {
    "polars long": long_frame(),
    "polars lazy": long_frame().lazy(),
    "arrow": long_frame().to_arrow(),
    "polars dates": long_frame(date=[date.fromisoformat(day) for day in DAYS]),
    "polars categories": long_frame().with_columns(pl.col("symbol").cast(pl.Categorical)),
    "pandas long": pd.DataFrame({"date": INDEX, "symbol": "A", **VALUES}),
    "pandas index": pd.DataFrame({"symbol": ["A"] * 3, **VALUES}, index=INDEX),
    "pandas zoned index": pd.DataFrame({"symbol": ["A"] * 3, **VALUES}, index=INDEX.tz_localize("America/New_York")),
    "pandas index of dates": pd.DataFrame({"symbol": ["A"] * 3, **VALUES}, index=[date.fromisoformat(d) for d in DAYS]),
    "pandas periods": pd.DataFrame({"symbol": ["A"] * 3, **VALUES}, index=INDEX.to_period("D")),
    "pandas categories": pd.DataFrame({"date": INDEX, "symbol": pd.Categorical(["A"] * 3), **VALUES}),
    "pandas objects": pd.DataFrame({"date": DAYS, "symbol": ["A"] * 3, **VALUES}).astype(
        {"symbol": object, "date": object}
    ),
    "pandas (date, symbol)": pd.DataFrame(
        VALUES, index=pd.MultiIndex.from_product([INDEX, ["A"]], names=["date", "symbol"])
    ),
    "pandas unnamed levels": pd.DataFrame(VALUES, index=pd.MultiIndex.from_product([["A"], INDEX])),
    "pandas (price, symbol)": pd.concat({"A": pd.DataFrame(TITLED, index=INDEX)}, axis=1).swaplevel(axis=1),
    "pandas (symbol, price)": pd.concat({"A": pd.DataFrame(TITLED, index=INDEX)}, axis=1),
    "dict of pandas": {"A": pd.DataFrame(VALUES, index=INDEX)},
    "dict of polars": {"A": long_frame().drop("symbol")},
    "dict of named frames": {"A": long_frame()},
    "unix": long_frame(date=[1577923200, 1578009600, 1578268800]),
}


@pytest.mark.parametrize("name", FRAMES)
def test_every_shape_gives_the_same_bars(name):
    found = FrameDataSource(FRAMES[name]).fetch_sync(["A"])
    assert [stamp.date().isoformat() for stamp in found["timestamp"]] == DAYS
    assert found["symbol"].to_list() == ["A"] * 3
    assert found["close"].to_list() == [Decimal("10.5"), Decimal("11.1"), Decimal("11.7")]
    assert found["volume"].to_list() == [100, 200, 300]


def test_a_frame_of_one_symbol_is_told_its_name():
    source = FrameDataSource(pd.DataFrame(VALUES, index=INDEX), symbol="BTC/USDT", asset_type="crypto")
    assert source.list_symbols() == ["BTC/USDT"]


def test_a_frame_that_names_no_symbol_is_refused():
    with pytest.raises(RequestError, match="no symbol column") as caught:
        FrameDataSource(pd.DataFrame(VALUES, index=INDEX))
    assert 'symbol="AAPL"' in caught.value.hint


def test_ingest_frame_stores_a_version_in_the_configured_home():
    report = rb.ingest_frame(long_frame(), bundle="mine", frequency="1d")
    assert (report.version, report.rows) == (1, 3)
    with rb.BundleStore() as store, store.open("mine") as bundle:
        assert bundle.provenance.source_type == "frame"


def test_the_rule_that_decoded_each_column_is_recorded(store):
    rb.ingest_frame(long_frame(), "mine", store=store)
    with store.open("mine") as bundle:
        provenance = bundle.provenance
    assert provenance.number_rule == "float64"
    assert provenance.options["number_rules"] == {
        "close": "float64", "high": "float64", "low": "float64", "open": "float64", "volume": "integer",
    }  # fmt: skip


def test_widened_float32_means_the_digits_the_vendor_printed(store):
    """Yahoo widens float32: 150.13 arrives as 150.1300048828125."""
    widened = [float(np.float32(value)) for value in (150.13, 151.27, 149.99)]
    frame = long_frame(close=widened, high=[160.0] * 3, low=[1.0] * 3)
    rb.ingest_frame(frame, "yahoo", store=store)
    with store.open("yahoo") as bundle:
        assert [str(value).rstrip("0") for value in bundle.read()["close"]] == ["150.13", "151.27", "149.99"]
        assert bundle.provenance.number_rule == "float32"


@pytest.mark.parametrize(
    "values",
    [
        [Decimal("0.00000712"), Decimal("123456789.123456789"), Decimal("0.000000000000000001")],
        ["0.00000712", "123456789.123456789", "1e-18"],
    ],
)
def test_decimals_and_text_are_exact(values):
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), values)
    frame = pd.DataFrame({"date": DAYS, "symbol": "A", **columns}).astype(object)
    assert FrameDataSource(frame).fetch_sync("A")["close"].to_list() == [Decimal(str(value)) for value in values]


def test_a_missing_price_sets_the_row_aside_and_a_missing_volume_is_flagged(store):
    frame = pd.DataFrame(
        {"date": DAYS, "symbol": "A", **VALUES, "close": [10.5, np.nan, 11.7], "volume": [np.nan, 1, 2]}
    )
    report = rb.ingest_frame(frame, "mine", store=store)
    assert report.quarantined == {"close is missing": 1}
    assert report.examples[0].location == "row:2"
    assert report.quality.missing_volume_count == 1


def test_missing_objects_set_their_row_aside(store):
    frame = pd.DataFrame({"date": [*DAYS[:2], None], "symbol": "A", **VALUES})
    frame["close"] = pd.Series([Decimal("10.5"), None, Decimal("11.7")], dtype=object)
    report = rb.ingest_frame(frame, "mine", store=store)
    assert report.quarantined == {"close is missing": 1, "timestamp is missing": 1}


def test_infinite_prices_are_set_aside(store):
    report = rb.ingest_frame(long_frame(high=[11.0, np.inf, 12.0]), "mine", store=store)
    assert report.quarantined == {"high is not finite": 1}


def test_intraday_times_of_a_zone_become_utc():
    index = pd.DatetimeIndex(["2020-01-02 09:30", "2020-01-02 09:31", "2020-01-02 09:32"]).tz_localize(
        "America/New_York"
    )
    found = FrameDataSource(pd.DataFrame(VALUES, index=index), symbol="A").fetch_sync("A", frequency="1m")
    assert found["timestamp"][0] == datetime(2020, 1, 2, 14, 30, tzinfo=UTC)


def test_naive_intraday_times_are_of_the_zone_given():
    frame = long_frame(date=[datetime(2020, 1, 2, 9, 30 + n) for n in range(3)])
    found = FrameDataSource(frame, timezone="America/New_York").fetch_sync("A", frequency="1m")
    assert found["timestamp"][0] == datetime(2020, 1, 2, 14, 30, tzinfo=UTC)


def test_dates_are_no_intraday_bars():
    with pytest.raises(RequestError, match="cannot be bars of 1m"):
        FrameDataSource(long_frame()).fetch_sync("A", frequency="1m")


def test_the_frame_handed_over_is_not_changed():
    frame = pd.DataFrame({"symbol": ["A"] * 3, **VALUES}, index=INDEX)
    before = frame.copy(deep=True)
    FrameDataSource(frame).fetch_sync("A")
    pd.testing.assert_frame_equal(frame, before)


def test_columns_can_be_mapped():
    frame = long_frame().rename({"close": "settle"})
    assert FrameDataSource(frame, column_map={"close": "settle"}).fetch_sync("A").height == 3


@pytest.mark.parametrize("frame", [7, [1, 2], "A.csv", None])
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(RequestError, match="is no frame"):
        FrameDataSource(frame)


def test_a_frame_without_a_price_is_refused():
    with pytest.raises(BadResponseError, match="the frame has no column for close"):
        FrameDataSource(long_frame().drop("close"))


def test_a_timestamp_that_is_no_time_is_refused():
    with pytest.raises(RequestError, match="the timestamp column holds Boolean"):
        FrameDataSource(long_frame(date=[True, False, True])).fetch_sync("A")


def test_a_price_that_is_no_number_is_refused():
    with pytest.raises(RequestError, match="which is no number"):
        FrameDataSource(long_frame(close=[True, False, True])).fetch_sync("A")


def test_columns_of_three_levels_are_refused():
    deep = pd.concat({"x": pd.concat({"A": pd.DataFrame(TITLED, index=INDEX)}, axis=1)}, axis=1)
    with pytest.raises(RequestError, match="more than two levels"):
        FrameDataSource(deep)


def test_columns_of_two_levels_without_prices_are_refused():
    with pytest.raises(RequestError, match="names open, high, low, close"):
        FrameDataSource(pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])))


def test_an_index_named_like_a_column_is_refused():
    frame = pd.DataFrame({"date": DAYS, **VALUES}, index=INDEX.rename("date"))
    with pytest.raises(RequestError, match="both as index and as column"):
        FrameDataSource(frame, symbol="A")


def test_a_frame_under_another_name_than_its_columns_is_refused():
    with pytest.raises(RequestError, match="the frame of 'B' holds columns of 'A'"):
        FrameDataSource({"B": pd.concat({"A": pd.DataFrame(TITLED, index=INDEX)}, axis=1)})


def test_sessions_of_other_symbols_are_no_missing_rows(store):
    """yfinance.download fills the days on which only the other symbol traded with NaN."""
    wide = pd.concat({"A": pd.DataFrame(TITLED, index=INDEX), "B": pd.DataFrame(TITLED, index=INDEX).iloc[:1]}, axis=1)
    report = rb.ingest_frame(wide, "mine", store=store)
    assert (report.rows, report.rows_quarantined) == (4, 0)


def test_an_unknown_symbol_is_named():
    with pytest.raises(SymbolNotFoundError, match="the frame has no symbol 'Z'"):
        FrameDataSource(long_frame()).fetch_sync("Z")


def test_twins_in_unicode_are_told_apart(store):
    frame = pl.concat([long_frame(symbol=["\u00e9"] * 3), long_frame(symbol=["e\u0301"] * 3)])
    report = rb.ingest_frame(frame, "mine", store=store)
    assert report.symbols == ("e\u0301", "\u00e9")
    assert not report.failures


def test_an_empty_frame_has_no_bars(store):
    with pytest.raises(Exception, match="no bars"):
        rb.ingest_frame(long_frame().clear(), "mine", store=store)


def test_a_frame_of_bad_rows_only_is_refused(store):
    with pytest.raises(DataQualityError, match="every row was set aside"):
        rb.ingest_frame(long_frame(close=[None] * 3), "mine", store=store)


def test_events_calendar_and_strictness_are_passed_on(store):
    split = rb.CorporateAction.split("A", date(2020, 1, 3), 2)
    report = rb.ingest_frame(
        long_frame(date=["2020-01-04", "2020-01-05", "2020-01-06"]),
        "mine",
        store=store,
        calendar="24/7",
        actions=[split],
        strict=True,
    )
    assert report.rows == 3
    with store.open("mine") as bundle:
        assert bundle.corporate_actions()[0].ex_date == date(2020, 1, 3)
        assert bundle.calendar_name == "24/7"


def test_an_unknown_price_basis_is_refused():
    with pytest.raises(RequestError, match="unknown price basis"):
        FrameDataSource(long_frame(), price_basis="guessed")


def test_progress_counts_rows(store):
    seen = []
    rb.ingest_frame(long_frame(), "mine", store=store, progress=lambda *step: seen.append(step))
    assert seen == [("read", 3, 3)]


def test_a_frame_does_not_stream():
    assert not FrameDataSource(long_frame()).supports_live()

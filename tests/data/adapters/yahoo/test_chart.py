"""Answers of Yahoo's chart address, written by hand."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustybt.data.adapters.yahoo.chart import bars_of, check_extent, check_sessions, local_days, read_chart
from rustybt.errors import BadResponseError
from rustybt.market.bars import check_bars
from rustybt.market.frequency import FREQUENCIES

FOREVER = (-(2**62), 2**62)


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def answer(*rows, symbol="AAPL", zone="America/New_York", interval="1d", **meta):
    """An answer of (time in UTC, open, high, low, close, volume)."""
    columns = list(zip(*rows, strict=True)) or [()] * 6
    quote = dict(zip(("open", "high", "low", "close", "volume"), map(list, columns[1:]), strict=True))
    result = {
        "meta": {"symbol": symbol, "exchangeTimezoneName": zone, "dataGranularity": interval, **meta},
        "timestamp": [at(text) for text in columns[0]],
        "indicators": {"quote": [quote]},
    }
    return {"chart": {"result": [result], "error": None}}


def flat(text, price, volume=100):
    return (text, price, price, price, price, volume)


def read(*rows, **more):
    payload = answer(*rows, **more)
    meta = payload["chart"]["result"][0]["meta"]
    return read_chart(payload, meta["symbol"], meta["dataGranularity"])


def bars(chart, frequency="1d", span=FOREVER):
    found = bars_of(chart, "AAPL", FREQUENCIES[frequency], *span)
    check_bars(found.bars)
    return found


def labels(found):
    return [f"{stamp:%Y-%m-%d %H:%M}" for stamp in found.bars["timestamp"]]


# -- numbers -------------------------------------------------------------------------------------------------------------


def test_widened_float32_prices_are_the_decimals_they_stand_for():
    row = ("2024-01-02 14:30", 150.1300048828125, 150.3699951171875, 149.5, 149.9199981689453, 123456784)
    found = bars(read(row))
    assert found.number_rule == "float32"
    assert found.bars.row(0)[2:] == tuple(map(Decimal, ("150.13", "150.37", "149.5", "149.92", "123456784")))


def test_a_running_price_in_full_precision_does_not_change_how_the_others_are_read():
    found = bars(
        read(
            flat("2024-01-02 14:30", 150.1300048828125),
            flat("2024-01-03 15:01:07", 150.43719),
            flat("2024-01-02", None),
        )
    )
    assert found.number_rule == "float32"
    assert found.bars["close"].to_list() == [Decimal("150.13"), Decimal("150.43719")]


def test_how_numbers_are_read_does_not_depend_on_the_range_asked_for():
    rows = [flat("2024-01-02 14:30", 119.0078125), flat("2024-01-03 14:30", 150.1300048828125)]
    one_day = (at("2024-01-02") * 1_000_000, at("2024-01-02") * 1_000_000)
    assert bars(read(*rows), span=one_day).bars.row(0) == bars(read(*rows)).bars.row(0)


def test_a_row_of_nulls_is_left_out_and_counted():
    found = bars(
        read(flat("2024-01-02 14:30", 1.5), flat("2024-01-03 14:30", None, None), flat("2024-01-04 14:30", 1.5))
    )
    assert labels(found) == ["2024-01-02 00:00", "2024-01-04 00:00"]
    assert found.left_out == 1


def test_a_missing_volume_is_zero_with_a_flag():
    found = bars(read(flat("2024-01-02 14:30", 1.5), flat("2024-01-03 14:30", 1.5, None)))
    assert found.bars["volume"].to_list() == [100, 0]
    assert found.missing_volume.to_list() == [False, True]


def test_a_volume_of_zero_is_a_volume():
    assert bars(read(flat("2024-01-02 14:30", 1.5, 0))).missing_volume is None


def test_a_price_finer_than_eighteen_decimals_is_left_out_and_not_rounded():
    found = bars(read(flat("2024-01-02", 1.0), flat("2024-01-03", 1.23456e-17), zone="UTC"))
    assert found.bars.height == 1
    assert found.left_out == 1


def test_fractional_volumes_of_coins_are_kept():
    assert bars(read(flat("2024-01-02", 1.0, 0.25), zone="UTC")).bars["volume"][0] == Decimal("0.25")


# -- labels --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "instant", "day"),
    [
        ("America/New_York", "2024-03-08 14:30", "2024-03-08"),  # before the clocks change
        ("America/New_York", "2024-03-11 13:30", "2024-03-11"),
        ("Asia/Tokyo", "2024-11-28 00:00", "2024-11-28"),
        ("Australia/Sydney", "2024-11-27 23:00", "2024-11-28"),  # opens on the eve in UTC
        ("Europe/London", "2024-06-30 23:00", "2024-07-01"),  # midnight of a currency
        ("America/Sao_Paulo", "2022-01-11 02:00", "2022-01-11"),  # Yahoo's clock is an hour behind: 23:00
        ("UTC", "2024-11-28 00:00", "2024-11-28"),
    ],
)
def test_a_daily_bar_carries_the_exchanges_own_date(zone, instant, day):
    chart = read(flat(instant, 1.5), zone=zone)
    assert labels(bars(chart)) == [f"{day} 00:00"]
    assert chart.day_of(at(instant)) == date.fromisoformat(day)


@given(
    st.lists(st.integers(-2_000_000_000, 4_000_000_000), min_size=1, max_size=20),
    st.sampled_from(["Europe/London", "Asia/Tokyo", "America/Sao_Paulo"]),
)
def test_one_date_and_many_dates_are_found_by_the_same_rule(seconds, zone):
    chart = read(flat("2024-01-02", 1.5), zone=zone)
    many = local_days(np.array(seconds, dtype=np.int64), ZoneInfo(zone))
    assert [day.item() for day in many] == [chart.day_of(second) for second in seconds]


def test_a_last_day_sent_twice_is_one_bar_with_the_whole_volume():
    rows = [flat("2024-01-02 14:30", 1.5), flat("2024-01-03 14:30", 2.5, 900), flat("2024-01-03 21:00:01", 2.5, 917)]
    found = bars(read(*rows))
    assert labels(found) == ["2024-01-02 00:00", "2024-01-03 00:00"]
    assert found.bars["volume"].to_list() == [100, 917]


def test_an_earlier_day_sent_twice_is_refused():
    rows = [flat("2024-01-02 14:30", 1.5), flat("2024-01-02 15:30", 2.5), flat("2024-01-03 14:30", 2.5)]
    with pytest.raises(BadResponseError, match="2024-01-02 twice"):
        bars(read(*rows))


def test_rows_out_of_order_are_sorted():
    found = bars(read(flat("2024-01-03 14:30", 2.5), flat("2024-01-02 14:30", 1.5)))
    assert found.bars["close"].to_list() == [Decimal("1.5"), Decimal("2.5")]


def test_a_running_day_is_put_into_its_week():
    rows = [
        flat("2024-01-01 05:00", 1.5),
        ("2024-01-08 05:00", 10.0, 12.0, 9.0, 11.0, 1000),
        ("2024-01-12 20:59:58", 11.0, 13.5, 8.5, 12.5, 250),
    ]
    found = bars(read(*rows, interval="1wk"), "1w")
    assert labels(found) == ["2024-01-01 00:00", "2024-01-08 00:00"]
    assert found.bars.row(1)[2:] == tuple(map(Decimal, ("10", "13.5", "8.5", "12.5", "1250")))


def test_a_week_that_is_merely_repeated_is_not_counted_twice():
    row = ("2024-01-08 05:00", 10.0, 12.0, 9.0, 11.0, 1000)
    assert bars(read(row, row, interval="1wk"), "1w").bars["volume"].to_list() == [1000]


def test_weeks_that_begin_on_another_day_are_refused():
    rows = [flat(f"2024-01-{day:02} 05:00", 1.5) for day in (3, 10, 17, 24)]
    with pytest.raises(BadResponseError, match="begin on other days"):
        bars(read(*rows, interval="1wk"), "1w")


def test_a_month_begins_on_its_first_even_when_the_listing_came_later():
    found = bars(read(flat("2024-03-14 13:30", 1.5), flat("2024-04-01 04:00", 2.5), interval="1mo"), "1M")
    assert labels(found) == ["2024-03-01 00:00", "2024-04-01 00:00"]


# -- intraday ------------------------------------------------------------------------------------------------------------


def hours(*days):
    """The regular hours of days in New York in winter."""
    return [[{"start": at(f"{day} 14:30"), "end": at(f"{day} {end}"), "gmtoffset": -18000}] for day, end in days]


def test_intraday_bars_are_labelled_by_their_open():
    chart = read(flat("2024-01-02 14:30", 1.5), flat("2024-01-02 15:30", 2.5), interval="1h")
    assert labels(bars(chart, "1h")) == ["2024-01-02 14:30", "2024-01-02 15:30"]


@pytest.mark.parametrize("running", ["2024-01-02 15:43:12", "2024-01-02 15:43:00", "2024-01-02 15:31:00"])
def test_the_running_price_is_no_bar(running):
    rows = [flat("2024-01-02 14:30", 1.5), flat("2024-01-02 15:30", 2.5), flat(running, 3.5, 0)]
    assert labels(bars(read(*rows, interval="1h"), "1h")) == ["2024-01-02 14:30", "2024-01-02 15:30"]


def test_what_lies_behind_the_close_of_a_half_day_is_no_bar():
    periods = hours(("2024-11-27", "21:00"), ("2024-11-29", "18:00"))
    rows = [flat(f"2024-11-29 {hour}", 1.5) for hour in ("14:30", "15:30", "16:30", "17:30", "18:00", "18:30")]
    chart = read(*rows, interval="1h", tradingPeriods=periods)
    assert labels(bars(chart, "1h")) == [f"2024-11-29 {hour}" for hour in ("14:30", "15:30", "16:30", "17:30")]


def test_what_lies_before_the_open_is_no_bar():
    rows = [flat("2024-11-27 14:15", 1.5), flat("2024-11-27 14:30", 1.5), flat("2024-11-27 14:45", 1.5)]
    chart = read(*rows, interval="15m", tradingPeriods={"regular": hours(("2024-11-27", "21:00"))})
    assert labels(bars(chart, "15m")) == ["2024-11-27 14:30", "2024-11-27 14:45"]


# -- the form ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        "text",
        {},
        {"chart": None},
        {"chart": {"result": None, "error": None}},
        {"chart": {"result": [], "error": None}},
        {"chart": {"result": [{}], "error": None}},
        {"chart": {"result": [{"meta": {"symbol": "AAPL", "exchangeTimezoneName": "No/Where"}}], "error": None}},
        {"chart": {"result": [{"meta": {"symbol": "AAPL", "exchangeTimezoneName": "UTC"}, "timestamp": [1]}]}},
        answer(flat("2024-01-02 14:30", "ten")),
        answer(flat("2024-01-02 14:30", [1])),
    ],
)
def test_an_answer_of_another_form_is_refused_by_name(payload):
    with pytest.raises(BadResponseError, match="AAPL is not usable"):
        read_chart(payload, "AAPL", "1d")


def test_columns_of_different_lengths_are_refused():
    payload = answer(flat("2024-01-02 14:30", 1.5), flat("2024-01-03 14:30", 1.5))
    payload["chart"]["result"][0]["indicators"]["quote"][0]["close"].pop()
    with pytest.raises(BadResponseError, match="2 times"):
        read_chart(payload, "AAPL", "1d")


def test_an_answer_for_another_ticker_is_refused():
    with pytest.raises(BadResponseError, match="MSFT"):
        read_chart(answer(flat("2024-01-02 14:30", 1.5), symbol="MSFT"), "AAPL", "1d")


def test_bars_of_another_length_are_refused():
    with pytest.raises(BadResponseError, match="'3mo', not of '1d'"):
        read_chart(answer(flat("2024-01-02 14:30", 1.5), interval="3mo"), "AAPL", "1d")


def test_an_answer_without_bars_is_empty():
    payload = answer()
    del payload["chart"]["result"][0]["timestamp"]
    payload["chart"]["result"][0]["indicators"] = {"quote": [{}], "adjclose": [{}]}
    assert bars(read_chart(payload, "AAPL", "1d")).bars.is_empty()


# -- what was asked ------------------------------------------------------------------------------------------------------

LISTED = at("1999-06-01")
TRADED = at("2024-11-29 21:00")


def test_an_answer_that_begins_years_late_is_refused():
    chart = read(flat("2023-01-03 14:30", 1.5), firstTradeDate=LISTED, regularMarketTime=at("2023-01-03 21:00"))
    with pytest.raises(BadResponseError, match="begins on 2023-01-03 instead of 2014-12-01") as caught:
        check_extent(chart, "AAPL", date(2014, 12, 1), date(2024, 11, 29))
    assert "2023-01-03" in caught.value.hint


def test_an_answer_that_begins_with_the_listing_is_whole():
    chart = read(flat("1999-06-01 14:30", 1.5), firstTradeDate=LISTED, regularMarketTime=at("1999-06-01 21:00"))
    check_extent(chart, "AAPL", date(1990, 1, 1), date(2024, 11, 29))


def test_an_answer_that_ends_before_the_last_trade_is_refused():
    chart = read(flat("2024-01-02 14:30", 1.5), firstTradeDate=LISTED, regularMarketTime=TRADED)
    with pytest.raises(BadResponseError, match="ends on 2024-01-02 instead of 2024-11-29"):
        check_extent(chart, "AAPL", date(2024, 1, 1), date(2024, 11, 30))


def test_a_delisted_symbol_ends_with_its_last_trade():
    chart = read(flat("2019-06-28 13:30", 1.5), firstTradeDate=LISTED, regularMarketTime=at("2019-06-28 20:00"))
    check_extent(chart, "AAPL", date(2019, 6, 1), date(2024, 11, 30))


def test_sessions_that_traded_need_intraday_bars():
    days = read(*[flat(f"2024-01-{day:02} 14:30", 1.5) for day in (2, 3, 4, 5, 8)])
    part = bars(read(flat("2024-01-05 14:30", 1.5), flat("2024-01-08 14:30", 1.5), interval="1h"), "1h")
    with pytest.raises(BadResponseError, match="no bars of 3 sessions up to 2024-01-04"):
        check_sessions(days, [part], "AAPL", *FOREVER)
    check_sessions(days, [part], "AAPL", at("2024-01-03") * 1_000_000, 2**62)


def test_days_without_trade_need_no_intraday_bars():
    days = read(*[flat(f"2024-01-{day:02} 14:30", 1.5, 0) for day in (2, 3, 4, 5, 8)])
    check_sessions(days, [], "AAPL", *FOREVER)

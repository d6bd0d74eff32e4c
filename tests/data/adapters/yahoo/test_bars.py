"""Days, weeks and months are those of the market, per share of today."""

from datetime import UTC, date, datetime, timedelta

import pytest

from rustybt.data.sources.yfinance import YFinanceDataSource
from tests.data.adapters.yahoo.asking import SATURDAY, ask, paths, per_share_of_today, rounded, rows_of
from tests.fakes import market


def test_daily_bars_are_those_of_the_market_per_share_of_today(connect):
    answer = ask(connect(), "GE", "2021-07-01", "2021-08-31")
    expected = per_share_of_today("GE", market.daily("GE", date(2021, 7, 1), date(2021, 8, 31)))
    assert rows_of(answer) == list(expected)
    assert answer.number_rule == "float32"
    assert answer.vendor_symbol == "GE"
    assert (answer.attributes.venue, answer.attributes.asset_type) == ("XNYS", "equity")
    assert answer.missing_volume is None


def test_a_class_of_shares_is_asked_for_with_a_dash(connect, server):
    answer = ask(connect(), "BRK.B", "2024-11-01", "2024-11-08")
    assert paths(server)[-1] == "/v8/finance/chart/BRK-B"
    assert set(answer.bars["symbol"]) == {"BRK.B"}
    assert answer.vendor_symbol == "BRK-B"


@pytest.mark.parametrize("symbol", ["VOD.L", "7203.T"])
def test_days_are_the_exchanges_own_all_through_the_year(connect, symbol):
    answer = ask(connect(), symbol, "2024-01-01", "2024-11-28")
    days = [row.start for row in market.daily(symbol, date(2024, 1, 1), date(2024, 11, 28))]
    assert answer.bars["timestamp"].to_list() == days


def test_pence_are_named(connect):
    assert ask(connect(), "VOD.L", "2024-11-01", "2024-11-08").attributes.currency == "GBp"


def test_a_coin_never_closes_and_belongs_to_no_exchange(connect):
    answer = ask(connect(), "BTC-USD", "2024-11-01", "2024-11-28")
    assert answer.bars.height == 28
    assert (answer.attributes.asset_type, answer.attributes.venue) == ("crypto", "yahoo")


def test_the_running_session_is_shown_and_not_delivered(connect, server):
    answer = ask(connect(), "AAPL", "2024-11-25", "2024-11-29")
    assert answer.bars["timestamp"][-1] == datetime(2024, 11, 29, tzinfo=UTC)
    source = YFinanceDataSource(base_url=server.url, clock=lambda: market.NOW)
    assert source.fetch_sync(["AAPL"], "2024-11-25", "2024-11-29")["timestamp"][-1] == datetime(
        2024, 11, 27, tzinfo=UTC
    )
    source.close()


def test_a_close_that_is_repeated_replaces_the_day(connect, server):
    server.repeats_last = True
    answer = ask(connect(now=SATURDAY), "SPY", "2024-11-25", "2024-11-30")
    expected = list(per_share_of_today("SPY", market.daily("SPY", date(2024, 11, 25), date(2024, 11, 29))))
    expected[-1] = (*expected[-1][:-1], expected[-1][-1] + 17)
    assert rows_of(answer) == expected


def test_days_of_nulls_are_left_out_with_a_note(connect, server):
    server.null_days = {date(2024, 11, 6), date(2024, 11, 7)}
    answer = ask(connect(), "SPY", "2024-11-04", "2024-11-08")
    assert [stamp.day for stamp in answer.bars["timestamp"]] == [4, 5, 8]
    assert answer.notes == ("SPY: 2 rows that are no bars, or without usable prices, are left out",)


def grouped(symbol, first, last, label):
    """Weeks or months by hand."""
    groups = {}
    for row in market.daily(symbol, first, last):
        groups.setdefault(label(row.start.date()), []).append(row)
    for day, rows in groups.items():
        yield (
            datetime(day.year, day.month, day.day, tzinfo=UTC),
            rounded(rows[0].open),
            rounded(max(row.high for row in rows)),
            rounded(min(row.low for row in rows)),
            rounded(rows[-1].close),
            sum(row.volume for row in rows),
        )


@pytest.mark.parametrize("symbol", ["SPY", "VOD.L", "7203.T"])
def test_weeks_begin_on_monday_and_hold_the_last_day_too(connect, symbol):
    answer = ask(connect(now=SATURDAY), symbol, "2024-09-30", "2024-12-01", "1w")
    expected = grouped(symbol, date(2024, 9, 30), date(2024, 11, 29), lambda day: day - timedelta(days=day.weekday()))
    assert rows_of(answer) == list(expected)


@pytest.mark.parametrize("symbol", ["SPY", "VOD.L", "7203.T"])
def test_months_begin_on_the_first(connect, symbol):
    answer = ask(connect(now=SATURDAY), symbol, "2024-03-01", "2024-11-30", "1M")
    expected = grouped(symbol, date(2024, 3, 1), date(2024, 11, 29), lambda day: day.replace(day=1))
    assert rows_of(answer) == list(expected)


def test_the_running_day_is_part_of_its_week(connect):
    answer = ask(connect(), "SPY", "2024-11-18", "2024-12-01", "1w")
    week = market.daily("SPY", date(2024, 11, 25), date(2024, 11, 29))
    *_, volume = rows_of(answer)[-1]
    assert answer.bars.height == 2
    assert volume == sum(row.volume for row in week[:-1]) + int(week[-1].volume) // 2

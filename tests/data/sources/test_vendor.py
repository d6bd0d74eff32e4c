"""What all vendors share: parallel, final, in order, and honest about what failed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime

import polars as pl
import pytest

from rustybt.data.sources.bridge import iterate
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    NotCoveredError,
    RequestError,
    SourceUnavailableError,
    SymbolNotFoundError,
)
from rustybt.market.bars import check_bars
from tests.data.sources.scripted import LIMITS, ScriptedSource, contract
from tests.fakes import market


def deliveries(source, symbols, start="2024-01-02", end="2024-01-31", frequency="1d", ask="deliver", **more):
    return list(iterate(getattr(source, ask)(source.request(symbols, start, end, frequency), **more)))


def test_a_fetch_is_what_the_vendor_holds_under_canonical_names():
    source = ScriptedSource()
    bars = check_bars(source.fetch_sync(["brk-b", "AAPL"], "2024-01-02", "2024-01-31"))
    rows = market.daily("BRK.B", date(2024, 1, 2), date(2024, 1, 31))
    assert bars.filter(pl.col("symbol") == "BRK.B").equals(contract("BRK.B", rows))
    assert set(bars["symbol"]) == {"AAPL", "BRK.B"}


def test_a_start_in_the_future_is_refused_as_what_it_is():
    with pytest.raises(RequestError, match="the start 2099-01-02 lies in the future"):
        ScriptedSource().fetch_sync("AAPL", "2099-01-02", None)


def test_the_vendors_ticker_travels_as_alias_only_where_it_differs():
    (delivery,) = deliveries(ScriptedSource(), ["BRK.B"])
    assert delivery.aliases == {"BRK.B": "BRK-B"}
    (delivery,) = deliveries(ScriptedSource(), ["AAPL"])
    assert delivery.aliases == {}


def test_a_session_that_trades_is_not_final_and_one_that_settles_neither():
    # 2024-11-29 closes at 18:00 UTC; the script's vendor settles for 15 minutes.
    def newest(now: datetime) -> date:
        source = ScriptedSource(clock=now.timestamp)
        return source.fetch_sync("AAPL", "2024-11-25", None)["timestamp"].max().date()

    assert newest(datetime(2024, 11, 29, 17, 59, tzinfo=UTC)) == date(2024, 11, 27)
    assert newest(datetime(2024, 11, 29, 18, 14, tzinfo=UTC)) == date(2024, 11, 27)
    assert newest(datetime(2024, 11, 29, 18, 15, tzinfo=UTC)) == date(2024, 11, 29)


def test_the_last_short_bar_of_a_session_is_final_with_the_session():
    # 17:30 is the last hour bar of the half day, which closes at 18:00.
    for minute, newest in ((44, "16:30"), (45, "17:30")):
        source = ScriptedSource(clock=datetime(2024, 11, 29, 18, minute - 30, tzinfo=UTC).timestamp)
        stamps = source.fetch_sync("AAPL", "2024-11-29", None, "1h")["timestamp"]
        assert stamps.max().strftime("%H:%M") == newest


def test_a_frequency_the_vendor_lacks_is_made_of_the_longest_that_fits():
    source = ScriptedSource()
    (delivery,) = deliveries(source, ["AAPL"], "2024-11-18", "2024-11-20", "30m")
    assert delivery.resampled_from == "15m"
    assert {asked[3] for asked in source.adapter.asked} == {"15m"}
    rows = market.intraday("AAPL", 15, date(2024, 11, 18), date(2024, 11, 20))
    assert delivery.bars.height == len(rows) // 2
    assert delivery.bars["high"][0] == max(rows[0].high, rows[1].high)
    (delivery,) = deliveries(source, ["AAPL"], "2024-01-01", "2024-03-31", "1M")
    assert delivery.resampled_from == "1d"
    assert delivery.bars["timestamp"].dt.date().to_list() == [date(2024, 1, 2), date(2024, 2, 1), date(2024, 3, 1)]


def test_the_month_that_runs_is_not_final():
    bars = ScriptedSource().fetch_sync("AAPL", "2024-09-01", None, "1M")
    assert bars["timestamp"].dt.date().to_list() == [date(2024, 9, 3), date(2024, 10, 1)]


def test_a_week_that_begins_before_the_range_is_left_out_and_one_that_ends_after_it_is_whole():
    bars = ScriptedSource().fetch_sync("AAPL", "2024-07-03", "2024-07-16", "1w")
    assert bars["timestamp"].dt.date().to_list() == [date(2024, 7, 8), date(2024, 7, 15)]
    last = market.daily("AAPL", date(2024, 7, 15), date(2024, 7, 19))
    assert bars["close"][1] == last[-1].close


def test_no_dates_mean_ten_years_up_to_the_last_final_bar():
    source = ScriptedSource()
    stamps = source.fetch_sync("MSFT")["timestamp"].dt.date()
    assert (stamps.min(), stamps.max()) == (date(2014, 11, 28), date(2024, 11, 27))


def test_no_start_is_the_vendors_depth_where_that_is_less():
    source = ScriptedSource()
    request = source.resolve(source.request("AAPL", None, None, "1m"))
    assert request.start_text == "2024-10-31"
    with pytest.raises(NotCoveredError) as caught:
        source.fetch_sync("AAPL", "2024-10-30", "2024-11-05", "1m")
    assert "2024-10-31" in str(caught.value)


def test_deliveries_rise_whatever_finishes_first():
    script = {"delays": {"AAPL": 0.15, "GE": 0.05}}
    names = ["MSFT", "SPY", "GE", "AAPL"]
    in_order = [d.bars["symbol"][0] for d in deliveries(ScriptedSource(script=script), names)]
    assert in_order == ["AAPL", "GE", "MSFT", "SPY"]
    as_completed = [d.bars["symbol"][0] for d in deliveries(ScriptedSource(script=script), names, ask="answers")]
    assert set(as_completed[:2]) == {"MSFT", "SPY"}
    assert as_completed[2:] == ["GE", "AAPL"]


def test_no_more_requests_run_at_once_than_the_vendor_allows():
    script = {"delays": dict.fromkeys(market.EQUITIES, 0.02)}
    source = ScriptedSource(script=script, parallel_requests=2)
    deliveries(source, ["AAPL", "GE", "MSFT", "SPY", "NEWCO"])
    assert source.adapter.most_running == 2


def test_symbols_travel_together_where_the_vendor_takes_several():
    source = ScriptedSource(script={"limits": replace(LIMITS, symbols_per_request=2)})
    deliveries(source, ["AAPL", "GE", "MSFT"])
    assert sorted(asked[0] for asked in source.adapter.asked) == [("AAPL", "GE"), ("MSFT",)]
    source.adapter.asked.clear()
    late = 1_705_000_000_000_000
    deliveries(source, ["AAPL", "GE", "MSFT"], ask="answers", starts={"GE": late})
    assert sorted((asked[0], asked[1] == late) for asked in source.adapter.asked) == [
        (("AAPL",), False),
        (("GE",), True),
        (("MSFT",), False),
    ]


def test_one_bad_symbol_is_a_failure_of_its_own():
    script = {"errors": {"GE": BadResponseError("GE: the answer breaks off")}}
    found = deliveries(ScriptedSource(script=script), ["AAPL", "GE", "NOPE", "SPY"])
    failures = {name: type(error) for d in found for name, error in d.failures.items()}
    assert failures == {"GE": BadResponseError, "NOPE": SymbolNotFoundError}
    assert [d.bars["symbol"][0] for d in found if d.bars.height] == ["AAPL", "SPY"]


def test_a_known_symbol_without_bars_is_skipped_with_the_reason():
    (delivery,) = deliveries(ScriptedSource(), ["NEWCO"], "2020-01-02", "2020-12-31")
    assert delivery.skipped == {"NEWCO": "no bars from 2020-01-02 to 2020-12-31: its first bar is of 2024-03-04"}
    assert not delivery.failures


@pytest.mark.parametrize("error", [SourceUnavailableError("down"), AuthenticationError("no")])
def test_a_vendor_that_fails_everyone_is_not_asked_for_all(error):
    names = [f"S{n:03}" for n in range(50)]
    source = ScriptedSource(script={"errors": dict.fromkeys(names, error)}, parallel_requests=1)
    with pytest.raises(type(error)):
        deliveries(source, names)
    assert len(source.adapter.asked) == 3


def test_a_key_that_nobody_knows_is_tried_once():
    names = [f"S{n:03}" for n in range(50)]
    error = AuthenticationError("the key is unknown", concerns_all=True)
    source = ScriptedSource(script={"errors": dict.fromkeys(names, error)}, parallel_requests=1)
    with pytest.raises(AuthenticationError, match="the key is unknown"):
        deliveries(source, names)
    assert len(source.adapter.asked) == 1


def test_what_arrived_before_the_vendor_went_down_is_kept():
    names = ["AAPL", *(f"S{n:03}" for n in range(20))]
    script = {"errors": {name: SourceUnavailableError("down") for name in names[1:]}}
    source = ScriptedSource(script=script, parallel_requests=1)
    found = deliveries(source, names)
    assert found[0].bars["symbol"][0] == "AAPL"
    assert {name for d in found for name in d.failures} == set(names[1:])
    assert len(source.adapter.asked) == 4


def test_a_bug_in_an_adapter_is_raised_and_nobody_waits_for_ever():
    source = ScriptedSource(script={"errors": {"AAPL": ZeroDivisionError("bug")}})
    with pytest.raises(ZeroDivisionError):
        source.fetch_sync(["AAPL", "MSFT"], "2024-01-02", "2024-01-31")


def test_an_abandoned_fetch_leaves_no_task_behind():
    source = ScriptedSource(script={"delays": dict.fromkeys(market.EQUITIES, 0.05)}, parallel_requests=1)
    answers = iterate(source.answers(source.request(["AAPL", "GE", "MSFT", "SPY"], "2024-01-02", "2024-01-31")))
    next(answers)
    answers.close()
    asked = len(source.adapter.asked)
    source.fetch_sync("NEWCO", "2024-04-01", "2024-04-30")
    assert len(source.adapter.asked) == asked + 1


def test_a_fetch_can_be_awaited_in_any_loop():
    source = ScriptedSource()

    async def twice():
        return await asyncio.gather(source.fetch("AAPL", "2024-01-02", "2024-01-05"), source.fetch("GE", "2024-01-02"))

    first, _ = asyncio.run(twice())
    assert first.equals(asyncio.run(twice())[0])


def test_progress_counts_symbols_and_names_the_date_reached():
    seen = []
    deliveries(ScriptedSource(parallel_requests=1), ["AAPL", "GE"], progress=lambda *what: seen.append(what))
    assert seen == [("fetch AAPL 2024-01-31", 1, 2), ("fetch GE 2024-01-31", 2, 2)]


@pytest.mark.parametrize(
    "bad",
    [
        {"requests_per_minute": "many"},
        {"requests_per_minute": -1},
        {"parallel_requests": 0},
        {"max_attempts": "0"},
        {"timeout_seconds": 0},
        {"base_url": "ftp://somewhere"},
        {"base_url": "http://user:word@host"},
        {"proxy": "not a url"},
        {"ca_bundle": "/no/such/file.pem"},
    ],
)
def test_an_option_that_makes_no_sense_is_refused_at_once(bad):
    with pytest.raises(RequestError):
        ScriptedSource(**bad)


def test_options_say_what_was_given_and_hide_a_proxys_password():
    source = ScriptedSource(
        base_url="http://127.0.0.1:1/", proxy="http://me:hunter2@proxy.example:8080", requests_per_minute="5"
    )
    assert source.options() == {
        "base_url": "http://127.0.0.1:1",
        "proxy": "http://proxy.example:8080",
        "requests_per_minute": 5.0,
    }
    assert "hunter2" not in repr(source)
    assert "hunter2" not in repr(source._connection)
    assert source.limits().requests_per_minute == 5.0


def test_a_backtest_finds_an_asset_by_the_vendors_ticker_too():
    from rustybt.data.portal import SourceBars

    source = ScriptedSource()
    bars = SourceBars(source, ["brk-b"], date(2024, 1, 2), date(2024, 1, 31))
    assert bars.asset("BRK-B").symbol == "BRK.B"
    assert bars.asset("BRK.B").exchange == "XNYS"

"""The page of a result: whole, standing alone, and safe whatever the data and the strategy are called."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from rustybt import api
from rustybt.algorithm import run_algorithm
from rustybt.errors import StrategyError
from rustybt.trading.report.axes import polylines, stretches
from rustybt.trading.report.context import Exposure, PriceLine, ReportContext
from rustybt.trading.report.curve import Curve
from rustybt.trading.report.page import render
from rustybt.trading.report.tables import holdings, trades
from rustybt.trading.results.result import Result
from rustybt.trading.results.run_quality import QualityFinding, RunQuality
from tests.trading.strategies import FREE, buy_once

HOSTILE = '<script>alert("1")</script>'
VOID = {"meta"}


class Page(HTMLParser):
    """Checks that tags are balanced, and keeps tags, attributes and words."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(self.words)


def check(text):
    """Return the page, once it is known to be well formed, to fetch nothing and to run nothing."""
    page = Page(text)
    assert not {"script", "iframe", "object", "link", "img", "form"} & set(page.tags)
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "href", "xlink:href")}
    assert "url(" not in text
    assert "@import" not in text
    assert not re.search(r"https?://", re.sub(r">[^<]*<", "><", text))
    keys = [value for name, value in page.attributes if name == "id"]
    assert len(keys) == len(set(keys))
    for name, value in page.attributes:
        if name == "aria-labelledby":
            assert set(value.split()) <= set(keys)
    drawn = [value for name, value in page.attributes if name in ("points", "d", "x", "y", "height", "cx", "cy")]
    assert not re.search(r"nan|inf", " ".join(drawn))
    return page


def days(count, start="2020-01-02"):
    return np.datetime64(start) + np.arange(count).astype("timedelta64[D]")


@pytest.fixture
def sheet(tmp_path):
    def do(result, **words):
        with_path = result.tear_sheet(tmp_path / "page.html", **words)
        return check(with_path.read_text(encoding="utf-8"))

    return do


def test_the_page_of_a_run_holds_every_part(make_bars, sheet):
    closes = {"A": [10 + n % 7 for n in range(60)], "B": [5.0] * 60}

    def initialize(context):
        context.asset = api.symbol("A")

    def handle_data(context, data):
        price = data.current(context.asset, "price")
        api.order_target(context.asset, 10 if price > 12 else 0)
        api.record(seen=price)

    days_of = pd.bdate_range("2020-01-01", "2020-06-30")
    result = run_algorithm(
        bundle=make_bars(closes),
        initialize=initialize,
        handle_data=handle_data,
        capital_base=1_000,
        benchmark_returns=pd.Series(0.001, index=days_of),
        **FREE,
    )
    page = sheet(result, title="Sevens", notice="Bars are made up.")
    for heading in (
        *("Sevens", "Monthly returns", "Worst drawdowns", "Exposure", "Rolling figures"),
        *("Distribution of session returns", "Trades", "Trades on prices", "Holdings at the end", "Figures"),
        *("Recorded by the strategy, last values", "benchmark ", "Bars are made up."),
    ):
        assert heading in page.words, heading
    assert page.tags.count("svg") == page.tags.count("desc") == 7
    assert "Dates are sessions of the calendar XNYS, values those at its close; instants are UTC." in page.text
    assert "Of the last 21 sessions, annualized with 252 sessions." in page.text
    assert "portfolio value (USD)" in page.words
    paths = [dict_ for dict_ in page.attributes if dict_[0] == "d"]
    assert len(paths) == 2
    # Bought when above 12, sold when not: prices of 10 to 16 in turn, filled a session later.
    bought, sold = (path.count("M") for _, path in paths)
    fills = result.transactions["amount"]
    assert (bought, sold) == ((fills > 0).sum(), (fills < 0).sum())


def test_marks_lie_at_their_session_and_the_mean_price_of_its_fills():
    line = PriceLine(
        "A", days(3), np.array([10.0, 20.0, 30.0]), (days(3)[1:2], np.array([20.0])), (days(0), np.empty(0))
    )
    text = render([Curve("s", days(3), np.full(3, 1.0), 1.0)], ReportContext(prices=(line,)))
    # 912 pixels of time from 74 on: the middle is 530. 150 of price below 12, from 10 to 30: the middle is 87.
    assert '<path class="buy" d="M530,87l-4,8h8z"/>' in text
    assert 'class="sell"' not in text


def test_a_run_without_trades_has_a_page(make_bars, sheet):
    page = sheet(run_algorithm(bundle=make_bars({"A": [1, 2, 3]}), handle_data=lambda context, data: None))
    assert "nothing was traded" in page.text
    assert "Nothing is held: all of it is cash." in page.text
    assert "Trades on prices" not in page.words
    assert "The value was never below an earlier high." in page.words


def test_a_run_of_one_session_has_a_page(make_bars, sheet):
    page = sheet(run_algorithm(bundle=make_bars({"A": [10]}), **buy_once(3), **FREE))
    assert "1 session, 2020-01-02 to 2020-01-02." in page.text
    assert "The run is too short: it takes 42 sessions." in page.text


def test_a_run_that_loses_everything_and_more_has_a_page(make_bars, sheet):
    result = run_algorithm(bundle=make_bars({"A": [10, 10, 5, 50, 1]}), **buy_once(-100), capital_base=1_000, **FREE)
    page = sheet(result)
    assert "-300.00%" in page.text  # of 1000, short 100 shares from 10 to 50
    assert "2020-01-07" in page.text


def test_an_incomplete_run_says_so_at_the_top_and_shows_what_it_has(make_bars, sheet, tmp_path):
    def handle_data(context, data):
        if data.current_session.day == 6:
            raise ValueError(HOSTILE)

    with pytest.raises(StrategyError) as caught:
        run_algorithm(bundle=make_bars({"A": [10, 11, 12]}), handle_data=handle_data)
    page = sheet(caught.value.partial_result)
    assert page.words.index("Incomplete:") < page.words.index("Monthly returns")
    assert "the run stopped at an error, only the 2 before it are shown." in page.text
    assert HOSTILE in page.text  # as words


def test_a_run_that_failed_at_once_is_saved_loaded_and_shown(make_bars, sheet, tmp_path):
    with pytest.raises(StrategyError) as caught:
        run_algorithm(bundle=make_bars({"A": [10]}), initialize=lambda context: api.symbol("A") / 2)
    loaded = Result.load(caught.value.partial_result.save(tmp_path / "result"))
    assert not loaded.is_complete
    assert len(loaded.perf) == 0
    page = sheet(loaded)
    assert "no session was finished" in page.text
    assert "svg" not in page.tags


def test_names_from_data_and_strategies_are_never_markup(make_bars, sheet, tmp_path):
    symbol = "<script>alert(1)</script>"

    def initialize(context):
        context.asset = api.symbol(symbol)

    def handle_data(context, data):
        api.order(context.asset, 1)
        api.record(**{HOSTILE: HOSTILE})

    result = run_algorithm(bundle=make_bars({symbol: [10, 11, 12]}), initialize=initialize, handle_data=handle_data)
    result.notes = (HOSTILE,)
    loaded = Result.load(result.save(tmp_path / "result"))
    page = sheet(loaded, title=HOSTILE, notice=HOSTILE)
    assert page.text.count(HOSTILE) >= 5
    assert symbol in page.words


def test_every_text_of_the_context_is_escaped():
    quality = RunQuality("2020-01-02", "2020-01-03", 1, (QualityFinding(HOSTILE, HOSTILE, HOSTILE, 1, (HOSTILE,)),))
    nothing = (days(0), np.empty(0))
    context = ReportContext(
        title=HOSTILE,
        currency=HOSTILE,
        notice=HOSTILE,
        incomplete=HOSTILE,
        notes=(HOSTILE,),
        calendar=HOSTILE,
        pin={HOSTILE: HOSTILE},
        provenance={HOSTILE: {HOSTILE: [HOSTILE]}},
        quality={HOSTILE: HOSTILE},
        run_quality=quality,
        metrics={HOSTILE: HOSTILE},
        returns=np.zeros(50),
        exposure=Exposure(*[np.ones(50)] * 4),
        transactions=[{"symbol": HOSTILE, "amount": 1.0, "price": 1.0}],
        prices=(PriceLine(HOSTILE, days(50), np.ones(50), nothing, nothing),),
        prices_left_out=HOSTILE,
        holdings=[{"symbol": HOSTILE, "amount": 1.0, "cost_basis": 1.0, "last_sale_price": 1.0}],
        recorded={HOSTILE: HOSTILE},
        replay_command=HOSTILE,
    )
    check(render([Curve(HOSTILE, days(50), np.ones(50), 1.0)], context))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_leave_gaps(bad):
    values = np.array([100.0, 101.0, bad, 103.0, 104.0, bad])
    context = ReportContext(
        returns=values / 100 - 1,
        exposure=Exposure(values, np.full(6, bad), values, values),
        metrics={"sharpe": bad},
        transactions=[{"symbol": "A", "amount": 1.0, "price": bad}],
        prices=(PriceLine("A", days(6), values, (days(6)[1:3], np.array([5.0, bad])), (days(0), np.empty(0))),),
        holdings=[{"symbol": "A", "amount": 1.0, "cost_basis": bad, "last_sale_price": bad}],
    )
    page = check(render([Curve("s", days(6), values, 100.0)], context))
    assert not {"nan", "inf", "-inf"} & {word.strip() for word in page.words}


def test_a_line_is_broken_where_a_value_is_missing():
    values = np.array([1.0, 2.0, np.nan, 4.0, np.nan, 6.0, 7.0])
    assert stretches(values) == [slice(0, 2), slice(3, 4), slice(5, 7)]
    assert polylines(np.arange(7.0), values, "x") == [
        '<polyline class="x" points="0.0,1.0 1.0,2.0"/>',
        '<circle class="x" cx="3.0" cy="4.0" r="2"/>',
        '<polyline class="x" points="5.0,6.0 6.0,7.0"/>',
    ]


def test_a_long_line_keeps_its_ends_and_its_extremes():
    values = np.zeros(20_000)
    values[[0, 7_777, 12_345, 19_999]] = [1.0, 50.0, -50.0, 2.0]
    points = re.findall(r"([\d.]+),(-?[\d.]+)", polylines(np.arange(20_000.0), values, "x")[0])
    assert len(points) < 1_300
    assert points[0] == ("0.0", "1.0")
    assert points[-1] == ("19999.0", "2.0")
    assert {("7777.0", "50.0"), ("12345.0", "-50.0")} <= set(points)


def test_holdings_are_listed_by_size_with_their_part_of_the_portfolio():
    rows = [
        {"symbol": "A", "amount": 10.0, "cost_basis": 9.0, "last_sale_price": 10.0},
        {"symbol": "B", "amount": -30.0, "cost_basis": 9.0, "last_sale_price": 10.0},
    ]
    cells = re.findall(r">([^<>]+)</t[dh]>", holdings(rows, 1_000.0, "USD"))
    assert cells[6:] == ["B", "-30", "9", "10", "-300.00", "-30.0%", "A", "10", "9", "10", "100.00", "10.0%"]


def test_many_symbols_are_cut_with_their_count():
    fills = [{"symbol": f"S{n:04}", "amount": 1.0, "price": 1.0} for n in range(700)]
    assert "and 200 more" in trades(fills, "USD")


def test_ten_years_of_five_hundred_assets_stay_below_two_megabytes():
    count = 2_520
    rng = np.random.default_rng(7)
    walk = np.exp(np.cumsum(rng.normal(0, 0.02, count)))
    every = (days(count), walk)
    context = ReportContext(
        returns=rng.normal(0, 0.02, count),
        exposure=Exposure(walk, walk, walk * 1e6, -walk * 1e6),
        transactions=[{"symbol": f"S{n % 500:03}", "amount": 1.0, "price": 1.0} for n in range(50_000)],
        prices=[PriceLine(f"S{n}", days(count), walk, every, every) for n in range(8)],
        holdings=[{"symbol": f"S{n}", "amount": 1.5, "cost_basis": 1.0, "last_sale_price": 2.0} for n in range(500)],
        provenance={"symbols": [f"S{n}" for n in range(500)]},
        run_quality=RunQuality(
            "2010-01-04",
            "2019-12-31",
            500,
            tuple(QualityFinding(f"S{n}", "spike", "suspicious", 1) for n in range(2_000)),
        ),
    )
    curves = [Curve("s", days(count), walk * 1e6, 1e6), Curve("benchmark", days(count), walk * 1e6, 1e6)]
    text = render(curves, context)
    check(text)
    assert len(text.encode()) < 2_000_000


def test_flagged_bars_stand_at_the_bottom_beside_the_pin():
    quality = RunQuality(
        "2020-01-02", "2020-01-31", 2, (QualityFinding("A", "spike", "suspicious", 1, ("2020-01-08",)),), ("B",)
    )
    context = ReportContext(pin={"bundle": "us"}, run_quality=quality)
    page = check(render([Curve("s", days(3), np.ones(3), 1.0)], context))
    order = [
        page.words.index(words) for words in ("Monthly returns", "Data: the pin", "Data: quality of what was read")
    ]
    assert order == sorted(order)
    assert (
        "1 symbol of 2 symbols read, 2020-01-02 to 2020-01-31, flagged: spike 1; 1 symbol never checked." in page.words
    )
    for cell in ("spike", "suspicious", "2020-01-08"):
        assert cell in page.words


def test_the_chart_has_the_benchmark_of_the_run(make_bars, tmp_path):
    returns = pd.Series([0.5, 0.0], index=pd.to_datetime(["2020-01-02", "2020-01-03"]))
    result = run_algorithm(
        bundle=make_bars({"A": [1, 2]}), handle_data=lambda context, data: None, benchmark_returns=returns
    )
    assert result.plot(tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
    text = result.tear_sheet(tmp_path / "page.html").read_text(encoding="utf-8")
    assert "benchmark <b>+50.0%</b>" in text

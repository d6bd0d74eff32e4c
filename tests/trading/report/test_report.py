"""The report of a result: numbers by hand, a chart, a page that stands alone."""

import re
from datetime import date
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from rustybt.errors import MissingDependencyError, RequestError
from rustybt.trading.report import ReportContext, curve_of, write_chart, write_page
from rustybt.trading.report.curve import Curve
from rustybt.trading.report.drawing import draw
from rustybt.trading.report.page import render
from rustybt.trading.report.ticks import date_ticks, percent_labels, short_amount, value_ticks


def curve(values, start="2020-01-30", capital=100.0, name="strategy"):
    days = np.array([np.datetime64(start) + np.timedelta64(n, "D") for n in range(len(values))])
    return Curve(name, days, np.array(values, dtype=float), capital)


def test_drawdown_is_measured_from_the_highest_value_so_far():
    assert curve([110.0, 99.0, 121.0, 60.5]).drawdown.tolist() == pytest.approx([0.0, -0.1, 0.0, -0.5])


def test_the_starting_capital_counts_as_a_high():
    found = curve([90.0, 95.0])
    assert found.drawdown.tolist() == pytest.approx([-0.1, -0.05])
    assert found.worst == (pytest.approx(-0.1), date(2020, 1, 30), date(2020, 1, 30))


def test_the_worst_drawdown_names_the_high_and_the_low():
    depth, high, low = curve([110.0, 120.0, 90.0, 130.0]).worst
    assert (depth, high, low) == (pytest.approx(-0.25), date(2020, 1, 31), date(2020, 2, 1))


def test_a_curve_of_other_capital_is_scaled_and_says_so():
    other = curve([1_100.0, 900.0], capital=1_000.0, name="other").from_capital(100.0)
    assert other.starting_value == 100.0
    assert other.drawdown.tolist() == pytest.approx([0.0, 90 / 110 - 1])
    assert other.total_return == pytest.approx(-0.1)
    assert other.name == "other, scaled to 100"
    same = curve([110.0], capital=100.0)
    assert same.from_capital(100.0) is same


def test_monthly_returns_chain_to_the_total_return():
    # 30 and 31 January 102, 104; 1 and 2 February 78, 130.
    table = curve([102.0, 104.0, 78.0, 130.0]).monthly_returns()
    assert len(table) == 1
    year, months, total = table[0]
    assert year == 2020
    assert months[0] == pytest.approx(0.04)
    assert months[1] == pytest.approx(0.25)
    assert months[2:] == [None] * 10
    assert total == pytest.approx(0.30)


def test_a_month_without_sessions_stays_empty():
    found = Curve("x", np.array(["2020-12-31", "2021-02-01"], dtype="datetime64[D]"), np.array([100.0, 110.0]), 100.0)
    assert found.monthly_returns()[1][1][:2] == [None, pytest.approx(0.10)]


@pytest.mark.parametrize(
    ("close", "session"),
    [("2020-03-06 21:00", date(2020, 3, 6)), ("2020-03-07 00:00", date(2020, 3, 6))],
)
def test_a_close_belongs_to_its_own_session_even_at_midnight(close, session):
    perf = pd.DataFrame(
        {"portfolio_value": [101.0], "starting_cash": [100.0]}, index=pd.DatetimeIndex([close], tz="UTC")
    )
    found = curve_of(SimpleNamespace(perf=perf))
    assert found.sessions.tolist() == [session]
    assert found.total_return == pytest.approx(0.01)


def test_a_result_without_sessions_is_refused():
    perf = pd.DataFrame({"portfolio_value": [], "starting_cash": []}, index=pd.DatetimeIndex([], tz="UTC"))
    with pytest.raises(RequestError, match="no session"):
        curve_of(SimpleNamespace(perf=perf))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 100.0, [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]),
        (-0.29, 0.0, [-0.3, -0.2, -0.1, 0.0]),
        (5.0, 5.0, [5.0]),
        (99_000.0, 101_000.0, [99_000.0, 99_500.0, 100_000.0, 100_500.0, 101_000.0]),
    ],
)
def test_value_ticks_are_round_and_span_the_values(low, high, expected):
    assert value_ticks(low, high, 3 if high == 0.0 else 5) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        ([-0.4, -0.2, 0.0], ["-40%", "-20%", "0%"]),
        ([-0.01, -0.005, 0.0], ["-1.0%", "-0.5%", "0.0%"]),
        ([0.0, 0.00002, 0.00004], ["0.000%", "0.002%", "0.004%"]),
        ([0.5], ["50%"]),
    ],
)
def test_percent_labels_tell_each_tick_from_the_next(ticks, expected):
    assert percent_labels(ticks) == expected


def test_date_ticks_are_years_months_or_days_with_the_span():
    assert [label for _, label in date_ticks(date(2000, 3, 1), date(2013, 3, 1))] == [
        *("2002", "2004", "2006", "2008", "2010", "2012"),
    ]
    assert [day for day, _ in date_ticks(date(2020, 1, 15), date(2020, 6, 20))] == [
        date(2020, month, 1) for month in (2, 3, 4, 5, 6)
    ]
    assert [label for _, label in date_ticks(date(2020, 1, 30), date(2020, 2, 2))] == [
        *("30 Jan", "31 Jan", "01 Feb", "02 Feb"),
    ]


def test_amounts_are_short_on_the_axis():
    assert [short_amount(value) for value in (1_500_000.0, 250_000.0, 2e9, 0.02, -3000.0)] == [
        *("1.5M", "250k", "2B", "0.02", "-3k"),
    ]


def test_the_drawing_holds_every_curve_and_starts_at_the_left_edge():
    svg = draw([curve([100.0, 110.0, 105.0]), curve([100.0, 90.0, 95.0], name="hold")])
    lines = re.findall(r'<polyline class="line line(\d)" points="([^"]+)"', svg)
    assert [number for number, _ in lines] == ["1", "0"]  # the strategy is drawn last, on top
    for _, points in lines:
        pairs = [tuple(map(float, pair.split(","))) for pair in points.split()]
        assert len(pairs) == 3
        assert pairs[0][0] == 74.0
        assert pairs[-1][0] == 986.0


def test_the_value_axis_names_its_unit_where_there_is_one():
    assert "portfolio value (EUR)" in draw([curve([100.0, 110.0])], "EUR")
    assert ">portfolio value<" in draw([curve([100.0, 110.0])], "")


def test_a_single_session_can_be_drawn():
    assert "<svg" in draw([curve([100.0])])


def test_a_chart_is_a_png_of_some_size(tmp_path):
    path = write_chart([curve([100.0, 90.0, 120.0])], tmp_path / "new" / "equity.png", title="T", note="us@1")
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    assert width > 1000
    assert height > 600


def test_without_matplotlib_the_chart_names_the_pip_command(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError) as caught:
        write_chart([curve([100.0])], tmp_path / "x.png")
    assert caught.value.hint == 'pip install "rustybt[plot]"'


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.words, self.addresses, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "line", "polyline", "polygon"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


CONTEXT = ReportContext(
    title="<script>alert(1)</script> on us@3",
    notice="GENERATED bars",
    pin={"bundle": "us", "version": 3, "content_hash": "3f9c"},
    provenance={"source_type": "csv", "files": {"a<b.csv": "00ff"}, "symbols": [f"S{n}" for n in range(20)]},
    quality={"validation_passed": True, "row_count": 1234567, "calendar": None},
    metrics={"sharpe": 1.23456, "final_value": 123456.789},
    transactions=[
        {"symbol": "AAPL", "amount": 100.0, "price": 12.5},
        {"symbol": "AAPL", "amount": -40.0, "price": 20.0},
        {"symbol": "<b>", "amount": 1.0, "price": 1.0},
    ],
    replay_command="rustybt replay results/ma",
)


def test_the_page_stands_alone_and_is_well_formed(tmp_path):
    path = write_page([curve([100.0, 110.0])], tmp_path / "deep" / "report.html", CONTEXT)
    page = Page(path.read_text(encoding="utf-8"))
    assert page.addresses == []
    assert page.open == []


def test_the_page_shows_figures_trades_and_the_data(tmp_path):
    words = " ".join(Page(render([curve([100.0, 110.0])], CONTEXT)).words)
    for expected in (
        *("GENERATED bars", "+10.00%", "2,050", "1.235", "123,456.79", "3f9c", "a<b.csv: 00ff"),
        *("S11 and 8 more", "1,234,567", "rustybt replay results/ma", "Jan", "2020"),
    ):
        assert expected in words, expected


def test_names_from_data_are_never_markup():
    text = render([curve([100.0, 110.0], name="<i>x</i>")], CONTEXT)
    assert "<script>" not in text
    assert "<i>x" not in text
    assert "<b>&lt;" not in text
    assert "&lt;b&gt;" in text


def test_a_page_without_context_still_has_curve_and_months():
    words = " ".join(Page(render([curve([100.0, 100.0])], ReportContext())).words)
    assert "Monthly returns" in words
    assert "never below a high" in words
    assert "provenance" not in words

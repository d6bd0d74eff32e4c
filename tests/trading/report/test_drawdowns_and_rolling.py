"""What the tables and charts are made of, by hand and against `empyrical`."""

from __future__ import annotations

from datetime import date

import empyrical
import numpy as np
import pytest

from rustybt.trading.report.curve import Curve
from rustybt.trading.report.drawdowns import Drawdown, worst_drawdowns
from rustybt.trading.report.histogram import bins_of
from rustybt.trading.report.rolling import rolling_sharpe, rolling_volatility, window_for


def curve(values, start="2020-01-30", capital=100.0):
    days = np.datetime64(start) + np.arange(len(values)).astype("timedelta64[D]")
    return Curve("strategy", days, np.array(values, dtype=float), capital)


def test_drawdowns_name_high_bottom_recovery_depth_and_length():
    # 30 Jan to 7 Feb: a high of 120, two sessions below, back; then below until the end.
    found = worst_drawdowns(curve([110, 120, 90, 108, 120, 130, 117, 104, 125]))
    assert found == [
        Drawdown(date(2020, 1, 31), date(2020, 2, 1), date(2020, 2, 3), pytest.approx(-0.25), 2),
        Drawdown(date(2020, 2, 4), date(2020, 2, 6), None, pytest.approx(-0.2), 3),
    ]


def test_a_fall_from_the_starting_capital_has_no_session_of_its_high():
    assert worst_drawdowns(curve([90, 100])) == [
        Drawdown(None, date(2020, 1, 30), date(2020, 1, 31), pytest.approx(-0.1), 1)
    ]


def test_a_run_that_only_loses_is_one_drawdown():
    assert worst_drawdowns(curve([90, 80, 70])) == [Drawdown(None, date(2020, 2, 1), None, pytest.approx(-0.3), 3)]


def test_a_value_at_its_high_is_no_drawdown():
    assert worst_drawdowns(curve([100, 100, 110])) == []


def test_only_the_deepest_are_kept_deepest_first():
    values = [100.0]
    for depth in range(1, 13):
        values += [100.0 - depth, 100.0]
    found = worst_drawdowns(curve(values))
    assert [round(-fall.depth * 100) for fall in found] == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]


def test_values_that_are_not_numbers_are_no_drawdown():
    found = curve([110.0, np.nan, 99.0])
    assert [fall.depth for fall in worst_drawdowns(found)] == [pytest.approx(-0.1)]
    assert np.isnan(found.drawdown[1])
    assert found.worst == (pytest.approx(-0.1), date(2020, 1, 30), date(2020, 2, 1))


def test_the_months_of_a_run_that_begins_and_ends_within_them_are_partial():
    # From 30 December: 102 of 100 in two days, then January to 96.9, a year later one day to 193.8.
    days = np.array(["2019-12-30", "2019-12-31", "2020-01-02", "2020-01-31", "2021-01-04"], dtype="datetime64[D]")
    found = Curve("x", days, np.array([101.0, 102.0, 100.0, 96.9, 193.8]), 100.0).monthly_returns()
    assert [year for year, _, _ in found] == [2019, 2020, 2021]
    assert found[0][1][11] == found[0][2] == pytest.approx(0.02)
    assert found[1][1][0] == found[1][2] == pytest.approx(-0.05)
    assert found[2][1][0] == found[2][2] == pytest.approx(1.0)
    assert sum(value is not None for _, months, _ in found for value in months) == 3


def test_a_month_after_a_total_loss_has_no_return_that_is_a_number():
    days = np.array(["2020-01-31", "2020-02-28"], dtype="datetime64[D]")
    months = Curve("x", days, np.array([0.0, 0.0]), 100.0).monthly_returns()[0][1]
    assert months[0] == -1.0
    assert np.isnan(months[1])


RETURNS = np.array([0.01, -0.02, 0.03, 0.0, -0.01, 0.02, 0.005, -0.03])


@pytest.mark.parametrize("window", [2, 3, 8])
def test_rolling_figures_are_those_of_empyrical_in_each_window(window):
    sharpe, volatility = rolling_sharpe(RETURNS, window), rolling_volatility(RETURNS, window)
    assert np.isnan(sharpe[: window - 1]).all()
    assert np.isnan(volatility[: window - 1]).all()
    for end in range(window, len(RETURNS) + 1):
        part = RETURNS[end - window : end]
        assert sharpe[end - 1] == pytest.approx(empyrical.sharpe_ratio(part)), end
        assert volatility[end - 1] == pytest.approx(empyrical.annual_volatility(part)), end


def test_returns_that_do_not_vary_have_no_sharpe_ratio():
    for value in (0.0, 0.1):
        assert np.isnan(rolling_sharpe(np.full(5, value), 3)).all()


def test_the_window_fits_twice_into_the_run():
    assert [window_for(n) for n in (252, 251, 126, 125, 42, 41, 1)] == [126, 63, 63, 21, 21, None, None]


def test_returns_are_counted_in_bins_with_zero_on_an_edge():
    edges, counts = bins_of(np.array([-0.01, -0.01, 0.0, 0.005, 0.02, np.nan, np.inf]))
    assert sum(counts) == 5
    assert 0.0 in edges.tolist()
    below = sum(n for low, n in zip(edges[:-1].tolist(), counts, strict=True) if low < 0)
    assert below == 2


@pytest.mark.parametrize(("returns", "total"), [([0.0], 1), ([0.01] * 3, 3), ([-0.5], 1), ([np.nan], 0), ([], 0)])
def test_any_returns_can_be_counted(returns, total):
    edges, counts = bins_of(np.array(returns))
    assert sum(counts) == total
    assert len(edges) == len(counts) + 1


def test_one_extreme_session_does_not_squeeze_the_others_into_one_bin():
    returns = np.concatenate((np.linspace(-0.02, 0.02, 500), [2.0]))
    edges, counts = bins_of(returns)
    assert edges[-1] < 0.05
    assert sum(counts) == 501
    assert sum(n > 0 for n in counts) > 10

"""Running metrics against the library, asked anew every session."""

from __future__ import annotations

import warnings

import empyrical
import numpy as np
import pytest

from rustybt.trading.results.risk import running, summary


@pytest.fixture(scope="module")
def returns():
    draw = np.random.default_rng(7)
    return draw.normal(0.0005, 0.012, 300), draw.normal(0.0003, 0.01, 300)


def library(function, *series):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return [function(*(s[: i + 1] for s in series)) for i in range(len(series[0]))]


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("algo_volatility", empyrical.annual_volatility),
        ("sharpe", empyrical.sharpe_ratio),
        ("sortino", empyrical.sortino_ratio),
        ("max_drawdown", empyrical.max_drawdown),
    ],
)
def test_running_metrics_are_the_librarys(returns, name, function):
    expected = np.array(library(function, returns[0]), dtype=float)
    expected[~np.isfinite(expected)] = np.nan
    np.testing.assert_allclose(running(*returns)[name], expected, rtol=1e-9, atol=1e-15)


def test_alpha_and_beta_are_the_librarys(returns):
    found = running(*returns)
    expected = np.array(library(empyrical.alpha_beta_aligned, *returns), dtype=float)
    np.testing.assert_allclose(found["alpha"][1:], expected[1:, 0], rtol=1e-8)
    np.testing.assert_allclose(found["beta"][1:], expected[1:, 1], rtol=1e-9)


def test_benchmark_columns_are_cumulative(returns):
    found = running(*returns)
    assert found["benchmark_period_return"][-1] == pytest.approx(empyrical.cum_returns_final(returns[1]))
    assert found["benchmark_volatility"][-1] == pytest.approx(empyrical.annual_volatility(returns[1]))


def test_what_is_not_defined_is_nan():
    found = running(np.zeros(4), np.zeros(4))
    for name in ("sharpe", "sortino", "alpha", "beta"):
        assert np.isnan(found[name]).all()
    assert np.isnan(found["algo_volatility"][0])
    assert list(found["algo_volatility"][1:]) == [0.0, 0.0, 0.0]
    assert list(found["max_drawdown"]) == [0.0] * 4
    absurd = running(np.array([0.1, 5000.0, 0.2]), np.array([0.1, 0.2, -0.1]))
    assert np.isnan(absurd["alpha"][1])
    assert running(np.empty(0), np.empty(0))["sharpe"].size == 0


def test_the_summary_is_the_librarys(returns):
    found = summary(*returns)
    assert found["total_return"] == pytest.approx(np.prod(1 + returns[0]) - 1)
    assert found["sharpe"] == pytest.approx(running(*returns)["sharpe"][-1])
    assert found["beta"] == pytest.approx(running(*returns)["beta"][-1])
    assert "beta" not in summary(returns[0])
    assert found["max_drawdown"] < 0

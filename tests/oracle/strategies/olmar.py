"""On-line moving average reversion (Li and Hoi, 2012): bet that each price returns to its average of some sessions.

The portfolio b is moved as little as possible towards one whose expected growth, average over price, is at least EPSILON,
and then put back among the portfolios that are fully invested and hold nothing short.
"""

import numpy as np

from rustybt.api import (
    date_rules,
    order_target_percent,
    record,
    schedule_function,
    set_slippage,
    slippage,
    symbols,
    time_rules,
)

EPSILON = 1.01
WINDOW = 5


def initialize(context):
    context.stocks = symbols("AAPL", "GOOG", "IBM", "MSFT")
    context.weights = np.full(len(context.stocks), 1 / len(context.stocks))
    set_slippage(slippage.VolumeShareSlippage(volume_limit=0.25, price_impact=0))
    schedule_function(trade, date_rules.week_start(), time_rules.market_open(minutes=20))


def trade(context, data):
    prices = data.history(context.stocks, "price", WINDOW, "1d")
    expected = (prices.mean() / prices.iloc[-1]).to_numpy()
    context.weights = to_simplex(context.weights + step(context.weights, expected))
    for stock, weight in zip(context.stocks, context.weights, strict=True):
        order_target_percent(stock, 0.98 * weight)


def step(weights, expected):
    """Return the smallest move that expects a growth of EPSILON."""
    away = expected - expected.mean()
    square = away @ away
    if square == 0:
        return np.zeros(len(weights))
    return max(0.0, (EPSILON - weights @ expected) / square) * away


def to_simplex(point):
    """Return the portfolio nearest to a point: weights not below 0, of sum 1 (Duchi and others, 2008)."""
    falling = np.sort(point)[::-1]
    excess = (np.cumsum(falling) - 1) / np.arange(1, len(point) + 1)
    last = np.flatnonzero(falling > excess)[-1]
    return np.maximum(point - excess[last], 0)


def handle_data(context, data):
    record(leverage=context.account.leverage, weights=";".join(f"{weight:.6f}" for weight in context.weights))

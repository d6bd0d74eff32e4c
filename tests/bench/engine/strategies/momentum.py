"""Each month, hold equal parts of the tenth of all assets that rose most in the year up to a month ago."""

from rustybt.api import date_rules, order_target_percent, schedule_function, symbol, time_rules

ASSETS = 500
WINDOW = 252
SKIPPED = 21


def initialize(context):
    context.universe = [symbol(f"SYM{number:04d}") for number in range(ASSETS)]
    context.months = 0
    schedule_function(rebalance, date_rules.month_start(), time_rules.market_open())


def rebalance(context, data):
    context.months += 1
    if context.months <= 13:
        return
    prices = data.history(context.universe, "price", WINDOW, "1d")
    rise = prices.iloc[-SKIPPED] / prices.iloc[0] - 1
    best = rise.nlargest(ASSETS // 10).index
    chosen = set(best)
    for asset in context.universe:
        held = context.portfolio.positions[asset].amount > 0
        if asset in chosen:
            order_target_percent(asset, 1 / len(best))
        elif held:
            order_target_percent(asset, 0)

"""`average_cross` with the portfolio asked for once a bar, not once an asset."""

from rustybt.api import order_target_percent, symbol

ASSETS = 50
FAST = 20
SLOW = 50


def initialize(context):
    context.universe = [symbol(f"SYM{number:04d}") for number in range(ASSETS)]
    context.bars = 0


def handle_data(context, data):
    context.bars += 1
    if context.bars < SLOW:
        return
    prices = data.history(context.universe, "price", SLOW, "1d")
    fast = prices.tail(FAST).mean()
    slow = prices.mean()
    positions = context.portfolio.positions
    for asset in context.universe:
        held = asset in positions
        if fast[asset] > slow[asset]:
            if not held:
                order_target_percent(asset, 1 / ASSETS)
        elif held:
            order_target_percent(asset, 0)

"""Buy equal parts of what is not held yet, and hold them."""

from rustybt.api import order_target_percent, symbol

ASSETS = 10


def initialize(context):
    context.universe = [symbol(f"SYM{number:04d}") for number in range(ASSETS)]


def handle_data(context, data):
    for asset in context.universe:
        if context.portfolio.positions[asset].amount == 0:
            order_target_percent(asset, 1 / ASSETS)

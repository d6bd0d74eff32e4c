"""Buy equal parts in the first bar, and look at nothing after it."""

from rustybt.api import order_target_percent, symbol

ASSETS = 10


def initialize(context):
    context.universe = [symbol(f"SYM{number:04d}") for number in range(ASSETS)]
    context.bought = False


def handle_data(context, data):
    if context.bought:
        return
    for asset in context.universe:
        order_target_percent(asset, 1 / ASSETS)
    context.bought = True

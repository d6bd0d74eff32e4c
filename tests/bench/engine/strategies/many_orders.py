"""Buy one share of each asset in one bar and sell it in the next: a transaction an asset and bar."""

from rustybt.api import order, symbol

ASSETS = 10


def initialize(context):
    context.universe = [symbol(f"SYM{number:04d}") for number in range(ASSETS)]
    context.amount = -1


def handle_data(context, data):
    context.amount = -context.amount
    for asset in context.universe:
        order(asset, context.amount)

"""Buy each stock with a fifth of the capital in the first session it can be traded, and hold it."""

from rustybt.api import order_value, record, symbols


def initialize(context):
    context.waiting = list(symbols("AAPL", "FB", "GOOG", "IBM", "MSFT"))
    context.share = 200_000


def handle_data(context, data):
    for asset in [asset for asset in context.waiting if data.can_trade(asset)]:
        order_value(asset, context.share)
        context.waiting.remove(asset)
    record(held=len(context.portfolio.positions), cash=context.portfolio.cash)

"""Buy each stock once, on the first day it trades, with an equal share of the capital, and never sell."""

from rustybt.api import order_value, symbols

SYMBOLS = ()


def initialize(context):
    context.waiting = list(symbols(*SYMBOLS))
    context.share = context.portfolio.portfolio_value / len(context.waiting)


def handle_data(context, data):
    for asset in [asset for asset in context.waiting if data.can_trade(asset)]:
        order_value(asset, min(context.share, context.portfolio.cash))
        context.waiting.remove(asset)

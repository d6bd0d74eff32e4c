"""Hold a stock while its fast moving average is above its slow one; stay in cash otherwise."""

from rustybt.api import get_open_orders, order_target_percent, record, symbols

SYMBOLS = ()
FAST = 50
SLOW = 200


def initialize(context):
    context.universe = symbols(*SYMBOLS)
    context.weight = 1 / len(context.universe)


def handle_data(context, data):
    listed = [asset for asset in context.universe if data.can_trade(asset)]
    prices = data.history(listed, "price", SLOW, "1d")
    slow = prices.mean(skipna=False)  # no signal before SLOW bars exist
    fast = prices.tail(FAST).mean(skipna=False)
    for asset in listed:
        held = context.portfolio.positions[asset].amount > 0
        if get_open_orders(asset):
            continue
        if fast[asset] > slow[asset] and not held:
            order_target_percent(asset, context.weight)
        elif fast[asset] < slow[asset] and held:
            order_target_percent(asset, 0)
    record(holdings=len(context.portfolio.positions))

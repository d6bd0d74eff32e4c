"""Hold a stock while its 20-session average is above its 50-session one, each with a third of the portfolio."""

from rustybt.api import order_target_percent, record, symbols

FAST = 20
SLOW = 50


def initialize(context):
    context.universe = symbols("AAPL", "IBM", "MSFT")
    context.sessions = 0


def handle_data(context, data):
    context.sessions += 1
    if context.sessions < SLOW:
        return
    prices = data.history(context.universe, "price", SLOW, "1d")
    slow = prices.mean()
    fast = prices.tail(FAST).mean()
    for asset in context.universe:
        held = context.portfolio.positions[asset].amount > 0
        if fast[asset] > slow[asset] and not held:
            order_target_percent(asset, 1 / 3)
        elif fast[asset] < slow[asset] and held:
            order_target_percent(asset, 0)
    record(leverage=context.account.leverage)

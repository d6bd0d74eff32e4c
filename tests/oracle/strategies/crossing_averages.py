"""Two averages of Apple's price: own the stock while the shorter one is above the longer one."""

from rustybt.api import commission as commissions
from rustybt.api import get_open_orders, order_target_percent, record, set_commission, symbol

SHORT = 15
LONG = 50


def initialize(context):
    context.stock = symbol("AAPL")
    context.sessions = 0
    set_commission(commissions.PerShare(cost=0.0075, min_trade_cost=1.0))


def handle_data(context, data):
    # The longer average needs that many closes.
    context.sessions += 1
    if context.sessions < LONG:
        return

    short = data.history(context.stock, "price", bar_count=SHORT, frequency="1d").mean()
    long = data.history(context.stock, "price", bar_count=LONG, frequency="1d").mean()

    if not get_open_orders(context.stock):
        held = context.portfolio.positions[context.stock].amount
        if short > long and held == 0:
            order_target_percent(context.stock, 0.95)
        elif short < long and held > 0:
            order_target_percent(context.stock, 0)

    record(above=int(short > long))


def analyze(context, perf):
    assert perf["portfolio_value"].iloc[-1] > 0

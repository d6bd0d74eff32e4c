"""Orders that end with the day: a far limit is cancelled when it has had its session, a market order behind it fills."""

from rustybt.api import EODCancel, get_open_orders, order, record, set_cancel_policy, symbols


def initialize(context):
    set_cancel_policy(EODCancel(warn_on_cancel=False))
    context.assets = symbols("AAA", "BBB", "CCC")
    context.session = 0


def handle_data(context, data):
    context.session += 1
    for i, asset in enumerate(context.assets):
        # Zipline cancels the first of several open orders of an asset, and so do we: it is the one that had a bar.
        if context.session % 5 == i:
            order(asset, 500 + i, limit_price=round(data.current(asset, "price") * 0.8, 2))
        if context.session % 5 == i + 1:
            order(asset, (-1) ** context.session * 40)
    record(open=sum(len(orders) for orders in get_open_orders().values()))

"""Orders larger than a tenth of the volume, over several sessions, on stocks that list late and delist, with cancels."""

from rustybt.api import cancel_order, get_open_orders, order, order_target, order_target_value, record, symbol


def initialize(context):
    context.eee, context.fff, context.ddd = symbol("EEE"), symbol("FFF"), symbol("DDD")
    context.session = 0


def handle_data(context, data):
    context.session += 1
    n = context.session
    if n == 5:
        order(context.fff, 40_000)
        order(context.ddd, -60_000)
    if n == 9:
        order(context.ddd, 5_000)
    if n == 140 and data.can_trade(context.eee):
        order(context.eee, 23_456)
        order(context.eee, 1_000)
    if n == 143:
        for pending in get_open_orders(context.eee)[1:]:
            cancel_order(pending)
    if n == 160:
        order_target(context.fff, -25_000)
    if n == 200:
        order_target_value(context.eee, 150_000)
    if n == 359:
        order(context.ddd, 33_333)  # halted in the session of its split: fills, restated, after it
    if n == 405:
        order(context.fff, 9_000)
    if n == 411:
        order(context.fff, 50_000)  # the last session of FFF: never filled
    record(open=len(get_open_orders()), ddd=context.portfolio.positions[context.ddd].amount)

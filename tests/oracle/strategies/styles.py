"""Limit, stop and stop-limit orders, another commission and slippage, cancels after some sessions."""

from rustybt.api import (
    cancel_order,
    commission,
    get_open_orders,
    get_order,
    order,
    order_percent,
    record,
    set_commission,
    set_slippage,
    slippage,
    symbols,
)


def initialize(context):
    context.assets = symbols("AAA", "BBB", "CCC")
    context.session = 0
    context.placed = []
    set_commission(commission.PerShare(cost=0.01, min_trade_cost=2.0))
    set_slippage(slippage.VolumeShareSlippage(volume_limit=0.05, price_impact=0.2))


def handle_data(context, data):
    context.session += 1
    n = context.session
    for i, asset in enumerate(context.assets):
        price = data.current(asset, "price")
        if n % 17 == i:
            context.placed.append(order(asset, 300 + 10 * i, limit_price=price * 0.985))
        if n % 23 == i:
            context.placed.append(order(asset, -200, stop_price=price * 0.97))
        if n % 29 == i:
            context.placed.append(order(asset, 150, limit_price=price * 1.04, stop_price=price * 1.015))
        if n % 31 == i:
            order_percent(asset, 0.05)
        if n % 41 == i:
            order(asset, -400, limit_price=price * 1.02)
    if n % 20 == 0:
        for orders in list(get_open_orders().values()):
            for pending in orders:
                cancel_order(pending)
    done = sum(1 for order_id in context.placed if order_id and get_order(order_id).filled != 0)
    record(done=done, open=sum(len(orders) for orders in get_open_orders().values()))

"""Baskets, a fee for each order, small shares of the volume; orders are followed by their ids until they are filled."""

import pandas as pd

from rustybt.api import (
    batch_market_order,
    cancel_order,
    commission,
    execution,
    get_open_orders,
    get_order,
    order,
    record,
    set_commission,
    set_slippage,
    slippage,
    symbols,
)


def initialize(context):
    context.assets = symbols("AAA", "BBB", "DDD", "EEE", "FFF")
    context.followed = []
    context.session = 0
    set_commission(commission.PerTrade(cost=4.95))
    set_slippage(slippage.VolumeShareSlippage())


def handle_data(context, data):
    context.session += 1
    n = context.session
    if n in (3, 40, 77):
        shares = pd.Series([900, -350, 4_000 + n, 2_200, -1_700], index=context.assets)
        context.followed = list(batch_market_order(shares[[a for a in shares.index if data.can_trade(a)]]))
    if n % 12 == 8:
        context.followed.append(order(context.assets[4], -150, style=execution.MarketOrder()))
    if n % 37 == 10:
        for pending in get_open_orders(context.assets[2]):
            cancel_order(pending.id)
    record(followed="|".join(line(get_order(order_id)) for order_id in context.followed))


def line(order):
    words = [order.sid.symbol, order.amount, order.filled, int(order.status), order.commission]
    return ";".join(str(word) for word in [*words, order.created.date(), order.dt.date()])

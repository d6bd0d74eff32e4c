"""Orders that end with the session; a spread, a fee for each order, two hundredths of a minute's volume."""

from rustybt.api import (
    EODCancel,
    commission,
    execution,
    get_datetime,
    get_open_orders,
    get_order,
    order,
    order_target_percent,
    record,
    set_cancel_policy,
    set_commission,
    set_slippage,
    slippage,
    symbols,
)


def initialize(context):
    set_cancel_policy(EODCancel(warn_on_cancel=False))
    set_commission(commission.PerShare(cost=0.01, min_trade_cost=1.5))
    set_slippage(slippage.VolumeShareSlippage(volume_limit=0.02, price_impact=0.15))
    context.assets = symbols("GON", "LAT", "LIQ", "SPL", "THN")
    context.followed = []
    context.seen = []


def handle_data(context, data):
    now = get_datetime().strftime("%H:%M")
    gon, lat, liq, spl, thn = context.assets
    if now == "14:31":
        context.seen = [status(order_id) for order_id in context.followed if order_id]  # yesterday's
        context.followed = []
    if now == "14:50":
        last = data.current(context.assets, "price")
        attempt(context, liq, 4_000, execution.LimitOrder(last[liq] * 0.998))
        attempt(context, liq, -2_500, execution.StopOrder(last[liq] * 0.997))
        attempt(context, spl, -1_500, execution.MarketOrder())
        attempt(context, spl, 900, execution.StopLimitOrder(last[spl] * 1.004, last[spl] * 1.001))
        attempt(context, thn, 60, execution.MarketOrder())
        if data.can_trade(gon):
            attempt(context, gon, -700, execution.LimitOrder(last[gon] * 1.001))
        if data.can_trade(lat):
            attempt(context, lat, 300, execution.MarketOrder())
    if now == "17:40":
        context.followed.append(order_target_percent(liq, -0.4))
        context.followed.append(order_target_percent(spl, 0.2))
    if now in ("18:00", "21:00"):
        context.followed.append(order(liq, 75))  # in a session's last minute: ends with it, unfilled
    record(seen="|".join(context.seen), open=sum(len(orders) for orders in get_open_orders().values()))


def attempt(context, asset, amount, style):
    context.followed.append(order(asset, amount, style=style))


def status(order_id):
    found = get_order(order_id)
    return f"{found.sid.symbol};{found.amount};{found.filled};{int(found.status)};{found.commission:.6f}"

"""Orders of every style in chosen minutes; large ones fill over many minutes and sessions, through splits and dividends."""

from rustybt.api import (
    cancel_order,
    get_datetime,
    get_open_orders,
    get_order,
    order,
    order_target,
    order_target_value,
    order_value,
    record,
    symbols,
)


def initialize(context):
    context.gon, context.lat, context.liq, context.spl, context.thn = symbols("GON", "LAT", "LIQ", "SPL", "THN")
    context.followed = {}
    context.seen = []


def before_trading_start(context, data):
    context.seen = []


def handle_data(context, data):
    gon, lat, liq, spl, thn = context.gon, context.lat, context.liq, context.spl, context.thn
    now = get_datetime().strftime("%m-%d %H:%M")
    followed = context.followed

    if now == "11-14 14:31":
        order(liq, 100)
        order(spl, 2_345)
        order(thn, 700)  # some fifteen minutes' trades, one in six minutes
        order(gon, -5_000)
    if now == "11-14 14:45":
        price = data.current(liq, "price")
        followed["limit"] = order(liq, 200, limit_price=price * 0.9995)
        followed["far"] = order(liq, 50, limit_price=price * 0.7)
        followed["stop"] = order(liq, -80, stop_price=price * 0.999)
        followed["stop limit"] = order(liq, 150, limit_price=price * 1.004, stop_price=price * 1.001)
        followed["sell limit"] = order(spl, -600, limit_price=data.current(spl, "price") * 1.0004)
    if now == "11-15 18:00":
        cancel_order(followed["far"])
        followed["big"] = order(thn, 9_000)  # days of it
    if now == "11-16 20:59":
        order(liq, -7_000)  # the last minute fills a part, the next session the rest
    if now == "11-16 21:00":
        order(liq, 300)
    if now == "11-17 15:16":
        order(lat, 1_000)
        order_value(lat, 25_000)
    if now == "11-18 15:00":
        order(spl, 500)  # halted: fills on Monday
        followed["split limit"] = order(spl, 301, limit_price=round(data.current(spl, "price") * 0.9, 2))
        followed["split stop"] = order(spl, -401, stop_price=round(data.current(spl, "price") * 0.95, 2))
    if now == "11-21 20:59":
        order(spl, -9_999)  # what is left when the day ends is restated by the split
    if now == "11-22 16:00":
        order_target(spl, -1_000)
        order_target_value(liq, 400_000)
    if now == "11-23 16:00":
        for pending in get_open_orders(thn):
            cancel_order(pending)
    if now == "11-25 17:59":
        order(lat, -4_000)  # the last minute of a half day
    if now == "11-28 15:00":
        order_target(gon, 800)
    if now == "11-28 19:45":
        order(gon, 333)  # after its last trade
    if now == "11-29 14:31":
        order(thn, 600)  # on the ex-date, before its first trade
        order(thn, -350, limit_price=data.current(thn, "price") * 0.99)
    if now == "11-29 16:00":
        order(gon, 10)  # not listed any more
    if now == "11-30 14:31":
        order(thn, 500)
    if now == "12-01 20:00":
        order_target(spl, 0)
        order_target(lat, 100)

    minute = now[-5:]
    if minute in ("14:31", "14:33", "16:30", "17:59", "21:00"):
        held = context.portfolio.positions
        parts = [f"{a.symbol};{held[a].amount};{held[a].last_sale_price:.6f};{held[a].cost_basis:.6f}" for a in held]
        followed_now = [(name, get_order(order_id)) for name, order_id in followed.items()]
        states = [f"{name};{o.amount};{o.filled};{int(o.status)};{o.limit};{o.stop}" for name, o in followed_now]
        money = f"{now};{context.portfolio.cash:.6f};{context.portfolio.portfolio_value:.6f}"
        context.seen += [money, *sorted(parts), *states]
    record(seen="|".join(context.seen), open=sum(len(orders) for orders in get_open_orders().values()))

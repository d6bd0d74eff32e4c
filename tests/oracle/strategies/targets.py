"""Each of the functions that order by a target, a value or a share of the portfolio; fees by value, no slippage."""

from rustybt.api import (
    commission,
    execution,
    get_open_orders,
    order_percent,
    order_target,
    order_target_percent,
    order_target_value,
    order_value,
    record,
    set_commission,
    set_slippage,
    slippage,
    symbols,
)


def initialize(context):
    context.assets = symbols("AAA", "BBB", "CCC", "DDD", "EEE")
    context.session = 0
    set_commission(commission.PerDollar(cost=0.002))
    set_slippage(slippage.NoSlippage())


def handle_data(context, data):
    context.session += 1
    n = context.session
    a, b, c, d, e = context.assets
    made = []
    if n % 10 == 1:
        made.append(order_target(a, 100 * (n % 7)))
        made.append(order_target_percent(b, 0.05 * (n % 5)))
    if n % 10 == 4:
        made.append(order_target_value(c, -20_000 + 900 * n))
        made.append(order_value(a, -3_333.33))
    if n % 10 == 6:
        made.append(order_percent(d, 0.02, style=execution.LimitOrder(data.current(d, "price") * 1.0103)))
        made.append(order_percent(e, -0.01))
        # Zipline does not count what is open: both orders are for the whole target.
        made.append(order_target(d, 60))
        made.append(order_target(d, 60))
    if n % 10 == 8:
        made.append(order_value(b, 2_500, limit_price=data.current(b, "price") * 0.995))
        made.append(order_target_percent(e, -0.03, style=execution.StopOrder(data.current(e, "price") * 1.2)))
        made.append(order_target_value(a, 0, stop_price=data.current(a, "price") * 0.99))
        made.append(order_target(c, context.portfolio.positions[c].amount))
    waiting = [f"{o.sid.symbol} {o.amount} {o.filled}" for orders in get_open_orders().values() for o in orders]
    record(waiting="|".join(["".join("-" if order_id is None else "o" for order_id in made), *sorted(waiting)]))

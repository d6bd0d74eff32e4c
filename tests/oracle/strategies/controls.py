"""Limits on orders and positions: what they refuse is caught and noted, what they let pass is traded."""

from rustybt.api import (
    order,
    order_percent,
    order_target,
    order_value,
    record,
    set_long_only,
    set_max_leverage,
    set_max_order_count,
    set_max_order_size,
    set_max_position_size,
    symbols,
)


def initialize(context):
    context.assets = symbols("AAA", "BBB", "CCC", "DDD")
    context.session = 0
    a, b, c, d = context.assets
    set_long_only()
    set_max_order_count(4)
    set_max_order_size(a, max_shares=120)
    set_max_order_size(b, max_notional=9_000.0)
    set_max_position_size(a, max_shares=300)
    set_max_position_size(c, max_notional=6_000.0)
    set_max_order_size(d, max_shares=10, on_error="log")
    set_max_leverage(1.5)


def handle_data(context, data):
    context.session += 1
    n = context.session
    a, b, c, d = context.assets
    refused = []

    def attempt(function, *arguments):
        try:
            function(*arguments)
        except Exception:  # noqa: BLE001 - the engines' errors have different names
            refused.append(f"{function.__name__} {arguments[0].symbol}")

    if n % 6 == 1:
        attempt(order, a, 100 + n)
        attempt(order, a, -130)
        attempt(order_target, b, 150 + n)
        attempt(order_value, b, 9_100)
    if n % 6 == 3:
        attempt(order_value, c, 2_500)
        attempt(order_percent, c, 0.012)
        attempt(order, c, -500)
        attempt(order, d, 15)
        attempt(order, d, 1)
        attempt(order, d, 1)
    if n % 6 == 5:
        attempt(order, a, 60)
        attempt(order_target, b, -1)
        attempt(order_target, c, 0)
        attempt(order, d, -4)
    record(refused="|".join(refused))

"""Short through dividends, splits, a reverse split, a halt and a delisting; no fees, two hundredths of the volume."""

from rustybt.api import commission, order, order_target, record, set_commission, set_slippage, slippage, symbols


def initialize(context):
    context.assets = symbols("AAA", "BBB", "CCC", "DDD", "FFF")
    context.session = 0
    set_commission(commission.NoCommission())
    set_slippage(slippage.FixedBasisPointsSlippage(basis_points=20, volume_limit=0.02))


def handle_data(context, data):
    context.session += 1
    a, b, c, d, f = context.assets
    if context.session == 2:
        order(a, -1_501)
        order(b, -2_003)
        order(f, -3_100)
    if context.session == 60:
        order(c, -10_007)
        order(d, -777)
    if context.session == 140:
        order(c, -500, limit_price=1_000.0)  # never reached, and restated by the reverse split
        order(d, 90, stop_price=10_000.0)
    if context.session == 150:
        order_target(a, -400)
        order_target(b, 1_000)
    if context.session == 216:
        order(d, -333)  # halted in the session of its split
    if context.session == 240:
        order_target(c, 0)
    record(leverage=context.account.net_leverage)

"""What runs in several tests use: a strategy that orders once, and costs of nothing."""

from __future__ import annotations

from rustybt import api

FREE = {"commission": api.commission.NoCommission(), "slippage": api.slippage.NoSlippage()}


def buy_once(amount, symbol="A", t=0):
    """Return a strategy that orders once, in session `t`."""

    def initialize(context):
        context.asset = api.symbol(symbol)
        context.t = 0

    def handle_data(context, data):
        if context.t == t:
            context.order_id = api.order(context.asset, amount)
        context.t += 1

    return {"initialize": initialize, "handle_data": handle_data}

"""Buy IBM once and hold it: rustybt run -f buy_and_hold.py -b BUNDLE."""

from rustybt.api import order_target_percent, symbol


def initialize(context):
    context.asset = symbol("IBM")
    context.bought = False


def handle_data(context, data):
    if not context.bought:
        order_target_percent(context.asset, 0.99)
        context.bought = True

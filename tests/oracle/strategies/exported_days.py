"""Hold through splits, dividends, a new name and a delisting; write down weights, prices and histories."""

from rustybt.api import date_rules, order_target_percent, record, schedule_function, symbols, time_rules

WEIGHTS = {"AAA": 0.3, "NEWN": 0.2, "SPL": 0.25, "PNY": -0.1, "DLS": 0.15}


def initialize(context):
    context.assets = symbols(*WEIGHTS)
    context.session = 0
    schedule_function(rebalance, date_rules.month_start(2), time_rules.market_open())


def rebalance(context, data):
    for asset, weight in zip(context.assets, WEIGHTS.values(), strict=True):
        if data.can_trade(asset):
            order_target_percent(asset, weight)


def handle_data(context, data):
    context.session += 1
    assets = context.assets[:4]
    now = seen = ""
    if context.session % 7 == 0:
        now = text(data.current(assets, ["open", "high", "low", "close", "volume", "price"]).to_numpy().ravel())
        seen = text(data.history(assets, "close", 7, "1d").to_numpy().ravel())
    record(leverage=context.account.leverage, now=now, seen=seen)


def text(values):
    return ";".join(format(float(value), ".6f") for value in values)

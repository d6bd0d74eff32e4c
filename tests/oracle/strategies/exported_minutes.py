"""By minutes, a half day among the sessions: trade after the open and before the close, write down what is seen."""

from rustybt.api import date_rules, order, order_target_percent, record, schedule_function, symbols, time_rules


def initialize(context):
    context.assets = symbols("AAA", "OLDN", "SPL", "PNY", "DLS")
    context.minutes = 0
    context.seen = []
    schedule_function(enter, date_rules.every_day(), time_rules.market_open(minutes=45))
    schedule_function(leave, date_rules.every_day(), time_rules.market_close(minutes=20))


def before_trading_start(context, data):
    context.seen = []


def enter(context, data):
    for asset in context.assets[:3]:
        if data.can_trade(asset):
            order_target_percent(asset, 0.15)


def leave(context, data):
    order(context.assets[0], -150)
    order(context.assets[3], 4000)


def handle_data(context, data):
    context.minutes += 1
    if context.minutes % 97 == 0:
        values = data.current(context.assets, ["open", "high", "low", "close", "volume", "price"]).to_numpy().ravel()
        context.seen.append(";".join(format(float(value), ".6f") for value in values))
        closes = data.history(context.assets[:4], "close", 20, "1m").to_numpy().ravel()
        context.seen.append(";".join(format(float(value), ".6f") for value in closes))
    record(minutes=context.minutes, seen="|".join(context.seen))

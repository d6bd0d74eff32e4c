"""Long and short by fixed weights, set anew on the second session of each month and the last of each week."""

from rustybt.api import date_rules, order_target_percent, record, schedule_function, symbols, time_rules


def initialize(context):
    context.assets = symbols("AAA", "BBB", "CCC", "DDD")
    context.weights = dict(zip(context.assets, (0.4, -0.3, -0.25, 0.35), strict=True))
    schedule_function(rebalance, date_rules.month_start(1), time_rules.market_open())
    schedule_function(flip, date_rules.week_end(), time_rules.market_close(minutes=5))
    schedule_function(count, date_rules.every_day(), half_days=False)
    context.days = 0


def rebalance(context, data):
    for asset in context.assets:
        if data.can_trade(asset):
            order_target_percent(asset, context.weights[asset])


def flip(context, data):
    asset = context.assets[1]
    order_target_percent(asset, context.weights[asset] / 2)


def count(context, data):
    context.days += 1
    record(days=context.days, value=context.portfolio.portfolio_value, leverage=context.account.leverage)

"""Half an hour after the open, set weights anew, from daily closes; an hour before the close, from minutes."""

from rustybt.api import date_rules, get_datetime, order_target_percent, record, schedule_function, symbols, time_rules


def initialize(context):
    context.assets = symbols("GON", "LAT", "LIQ", "SPL", "THN")
    context.weights = dict(zip(context.assets, (0.05, 0.1, 0.45, -0.25, 0.02), strict=True))
    context.seen = []
    context.days = 0
    schedule_function(rebalance, date_rules.every_day(), time_rules.market_open(minutes=30))
    schedule_function(lean, date_rules.every_day(), time_rules.market_close(hours=1))


def before_trading_start(context, data):
    context.days += 1
    context.seen = []


def rebalance(context, data):
    closes = data.history(context.assets, "price", min(context.days, 3), "1d")
    for asset in context.assets:
        if data.can_trade(asset):
            rising = closes[asset].iloc[-1] > closes[asset].mean()
            order_target_percent(asset, context.weights[asset] * (1.2 if rising else 0.8))
    note(context)


def lean(context, data):
    asset = context.assets[2]
    prices = data.history(asset, "close", 60, "1m")
    order_target_percent(asset, 0.5 if prices.iloc[-1] < prices.mean() else 0.4)
    note(context)


def note(context):
    value, account = context.portfolio.portfolio_value, context.account
    context.seen.append(f"{get_datetime()};{value:.6f};{account.leverage:.6f};{account.net_leverage:.6f}")


def handle_data(context, data):
    record(leverage=context.account.leverage, seen="|".join(context.seen))

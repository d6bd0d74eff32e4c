"""Each month, hold the two stocks that rose most in half a year, the last month left out; no pipeline."""

from rustybt.api import (
    date_rules,
    get_open_orders,
    order_target_percent,
    record,
    schedule_function,
    symbols,
    time_rules,
)

WINDOW = 126
SKIPPED = 21
CHOSEN = 2


def initialize(context):
    context.universe = symbols("AAPL", "FB", "GOOG", "IBM", "MSFT")
    context.picked = []
    schedule_function(
        rebalance,
        date_rule=date_rules.month_start(),
        time_rule=time_rules.market_open(hours=1),
    )


def rebalance(context, data):
    tradable = [stock for stock in context.universe if data.can_trade(stock)]
    prices = data.history(tradable, "price", WINDOW + 1, "1d")
    prices = prices.dropna(axis="columns")
    growth = prices.iloc[-1 - SKIPPED] / prices.iloc[0] - 1
    ranked = growth.sort_values(ascending=False)
    context.picked = list(ranked.index[:CHOSEN])

    for stock in context.portfolio.positions:
        if stock not in context.picked and not get_open_orders(stock):
            order_target_percent(stock, 0)
    for stock in context.picked:
        order_target_percent(stock, 1 / CHOSEN)


def handle_data(context, data):
    record(picked=" ".join(stock.symbol for stock in context.picked), leverage=context.account.leverage)

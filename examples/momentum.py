"""Each month hold the strongest of three stocks of the last half year; save the result and prove it again."""

import rustybt as rb
from rustybt.api import date_rules, order_target_percent, schedule_function, symbols, time_rules

NAMES = ("AAPL", "IBM", "MSFT")
WINDOW = 120


def initialize(context):
    context.assets = symbols(*NAMES)
    schedule_function(rebalance, date_rules.month_start(), time_rules.market_open())


def rebalance(context, data):
    prices = data.history(context.assets, "price", WINDOW, "1d")
    strength = prices.iloc[-1] / prices.iloc[0]
    if strength.isna().any():
        return
    best = strength.idxmax()
    for asset in context.assets:
        order_target_percent(asset, 0.95 if asset == best else 0.0)


if __name__ == "__main__":
    source = rb.get_source("csv", path="demo-output/bars.csv", actions="demo-output/actions.csv")
    source.ingest_to_bundle("us")
    result = rb.run_algorithm(
        bundle="us", start="2002-01-02", end="2012-12-31", initialize=initialize, capital_base=1e5
    )
    print(
        {name: value for name, value in result.summary().items() if name in ("total_return", "sharpe", "max_drawdown")}
    )
    result.save("momentum-result")
    print("\n".join(rb.replay("momentum-result").lines()))

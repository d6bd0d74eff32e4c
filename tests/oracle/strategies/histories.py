"""Trade nothing much; write down what `current` and `history` say, across splits, dividends, halts and listings."""

from rustybt.api import commission, order, record, set_commission, set_slippage, slippage, symbols

SESSIONS = (
    70,
    92,
    93,
    170,
    171,
    172,
    173,
    189,
    190,
    195,
    260,
    263,
    278,
    292,
    293,
    310,
    361,
    362,
    363,
    364,
    411,
    412,
    480,
)


def initialize(context):
    context.assets = symbols("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
    context.session = 0
    set_commission(commission.PerTrade(cost=3.5))
    set_slippage(slippage.FixedSlippage(spread=0.02))


def handle_data(context, data):
    context.session += 1
    if context.session % 50 == 3:
        order(context.assets[0], 11)
    if context.session not in SESSIONS:
        record(current="", price="", volume="", ohlc="")
        return
    assets = context.assets
    now = data.current(assets, ["open", "high", "low", "close", "volume", "price"])
    trade = [int(value) for value in data.can_trade(assets)] + [int(value) for value in data.is_stale(assets)]
    record(
        current=text(now.to_numpy().ravel()) + "|" + ";".join(str(value) for value in trade),
        price=text(data.history(assets, "price", 30, "1d").to_numpy().ravel()),
        volume=text(data.history(assets[:5], "volume", 8, "1d").to_numpy().ravel()),
        ohlc=text(data.history(assets, ["open", "high", "low", "close"], 5, "1d").to_numpy().ravel()),
    )


def text(values):
    return ";".join(format(float(value), ".6f") for value in values)

"""Write down what is seen before the open, across splits, dividends, a halt, a half day, a listing and a delisting."""

from rustybt.api import get_datetime, order, record, symbols


def initialize(context):
    context.assets = symbols("GON", "LAT", "LIQ", "SPL", "THN")
    context.sessions = 2
    context.times = []
    context.bought = False


def before_trading_start(context, data):
    context.sessions += 1
    assets = context.assets
    spl, thn = assets[3], assets[4]
    context.times.append("before " + str(get_datetime()))
    fields = ("open", "high", "low", "close", "volume", "price")
    now = [line(field, data.current(assets, field)) for field in fields]
    now.append(line("value", [context.portfolio.portfolio_value, context.portfolio.cash]))
    held = context.portfolio.positions
    now.append(line("held", [held[asset].amount for asset in assets]))
    now.append(line("last sale", [held[asset].last_sale_price for asset in assets]))
    # Not can_trade, which is False for all of them in Zipline, nor last_traded, where it stops.
    words = ["is_stale;" + ";".join(str(bool(value)) for value in data.is_stale(assets))]
    windows = [line("1m price", data.history(assets, "price", 4, "1m"))]
    windows.append(line("1m close", data.history(assets, "close", 4, "1m")))
    windows.append(line("1m volume", data.history(assets, "volume", 4, "1m")))
    windows.append(line("1m one", data.history(thn, "price", 500, "1m").iloc[::100]))
    windows.append(line("1d price", data.history(assets, "price", 3, "1d")))
    windows.append(line("1d close", data.history(assets, "close", 3, "1d")))
    windows.append(line("1d high", data.history(assets, "high", 2, "1d")))
    windows.append(line("1d volume", data.history(assets, "volume", 3, "1d")))
    # Of several fields and several assets Zipline adjusts all by the first asset's ratio; of one asset it is right.
    windows.append(line("1d fields", data.history([spl], ["open", "close", "volume"], 2, "1d")))
    daily = data.history(spl, "price", 2, "1d")
    words.append("labels;" + ";".join(str(label) for label in daily.index))
    words.append("labels;" + ";".join(str(label) for label in data.history(spl, "price", 2, "1m").index))
    record(now="|".join(now), words="|".join(words), windows="|".join(windows))
    context.first = True


def handle_data(context, data):
    if context.first:
        context.times.append("first " + str(get_datetime()))
        record(times="|".join(context.times))
        context.times, context.first = [], False
    if not context.bought:
        context.bought = True
        for asset, amount in zip(context.assets, (30, 0, 100, 41, -25), strict=True):
            order(asset, amount)


def line(name, values):
    found = values.to_numpy().ravel() if hasattr(values, "to_numpy") else values
    return name + ";" + ";".join(format(float(value), ".6f").rstrip("0").rstrip(".") for value in found)

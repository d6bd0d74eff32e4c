"""Write down what `current` and `history` say in chosen minutes; nothing is traded.

A text is made of entries, one a minute and kind, separated by bars; an entry is its name and values, separated by ``;``.
"""

from rustybt.api import get_datetime, record, symbols

MOMENTS = {
    "11-16": ("14:31", "14:32", "21:00"),
    "11-17": ("14:31", "15:15", "15:16", "15:17"),  # LIQ goes ex; LAT's first minute ends at 15:16
    "11-18": ("14:31", "16:00", "21:00"),  # SPL is halted
    "11-21": ("14:31", "14:40"),
    "11-22": ("14:31", "14:33", "18:00"),  # SPL's split
    "11-23": ("21:00",),
    "11-25": ("14:31", "17:59", "18:00"),  # SPL goes ex; a half day
    "11-28": ("14:31", "14:35", "19:30", "19:31", "21:00"),  # GON's last session
    "11-29": ("14:31", "15:00", "15:30"),  # THN goes ex, and trades after 47 minutes only
    "11-30": ("14:31", "14:50", "15:10"),  # THN's split, likewise
    "12-01": ("14:31",),
    "12-02": ("21:00",),
}
FIELDS = ["open", "high", "low", "close", "volume", "price"]
KINDS = ("now", "words", "labels", "minute_windows", "daily_windows")


def initialize(context):
    context.assets = symbols("GON", "LAT", "LIQ", "SPL", "THN")
    context.sessions = 2
    context.texts = {}


def before_trading_start(context, data):
    context.sessions += 1
    context.texts = {kind: [] for kind in KINDS}
    record(**dict.fromkeys(KINDS, ""))


def handle_data(context, data):
    dt = get_datetime()
    if dt.strftime("%H:%M") not in MOMENTS.get(dt.strftime("%m-%d"), ()):
        return
    assets, texts = context.assets, context.texts
    liq, spl, thn = assets[2], assets[3], assets[4]

    def write(kind, name, values):
        texts[kind].append(dt.strftime("%H:%M ") + name + ";" + ";".join(values))

    write("now", "current", numbers(data.current(assets, FIELDS)))
    write("now", "scalars", numbers([data.current(thn, "price"), data.current(thn, "volume")]))
    write("now", "series", numbers(data.current(spl, ["price", "close"])) + numbers(data.current(assets, "volume")))
    write("words", "can_trade", [str(bool(value)) for value in data.can_trade(assets)])
    write("words", "is_stale", [str(bool(value)) for value in data.is_stale(assets)])
    write("words", "last_traded", [str(data.current(asset, "last_traded")) for asset in assets])
    write("words", "session", [str(data.current_session), str(data.current_dt)])

    price = data.history(assets, "price", 6, "1m")
    write("minute_windows", "price", numbers(price))
    write("minute_windows", "close", numbers(data.history(assets, "close", 4, "1m")))
    write("minute_windows", "volume", numbers(data.history(assets, "volume", 4, "1m")))
    write("minute_windows", "ohlc", numbers(data.history([spl, thn], ["open", "high", "low", "close"], 3, "1m")))
    write("minute_windows", "one", numbers(data.history(spl, "price", 5, "1m")))
    write("minute_windows", "long price", summary(data.history(assets, "price", 500, "1m")))
    write("minute_windows", "long close", summary(data.history(assets, "close", 450, "1m")))
    write("minute_windows", "long volume", summary(data.history(assets, "volume", 450, "1m")))

    days = min(context.sessions, 7)
    daily = data.history(assets, "price", days, "1d")
    write("daily_windows", "price", numbers(daily))
    for field in ("open", "high", "low", "close", "volume"):
        write("daily_windows", field, numbers(data.history(assets, field, 3, "1d")))
    write("daily_windows", "today", numbers(data.history(assets, "close", 1, "1d")))
    write("daily_windows", "one", numbers(data.history(liq, ["close", "volume"], 2, "1d")))
    write("labels", "minutes", [str(label) for label in price.index])
    write("labels", "days", [str(label) for label in daily.index])
    record(**{kind: "|".join(entries) for kind, entries in texts.items()})


def numbers(values):
    found = values.to_numpy().ravel() if hasattr(values, "to_numpy") else values
    return [format(float(value), ".6f").rstrip("0").rstrip(".") for value in found]


def summary(frame):
    """Return of each column the first and last value, the number of values and their sum."""
    parts = [frame.iloc[0], frame.iloc[-1], frame.count(), frame.sum() / len(frame)]
    return [text for part in parts for text in numbers(part)]

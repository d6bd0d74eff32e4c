"""Assets that may not be ordered, always or between dates; `can_trade` says so, and the order is refused."""

import pandas as pd

from rustybt.api import (
    RESTRICTION_STATES,
    HistoricalRestrictions,
    Restriction,
    StaticRestrictions,
    order,
    record,
    set_asset_restrictions,
    symbols,
)


def initialize(context):
    context.assets = symbols("AAA", "BBB", "CCC", "DDD")
    frozen, free = RESTRICTION_STATES.FROZEN, RESTRICTION_STATES.ALLOWED
    set_asset_restrictions(
        HistoricalRestrictions(
            [
                Restriction(context.assets[1], pd.Timestamp("2016-09-01", tz="UTC"), frozen),
                Restriction(context.assets[1], pd.Timestamp("2016-10-17", tz="UTC"), free),
                Restriction(context.assets[3], pd.Timestamp("2016-11-01", tz="UTC"), frozen),
            ]
        )
    )
    set_asset_restrictions(StaticRestrictions([context.assets[2]]), on_error="fail")
    context.session = 0


def handle_data(context, data):
    context.session += 1
    words = [str(int(value)) for value in data.can_trade(context.assets)]
    if context.session % 8 == 2:
        for asset in context.assets:
            try:
                order(asset, 25)
            except Exception:  # noqa: BLE001 - the engines' errors have different names
                words.append("refused " + asset.symbol)
    record(tradable="|".join(words))

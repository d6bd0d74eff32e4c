"""What may be asked of a feed, and how what may not is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.errors import LookaheadError, RequestError
from rustybt.market.assets import Asset

if TYPE_CHECKING:
    import pandas as pd

    from rustybt.data.portal.bar_provider import Floats
    from rustybt.data.portal.rows.session_axis import SessionAxis

FIELDS = ("open", "high", "low", "close", "volume", "price")


def nothing_known(assets: int) -> dict[str, Floats]:
    """Return one row without bars."""
    return {field: np.full((1, assets), 0.0 if field == "volume" else np.nan) for field in FIELDS}


def check_asset(asset: Any) -> Asset:
    """Return `asset`.

    Raises
    ------
    RequestError
        It is none.
    """
    if not isinstance(asset, Asset):
        raise RequestError(
            f"expected an asset, not {type(asset).__name__} {asset!r}", hint=f"write symbol({str(asset)!r})"
        )
    return asset


def check_same(held: Asset, asset: Asset) -> None:
    """Raise unless an asset is the one that bears its sid here: sids of other bars count anew."""
    if held is not asset and (held.symbol, held.calendar_name) != (asset.symbol, asset.calendar_name):
        raise RequestError(
            f"{asset} is an asset of other bars: here its sid is that of {held.symbol}",
            hint=f"look it up in this run: symbol({asset.symbol!r})",
        )


def check_window(bar_count: Any, field: str) -> None:
    """Raise unless `field` has a history and `bar_count` is a whole number from 1 on."""
    if field not in FIELDS:
        raise RequestError(f"history has no field {field!r}", hint=f"use one of {', '.join(FIELDS)}")
    if not isinstance(bar_count, (int, np.integer)) or bar_count < 1:
        raise RequestError(
            f"bar_count must be a whole number from 1 on, not {bar_count!r}",
            hint="data.history(asset, 'price', 20, '1d')",
        )


def microseconds_of(stamp: pd.Timestamp) -> int:
    """Return an instant in UTC as microseconds since 1970."""
    return int(stamp.tz_localize(None).to_datetime64().astype("datetime64[us]").astype(np.int64))


def refuse_lookahead(asked: Any, seen: Any, what: str) -> None:
    """Raise LookaheadError for a read past the clock."""
    raise LookaheadError(
        f"asked for {asked}, but at this point of the run the last known {what} is {seen}",
        hint="read with data.current and data.history: they follow the clock",
        asked=str(asked),
        seen=str(seen),
    )


def refuse_depth(axis: SessionAxis, what: str) -> None:
    """Raise RequestError for a window that reaches back before the calendar."""
    raise RequestError(
        f"calendar {axis.calendar_name} begins {axis.sessions[0]}: {what} does not fit before the clock",
        hint="ask for fewer bars",
    )

"""What is traded: an asset and the attributes that travel with its bars."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import date
from decimal import Decimal
from typing import Any, Literal, Self, get_args

from rustybt.errors import RequestError

AssetType = Literal["equity", "crypto", "future", "commodity", "forex", "index", "etf", "unknown"]
ASSET_TYPES: tuple[str, ...] = get_args(AssetType)

#: Asset types whose price can never be negative (WTI crude traded at -37.63 on 2020-04-20).
NON_NEGATIVE_TYPES = frozenset({"equity", "etf", "crypto", "index", "unknown"})


@dataclass(frozen=True, slots=True)
class AssetAttributes:
    """What a source knows of an asset before it has a sid.

    Parameters
    ----------
    venue
        MIC of the exchange (``XNYS``) or an exchange id (``binance``); None when unknown: the asset is then
        scoped to its bundle.
    asset_type
        One of `ASSET_TYPES`; ``unknown`` is checked like an equity.
    currency
        Quote currency, ISO 4217 or a crypto code.
    lot_size, tick_size
        Smallest tradable amount and price step; None when unknown.
    listing_epoch
        First day of this listing where a ticker was reused, else None.
    """

    venue: str | None = None
    asset_type: str = "equity"
    currency: str = "USD"
    lot_size: Decimal | None = None
    tick_size: Decimal | None = None
    name: str = ""
    listing_epoch: date | None = None

    def __post_init__(self) -> None:
        if self.asset_type not in ASSET_TYPES:
            raise RequestError(f"unknown asset type {self.asset_type!r}", hint=f"use one of {', '.join(ASSET_TYPES)}")

    def to_json(self) -> dict[str, str | None]:
        """Return plain JSON values; decimals and dates as text."""
        return {f.name: None if (v := getattr(self, f.name)) is None else str(v) for f in fields(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Rebuild from `to_json`; unknown keys of a newer version are ignored."""
        known = {f.name for f in fields(cls)}
        values = {k: v for k, v in data.items() if k in known}
        for key in ("lot_size", "tick_size"):
            values[key] = None if values.get(key) is None else Decimal(values[key])
        epoch = values.get("listing_epoch")
        values["listing_epoch"] = None if epoch is None else date.fromisoformat(epoch)
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Asset:
    """One tradable thing with its stable integer id.

    Two assets are equal, and sort, by `sid` alone. `first_session` and `last_session` are the dates of the first and
    last stored bar, both included. The attributes `exchange`, `start_date`, `end_date` and `asset_name` carry the
    names that Zipline strategies use.
    """

    sid: int
    symbol: str = field(compare=False)
    calendar_name: str = field(compare=False, default="XNYS")
    first_session: date | None = field(compare=False, default=None)
    last_session: date | None = field(compare=False, default=None)
    attributes: AssetAttributes = field(compare=False, default=AssetAttributes())

    def __hash__(self) -> int:
        # A run looks holdings and orders up by asset all the time; the generated hash makes a tuple first.
        return self.sid

    def __int__(self) -> int:
        return self.sid

    __index__ = __int__

    def __lt__(self, other: Asset) -> bool:
        return self.sid < other.sid if isinstance(other, Asset) else NotImplemented

    def __str__(self) -> str:
        return f"{self.asset_type.capitalize()}({self.sid} [{self.symbol}])"

    __repr__ = __str__

    @property
    def asset_type(self) -> str:
        """One of `ASSET_TYPES`."""
        return self.attributes.asset_type

    @property
    def exchange(self) -> str:
        """Venue of the listing, empty when unknown."""
        return self.attributes.venue or ""

    @property
    def currency(self) -> str:
        """Quote currency."""
        return self.attributes.currency

    @property
    def asset_name(self) -> str:
        """Long name, or the symbol when none is known."""
        return self.attributes.name or self.symbol

    @property
    def start_date(self) -> Any:
        """First session with a bar, a normalized naive pandas Timestamp, as in Zipline."""
        import pandas as pd

        return pd.Timestamp(self.first_session) if self.first_session else pd.NaT

    @property
    def end_date(self) -> Any:
        """Last session with a bar, a normalized naive pandas Timestamp, as in Zipline."""
        import pandas as pd

        return pd.Timestamp(self.last_session) if self.last_session else pd.NaT

    @property
    def first_traded(self) -> Any:
        """The same as `start_date`."""
        return self.start_date

    @property
    def auto_close_date(self) -> Any:
        """The day after the last bar, when a holding is closed; a normalized naive pandas Timestamp, NaT for none."""
        import pandas as pd

        return pd.Timestamp(self.last_session) + pd.Timedelta(days=1) if self.last_session else pd.NaT

    @property
    def tick_size(self) -> float:
        """Smallest step of a price, a cent where none is known."""
        return float(self.attributes.tick_size or 0.01)

    def is_alive_for_session(self, session_label: Any) -> bool:
        """Return whether the asset is listed in a session, given as a date or a Timestamp."""
        import pandas as pd

        day = pd.Timestamp(session_label).date()
        begun = self.first_session is None or self.first_session <= day
        return begun and (self.last_session is None or day <= self.last_session)

    def to_dict(self) -> dict[str, Any]:
        """Return what is known of the asset with Zipline's keys."""
        keys = (
            "symbol",
            "asset_name",
            "exchange",
            "start_date",
            "end_date",
            "first_traded",
            "auto_close_date",
            "tick_size",
        )
        return {"sid": self.sid, **{key: getattr(self, key) for key in keys}}

    def with_sessions(self, first: date | None, last: date | None) -> Asset:
        """Return the same asset with other first and last sessions."""
        return replace(self, first_session=first, last_session=last)

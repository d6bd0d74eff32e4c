"""What a vendor says of one symbol."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rustybt.market.bars import empty_bars

if TYPE_CHECKING:
    from datetime import date
    from decimal import Decimal

    import polars as pl

    from rustybt.market.assets import AssetAttributes
    from rustybt.market.corporate_actions import CorporateAction


@dataclass(frozen=True, slots=True)
class SeriesAnswer:
    """Everything a vendor answered for one symbol and range, checked against what was asked.

    Parameters
    ----------
    symbol
        Canonical, as in `bars`.
    bars
        Contract bars, sorted and unique, inside the range asked for. The newest may not be final yet.
    vendor_symbol
        What the vendor calls it.
    attributes
        Of the asset, where the vendor says.
    actions
        Every known event with an ex-date from the first bar asked for until today, also beyond the end of the range:
        split-adjusted bars cannot be understood without.
    missing_volume
        True for each row whose volume is 0 only because the vendor gave none; None for no such row.
    first_bar
        First day that the vendor has bars of, where it says.
    notes
        Sentences for the report.
    """

    symbol: str
    bars: pl.DataFrame = field(default_factory=empty_bars)
    vendor_symbol: str = ""
    attributes: AssetAttributes | None = None
    actions: tuple[CorporateAction, ...] = ()
    missing_volume: pl.Series | None = None
    number_rule: str = "text"
    first_bar: date | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamedBar:
    """One bar of a stream.

    Parameters
    ----------
    timestamp
        Open of the bar, microseconds since 1970 UTC.
    is_final
        True when the vendor says that the bar will not change; False for a bar that is still forming.
    """

    symbol: str
    timestamp: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    is_final: bool = True

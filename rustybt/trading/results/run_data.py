"""What a result keeps of the data it was computed from, so that it can be reported without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rustybt.errors import RustybtError
from rustybt.market.provenance import Provenance
from rustybt.trading.results.run_quality import RunQuality, quality_of
from rustybt.trading.results.traded_prices import TradedPrices, read_traded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rustybt.data.portal.bar_provider import BarProvider, Integers
    from rustybt.market.assets import Asset
    from rustybt.trading.results.session_log import SessionLog


@dataclass(frozen=True, slots=True)
class RunData:
    """Prices of what was traded, quality of what was read, and where it came from.

    Parameters
    ----------
    prices, quality, provenance
        None where it is not known: in results of bars without a bundle, and in those saved by earlier versions.
    currency
        Of all assets that were read; empty when they have several, or none was read.
    notes
        Sentences on what could not be kept.
    """

    prices: TradedPrices | None = None
    quality: RunQuality | None = None
    provenance: Provenance | None = None
    currency: str = ""
    notes: tuple[str, ...] = ()


def run_data(
    bars: BarProvider,
    assets: Sequence[Asset],
    read_from: Any,
    sessions: Any,
    closes: Integers,
    log: SessionLog,
    frequency: str,
    calendar_name: str,
) -> RunData:
    """Return what is kept of `bars`; what cannot be read becomes a note, for a run that stopped keeps its result.

    Parameters
    ----------
    assets
        Those that were read.
    read_from
        First date that was read: it lies before the run for history windows.
    sessions, closes
        Dates of the run's sessions, and the instants at which they close, microseconds since 1970 UTC.
    calendar_name
        Of the run's clock.
    """
    currencies = {asset.currency for asset in assets}
    provenance = getattr(bars, "provenance", None)
    prices, quality, notes = None, None, []
    ran = len(log.records)
    try:
        fills = [fill for record in log.records for fill in record.transactions]
        prices = read_traded(bars, fills, sessions[:ran], closes[:ran], frequency, calendar_name)
    except RustybtError as error:
        notes.append(f"no prices are kept for charts: {error.message}")
    try:
        first, last = str(read_from)[:10], str(sessions[-1])[:10]
        quality = quality_of(bars, [asset.symbol for asset in assets], first, last, frequency)
    except RustybtError as error:
        notes.append(f"the quality of the bars is not known: {error.message}")
    return RunData(
        prices=prices,
        quality=quality,
        provenance=provenance if isinstance(provenance, Provenance) else None,
        currency=currencies.pop() if len(currencies) == 1 else "",
        notes=tuple(notes),
    )

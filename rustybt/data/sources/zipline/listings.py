"""The assets of an ingestion as a bundle names them: one symbol for each sid, with the names it had before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from rustybt.data.bundles.records import Alias
from rustybt.errors import RequestError
from rustybt.market.assets import AssetAttributes
from rustybt.market.request import check_symbol
from rustybt.market.reused_tickers import TickerOwner, told_apart
from rustybt.market.venues import mic_of_exchange
from rustybt.market.wording import listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rustybt.data.bundles.metadata_store.zipline_files import ZiplineAssets, ZiplineEquity, ZiplineName

_SOURCE = "zipline"
_MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class ZiplineListing:
    """One asset: its sid in Zipline and what a bundle knows of it.

    Parameters
    ----------
    symbol
        The last one it had. Of several assets that ended with one symbol the last keeps it, and the earlier ones get the year
        in which they were listed: ``ABC.1998``.
    names
        What it was called besides, dated; of an earlier owner of a ticker that ticker itself.
    """

    sid: int
    symbol: str
    attributes: AssetAttributes
    names: tuple[Alias, ...] = ()


@dataclass(frozen=True, slots=True)
class ZiplineListings:
    """All assets of an ingestion, and what is to be said of them.

    Parameters
    ----------
    by_symbol
        Sorted by symbol.
    """

    by_symbol: dict[str, ZiplineListing]
    notes: tuple[str, ...] = ()

    def canonical(self, symbol: str) -> str:
        """Return the symbol that something called `symbol` has here; an unknown name as it is."""
        if symbol in self.by_symbol:
            return symbol
        named = [name for listing in self.by_symbol.values() for name in listing.names if name.alias == symbol]
        return max(named, key=lambda name: name.end or date.max).symbol if named else symbol


def listings_of(assets: ZiplineAssets, sids_with_bars: Iterable[int]) -> ZiplineListings:
    """Return every equity with a symbol that no other has, and every sid with bars that the file does not know."""
    notes: list[str] = []
    found: dict[str, ZiplineListing] = {}
    unknown = [sid for sid in sids_with_bars if sid not in assets.equities]
    groups: dict[str, list[ZiplineEquity]] = {}
    for equity in assets.equities.values():
        groups.setdefault(_symbol(equity), []).append(equity)
    for symbol, owners in groups.items():
        in_order = sorted(owners, key=lambda equity: (_last(equity), equity.sid))
        symbols, said = told_apart(
            symbol, [TickerOwner(equity.sid, _listed_on(equity)) for equity in in_order], {*groups, *found}
        )
        notes += said
        for equity in in_order:
            own = symbols[equity.sid]
            found[own] = _listing(equity, own, None if own == symbol else _listed_on(equity))
    for sid in unknown:
        found[f"sid-{sid}"] = ZiplineListing(sid, f"sid-{sid}", AssetAttributes())
    nameless = [symbol for symbol, listing in found.items() if symbol == f"sid-{listing.sid}"]
    if nameless:
        notes.append(f"no usable symbol in the asset database, named by their sid: {listed(nameless, _MOST_NAMED)}")
    odd = sorted({equity.exchange for equity in assets.equities.values() if equity.exchange and _venue(equity) is None})
    if odd:
        notes.append(
            f"no venue has the name {listed(odd, _MOST_NAMED)}: assets listed there belong to this bundle alone"
        )
    if assets.futures:
        notes.append(
            f"{assets.futures:,} futures contracts are not imported: a Zipline bundle holds bars of equities only"
        )
    return ZiplineListings(dict(sorted(found.items())), tuple(notes))


def _listing(equity: ZiplineEquity, symbol: str, epoch: date | None) -> ZiplineListing:
    attributes = AssetAttributes(venue=_venue(equity), asset_type="equity", name=equity.long_name, listing_epoch=epoch)
    names = tuple(
        dict.fromkeys(
            Alias(symbol, name.symbol, _day(name.first), _day(name.last), _SOURCE)
            for name in equity.names
            if name.symbol != symbol
        )
    )
    return ZiplineListing(equity.sid, symbol, attributes, names)


def _symbol(equity: ZiplineEquity) -> str:
    try:
        return check_symbol(equity.names[-1].symbol) if equity.names else f"sid-{equity.sid}"
    except RequestError:
        return f"sid-{equity.sid}"


def _last(equity: ZiplineEquity) -> int:
    name: ZiplineName | None = equity.names[-1] if equity.names else None
    return name.last if name is not None else equity.last


def _listed_on(equity: ZiplineEquity) -> date | None:
    return _day(equity.first) or (_day(equity.names[0].first) if equity.names else None)


def _venue(equity: ZiplineEquity) -> str | None:
    """Return the MIC of an exchange, None for a name that is none, such as that of a vendor."""
    return mic_of_exchange(equity.market) or mic_of_exchange(equity.exchange)


def _day(nanoseconds: int) -> date | None:
    """Return the UTC day of an instant, None where it stands for none: 0, and what no date can hold."""
    if nanoseconds <= 0:
        return None
    days = nanoseconds // 86_400_000_000_000
    found = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)
    # Zipline's default end is the last instant that 64 bits can count in nanoseconds, in 2262.
    return found.date() if found.year < 2200 else None

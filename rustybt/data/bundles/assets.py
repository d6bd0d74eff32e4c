"""Assets: the home's register of sids, and the finder that resolves a symbol on a date."""

from __future__ import annotations

import difflib
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from rustybt.data.bundles.metadata_store import contents
from rustybt.errors import SymbolNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rustybt.data.bundles.metadata_store.database import Database
    from rustybt.data.bundles.records import Alias
    from rustybt.market.assets import Asset, AssetAttributes


def key_of(bundle: str, symbol: str, attributes: AssetAttributes) -> contents.AssetKey:
    """Return the key of an asset: (venue, canonical symbol, listing epoch); an unknown venue is scoped to its bundle."""
    epoch = attributes.listing_epoch
    return (attributes.venue or f"bundle:{bundle}", symbol, epoch.isoformat() if epoch else "")


class AssetDB:
    """The register of every asset that this home has ever seen: sids are stable across ingests and sources, never reused.

    Parameters
    ----------
    database
        The home's metadata database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def ensure_sids(self, bundle: str, attributes: Mapping[str, AssetAttributes]) -> dict[str, int]:
        """Return the sid of each symbol, giving new ones to assets that were never seen.

        The new ones are durable before this returns, so that no crash can hand a sid out twice.
        """
        if not attributes:
            return {}
        keys = {symbol: key_of(bundle, symbol, known) for symbol, known in attributes.items()}
        if self._database.exists():
            with self._database.read() as connection:
                known_sids = contents.known_sids(connection)
            if all(key in known_sids for key in keys.values()):
                return {symbol: known_sids[key] for symbol, key in keys.items()}
        with self._database.write() as connection:
            sids = contents.ensure_sids(connection, keys.values())
        return {symbol: sids[key] for symbol, key in keys.items()}

    def all_sids(self) -> dict[contents.AssetKey, int]:
        """Return (venue, symbol, listing epoch) -> sid for every asset of the home."""
        if not self._database.exists():
            return {}
        with self._database.read() as connection:
            return contents.known_sids(connection)


class AssetFinder:
    """The assets of one bundle version.

    Parameters
    ----------
    assets
        Keyed by canonical symbol.
    aliases
        Other names with the dates on which they were valid.
    reference
        ``name@version``, for messages.
    """

    def __init__(self, assets: Mapping[str, Asset], aliases: Iterable[Alias] = (), reference: str = "") -> None:
        self._by_symbol = dict(sorted(assets.items()))
        self._by_sid = {asset.sid: asset for asset in self._by_symbol.values()}
        self._aliases: dict[str, list[Alias]] = {}
        for alias in aliases:
            self._aliases.setdefault(alias.alias, []).append(alias)
        self._reference = reference

    def __len__(self) -> int:
        return len(self._by_symbol)

    @property
    def sids(self) -> list[int]:
        """Every sid, rising."""
        return sorted(self._by_sid)

    @property
    def equities_sids(self) -> list[int]:
        """Every sid of an equity or ETF, rising."""
        return sorted(sid for sid, asset in self._by_sid.items() if asset.asset_type in ("equity", "etf"))

    @property
    def symbols(self) -> list[str]:
        """Every canonical symbol, sorted."""
        return list(self._by_symbol)

    def lookup_symbol(self, symbol: str, as_of_date: Any = None) -> Asset:
        """Return the asset that was called `symbol` on `as_of_date` (today's name when None).

        A dated alias that holds on the day wins over a canonical symbol, since a ticker may have been reused. As in Zipline, a
        former name stays that of its asset until another asset takes it.

        Raises
        ------
        SymbolNotFoundError
            Nothing was called so; `similar` holds near matches.
        """
        day = _to_date(as_of_date)
        aliases = self._aliases.get(symbol, ())
        named = [alias for alias in aliases if _holds(alias, day)]
        if named:
            return self._by_symbol[max(named, key=_start_of).symbol]
        asset = self._by_symbol.get(symbol)
        former = [alias for alias in aliases if day is None or _start_of(alias) <= day]
        if former and (asset is None or (day is not None and day < self._named_since(asset))):
            return self._by_symbol[max(former, key=_start_of).symbol]
        if asset is None:
            raise self._not_found(symbol, day)
        return asset

    def _named_since(self, asset: Asset) -> date:
        """Return the day from which an asset has its canonical symbol: after its last former one, else its first session."""
        ends = [
            a.end for found in self._aliases.values() for a in found if a.symbol == asset.symbol and a.end is not None
        ]
        if ends:
            return max(ends) + timedelta(days=1)
        return asset.first_session or date.min

    def lookup_symbols(self, symbols: Sequence[str], as_of_date: Any = None) -> list[Asset]:
        """Return the asset of each symbol, in the same order."""
        return [self.lookup_symbol(symbol, as_of_date) for symbol in symbols]

    def retrieve_asset(self, sid: int) -> Asset:
        """Return the asset with this sid.

        Raises
        ------
        SymbolNotFoundError
            The bundle has no such sid.
        """
        asset = self._by_sid.get(int(sid))
        if asset is None:
            raise SymbolNotFoundError(f"{self._reference or 'the bundle'} has no asset with sid {sid}", sid=sid)
        return asset

    def retrieve_all(self, sids: Iterable[int] | None = None) -> list[Asset]:
        """Return the assets with these sids in the same order, all of them by sid when None."""
        return [self.retrieve_asset(sid) for sid in (self.sids if sids is None else sids)]

    def _not_found(self, symbol: str, day: date | None) -> SymbolNotFoundError:
        others = [name for name in (*self._by_symbol, *self._aliases) if name != symbol]
        similar = difflib.get_close_matches(symbol, others, n=3, cutoff=0.5)
        when = f" on {day}" if day else ""
        return SymbolNotFoundError(
            f"no asset is called {symbol!r}{when} in {self._reference or 'the bundle'}"
            + (f"; did you mean {', '.join(similar)}?" if similar else ""),
            hint=f"rustybt bundle info {self._reference} lists its symbols" if self._reference else None,
            symbol=symbol,
            similar=similar,
        )


def _start_of(alias: Alias) -> date:
    return alias.start or date.min


def _holds(alias: Alias, day: date | None) -> bool:
    if day is None:
        return alias.end is None
    return (alias.start is None or alias.start <= day) and (alias.end is None or day <= alias.end)


def _to_date(value: Any) -> date | None:
    if value is None:
        return None
    if isinstance(value, str):
        return date.fromisoformat(value[:10])
    return value.date() if hasattr(value, "date") else value  # type: ignore[no-any-return]

"""What the assets database of an ingestion holds: equities, their exchanges and their names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rustybt.data.bundles.metadata_store.zipline_output import EquityRow, ExchangeRow, MappingRow
from rustybt.data.bundles.zipline_export.countries import country_of
from rustybt.data.bundles.zipline_export.names import mappings_of
from rustybt.market.wording import listed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from rustybt.data.bundles.bundle import Bundle
    from rustybt.data.bundles.records import AssetRecord
    from rustybt.data.bundles.zipline_export.grid import SessionGrid

_PLAIN = ("equity", "etf", "unknown")


@dataclass(frozen=True, slots=True)
class Equities:
    """The rows of the assets database, and what they do not say."""

    exchanges: list[ExchangeRow]
    equities: list[EquityRow]
    mappings: list[MappingRow]
    notes: list[str]


def equities_of(bundle: Bundle, spans: Mapping[str, tuple[date, date]], grid: SessionGrid) -> Equities:
    """Return the assets in `spans`, first and last session by symbol, as Zipline stores them.

    Raises
    ------
    RequestError
        Zipline could not tell two symbols apart.
    """
    records = {symbol: bundle.description.assets[symbol] for symbol in spans}
    sids = {symbol: record.sid for symbol, record in records.items()}
    mappings, said = mappings_of(sids, spans, bundle.description.aliases, grid)
    exchanges = {symbol: record.attributes.venue or bundle.calendar_name for symbol, record in records.items()}
    return Equities(
        [ExchangeRow(name, name, country_of(name, bundle.calendar_name)) for name in sorted(set(exchanges.values()))],
        [
            EquityRow(
                record.sid,
                record.attributes.name or None,
                nanoseconds(first),
                nanoseconds(last),
                nanoseconds(first),
                nanoseconds(last + timedelta(days=1)),
                exchanges[symbol],
            )
            for symbol, record in sorted(records.items(), key=lambda item: item[1].sid)
            for first, last in (spans[symbol],)
        ],
        [MappingRow(m.sid, m.symbol.upper(), *m.parts, nanoseconds(m.start), nanoseconds(m.end)) for m in mappings],
        said + _kinds(records),
    )


def nanoseconds(day: date) -> int:
    """Return midnight of a day in UTC, nanoseconds since 1970."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 10**9


def _kinds(records: Mapping[str, AssetRecord]) -> list[str]:
    """Return what the equities of Zipline do not say of these assets."""
    said = []
    kinds: dict[str, list[str]] = {}
    currencies: dict[str, list[str]] = {}
    for symbol, record in records.items():
        kinds.setdefault(record.attributes.asset_type, []).append(symbol)
        currencies.setdefault(record.attributes.currency, []).append(symbol)
    for kind, symbols in sorted(kinds.items()):
        if kind not in _PLAIN:
            said.append(f"{listed(symbols)} ({kind}) became equities, the one kind that goes over")
    for currency, symbols in sorted(currencies.items()):
        if currency != "USD":
            said.append(f"prices of {listed(symbols)} are in {currency}; Zipline calls every bundle's currency USD")
    lower = [symbol for symbol in records if symbol != symbol.upper()]
    if lower:
        said.append(f"Zipline writes symbols in capitals: {listed(lower)}")
    return said

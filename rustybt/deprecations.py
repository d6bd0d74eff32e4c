"""Names of earlier designs that still work: what to use instead, and the version that removes each; one table for all."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SINCE = "0.4.0"
REMOVED_IN = "1.0.0"


@dataclass(frozen=True, slots=True)
class Deprecation:
    """One name that works and goes.

    Parameters
    ----------
    name
        As code has it: a dotted path, or a call with the keyword in question such as ``f(old=)``.
    successor
        What to write instead.
    since
        Version that warned first.
    removed_in
        Version that will not have the name any more.
    note
        What else its user must know, such as that a keyword has no effect; empty where there is nothing.
    """

    name: str
    successor: str
    since: str = SINCE
    removed_in: str = REMOVED_IN
    note: str = ""

    @property
    def message(self) -> str:
        """The warning's text, one sentence."""
        note = f" ({self.note})" if self.note else ""
        return (
            f"{self.name} is deprecated since rustybt {self.since} and will be removed in {self.removed_in}{note}: "
            f"use {self.successor}"
        )


_METADATA = "rustybt.data.bundles.metadata.BundleMetadata"
_CATALOG = "rustybt.data.catalog.DataCatalog"
_BUNDLE_CATALOG = "rustybt.data.polars.metadata_catalog.ParquetMetadataCatalog"
_WRITER = "rustybt.data.polars.parquet_writer.ParquetWriter"
_PORTAL = "rustybt.data.polars.data_portal.PolarsDataPortal"

_FIRST_CATALOG = {
    "": _METADATA,
    ".store_metadata": f"{_METADATA}.update; bundles that rustybt writes record it themselves",
    ".get_bundle_metadata": f"{_METADATA}.get",
    ".store_quality_metrics": f"{_METADATA}.update_quality; an ingest records them itself",
    ".get_quality_metrics": f"{_METADATA}.get",
    ".list_bundles": f"{_METADATA}.list_bundles",
}
_CATALOG_OF_A_BUNDLE = {
    "": _METADATA,
    ".create_dataset": f"{_METADATA}.update(bundle_name, source_type=...); a bundle has one dataset a frequency",
    ".get_dataset_info": "rb.bundle(name), whose frequencies and provenance say it",
    ".find_dataset": f"{_METADATA}.list_bundles(source_type=...) and the frequencies of rb.bundle(name)",
    ".add_symbol": f"{_METADATA}.add_symbol",
    ".get_all_symbols": f"{_METADATA}.get_symbols",
    ".count_symbols": f"len({_METADATA}.get_symbols(bundle_name))",
    ".add_date_range": "no call at all: the range is that of the bars",
    ".set_date_range": "no call at all: the range is that of the bars",
    ".get_date_range": "rb.bundle(name).first_session and .last_session",
    ".add_checksum": "no call at all: every file of a bundle is stored with its SHA-256",
    ".get_checksum": "rb.bundle(name).files, and BundleStore.verify to compare",
    ".add_cache_entry": f"{_METADATA}.add_cache_entry",
    ".get_cache_entries": f"{_METADATA}.get_lru_cache_entries",
    ".get_cache_statistics": f"{_METADATA}.get_cache_statistics",
}
#: Old adapter -> the source that took its place.
ADAPTER_SOURCES = {
    "YFinanceAdapter": "yfinance",
    "CCXTAdapter": "ccxt",
    "PolygonAdapter": "polygon",
    "AlpacaAdapter": "alpaca",
    "AlphaVantageAdapter": "alphavantage",
    "CSVAdapter": "csv",
}
#: Old keyword of a write -> what to use instead, and what the keyword does.
_OLD_WRITES = {
    "compression=": ("the call without it", "it has no effect: every file is compressed with LZ4"),
    "dataset_id=": ("the call without it", "it has no effect: a bundle has one dataset a frequency"),
    "bundle_name=": (
        "the call without it",
        "it has no effect: the last part of the writer's path is the bundle, the folder above is its home",
    ),
    "source_metadata=": ("provenance=rustybt.market.provenance.Provenance(...)", ""),
    "frame of old columns": (
        "rb.ingest_frame(df, bundle=...), or a frame of the columns and types of rustybt.market.bars",
        "it is converted: date to timestamp, sid to symbol, numbers to exact decimals",
    ),
}


#: Zipline's ready-made ingest functions -> what reads their files without a function.
_INGEST_FUNCTIONS = {
    "csvdir.csvdir_equities": 'rustybt.data.sources.get_source("csvdir", path=DIR), or rustybt ingest csvdir --csvdir DIR',
    "csvdir.csvdir_bundle": 'rustybt.data.sources.get_source("csvdir", path=DIR), or rustybt ingest csvdir --csvdir DIR',
    "quandl.quandl_bundle": 'rustybt.data.sources.get_source("quandl", path=FILE), or rustybt ingest quandl --path FILE',
}


def _entries() -> list[Deprecation]:
    return [
        *(Deprecation(f"rustybt.data.bundles.{name}", successor) for name, successor in _INGEST_FUNCTIONS.items()),
        *(Deprecation(f"{_CATALOG}{method}", successor) for method, successor in _FIRST_CATALOG.items()),
        *(Deprecation(f"{_BUNDLE_CATALOG}{method}", successor) for method, successor in _CATALOG_OF_A_BUNDLE.items()),
        *(
            Deprecation(
                f"rustybt.data.adapters.{old}{method}", f'rustybt.data.sources.get_source("{source}"){successor}'
            )
            for old, source in ADAPTER_SOURCES.items()
            for method, successor in (("", ""), (".fetch_ohlcv", ".fetch_sync"))
        ),
        *(
            Deprecation(
                f"{_PORTAL}({old})", "PolarsDataPortal(bars=rb.bundle(name)) or PolarsDataPortal(data_source=...)"
            )
            for old in ("daily_reader=", "minute_reader=")
        ),
        Deprecation(
            f"{_WRITER}(enable_metadata_catalog=)",
            "the call without it",
            note="it has no effect: every write is recorded in the home, the folder above the bundle's: rb.bundle(name, home=...)",
        ),
        *(
            Deprecation(f"{_WRITER}.{method}({old})", successor, note=note)
            for method in ("write_daily_bars", "write_minute_bars")
            for old, (successor, note) in _OLD_WRITES.items()
        ),
    ]


#: Every deprecated name; `tests/compat` walks it and exercises each.
DEPRECATIONS: Mapping[str, Deprecation] = MappingProxyType({entry.name: entry for entry in _entries()})


def warn_deprecated(name: str, *, stacklevel: int = 2) -> None:
    """Issue the `DeprecationWarning` of a name in `DEPRECATIONS`.

    Parameters
    ----------
    stacklevel
        Whose line the warning names: 1 the function that calls this one, 2 (the default) the one that calls that function.

    Raises
    ------
    KeyError
        The name is not in the table.
    """
    warnings.warn(DEPRECATIONS[name].message, DeprecationWarning, stacklevel=stacklevel + 1)

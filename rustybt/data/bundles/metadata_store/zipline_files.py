"""The SQLite files inside a Zipline bundle, read in place: assets with their symbols, and adjustments.

Nothing is written, neither to them nor beside them. Their columns changed from version to version; those that are there are read.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rustybt.data.bundles.metadata_store.memory_copy import in_memory_copy, is_half_written, log_of
from rustybt.data.bundles.zipline_layout import HALF_WRITTEN
from rustybt.errors import BadResponseError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_ASSETS = re.compile(r"assets-(\d{1,4})\.sqlite")
_EVENTS = {
    "splits": ("sid", "effective_date", "ratio"),
    "mergers": ("sid", "effective_date", "ratio"),
    "dividend_payouts": ("sid", "ex_date", "declared_date", "record_date", "pay_date", "amount"),
    "stock_dividend_payouts": (
        "sid",
        "ex_date",
        "declared_date",
        "record_date",
        "pay_date",
        "payment_sid",
        "ratio",
    ),
}


@dataclass(frozen=True, slots=True)
class ZiplineName:
    """One symbol of an equity; `first` and `last` are nanoseconds since 1970 UTC, both included."""

    symbol: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ZiplineEquity:
    """One equity of Zipline's asset database.

    Parameters
    ----------
    names
        Its symbols, the one that it had last at the end; empty where the file knows none.
    first, last
        Nanoseconds since 1970 UTC, both included.
    exchange, market, country
        The exchange as Zipline names it, its canonical name and its country's code; empty where unknown.
    """

    sid: int
    names: tuple[ZiplineName, ...]
    long_name: str
    first: int
    last: int
    exchange: str
    market: str
    country: str


@dataclass(frozen=True, slots=True)
class ZiplineAssets:
    """What an asset database holds.

    Parameters
    ----------
    equities
        By sid.
    futures
        How many contracts it has beside them.
    """

    equities: Mapping[int, ZiplineEquity]
    futures: int


@dataclass(frozen=True, slots=True)
class ZiplineEvents:
    """The rows of an adjustments database, each with the columns of its table; days are Unix seconds, None where missing."""

    splits: tuple[Mapping[str, Any], ...] = ()
    mergers: tuple[Mapping[str, Any], ...] = ()
    dividends: tuple[Mapping[str, Any], ...] = ()
    stock_dividends: tuple[Mapping[str, Any], ...] = ()


def find_assets_file(folder: Path) -> Path | None:
    """Return the asset database of the newest version in an ingestion's folder, None where there is none."""
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := _ASSETS.fullmatch(path.name))]
    return max(found)[1] if found else None


def read_assets(path: Path) -> ZiplineAssets:
    """Read the equities of an asset database, ``assets-N.sqlite``.

    Raises
    ------
    BadResponseError
        It is no readable asset database.
    """
    with _opened(path) as connection:
        has = _columns(connection, "equities")
        if "sid" not in has:
            raise BadResponseError(f"{path} has no table of equities", hint=HALF_WRITTEN, file=str(path))
        mapped = _rows(connection, "equity_symbol_mappings", ("sid", "symbol", "start_date", "end_date"))
        wanted = ("sid", "symbol", "asset_name", "start_date", "end_date", "exchange", "exchange_full")
        equities = _rows(connection, "equities", wanted)
        exchanges = {
            row["exchange"]: row
            for row in _rows(connection, "exchanges", ("exchange", "canonical_name", "country_code"))
        }
        futures = _count(connection, "futures_contracts")
    names: dict[int, list[ZiplineName]] = {}
    for row in mapped:
        names.setdefault(row["sid"], []).append(_name(row))
    found = {}
    for row in equities:
        # Until version 5 an equity had one symbol, in its own row.
        own = names.get(row["sid"]) or ([_name(row)] if row["symbol"] else [])
        exchange = exchanges.get(row["exchange"], {})
        found[row["sid"]] = ZiplineEquity(
            sid=row["sid"],
            names=tuple(sorted((name for name in own if name.symbol), key=lambda name: (name.last, name.first))),
            long_name=str(row["asset_name"] or ""),
            first=row["start_date"] or 0,
            last=row["end_date"] or 0,
            exchange=str(row["exchange"] or row["exchange_full"] or ""),
            market=str(exchange.get("canonical_name") or ""),
            country=str(exchange.get("country_code") or "").replace("??", ""),
        )
    return ZiplineAssets(dict(sorted(found.items())), futures)


def read_events(path: Path) -> ZiplineEvents:
    """Read splits, mergers, dividends and stock dividends of ``adjustments.sqlite``.

    The table ``dividends`` holds ratios that Zipline computed from the payouts, and is not read.

    Raises
    ------
    BadResponseError
        It is no readable adjustments database.
    """
    with _opened(path) as connection:
        tables = {name: tuple(_rows(connection, name, wanted)) for name, wanted in _EVENTS.items()}
    return ZiplineEvents(
        tables["splits"], tables["mergers"], tables["dividend_payouts"], tables["stock_dividend_payouts"]
    )


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection that writes nothing where the file lies; its errors are told with the file's name."""
    try:
        with closing(_connected(path.resolve())) as connection:
            connection.row_factory = sqlite3.Row
            yield connection
    except sqlite3.Error as error:
        raise _unreadable(path, f"cannot be read as SQLite: {error}") from error
    except (OSError, StorageError) as error:
        raise _unreadable(path, f"cannot be read: {error}") from error


def _connected(path: Path) -> sqlite3.Connection:
    """Return a connection to the file itself, which SQLite takes for unchangeable, or to a copy where it has a log."""
    if is_half_written(path):
        raise _unreadable(path, "was left in the middle of a write")
    if not log_of(path).exists():
        return sqlite3.connect(f"file:{quote(os.fsencode(path.as_posix()))}?mode=ro&immutable=1", uri=True)
    copy = in_memory_copy(path)
    if copy is None:
        raise _unreadable(path, "is being written to all the time")
    return copy


def _unreadable(path: Path, said: str) -> BadResponseError:
    return BadResponseError(f"{path} {said}", hint=HALF_WRITTEN, file=str(path))


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row["name"] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]


def _rows(connection: sqlite3.Connection, table: str, wanted: Sequence[str]) -> list[dict[str, Any]]:
    """Return the wanted columns of every row, None for one that the table has not; no row where there is no table.

    The key columns are whole numbers, or the file is refused: SQLite itself lets anything into any column.
    """
    has = _columns(connection, table)
    named = [name for name in wanted if name in has]
    if "sid" in wanted and has and "sid" not in has:
        raise sqlite3.DatabaseError(f"the table {table} has no column sid")
    if not named:
        return []
    text = f"SELECT {', '.join(named)} FROM {table} ORDER BY {named[0]}"  # noqa: S608 - names of this module alone
    rows = [dict.fromkeys(wanted) | dict(row) for row in connection.execute(text)]
    for row in rows:
        for name, value in row.items():
            if (name == "sid" or name.endswith(("_date", "_sid"))) and not isinstance(value, int | None):
                raise sqlite3.DatabaseError(f"the table {table} has {name}={value!r}")
        if "sid" in row and row["sid"] is None:
            raise sqlite3.DatabaseError(f"the table {table} has a row without sid")
    return rows


def _count(connection: sqlite3.Connection, table: str) -> int:
    if not _columns(connection, table):
        return 0
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - as above


def _name(row: Mapping[str, Any]) -> ZiplineName:
    return ZiplineName(str(row["symbol"] or "").strip(), row["start_date"] or 0, row["end_date"] or 0)

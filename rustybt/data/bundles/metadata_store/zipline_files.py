"""The SQLite files inside a Zipline bundle, read in place: assets with their symbols, and adjustments.

Nothing is written, neither to them nor beside them. Their columns changed from version to version; those that are there are read.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rustybt.errors import BadResponseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ASSETS = re.compile(r"assets-(\d{1,4})\.sqlite")
#: Beside a database that was not closed; opening it where it lies would write.
_LEFTOVERS = ("-wal", "-journal")
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
            raise BadResponseError(f"{path} has no table of equities", hint=_hint(path), file=str(path))
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
        with tempfile.TemporaryDirectory(prefix="rustybt-") as scratch:
            leftovers = [beside for end in _LEFTOVERS if (beside := Path(f"{path}{end}")).is_file()]
            address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
            if leftovers:
                for part in (path, *leftovers):
                    shutil.copyfile(part, Path(scratch) / part.name)
                address = f"file:{quote(str(Path(scratch) / path.name))}"
            with closing(sqlite3.connect(address, uri=True)) as connection:
                connection.row_factory = sqlite3.Row
                yield connection
    except sqlite3.Error as error:
        raise BadResponseError(f"{path} cannot be read as SQLite: {error}", hint=_hint(path), file=str(path)) from error
    except OSError as error:
        raise BadResponseError(
            f"{path} cannot be read: {error.strerror or error}", hint=_hint(path), file=str(path)
        ) from error


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


def _hint(path: Path) -> str:
    return (
        f"the ingestion {path.parent.name} may be half-written: zipline ingest again, or --timestamp for an older one"
    )

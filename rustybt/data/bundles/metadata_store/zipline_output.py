"""New SQLite files as zipline-reloaded 3.x reads them: the assets database and the adjustments of one ingestion.

Rows come in the order in which they are written; the same rows make the same bytes.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from rustybt.data.bundles.zipline_layout import ADJUSTMENTS_FILE
from rustybt.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: Version of the assets database that zipline-reloaded 3.x reads; it is part of the file's name.
ASSETS_VERSION = 7
ASSETS_FILE = f"assets-{ASSETS_VERSION}.sqlite"
#: What Zipline stores of a date that is not known.
NO_DATE = -(2**63)


class ExchangeRow(NamedTuple):
    """An exchange with the ISO 3166 code of its country."""

    exchange: str
    canonical_name: str
    country_code: str


class EquityRow(NamedTuple):
    """An equity; dates are nanoseconds since 1970 UTC."""

    sid: int
    asset_name: str | None
    start_date: int
    end_date: int
    first_traded: int
    auto_close_date: int
    exchange: str


class MappingRow(NamedTuple):
    """A name of an equity; dates are nanoseconds since 1970 UTC, both included."""

    sid: int
    symbol: str
    company_symbol: str
    share_class_symbol: str
    start_date: int
    end_date: int


class RatioRow(NamedTuple):
    """What prices before a day (seconds since 1970 UTC) are multiplied by."""

    effective_date: int
    ratio: float
    sid: int


class PayoutRow(NamedTuple):
    """A cash dividend; dates are seconds since 1970 UTC, or `NO_DATE`."""

    sid: int
    ex_date: int
    declared_date: int
    record_date: int
    pay_date: int
    amount: float


class StockPayoutRow(NamedTuple):
    """A dividend in shares, `ratio` of them for one held; dates as in `PayoutRow`."""

    sid: int
    ex_date: int
    declared_date: int
    record_date: int
    pay_date: int
    payment_sid: int
    ratio: float


_ASSET_TABLES = (
    (
        "CREATE TABLE exchanges (exchange TEXT NOT NULL PRIMARY KEY UNIQUE, canonical_name TEXT NOT NULL, "
        "country_code TEXT NOT NULL)"
    ),
    (
        "CREATE TABLE equities (sid BIGINT NOT NULL PRIMARY KEY UNIQUE, asset_name TEXT, start_date BIGINT NOT NULL, "
        "end_date BIGINT NOT NULL, first_traded BIGINT, auto_close_date BIGINT, exchange TEXT REFERENCES exchanges (exchange))"
    ),
    (
        "CREATE TABLE equity_symbol_mappings (id BIGINT NOT NULL PRIMARY KEY UNIQUE, sid BIGINT NOT NULL REFERENCES equities "
        "(sid), symbol TEXT NOT NULL, company_symbol TEXT, share_class_symbol TEXT, start_date BIGINT NOT NULL, "
        "end_date BIGINT NOT NULL)"
    ),
    "CREATE INDEX ix_equity_symbol_mappings_sid ON equity_symbol_mappings (sid)",
    "CREATE INDEX ix_equity_symbol_mappings_company_symbol ON equity_symbol_mappings (company_symbol)",
    (
        "CREATE TABLE equity_supplementary_mappings (sid BIGINT NOT NULL REFERENCES equities (sid), field TEXT NOT NULL, "
        "start_date BIGINT NOT NULL, end_date BIGINT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (sid, field, start_date))"
    ),
    (
        "CREATE TABLE futures_root_symbols (root_symbol TEXT NOT NULL PRIMARY KEY UNIQUE, root_symbol_id BIGINT, sector TEXT, "
        "description TEXT, exchange TEXT REFERENCES exchanges (exchange))"
    ),
    (
        "CREATE TABLE futures_contracts (sid BIGINT NOT NULL PRIMARY KEY UNIQUE, symbol TEXT UNIQUE, root_symbol TEXT REFERENCES "
        "futures_root_symbols (root_symbol), asset_name TEXT, start_date BIGINT NOT NULL, end_date BIGINT NOT NULL, "
        "first_traded BIGINT, exchange TEXT REFERENCES exchanges (exchange), notice_date BIGINT NOT NULL, expiration_date BIGINT "
        "NOT NULL, auto_close_date BIGINT NOT NULL, multiplier FLOAT, tick_size FLOAT)"
    ),
    "CREATE INDEX ix_futures_contracts_symbol ON futures_contracts (symbol)",
    "CREATE INDEX ix_futures_contracts_root_symbol ON futures_contracts (root_symbol)",
    "CREATE TABLE asset_router (sid BIGINT NOT NULL PRIMARY KEY UNIQUE, asset_type TEXT)",
    "CREATE TABLE version_info (id INTEGER NOT NULL PRIMARY KEY, version INTEGER NOT NULL UNIQUE, CHECK (id <= 1))",
)
_RATIO_TABLES = ("splits", "mergers", "dividends")
_PAYOUT_DATES = ("ex_date", "declared_date", "record_date", "pay_date")


def write_assets(
    folder: Path, exchanges: Sequence[ExchangeRow], equities: Sequence[EquityRow], mappings: Sequence[MappingRow]
) -> Path:
    """Write a new assets database into `folder` and return its path.

    Raises
    ------
    StorageError
        SQLite could not write it, e.g. because the disk is full.
    """
    path = folder / ASSETS_FILE
    with _new_database(path) as connection:
        for statement in _ASSET_TABLES:
            connection.execute(statement)
        connection.execute("INSERT INTO version_info (id, version) VALUES (1, ?)", (ASSETS_VERSION,))
        _insert(connection, "exchanges", ExchangeRow._fields, exchanges)
        _insert(connection, "equities", EquityRow._fields, equities)
        _insert(connection, "equity_symbol_mappings", ("id", *MappingRow._fields), _numbered(mappings))
        _insert(connection, "asset_router", ("sid", "asset_type"), [(row.sid, "equity") for row in equities])
    return path


def write_adjustments(
    folder: Path,
    splits: Sequence[RatioRow],
    dividends: Sequence[RatioRow],
    payouts: Sequence[PayoutRow],
    stock_payouts: Sequence[StockPayoutRow],
) -> Path:
    """Write a new database of adjustments into `folder` and return its path; its table of mergers stays empty.

    Raises
    ------
    StorageError
        SQLite could not write it, e.g. because the disk is full.
    """
    path = folder / ADJUSTMENTS_FILE
    with _new_database(path) as connection:
        for table in _RATIO_TABLES:
            connection.execute(
                f'CREATE TABLE {table} ("index" INTEGER, effective_date INTEGER, ratio REAL, sid INTEGER)'
            )
            connection.execute(f"CREATE INDEX {table}_sids ON {table} (sid)")
            connection.execute(f"CREATE INDEX {table}_effective_date ON {table} (effective_date)")
        dates = ", ".join(f"{name} INTEGER" for name in _PAYOUT_DATES)
        for table, more in (
            ("dividend_payouts", "amount REAL"),
            ("stock_dividend_payouts", "payment_sid INTEGER, ratio REAL"),
        ):
            connection.execute(f'CREATE TABLE {table} ("index" INTEGER, sid INTEGER, {dates}, {more})')
            connection.execute(f"CREATE INDEX {table}_sid ON {table} (sid)")
            connection.execute(f"CREATE INDEX {table}_ex_date ON {table} (ex_date)")
        for table, rows in (("splits", splits), ("dividends", dividends)):
            _insert(connection, table, ('"index"', *RatioRow._fields), _numbered(rows))
        _insert(connection, "dividend_payouts", ('"index"', *PayoutRow._fields), _numbered(payouts))
        _insert(connection, "stock_dividend_payouts", ('"index"', *StockPayoutRow._fields), _numbered(stock_payouts))
    return path


@contextmanager
def _new_database(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            # Nobody else sees the file before it is whole, and nothing is kept of it if it fails.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        raise StorageError(
            f"cannot write {path}: {error}", hint="free some space, or choose another --output", path=str(path)
        ) from error


def _numbered(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(number, *row) for number, row in enumerate(rows)]


def _insert(
    connection: sqlite3.Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    marks = ", ".join("?" * len(columns))
    # Names come from this module alone.
    connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608

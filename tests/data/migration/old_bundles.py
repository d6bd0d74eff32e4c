"""Bundles as the first design's writers left them: Parquet below a folder, in whatever shape a test asks for."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq

JANUARY = "daily_bars/year=2023/month=01/data.parquet"
FEBRUARY = "daily_bars/year=2023/month=02/data.parquet"
MINUTES = "minute_bars/year=2023/month=01/day=03/data.parquet"
OLD_DECIMAL = pa.decimal128(18, 8)


def bar(day, symbol, close, volume="100"):
    """Return one row around `close`: the high is one above it, the low one below."""
    price = Decimal(close)
    return {
        "date": day if isinstance(day, date) else date.fromisoformat(day),
        "symbol": symbol,
        "open": price,
        "high": price + 1,
        "low": price - 1,
        "close": price,
        "volume": Decimal(volume),
    }


def write(path, rows, types=None, **columns):
    """Write rows (dicts of one shape) as Parquet; `types` and `columns` replace what would be made of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = dict.fromkeys(("open", "high", "low", "close", "volume"), OLD_DECIMAL) | (types or {})
    names = list(rows[0]) if rows else ["date", "symbol", *("open", "high", "low", "close", "volume")]
    kinds = {"date": pa.date32(), "symbol": pa.string()} | kinds
    made = {name: pa.array([row[name] for row in rows], type=kinds.get(name)) for name in names}
    pq.write_table(pa.table(made | columns), path)
    return sha256(path)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rows_of(batches):
    """Return {(symbol, stamp): the five values} of deliveries; a key that comes twice must come with the same values."""
    found = {}
    for batch in batches:
        for row in batch.bars.iter_rows(named=True):
            key = (row["symbol"], row["timestamp"])
            values = tuple(row[name] for name in ("open", "high", "low", "close", "volume"))
            assert found.setdefault(key, values) == values
    return found


def closes_of(batches):
    """Return {(symbol, stamp): close} of deliveries."""
    return {key: values[3] for key, values in rows_of(batches).items()}

"""Parquet files as the old writer left them, with plain pyarrow: ``daily_bars/year=YYYY/month=MM/data.parquet``."""

import hashlib
import random
from datetime import date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq

#: From before the American and Berlin clocks go forward to after Auckland's go back; no holiday of New York inside.
FIRST, LAST = date(2023, 3, 1), date(2023, 4, 6)
_NUMBER = pa.decimal128(18, 8)
_VALUES = ("open", "high", "low", "close", "volume")


def days(every_day=False):
    """Return the trading days of the range: weekdays, or all of them for a market that never closes."""
    span = [FIRST + timedelta(days=at) for at in range((LAST - FIRST).days + 1)]
    return [day for day in span if every_day or day.weekday() < 5]


def minutes(day, count):
    """Return the first minutes of a session of New York, UTC without a zone, as the old writer kept them."""
    opened = datetime(day.year, day.month, day.day, 14, 30) if day < date(2023, 3, 12) else None
    opened = opened or datetime(day.year, day.month, day.day, 13, 30)
    return [opened + timedelta(minutes=at) for at in range(count)]


def rows_of(names, stamps, seed):
    """Return (stamp, name, open, high, low, close, volume) by stamp and name: a quiet walk in cents."""
    chance, found = random.Random(seed), []
    for at, name in enumerate(names):
        cents = 10_000 + 100 * at
        for stamp in stamps:
            opened = cents
            cents += chance.randint(-40, 40)
            high, low = max(opened, cents) + chance.randint(0, 20), min(opened, cents) - chance.randint(0, 20)
            prices = [Decimal(value).scaleb(-2) for value in (opened, high, low, cents)]
            found.append((stamp, name, *prices, Decimal(chance.randint(1_000, 9_000_000)) / 8))
    return sorted(found, key=lambda row: (row[0], row[1]))


def write_bars(path, rows, *, label="date", key="symbol"):
    """Write rows to one file; return its SHA-256."""
    kind = {"date": pa.date32(), "timestamp": pa.timestamp("us")}[label]
    columns = list(zip(*rows, strict=True))
    arrays = [pa.array(columns[0], kind), pa.array(columns[1], pa.int64() if key == "sid" else pa.string())]
    arrays += [pa.array([value.quantize(Decimal("1e-8")) for value in column], _NUMBER) for column in columns[2:]]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays, names=[label, key, *_VALUES]), path, compression="zstd")
    return sha256(path)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def daily_path(day=FIRST):
    return f"daily_bars/year={day.year}/month={day.month:02d}/data.parquet"


def minute_path(day=FIRST):
    return f"minute_bars/year={day.year}/month={day.month:02d}/day={day.day:02d}/data.parquet"

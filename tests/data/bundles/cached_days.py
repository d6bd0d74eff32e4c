"""A cache filled by hand: days of symbols, saved as an answer of some source would be."""

from datetime import UTC, datetime, timedelta

from rustybt.data.bundles.cache_store import HERE, Addition, CacheStore
from rustybt.data.bundles.metadata_store.cache import DatasetRow
from rustybt.data.cache.coverage import Reason, Segment
from rustybt.data.cache.series import SeriesFacts
from rustybt.testing.bars import frame_of_bars

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000
NAME = "cache-" + "a" * 24
#: Unix seconds of the first fetch: May 2024.
FETCHED = 1_714_521_600.0


class Clock:
    """Tells the time that it was set to."""

    def __init__(self, now=FETCHED):
        self.now = now

    def __call__(self):
        return self.now


def us(day):
    return int(FIRST.timestamp() * 1_000_000) + day * DAY


def bars_of(symbols, first=0, count=10, price=None):
    """Return daily bars; each has a price of its own unless `price` is given."""
    return frame_of_bars(
        (s, FIRST + timedelta(days=first + n), price or f"{100 + at}.{(first + n) * 7919 % 9973:04d}")
        for at, s in enumerate(symbols)
        for n in range(count)
    )


def covered(first, count, reason=Reason.PRESENT, at=FETCHED, key=HERE):
    return Segment(us(first), us(first + count) - 1, reason, at, key if reason is not Reason.CONFIRMED_EMPTY else "")


def row_of(cache, name=NAME, source="vendor"):
    return DatasetRow(name, cache.place.text, source, "1d", f'{{"source": "{source}"}}', 0)


def dataset_of(cache, name=NAME, source="vendor"):
    return cache.dataset(row_of(cache, name, source))


def save(dataset, symbols, first=0, count=10, price=None, at=FETCHED, facts=None, revisions=()):
    """Save whole days of symbols and return what `CachedDataset.save` does."""
    additions = [
        Addition(s, (covered(first, count, at=at),), facts or SeriesFacts(), tuple(revisions)) for s in symbols
    ]
    return dataset.save(additions, bars_of(symbols, first, count, price))


def read(dataset, symbols, first=0, count=10):
    """Return what is covered of the days, after a fresh look."""
    dataset.ledger.refresh()
    held = dataset.ledger.series(symbols)
    start, end = us(first), us(first + count) - 1
    return dataset.read(
        {
            s: [x.clipped(start, end) for x in series.segments if x.file_key and x.start <= end and start <= x.end]
            for s, series in held.items()
        }
    )


def reasons(dataset, symbol):
    """Return (first day, last day, reason) of each segment, after a fresh look."""
    dataset.ledger.refresh()
    series = dataset.ledger.series([symbol]).get(symbol)
    return [
        ((s.start - us(0)) // DAY, (s.end + 1 - us(0)) // DAY - 1, s.reason.value)
        for s in (() if series is None else series.segments)
    ]


def files_on_disk(cache):
    return sorted(cache.place.root.glob("*/*.parquet"))


def bytes_on_disk(cache):
    return sum(path.stat().st_size for path in files_on_disk(cache))


def cache_of(store, cache_dir=None, max_size_bytes=10**9):
    return CacheStore(store, cache_dir, max_size_bytes)

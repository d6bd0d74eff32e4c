"""The coverage of one dataset, held in memory as long as the database says that it is still true."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from rustybt.data.bundles.cache_store.file_keys import checked
from rustybt.data.bundles.metadata_store import cache as sql
from rustybt.data.cache.series import Series, SeriesFacts, decode_segments, encode_segments, seal
from rustybt.errors import CorruptBundleError
from rustybt.logging import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rustybt.data.bundles.metadata_store.cache import SeriesRow
    from rustybt.data.bundles.metadata_store.database import Connection, Database
    from rustybt.data.bundles.records import FileRecord

logger = get_logger(__name__)


class Ledger:
    """What one dataset covers.

    One look at the dataset's generation tells whether anything changed; what changed is read again, the rest is kept.

    Parameters
    ----------
    name
        Of the dataset.
    """

    def __init__(self, database: Database, name: str) -> None:
        self._database = database
        self._name = name
        self._mutex = threading.Lock()
        #: When the dataset was made, and its generation: one that was made again counts from the beginning.
        self._state: tuple[int, int] | None = None
        #: Of the database when it was looked at last.
        self._pulse: tuple[int, int] | None = None
        self._series: dict[str, Series] = {}
        self._files: dict[str, FileRecord] = {}

    def refresh(self) -> None:
        """Read what changed since the last look.

        Raises
        ------
        CorruptBundleError, StorageError
            The database cannot be read.
        """
        if not self._database.exists():
            with self._mutex:
                self._forget()
            return
        pulse = self._database.pulse()
        if pulse == self._pulse:
            return
        with self._database.read() as connection:
            if sql.state_of(connection, self._name) == self._state:
                self._pulse = pulse
                return
        with self._mutex, self._database.read(snapshot=True) as connection:
            found = sql.state_of(connection, self._name)
            if found is not None and not all(isinstance(part, int) for part in found):
                raise CorruptBundleError(f"the row of dataset {self._name} of the cache is damaged", bundle=self._name)
            known = self._state
            if found is None or known is None or found[0] != known[0] or found[1] < known[1]:
                self._forget()
            if found is None:
                self._pulse = pulse
                return
            series = dict(self._series)
            files = {f.file_key: checked(self._name, f) for f in sql.load_files(connection, self._name)}
            for row in sql.changed_series(connection, self._name, -1 if self._state is None else self._state[1]):
                series[row.symbol] = _with_files(decode(self._name, row), files)
            self._series, self._files, self._state = series, files, found
            self._pulse = pulse

    def _forget(self) -> None:
        self._state = self._pulse = None
        self._series, self._files = {}, {}

    def series(self, symbols: Iterable[str]) -> dict[str, Series]:
        """Return the known ones of some symbols, as of the last `refresh`."""
        held = self._series
        return {symbol: held[symbol] for symbol in symbols if symbol in held}

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of which anything is covered, sorted."""
        return tuple(sorted(symbol for symbol, series in self._series.items() if series.segments))

    @property
    def files(self) -> Mapping[str, FileRecord]:
        """Files by key, as of the last `refresh`."""
        return self._files


def _with_files(series: Series, files: Mapping[str, FileRecord]) -> Series:
    """Return a series without what lies in files that have no row: of these bars nothing is known."""
    left = tuple(s for s in series.segments if not s.file_key or s.file_key in files)
    return series if len(left) == len(series.segments) else series.left_with(left)


def load(connection: Connection, name: str, symbols: Sequence[str] | None = None) -> dict[str, Series]:
    """Return series as they are in the database, inside the caller's transaction."""
    return {row.symbol: decode(name, row) for row in sql.load_series(connection, name, symbols)}


def save(connection: Connection, name: str, series: Iterable[Series], now: int) -> None:
    """Write series and raise the generation."""
    generation = sql.next_generation(connection, name, now)
    sql.save_series(connection, name, generation, (encode(name, item) for item in series))


def forget_files(connection: Connection, name: str, keys: set[str], now: int) -> None:
    """Let series know nothing any more of what lies in files, and raise the generation.

    As `Series.left_with` has it, but on the stored texts: a thousand series are rewritten at once when room is made.
    """
    changed = []
    for row in sql.load_series(connection, name):
        if not _is_sealed(name, row):
            changed.append(encode(name, decode(name, row)))
            continue
        held = json.loads(row.segments)
        left = [segment for segment in held if segment[-1] not in keys]
        if len(left) == len(held):
            continue
        segments = json.dumps(left)
        facts = row.facts
        if not left:
            told = json.loads(row.facts)
            facts = _text({**told, "told_from": None, "told_until": None})
        changed.append(sql.SeriesRow(row.symbol, facts, segments, seal(name, row.symbol, facts, segments)))
    sql.save_series(connection, name, sql.next_generation(connection, name, now), changed)


def encode(dataset: str, series: Series) -> SeriesRow:
    """Return the row of a series."""
    facts = _text(series.facts.to_json())
    segments = encode_segments(series.segments)
    return sql.SeriesRow(series.symbol, facts, segments, seal(dataset, series.symbol, facts, segments))


def decode(dataset: str, row: SeriesRow) -> Series:
    """Return the series of a row; of a row that is not what was written, nothing is known."""
    if not _is_sealed(dataset, row):
        logger.warning(
            "cache_series_dropped", dataset=dataset, symbol=row.symbol, reason="not the bytes that were written"
        )
        return Series(row.symbol)
    return Series(row.symbol, decode_segments(row.segments), SeriesFacts.from_json(json.loads(row.facts)))


def _is_sealed(dataset: str, row: SeriesRow) -> bool:
    return seal(dataset, row.symbol, row.facts, row.segments) == row.seal


def _text(facts: dict[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=False, sort_keys=True)

"""An ingest from a vendor as a job: what is finished is kept at once, and the same command goes on after an interruption."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from filelock import FileLock, Timeout

from rustybt.data.bundles.metadata_store.database import INTERNAL_FOLDER
from rustybt.data.bundles.storage import LocalStorage
from rustybt.data.bundles.storage.local import translated
from rustybt.data.sources import bridge
from rustybt.data.sources.ingest.journal import Journal
from rustybt.errors import RequestError, SourceError, StorageError
from rustybt.market.action_history import no_longer_told
from rustybt.market.frequency import DAILY
from rustybt.market.request import BarRequest, to_date

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from rustybt.data.sources.base import DataSource, Progress
    from rustybt.data.sources.delivery import Delivery
    from rustybt.market.corporate_actions import CorporateAction

FOLDER = f"{INTERNAL_FOLDER}/ingests"
#: A job goes on with the end that it began with for so long; later its bars would be missing the newest ones.
RESUMED_FOR_SECONDS = 24 * 3600
#: What no command came back for is removed by a later ingest.
KEPT_FOR_SECONDS = 7 * 24 * 3600
_FACTS = "job.json"
#: A day begins in the last time zone so long after it began at Greenwich.
_LATEST_DAY_SECONDS = 12 * 3600


class IngestJob:
    """Fetches what one command asks for into a journal; use it as a context manager.

    The command is known by what it asks: source, options, bundle, frequency, range and symbols. One process at a time
    works on it, another one waits.

    Parameters
    ----------
    asked
        As the user asked, open sides open.
    starts
        Where single symbols begin instead, microseconds UTC.
    now
        Unix seconds.
    """

    def __init__(
        self,
        source: DataSource,
        asked: BarRequest,
        bundle_name: str,
        home: Path,
        *,
        now: float,
        starts: Mapping[str, int] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.source = source
        self._asked = asked
        self._home = home
        self._now = now
        self._starts = dict(starts or {})
        self._progress = progress
        self.request = source.resolve(asked)
        self._key = self._key_of(bundle_name)
        self._storage = LocalStorage(home)
        self._lock = FileLock(home / FOLDER / f"{self._key}.lock")
        self.journal: Journal
        #: Symbols that failed, with the reason; a run starts without any.
        self.failures: dict[str, SourceError] = {}
        self.symbols: tuple[str, ...] = ()
        self._whole_starts: dict[str, int] = {}
        #: How many symbols an earlier run had finished.
        self.resumed_count = 0
        #: When the oldest of its bars were fetched, Unix seconds; those of a resumed job are as old as the job.
        self.began = now
        #: Events of symbols between the last answer that the bundle has and the start asked for now.
        self.missed: dict[str, tuple[CorporateAction, ...]] = {}
        #: Symbols whose delivery is all that there is of them now, though they were not asked for once more.
        self.complete: set[str] = set()

    def _key_of(self, bundle_name: str) -> str:
        asked = [
            self.source.name,
            self.source.options(),
            bundle_name.casefold(),
            self._asked.frequency.name,
            self._asked.start,
            self._asked.end,
            sorted(self.request.symbols),
            sorted(self._starts.items()),
        ]
        return hashlib.sha256(json.dumps(asked, default=str, sort_keys=True).encode()).hexdigest()[:32]

    # -- its place ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._take()
        try:
            self._sweep()
            self._resume_or_begin()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.journal.settle()
        finally:
            self._lock.release()
        if isinstance(error, KeyboardInterrupt) and not error.args:
            raise KeyboardInterrupt(self._last_words()) from None

    def _last_words(self) -> str:
        count = self.journal.kept_count
        if not count:
            return "interrupted before any symbol was finished"
        symbols = "1 finished symbol" if count == 1 else f"{count:,} finished symbols"
        return f"interrupted; kept {symbols}, the same command goes on from there"

    def _take(self) -> None:
        folder = self._home / FOLDER
        with translated("lock", folder):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                if self._progress is not None:
                    self._progress("fetch waiting: another process runs the same ingest", 0, 0)
                self._lock.acquire()

    def _resume_or_begin(self) -> None:
        path = self._home / FOLDER / self._key
        facts = self._read_facts(path)
        if facts is None:
            _remove(path)
            with suppress(StorageError):  # the journal will say so when it is refused as well
                self._storage.put_new(
                    f"{FOLDER}/{self._key}/{_FACTS}", _sealed({"began": self._now, "end": self.request.end})
                )
        else:
            self.began = facts["began"]
            if self._asked.end is None and facts["end"] is not None:
                # Only what is left open moves with time; the start follows the end that the job began with.
                self.request = self.source.resolve(replace(self._asked, end=facts["end"]))
        self.journal = Journal(self._home, f"{FOLDER}/{self._key}")

    def _read_facts(self, path: Path) -> dict[str, Any] | None:
        """Return what the earlier run noted, None if there was none, it is too old, or its note is damaged."""
        if path.is_symlink():
            return None  # not ours: what it points to is left alone
        try:
            facts = _unsealed((path / _FACTS).read_bytes())
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return facts if abs(self._now - facts["began"]) < RESUMED_FOR_SECONDS else None

    def _sweep(self) -> None:
        """Remove journals, and the locks of jobs, that nobody came back for."""
        folder = self._home / FOLDER
        for lock_path in folder.glob("*.lock"):
            path = lock_path.with_suffix("")
            if path.name == self._key:
                continue
            with suppress(OSError, Timeout):
                held = [item for item in (lock_path, path, *path.glob("*")) if item.exists()]
                if self._now - max(item.stat().st_mtime for item in held) > KEPT_FOR_SECONDS:
                    with FileLock(lock_path).acquire(timeout=0):
                        _remove(path)
                        # While it is held: who waits for it sees that it guards no name any more, and makes it anew.
                        lock_path.unlink(missing_ok=True)

    # -- fetching ----------------------------------------------------------------------------------------------------

    def fetch(self) -> None:
        """Fetch every symbol that is not finished yet.

        Raises
        ------
        SourceError
            The vendor delivers nothing at all, and no earlier run did.
        """
        self.symbols = self.request.symbols or tuple(self.source.list_symbols())
        if not self.symbols:
            raise RequestError(f"source {self.source.name} lists no symbols", hint="name them: --symbols AAPL,MSFT")
        finished = self.journal.symbols
        rest = tuple(symbol for symbol in self.symbols if symbol not in finished)
        self.resumed_count = len(self.symbols) - len(rest)
        starts = {symbol: start for symbol, start in self._starts.items() if symbol in set(rest)}
        self._ask(replace(self.request, symbols=rest), starts, done=self.resumed_count, is_whole=False)

    def fetch_whole(self, starts: Mapping[str, int], end: int) -> None:
        """Fetch whole series anew, each from its own start (microseconds UTC) to `end`; failures join the others."""
        self._whole_starts.update(starts)
        last = end if self.request.end is None else max(end, self.request.end)
        request = replace(self.request, symbols=tuple(sorted(starts)), end=last)
        self._ask(request, dict(starts), done=0, is_whole=True)

    def ask_missed(self, since: Mapping[str, int]) -> None:
        """Ask what happened to finished symbols from a day (microseconds UTC) until today: events only, no bars are kept.

        An answer names the events from its own start on. A split between two ranges that do not touch would go unnoticed,
        and the bars before it would stay on the old basis. A symbol of which this cannot be learned fails.
        """
        if not since:
            return
        asked = BarRequest(tuple(sorted(since)), min(since.values()), None, DAILY)
        try:
            answers = self.source.answers(asked, None, starts=dict(since))
            for delivery in () if answers is None else bridge.iterate(answers):
                self.failures.update(delivery.failures)
                for symbol in since.keys() - delivery.failures.keys():
                    found = tuple(action for action in delivery.actions if action.symbol == symbol)
                    self.missed[symbol] = (*self.missed.get(symbol, ()), *found)
        except (SourceError, RequestError) as error:
            kind = error if isinstance(error, SourceError) else SourceError(error.message, hint=error.hint)
            self.failures.update(dict.fromkeys(since, kind))

    def start_of(self, symbol: str) -> int | None:
        """Return from where a symbol was asked for, microseconds UTC; None for all that there is."""
        begin = self._starts.get(symbol, self.request.start)
        whole = self._whole_starts.get(symbol)
        return begin if whole is None or begin is None else min(begin, whole)

    @property
    def whole(self) -> frozenset[str]:
        """Symbols of which all that there is was delivered: nothing stored of their series stays beside it."""
        return self.journal.whole | self.complete

    def forget(self, symbols: Iterable[str]) -> None:
        """Ask for finished symbols again: the bundle has had a newer answer since."""
        self.journal.forget(symbols)

    def _ask(self, request: BarRequest, starts: dict[str, int], *, done: int, is_whole: bool) -> None:
        if not request.symbols:
            return
        answered: set[str] = set()
        progress = None if self._progress is None else _shifted(self._progress, done)
        try:
            answers = self.source.answers(request, progress, starts=starts)
            if answers is None:
                raise RequestError(f"source {self.source.name} answers nothing")
            for delivery in bridge.iterate(answers):
                self.failures.update(delivery.failures)
                answered.update(delivery.failures)
                answered.update(self.journal.add(delivery, is_whole=is_whole))
                if delivery.fetched_at is not None:
                    self.began = min(self.began, delivery.fetched_at)
        except SourceError as error:
            if not self.journal.symbols:
                raise
            self.failures.update({symbol: error for symbol in request.symbols if symbol not in answered})

    def taken_back(self, known: Iterable[CorporateAction], symbol: str, delivery: Delivery) -> list[CorporateAction]:
        """Return what ends those of the `known` events that the source told of a symbol once and does not name any more."""
        start = self.start_of(symbol)
        if not delivery.tells_all_events or start is None:
            return []
        return no_longer_told(
            known,
            delivery.actions,
            symbol=symbol,
            source=self.source.name,
            first=to_date(start),
            # At midnight UTC it is still yesterday in New York: a vendor there does not tell of today's events yet.
            last=to_date(int((self.began - _LATEST_DAY_SECONDS) * 1_000_000)),
            first_seen=int(self.began),
        )

    # -- afterwards --------------------------------------------------------------------------------------------------

    def deliveries(self) -> Iterator[Delivery]:
        """Yield what was delivered of the symbols that did not fail, in rising order."""
        return self.journal.deliveries(self.journal.symbols - self.failures.keys())

    def finish(self) -> None:
        """Forget the journal: all of it is in the bundle."""
        self.journal.delete()

    def notes(self) -> list[str]:
        """Return what the report should say of the way it went."""
        found = []
        if self.resumed_count:
            found.append(
                f"resumed an interrupted ingest: {self.resumed_count:,} of {len(self.symbols):,} symbols were there already"
            )
        if self.journal.problem:
            found.append(
                f"finished symbols could not be kept meanwhile, an interruption would have started over: {self.journal.problem}"
            )
        return found


def _shifted(progress: Progress, done: int) -> Progress:
    """Return a progress that counts what was finished before as well."""
    return lambda stage, at, total: progress(stage, at + done, total + done if total else 0)


def _sealed(facts: dict[str, Any]) -> bytes:
    """Return the note of a job, with a digest: a flipped digit would ask for another range."""
    text = json.dumps(facts, sort_keys=True)
    return json.dumps({"facts": text, "sha256": hashlib.sha256(text.encode()).hexdigest()}).encode()


def _unsealed(data: bytes) -> dict[str, Any]:
    """Return what `_sealed` noted.

    Raises
    ------
    ValueError, TypeError, KeyError
        It is not what was written.
    """
    note = json.loads(data)
    if hashlib.sha256(note["facts"].encode()).hexdigest() != note["sha256"]:
        raise ValueError("not the bytes that were written")
    facts: dict[str, Any] = json.loads(note["facts"])
    end = facts["end"]
    return {"began": float(facts["began"]), "end": None if end is None else int(end)}


def _remove(path: Path) -> None:
    """Remove a job's folder, or whatever stands in its place."""
    if path.is_symlink() or path.is_file():
        with suppress(OSError):
            path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)

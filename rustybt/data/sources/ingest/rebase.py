"""Series that a new split or dividend moved: fetched whole, so that no series mixes two price bases.

A vendor that adjusts prices changes all bars before an event when it happens. What a bundle holds from before is then on an
older basis than what the vendor delivers now, in every frequency of the symbol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustybt.errors import NotCoveredError, RequestError, SourceError
from rustybt.market.action_history import is_same_event
from rustybt.market.frequency import FREQUENCIES
from rustybt.market.request import DAY_MICROSECONDS, BarRequest, to_date, to_microseconds
from rustybt.market.revisions import ADJUSTED_BASES, SPLIT_KINDS, rebase_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rustybt.data.sources.delivery import Delivery
    from rustybt.data.sources.ingest.job import IngestJob
    from rustybt.data.sources.ingest.stored_series import StoredSeries
    from rustybt.market.corporate_actions import CorporateAction

#: Symbols whose stored bars are compared at a time, and delivered rows of them.
_BATCH = 200
_BATCH_ROWS = 1_000_000


class Rebase:
    """Finds the stale series of one job and has them fetched whole.

    Parameters
    ----------
    make_job
        Called with a request and the start of each symbol for each other frequency; returns the job, entered.
    today_us
        Events after it have not taken effect.
    """

    def __init__(
        self,
        job: IngestJob,
        stored: StoredSeries,
        make_job: Callable[[BarRequest, dict[str, int]], IngestJob],
        today_us: int,
    ) -> None:
        self._job = job
        self._stored = stored
        self._make_job = make_job
        self._today_us = today_us
        #: What moved each stale symbol, for messages.
        self.reasons: dict[str, str] = {}
        #: Jobs of the other frequencies, fetched and ready to be committed before the first one.
        self.others: list[IngestJob] = []
        self._latest: dict[str, int] = {}

    def run(self) -> None:
        """Do it; a symbol of which any stale series cannot be fetched whole fails, and its bundle stays as it was."""
        self._job.ask_missed(self._gaps())
        own = self._find()
        spans = self._stored.spans(self._job.request.frequency.name)
        wanted = {
            symbol: min(spans[symbol][0], self._job.start_of(symbol) or spans[symbol][0])
            for symbol in own
            if symbol not in self._job.journal.whole
        }
        if wanted:
            self._job.fetch_whole(wanted, max(spans[symbol][1] for symbol in wanted))
        self._fail_incomplete(self._job, own)
        self._fetch_others()
        for other in self.others:
            self._job.failures.update(other.failures)
        for other in self.others:
            other.failures.update(
                {symbol: error for symbol, error in self._job.failures.items() if symbol in other.symbols}
            )

    def _gaps(self) -> dict[str, int]:
        """Return from when on events are missing of symbols that were asked for later bars than the last answer reached."""
        found = {}
        for symbol in self._job.journal.symbols - self._job.failures.keys():
            known = [self._stored.fetched_at(symbol, name) for name in self._adjusted(symbol)]
            start = self._job.start_of(symbol)
            last = max((at for at in known if at is not None), default=None)
            if last is not None and start is not None and start > last * 1_000_000:
                found[symbol] = last * 1_000_000 // DAY_MICROSECONDS * DAY_MICROSECONDS
        return found

    def _adjusted(self, symbol: str) -> list[str]:
        """Return the frequencies of a symbol's stored bars whose prices move with events."""
        return [
            name
            for name in self._stored.frequencies
            if symbol in self._stored.spans(name) and self._stored.basis(symbol, name) in ADJUSTED_BASES
        ]

    # -- finding -----------------------------------------------------------------------------------------------------

    def _find(self) -> list[str]:
        """Note why each symbol is stale, and return those whose series of this frequency has to be fetched whole.

        One whose stored bars all lie inside the delivery needs no second request: it is whole as it is.
        """
        frequency = self._job.request.frequency.name
        spans = self._stored.spans(frequency)
        stored = {symbol for name in self._stored.frequencies for symbol in self._stored.spans(name)}
        own: list[str] = []
        quiet: dict[str, Delivery] = {}
        for symbol in sorted((self._job.journal.symbols - self._job.failures.keys()) & stored):
            delivery = self._job.journal.load(symbol)
            if delivery.price_basis not in ADJUSTED_BASES or delivery.bars.is_empty():
                continue
            events = self._news(symbol, delivery)
            if events:
                self._note(symbol, events)
            elif symbol in spans:
                quiet[symbol] = delivery
                if len(quiet) == _BATCH or sum(part.bars.height for part in quiet.values()) > _BATCH_ROWS:
                    self._find_moved(quiet, own)
                    quiet.clear()
            if symbol in self._job.journal.whole:
                own.append(symbol)
            elif events and symbol in spans and spans[symbol][0] < self._latest[symbol]:
                self._mark(symbol, delivery, own)
        self._find_moved(quiet, own)
        return own

    def _find_moved(self, quiet: dict[str, Delivery], own: list[str]) -> None:
        """Look for prices that moved though nobody told of an event; so does a resumed job, for the other frequencies."""
        for symbol in self._moved(list(quiet.items())) if quiet else ():
            if symbol not in self._job.journal.whole:
                self._mark(symbol, quiet[symbol], own)

    def _mark(self, symbol: str, delivery: Delivery, own: list[str]) -> None:
        if _is_outside(self._stored.spans(self._job.request.frequency.name)[symbol], delivery):
            own.append(symbol)
        else:
            # A stored bar that the vendor has no more would stay on the old basis.
            self._job.complete.add(symbol)

    def _news(self, symbol: str, delivery: Delivery) -> list[CorporateAction]:
        """Return the events in force that stored prices do not show yet, and those that they show and that hold no more."""
        kinds = SPLIT_KINDS if delivery.price_basis == "split_adjusted" else (*SPLIT_KINDS, "cash_dividend")
        known = [event for event in self._stored.events_of(symbol) if event.kind in kinds]
        told = [
            action
            for action in (*delivery.actions, *self._job.missed.get(symbol, ()))
            if action.symbol == symbol and action.kind in kinds and to_microseconds(action.ex_date) <= self._today_us
        ]
        found = [action for action in told if not any(is_same_event(action, event) for event in known)]
        found += [
            event for event in known if to_microseconds(event.ex_date) <= self._today_us and self._is_unseen(event)
        ]
        ended = {event.supersedes for event in self._job.taken_back(known, symbol, delivery)}
        return [*found, *(event for event in known if event.event_id in ended and event not in found)]

    def _is_unseen(self, event: CorporateAction) -> bool:
        """Return whether any stored bars before a known event were fetched before it was known, or before it took effect.

        Another source may have told of it since, another frequency's bars may have been made anew before these, and while
        a day begins the vendor is about to move its prices.
        """
        ex_day = to_microseconds(event.ex_date)
        for name in self._adjusted(event.symbol):
            first, last = self._stored.spans(name)[event.symbol]
            if first >= ex_day:
                continue
            at = self._stored.fetched_at(event.symbol, name)
            if at is None:
                # An imported bundle does not say when its bars were fetched.
                if event.first_seen * 1_000_000 < ex_day and last < ex_day:
                    return True
            elif at < max((ex_day + DAY_MICROSECONDS) // 1_000_000, event.first_seen):
                return True
        return False

    def _note(self, symbol: str, events: list[CorporateAction]) -> None:
        last = max(events, key=lambda event: event.ex_date)
        self._latest[symbol] = to_microseconds(last.ex_date)
        self.reasons[symbol] = f"{describe_event(last)} on {last.ex_date}"

    def _moved(self, deliveries: list[tuple[str, Delivery]]) -> Iterator[str]:
        """Yield the symbols whose delivered prices differ from the stored ones by one ratio."""
        frequency = self._job.request.frequency.name
        stamps = [delivery.bars["timestamp"].to_physical() for _, delivery in deliveries]
        first, last = min(int(s.min()) for s in stamps), max(int(s.max()) for s in stamps)  # type: ignore[arg-type]
        held = self._stored.bars([symbol for symbol, _ in deliveries], frequency, first, last)
        by_symbol = {str(key[0]): rows for key, rows in held.group_by("symbol")}
        for symbol, delivery in deliveries:
            ratio = rebase_ratio(by_symbol[symbol], delivery.bars) if symbol in by_symbol else None
            if ratio is not None:
                self._latest[symbol] = self._today_us
                self.reasons[symbol] = f"all earlier prices moved by the factor {ratio:.6g}"
                yield symbol

    # -- fetching ----------------------------------------------------------------------------------------------------

    def _fetch_others(self) -> None:
        own = self._job.request.frequency.name
        for name in self._stored.frequencies:
            if name == own:
                continue
            spans = self._stored.spans(name)
            starts: dict[str, int] = {}
            for symbol in sorted(self.reasons.keys() - self._job.failures.keys()):
                is_adjusted = self._stored.basis(symbol, name) in ADJUSTED_BASES
                if not is_adjusted or symbol not in spans or spans[symbol][0] >= self._latest[symbol]:
                    continue
                request = BarRequest((symbol,), spans[symbol][0], None, FREQUENCIES[name])
                try:
                    self._job.source.resolve(request)
                except (NotCoveredError, RequestError) as error:
                    self._fail(self._job, symbol, name, error)
                else:
                    starts[symbol] = spans[symbol][0]
            if starts:
                self._fetch_other(name, starts)

    def _fetch_other(self, name: str, starts: dict[str, int]) -> None:
        asked = BarRequest(tuple(sorted(starts)), min(starts.values()), None, FREQUENCIES[name])
        other = self._make_job(asked, starts)
        try:
            other.fetch()
        except SourceError as error:
            other.failures.update(dict.fromkeys(starts, error))
        for symbol, failure in list(other.failures.items()):
            self._fail(other, symbol, name, failure)
        self._fail_incomplete(other, list(starts))
        self.others.append(other)

    def _fail_incomplete(self, job: IngestJob, symbols: list[str]) -> None:
        """Let those fail whose series did not come whole: stored bars outside would stay on the old basis."""
        name = job.request.frequency.name
        spans = self._stored.spans(name)
        for symbol in symbols:
            if symbol in job.failures:
                if job is self._job:
                    self._fail(job, symbol, name, job.failures[symbol])
                continue
            delivery = job.journal.load(symbol)
            if delivery.bars.is_empty() or _is_outside(spans[symbol], delivery):
                first = to_date(spans[symbol][0])
                gone = NotCoveredError(f"source {job.source.name} does not deliver it from {first} on any more")
                self._fail(job, symbol, name, gone)

    def _fail(self, job: IngestJob, symbol: str, frequency: str, error: SourceError | RequestError) -> None:
        """Record that a stale series could not be made anew."""
        kind = type(error) if isinstance(error, SourceError) else SourceError
        why = self.reasons.get(symbol, "a new price basis")
        job.failures[symbol] = kind(
            f"{symbol}: {why} changes all its earlier prices, and its {frequency} bars could not be fetched whole: "
            f"{error.message}",
            hint=error.hint or "run the command again, or ingest the symbol into another bundle",
            **{**error.details, "symbol": symbol},
        )


def _is_outside(span: tuple[int, int], delivery: Delivery) -> bool:
    """Return whether stored bars lie before or after those delivered."""
    stamps = delivery.bars["timestamp"].to_physical()
    return bool(span[0] < int(stamps.min()) or span[1] > int(stamps.max()))  # type: ignore[arg-type]


def describe_event(action: CorporateAction) -> str:
    """Return an event in words, without its symbol and day."""
    if action.kind in SPLIT_KINDS:
        return f"the {action.kind.replace('_', ' ')} {action.ratio_new}:{action.ratio_old}"
    return f"the dividend of {action.amount} {action.currency or ''}".rstrip()

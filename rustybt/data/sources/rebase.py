"""Series that a new split or dividend moved: fetched whole, so that no series mixes two price bases.

A vendor that adjusts prices changes all bars before an event when it happens. What a bundle holds from before is then on an
older basis than what the vendor delivers now, in every frequency of the symbol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustybt.errors import NotCoveredError, RequestError, SourceError
from rustybt.market.frequency import FREQUENCIES
from rustybt.market.request import BarRequest, to_date, to_microseconds
from rustybt.market.revisions import ADJUSTED_BASES, SPLIT_KINDS, rebase_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rustybt.data.sources.delivery import Delivery
    from rustybt.data.sources.job import IngestJob
    from rustybt.data.sources.stored_series import StoredSeries
    from rustybt.market.corporate_actions import CorporateAction

#: Symbols whose stored bars are compared at a time.
_BATCH = 200


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
        own = self._find()
        spans = self._stored.spans(self._job.request.frequency.name)
        wanted = {symbol: spans[symbol][0] for symbol in own if symbol not in self._job.journal.whole}
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

    # -- finding -----------------------------------------------------------------------------------------------------

    def _find(self) -> list[str]:
        """Note why each symbol is stale, and return those whose series of this frequency has to be fetched whole."""
        frequency = self._job.request.frequency.name
        spans = self._stored.spans(frequency)
        stored = {symbol for name in self._stored.frequencies for symbol in self._stored.spans(name)}
        own: list[str] = []
        quiet: list[tuple[str, Delivery]] = []
        for symbol in sorted((self._job.journal.symbols - self._job.failures.keys()) & stored):
            delivery = self._job.journal.load(symbol)
            if delivery.price_basis not in ADJUSTED_BASES or delivery.bars.is_empty():
                continue
            span = spans.get(symbol)
            is_part = span is not None and _is_outside(span, delivery)
            events = self._new_events(symbol, delivery, span)
            if events:
                self._note(symbol, events)
            if symbol in self._job.journal.whole or (events and is_part and span and span[0] < self._latest[symbol]):
                own.append(symbol)
            elif is_part and not events:
                quiet.append((symbol, delivery))
        for at in range(0, len(quiet), _BATCH):
            own += self._moved(quiet[at : at + _BATCH])
        return own

    def _new_events(self, symbol: str, delivery: Delivery, span: tuple[int, int] | None) -> list[CorporateAction]:
        """Return the events in force that stored prices do not show yet."""
        kinds = SPLIT_KINDS if delivery.price_basis == "split_adjusted" else (*SPLIT_KINDS, "cash_dividend")
        return [
            action
            for action in delivery.actions
            if action.symbol == symbol
            and action.kind in kinds
            and to_microseconds(action.ex_date) <= self._today_us
            and self._is_news(action, span)
        ]

    def _is_news(self, action: CorporateAction, span: tuple[int, int] | None) -> bool:
        """Return whether an event was unknown, or known before it took effect, when the stored bars were fetched."""
        known = self._stored.events.get(action.event_id)
        if known is None:
            return True
        ex_day = to_microseconds(action.ex_date)
        return known.first_seen * 1_000_000 < ex_day and span is not None and span[1] < ex_day

    def _note(self, symbol: str, events: list[CorporateAction]) -> None:
        last = max(events, key=lambda event: event.ex_date)
        self._latest[symbol] = to_microseconds(last.ex_date)
        self.reasons[symbol] = f"{_named(last)} on {last.ex_date}"

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


def _named(action: CorporateAction) -> str:
    if action.kind in SPLIT_KINDS:
        return f"the {action.kind.replace('_', ' ')} {action.ratio_new}:{action.ratio_old}"
    return f"the dividend of {action.amount} {action.currency or ''}".rstrip()

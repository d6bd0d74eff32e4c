"""An invented market of a hundred symbols, and the vendor that tells of it: it restates history at a split and corrects volumes.

All numbers are seeded random walks, and every answer is a function of what is asked and when. So anybody can work out what the
vendor tells at any moment, what it told before, and whether anything changed in between.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from rustybt.data.adapters.limits import VendorLimits
from rustybt.data.sources import DataSource, Delivery
from rustybt.errors import SymbolNotFoundError
from rustybt.market.assets import AssetAttributes
from rustybt.market.bars import BAR_COLUMNS, DECIMAL, TIMESTAMP, empty_bars, join_frames
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.frequency import Frequency
from rustybt.market.provenance import SourceMetadata
from tests.fakes import market

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from rustybt.market.request import BarRequest

SYMBOLS = tuple(f"S{n:02}" for n in range(100))
#: First day of trading, and first day without, where that is not always.
LISTED = {"S40": date(2021, 6, 15), "S52": date(2023, 3, 7)}
LEFT = {"S63": date(2022, 8, 22)}
#: Of these the vendor does not say when they were listed.
UNTOLD = ("S52",)
#: Symbol, first session on the new basis, new shares for each old one, and when the vendor's whole history is restated.
SPLIT_SYMBOL, SPLIT_DATE, SPLIT_SHARES = "S15", date(2024, 11, 25), 4
SPLIT_AT = datetime(2024, 11, 25, 13, tzinfo=UTC).timestamp()
#: How long after its end a bar is told.
SETTLEMENT_SECONDS = 900.0
#: First and last session by frequency.
SPANS = {
    "1d": (date(2010, 1, 4), date(2024, 12, 31)),
    "1h": (date(2023, 1, 3), date(2024, 12, 31)),
    "1m": (date(2024, 10, 28), date(2024, 12, 13)),
}
_MICRO = 1_000_000


@dataclass(frozen=True)
class Grid:
    """When bars of one frequency can be: labels, ends and session numbers, microseconds UTC."""

    labels: np.ndarray
    ends: np.ndarray
    sessions: np.ndarray
    days: tuple[date, ...]


@lru_cache
def session_times() -> tuple[np.ndarray, np.ndarray]:
    """Return the open and the close of every session that the vendor may be asked in, Unix seconds."""
    times = [(o.timestamp(), c.timestamp()) for day, (o, c) in market.sessions("XNYS").items() if day.year < 2026]
    return np.array([opened for opened, _ in times]), np.array([closed for _, closed in times])


@lru_cache
def grid(frequency: str) -> Grid:
    first, last = SPANS[frequency]
    step = Frequency.parse(frequency).microseconds
    labels, ends, numbers, days = [], [], [], []
    for day, (opened, closed) in market.sessions("XNYS").items():
        if not first <= day <= last:
            continue
        begin, end = (int(at.timestamp()) * _MICRO for at in (opened, closed))
        midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * _MICRO
        starts = np.array([midnight]) if frequency == "1d" else np.arange(begin, end, step)
        labels.append(starts)
        ends.append(np.array([end]) if frequency == "1d" else np.minimum(starts + step, end))
        numbers.append(np.full(len(starts), len(days)))
        days.append(day)
    return Grid(np.concatenate(labels), np.concatenate(ends), np.concatenate(numbers), tuple(days))


@dataclass(frozen=True)
class Told:
    """One series, with everything that the vendor ever tells of it.

    Parameters
    ----------
    bases
        Contract bars with the first volumes: before and after the split.
    late_volumes
        The volumes that each basis ends up with.
    final_at, revised_at
        Unix seconds at which a bar is first told, and told with its late volume; never for most.
    is_restated
        Bars that the split touches.
    """

    labels: np.ndarray
    bases: tuple[pl.DataFrame, pl.DataFrame]
    late_volumes: tuple[pl.Series, pl.Series]
    final_at: np.ndarray
    revised_at: np.ndarray
    is_restated: np.ndarray

    def between(self, start: int, end: int, at: float) -> slice:
        """Return the rows labelled from `start` to `end` that are told at `at`."""
        first = int(np.searchsorted(self.labels, start))
        last = min(int(np.searchsorted(self.labels, end, "right")), int(np.searchsorted(self.final_at, at, "right")))
        return slice(first, max(first, last))

    def bars(self, start: int, end: int, at: float) -> pl.DataFrame:
        rows = self.between(start, end, at)
        basis = basis_at(at)
        late = pl.Series(self.revised_at[rows] <= at)
        volume = self.late_volumes[basis][rows].zip_with(late, self.bases[basis]["volume"][rows])
        return self.bases[basis][rows].with_columns(volume.alias("volume"))

    def changed(self, rows: slice, since: np.ndarray, until: float) -> np.ndarray:
        """Return which rows are told otherwise at `until` than at `since` (-inf: not told)."""
        revised = (since < self.revised_at[rows]) & (self.revised_at[rows] <= until)
        restated = self.is_restated[rows] & (since < SPLIT_AT) & (until >= SPLIT_AT)
        return (since < self.final_at[rows]) | revised | restated


def basis_at(at: float) -> int:
    return int(at >= SPLIT_AT)


@cache
def series(symbol: str, frequency: str) -> Told:
    cells = grid(frequency)
    days = np.array(cells.days)[cells.sessions]
    keep = np.ones(len(days), dtype=bool)
    if symbol in LISTED:
        keep &= days >= LISTED[symbol]
    if symbol in LEFT:
        keep &= days < LEFT[symbol]
    labels, ends, days = cells.labels[keep], cells.ends[keep], days[keep]
    n = len(labels)
    rng = np.random.default_rng([11, SYMBOLS.index(symbol), Frequency.parse(frequency).seconds])
    close = np.maximum(200, 5_000 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))).astype(np.int64)
    open_ = np.maximum(200, close * (1 + rng.normal(0, 0.004, n))).astype(np.int64)
    high, low = np.maximum(open_, close) + rng.integers(0, 60, n), np.minimum(open_, close) - rng.integers(0, 60, n)
    # The volume before a split is told in shares of then: a quarter.
    first = 4 * rng.integers(1_000, 20_000_000, n)
    # One daily bar in four gets a later volume, one to three sessions on at 12:00 UTC.
    is_late = (rng.random(n) < 0.25) if frequency == "1d" else np.zeros(n, dtype=bool)
    late = np.where(is_late, first + 4 * rng.integers(1, 5_000, n), first)
    told = ends / _MICRO + SETTLEMENT_SECONDS
    _, closes = session_times()
    noon = closes - closes % 86_400 + 43_200
    after = np.minimum(np.searchsorted(closes, ends / _MICRO) + rng.integers(1, 4, n), len(noon) - 1)
    revised = np.where(is_late, noon[after], np.inf)
    restated = (days < SPLIT_DATE) & (symbol == SPLIT_SYMBOL)
    shares = np.where(restated, SPLIT_SHARES, 1)
    values = {"open": open_, "high": high, "low": low, "close": close}
    frames, volumes = [], []
    for factor in (shares, np.ones(n, dtype=np.int64)):
        prices = {name: _decimals(cents * factor, 2) for name, cents in values.items()}
        frames.append(
            pl.DataFrame(
                {"timestamp": labels, "symbol": [symbol] * n, **prices, "volume": _decimals(first // factor, 0)}
            )
            .with_columns(pl.col("timestamp").cast(TIMESTAMP))
            .select(BAR_COLUMNS)
        )
        volumes.append(_decimals(late // factor, 0))
    return Told(labels, (frames[0], frames[1]), (volumes[0], volumes[1]), told, revised, restated)


def _decimals(whole: np.ndarray, scale: int) -> pl.Series:
    text = pl.Series(whole).cast(pl.String)
    if scale:
        text = pl.Series(whole // 100).cast(pl.String) + "." + pl.Series(whole % 100).cast(pl.String).str.zfill(2)
    return text.cast(DECIMAL)


def answer(symbols: Iterable[str], start: int, end: int, frequency: str, at: float) -> pl.DataFrame:
    """Return what the vendor tells at `at` (Unix seconds) of bars labelled from `start` to `end`, microseconds UTC."""
    parts = [series(symbol, frequency).bars(start, end, at) for symbol in sorted(set(symbols))]
    return join_frames([empty_bars(), *(part for part in parts if part.height)])


@dataclass(frozen=True)
class Asked:
    """One symbol of one call to the vendor; a symbol is one request, as with most vendors."""

    symbol: str
    frequency: str
    start: int
    end: int
    at: float
    rows: int


class RestatingVendor(DataSource):
    """Tells of the invented market as of `clock`; `asked` keeps what it was asked for.

    Parameters
    ----------
    delay_seconds
        How long each call takes.
    """

    name = "invented"

    def __init__(self, clock: Callable[[], float], delay_seconds: float = 0.0) -> None:
        self._clock = clock
        self.delay_seconds = delay_seconds
        self.asked: list[Asked] = []
        self.calls = 0

    @property
    def clock(self) -> Callable[[], float]:
        return self._clock

    @property
    def requests_made(self) -> int:
        return len(self.asked)

    def requests_for(self, symbols: int, start: int, end: int, frequency: Frequency) -> int:
        return symbols

    def get_metadata(self) -> SourceMetadata:
        return SourceMetadata(self.name, adjustment="split_adjusted")

    def supports_live(self) -> bool:
        return False

    def calendar_name(self) -> str:
        return "XNYS"

    def list_symbols(self) -> list[str]:
        return list(SYMBOLS)

    def limits(self) -> VendorLimits:
        return VendorLimits(
            ("1m", "1h", "1d"), bars_per_page=100_000, settlement_delay_seconds=SETTLEMENT_SECONDS, parallel_requests=20
        )

    async def fetch(self, symbols: Any, start: Any = None, end: Any = None, frequency: Any = "1d") -> pl.DataFrame:
        parts = [part.bars async for part in self._tell(self.request(symbols, start, end, frequency), {})]
        return join_frames([empty_bars(), *(bars for bars in parts if bars.height)])

    def fetch_with_events(self, symbols: Any, start: Any = None, end: Any = None, frequency: Any = "1d") -> Delivery:
        from rustybt.data.sources import bridge
        from rustybt.data.sources.delivery import join_deliveries

        async def gather() -> list[Delivery]:
            return [part async for part in self._tell(self.request(symbols, start, end, frequency), {})]

        return join_deliveries(bridge.run(gather()))

    def deliver(self, request: BarRequest, progress: Any = None) -> AsyncIterator[Delivery]:
        return self._tell(request, {})

    def answers(
        self, request: BarRequest, progress: Any = None, *, starts: Mapping[str, int] | None = None
    ) -> AsyncIterator[Delivery]:
        return self._tell(request, starts or {})

    async def _tell(self, request: BarRequest, starts: Mapping[str, int]) -> AsyncIterator[Delivery]:
        self.calls += 1
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        at = self._clock()
        frequency = request.frequency.name
        for symbol in sorted(request.symbols or SYMBOLS):
            if symbol not in SYMBOLS:
                raise SymbolNotFoundError(f"the invented market has no {symbol}", symbol=symbol)
            start = starts.get(symbol, request.start if request.start is not None else 0)
            end = request.end if request.end is not None else int(at * _MICRO)
            bars = series(symbol, frequency).bars(start, end, at)
            self.asked.append(Asked(symbol, frequency, start, end, at, bars.height))
            split = CorporateAction.split(SPLIT_SYMBOL, SPLIT_DATE, SPLIT_SHARES, source=self.name)
            begin = datetime.fromtimestamp(start // _MICRO, UTC).date()
            tells = symbol == SPLIT_SYMBOL and basis_at(at) == 1 and begin <= SPLIT_DATE
            yield Delivery(
                bars,
                assets={symbol: AssetAttributes("XNYS")},
                actions=(split,) if tells else (),
                tells_all_events=True,
                price_basis="split_adjusted",
                skipped={} if bars.height else {symbol: "no bars in the range"},
                first_bars={} if symbol in UNTOLD else {symbol: LISTED.get(symbol, SPANS[frequency][0])},
                as_of=at,
            )

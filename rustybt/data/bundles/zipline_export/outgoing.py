"""The bars that go over: raw, with their place in Zipline's tables; read twice, first to look and then to write."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.market.bars import BAR_COLUMNS, PRICE_COLUMNS, VALUE_COLUMNS, empty_bars, join_frames, sort_bars
from rustybt.market.calendars import get_calendar
from rustybt.market.decimals import decode_floats, to_floats
from rustybt.market.frequency import DAILY, FREQUENCIES
from rustybt.market.request import DAY_MICROSECONDS, to_date
from rustybt.market.resample import MADE_OF_SEVERAL, can_resample, resample

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from rustybt.data.bundles.bundle import Bundle
    from rustybt.data.bundles.zipline_export.grid import SessionGrid
    from rustybt.market.corporate_actions import CorporateAction

MINUTE = "1m"
#: Decimals kept of a price that is brought back over its splits; six more than Zipline's.
_RESTATED_DECIMALS = 9


@dataclass(frozen=True, slots=True)
class OutgoingBars:
    """Daily and minute bars of a version.

    Parameters
    ----------
    made_daily
        Daily bars of the symbols that have none, made of their intraday bars; at most one row a session and symbol.
    splits
        By frequency, the events over which split-adjusted bars are brought back to the shares of their day, by symbol.
    """

    bundle: Bundle
    grid: SessionGrid
    made_daily: pl.DataFrame
    splits: Mapping[str, Mapping[str, list[CorporateAction]]]

    def daily(self) -> Iterator[pl.DataFrame]:
        """Yield daily bars by whole symbols, with the columns `row` (session) and `position` (the same)."""
        if DAILY.name in self.bundle.frequencies:
            for bars in self.bundle.batches(DAILY):
                rows = self.grid.row_of_days(bars["timestamp"].to_physical().to_numpy())
                yield self._placed(bars, rows, rows, DAILY.name)
        if self.made_daily.height:
            # Their prices were brought back by the basis of the bars that they are made of.
            rows = self.grid.row_of_days(self.made_daily["timestamp"].to_physical().to_numpy())
            yield self._placed(self.made_daily, rows, rows, "")

    def minutes(self) -> Iterator[pl.DataFrame]:
        """Yield minute bars by rising months, with the columns `row` (session) and `position` (in Zipline's table)."""
        if MINUTE not in self.bundle.frequencies:
            return
        for bars in self.bundle.batches(MINUTE):
            stamps = bars["timestamp"].to_physical().to_numpy()
            rows = self.grid.row_of_instants(stamps)
            yield self._placed(bars, rows, self.grid.minute_of(stamps, rows), MINUTE)

    def _placed(
        self, bars: pl.DataFrame, rows: NDArray[np.int64], positions: NDArray[np.int64], frequency: str
    ) -> pl.DataFrame:
        known = np.where(rows >= 0, self.grid.sessions[np.maximum(rows, 0)], _utc_days(bars))
        restated = restate(bars, known, self.splits.get(frequency, {}))
        return restated.with_columns(pl.Series("row", rows), pl.Series("position", positions))


def made_daily_bars(
    bundle: Bundle, splits: Mapping[str, Mapping[str, list[CorporateAction]]]
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return raw daily bars of the symbols that have none, and the frequency that each was made of.

    The longest intraday bars of a symbol are taken, as in a daily run. All are in memory at once: one row a session.
    """
    held = set(bundle.series(DAILY)["symbol"]) if DAILY.name in bundle.frequencies else set()
    made, made_of = [empty_bars()], dict[str, str]()
    usable = [FREQUENCIES[name] for name in bundle.frequencies if can_resample(FREQUENCIES[name], DAILY)]
    for finer in sorted(usable, reverse=True):
        spans = bundle.series(finer).filter(~pl.col("symbol").is_in(sorted(held)))
        if not spans.height:
            continue
        days = [to_date(stamp) for stamp in (spans["first"].min(), spans["last"].max())]  # type: ignore[arg-type]
        calendar = get_calendar(bundle.calendar_name, *days)
        for bars in bundle.batches(finer):
            missing = bars.filter(pl.col("symbol").is_in(spans["symbol"].implode()))
            at = calendar.session_of_instants(missing["timestamp"].to_physical().to_numpy())
            known = _utc_days(missing)
            known = np.where(at >= 0, calendar.sessions[np.maximum(at, 0)], known) if calendar.sessions.size else known
            made.append(resample(restate(missing, known, splits.get(finer.name, {})), finer, DAILY, calendar))
        made_of |= dict.fromkeys(spans["symbol"].to_list(), finer.name)
        held |= set(spans["symbol"])
    return _joined(sort_bars(join_frames(made))), made_of


def _joined(bars: pl.DataFrame) -> pl.DataFrame:
    """Join what two files hold of one session: an evening at the end of a month belongs to the next month's first."""
    return bars.group_by("symbol", "timestamp", maintain_order=True).agg(MADE_OF_SEVERAL).select(BAR_COLUMNS)


def restate(
    bars: pl.DataFrame, days: NDArray[np.datetime64], splits: Mapping[str, list[CorporateAction]]
) -> pl.DataFrame:
    """Bring the bars of the symbols in `splits` back to the shares of their own day, as a backtest reads them.

    Prices are multiplied, and volumes divided, by the ratios of the splits after `days`.
    """
    names = [symbol for symbol in bars["symbol"].unique() if splits.get(symbol)]
    if not names:
        return bars
    factor = np.ones(bars.height)
    for symbol in names:
        of_symbol = (bars["symbol"] == symbol).to_numpy()
        for action in splits[symbol]:
            before = of_symbol & (days < np.datetime64(action.ex_date))
            factor[before] /= float(Fraction(action.price_factor))
    changed = pl.Series(factor != 1)
    columns = []
    for name in VALUE_COLUMNS:
        floats = to_floats(bars[name])
        floats = floats * factor if name in PRICE_COLUMNS else floats / factor
        exact = decode_floats(np.round(floats, _RESTATED_DECIMALS))[0].values
        columns.append(exact.zip_with(changed, bars[name]).alias(name))
    return bars.with_columns(columns)


def _utc_days(bars: pl.DataFrame) -> NDArray[np.datetime64]:
    return np.asarray((bars["timestamp"].to_physical().to_numpy() // DAY_MICROSECONDS).astype("datetime64[D]"))

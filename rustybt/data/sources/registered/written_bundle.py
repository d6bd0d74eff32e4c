"""All that one call of an ingest function wrote, and how it becomes deliveries."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from rustybt.data.sources import bridge
from rustybt.data.sources.csv.spool import Spool
from rustybt.data.sources.delivery import Delivery
from rustybt.data.sources.frame import first_rule
from rustybt.data.sources.registered.adjustment_writer import AdjustmentWriter
from rustybt.data.sources.registered.asset_writer import AssetWriter, SidNames
from rustybt.data.sources.registered.bar_writers import DailyBarWriter, MinuteBarWriter
from rustybt.data.sources.registered.written_bars import WrittenBars, key_of
from rustybt.errors import BadResponseError, RequestError, SourceError, SymbolNotFoundError
from rustybt.market.frequency import FREQUENCIES, Frequency

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rustybt.data.sources.base import DataSource, Progress
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.request import BarRequest


class WrittenBundle:
    """The four writers, and what they took.

    Parameters
    ----------
    name
        Of the definition, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._notes: list[str] = []
        daily, minute = FREQUENCIES["1d"], FREQUENCIES["1m"]
        self._bars = {"1d": WrittenBars(daily, "open"), "1m": WrittenBars(minute, "close")}
        self.daily_bar_writer = DailyBarWriter(self._bars["1d"], self._notes)
        self.minute_bar_writer = MinuteBarWriter(self._bars["1m"], self._notes)
        self.asset_db_writer = AssetWriter()
        self.adjustment_writer = AdjustmentWriter()

    @property
    def frequencies(self) -> list[str]:
        """What was written: ``1d``, ``1m``, both in this order, or nothing."""
        return [name for name, bars in self._bars.items() if not bars.is_empty]

    def symbols(self) -> list[str]:
        """Return every symbol with bars, sorted."""
        names = self.asset_db_writer.names()
        sids = {sid for bars in self._bars.values() for sid in bars.sids}
        own = {names.symbols[sid] for sid in sids if sid in names.symbols}
        sources = [bars.source for bars in self._bars.values() if bars.source is not None]
        return sorted(own.union(*(source.list_symbols() for source in sources)))

    def source_of(self, frequency: Frequency) -> DataSource | None:
        """Return the source that delivers these bars itself, None where the function wrote them.

        Raises
        ------
        RequestError
            It did both.
        """
        bars = self._bars[frequency.name]
        if bars.source is None:
            return None
        others = any(item.rows for item in self._bars.values())
        if others or not self.adjustment_writer.is_empty or self.asset_db_writer.names().symbols:
            raise RequestError(
                f"the ingest function of {self._name} calls csvdir_bundle or quandl_bundle and writes more by itself",
                hint="register one bundle for each",
            )
        return bars.source

    def deliveries(self, request: BarRequest, progress: Progress | None) -> Iterator[Delivery]:
        """Yield the bars of one frequency in batches of whole symbols in rising order; once for each frequency."""
        source = self.source_of(request.frequency)
        if source is not None:
            yield from bridge.iterate(source.deliver(request, progress))
            return
        bars, names = self._bars[request.frequency.name], self.asset_db_writer.names()
        wanted = set(request.symbols)
        pending = self._first(request, bars, names)
        by_key = {key_of(sid): symbol for sid, symbol in names.symbols.items() if not wanted or symbol in wanted}
        with Spool() as spool:
            for rows in bars.drain():
                known = rows.filter(pl.col("symbol").is_in(list(by_key)) & request.in_range("timestamp"))
                spool.add(known.with_columns(pl.col("symbol").replace_strict(by_key, return_dtype=pl.String)))
            total, done = sum(spool.counts.values()), 0
            for batch, rows in spool.drain():
                done += rows.height
                yield replace(
                    pending,
                    bars=rows.drop("missing"),
                    missing_volume=rows["missing"] if rows["missing"].any() else None,
                    assets={symbol: names.attributes[symbol] for symbol in batch},
                    number_rule=first_rule({rule for used in bars.rules.values() for rule in used}),
                )
                pending = Delivery()
                if progress is not None:
                    progress("read", done, total)
        if not done:
            yield pending

    def number_rules(self, frequency: Frequency) -> dict[str, str]:
        """Return how each column of these bars became decimals."""
        return {name: first_rule(used) for name, used in sorted(self._bars[frequency.name].rules.items())}

    def close(self) -> None:
        """Remove what lies on disk."""
        for bars in self._bars.values():
            bars.close()

    # -- beside the bars ---------------------------------------------------------------------------------------------

    def _first(self, request: BarRequest, bars: WrittenBars, names: SidNames) -> Delivery:
        """Return all that the first delivery says beside its bars."""
        events, unread, notes = self.adjustment_writer.events(names)
        if request.symbols:
            events = [event for event in events if event.symbol in request.symbols]
        by_key = {key_of(sid): names.symbols.get(sid, f"sid {sid}") for sid in bars.sids}
        quarantined = bars.quarantined().with_columns(pl.col("symbol").replace(by_key)).vstack(unread)
        if request.symbols:
            quarantined = quarantined.filter(pl.col("symbol").is_in(list(request.symbols)))
        if bars.fillers:
            count = f"{bars.fillers:,} {'row' if bars.fillers == 1 else 'rows'}"
            notes.append(f"{count} without a price left out: Zipline's filler for times without a trade")
        return Delivery(
            quarantined=quarantined,
            actions=tuple(event for event in events if _is_within(event, request)),
            failures=self._failures(request, bars, names),
            skipped=self._skipped(request, bars, names),
            former_names=names.former,
            files=bars.files,
            notes=(*self._notes, *names.notes, *notes),
        )

    def _failures(self, request: BarRequest, bars: WrittenBars, names: SidNames) -> dict[str, SourceError]:
        failures: dict[str, SourceError] = {
            names.symbols.get(sid, f"sid {sid}"): error for sid, error in bars.failures.items()
        }
        for sid in sorted(bars.sids):
            if sid not in names.symbols and f"sid {sid}" not in failures:
                why = names.unusable.get(sid)
                failures[f"sid {sid}"] = BadResponseError(
                    f"sid {sid} has bars but no asset" if why is None else f"sid {sid}: {why}",
                    hint="asset_db_writer.write(equities=frame) names it: a row with this sid and its symbol",
                    sid=sid,
                )
        if not request.symbols:
            return failures
        present = {names.symbols[sid] for sid in bars.sids if sid in names.symbols}
        absent: Mapping[str, SourceError] = {
            symbol: SymbolNotFoundError(
                f"the ingest function of {self._name} wrote no {request.frequency} bars of {symbol!r}", symbol=symbol
            )
            for symbol in request.symbols
            if symbol not in present
        }
        return {symbol: error for symbol, error in failures.items() if symbol in request.symbols} | dict(absent)

    def _skipped(self, request: BarRequest, bars: WrittenBars, names: SidNames) -> dict[str, str]:
        """Return the assets that have no bar of any frequency; one that has minutes alone is none."""
        with_bars = {sid for item in self._bars.values() for sid in item.sids}
        if request.symbols or bars.is_empty:
            return {}
        return {symbol: "no bars were written" for sid, symbol in sorted(names.symbols.items()) if sid not in with_bars}


def _is_within(event: CorporateAction, request: BarRequest) -> bool:
    day = datetime(event.ex_date.year, event.ex_date.month, event.ex_date.day, tzinfo=UTC)
    micros = int(day.timestamp()) * 1_000_000
    # Of a range that begins within a day, the day's own event counts.
    after_start = request.start is None or micros + 86_399_999_999 >= request.start
    return after_start and (request.end is None or micros <= request.end)

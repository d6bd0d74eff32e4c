"""Bars that a registered function writes."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

from rustybt.data.bundles import registration
from rustybt.data.sources.base import DataSource, Progress, Symbols
from rustybt.data.sources.ingest.plan import IngestPlan
from rustybt.data.sources.ingest.report import MAX_EXAMPLES
from rustybt.data.sources.reading.collect import collect
from rustybt.data.sources.registered.calendars import stored_calendar
from rustybt.data.sources.registered.running import run_definition
from rustybt.data.sources.registered.user_code import default_extension, read_definitions
from rustybt.errors import NotCoveredError, RequestError
from rustybt.market.calendars import canonical_name
from rustybt.market.provenance import SourceMetadata

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl

    from rustybt.data.bundles.registration import RegisteredBundle
    from rustybt.data.sources.delivery import Delivery
    from rustybt.data.sources.ingest.report import IngestReport
    from rustybt.data.sources.registered.written_bundle import WrittenBundle
    from rustybt.market.frequency import Frequency
    from rustybt.market.request import BarRequest

_FREQUENCIES = ("1d", "1m")


class RegisteredBundleSource(DataSource):
    """Bars of a bundle that was registered as in Zipline, by `register` or in an ``extension.py``.

    The function is called when bars are asked for, and once for all that it writes: daily bars, minutes, or both. Only a
    file that is named here, or Zipline's own default, is executed; the bundle's provenance names no file, so that an
    update executes the default one.

    Parameters
    ----------
    bundle
        The name it is registered under.
    extension
        File with the definition; None takes what was registered in this process, else ``$ZIPLINE_ROOT/extension.py`` or
        ``~/.zipline/extension.py``.
    calendar
        Trading calendar of our bundle, where the registered one is the definition's own.
    environ
        Handed to the function; None is the process's environment.
    show_progress
        Handed to the function.
    output
        Where the function's prints go; None leaves them on stdout.
    """

    name: ClassVar[str] = "registered"
    is_local: ClassVar[bool] = True

    def __init__(
        self,
        bundle: str,
        *,
        extension: str | os.PathLike[str] | None = None,
        calendar: str | None = None,
        environ: Mapping[str, str] | None = None,
        show_progress: bool = False,
        output: TextIO | None = None,
    ) -> None:
        self._bundle = bundle
        self._extension = None if extension is None else Path(extension).expanduser().absolute()
        self._calendar = None if calendar is None else canonical_name(calendar)
        self._environ: Mapping[str, str] = os.environ if environ is None else environ
        self._show_progress = show_progress
        self._output = output
        self._found: tuple[RegisteredBundle, str] | None = None
        self._written: WrittenBundle | None = None
        self._delivered: set[str] = set()

    async def fetch(self, symbols: Symbols, start: Any, end: Any, frequency: str | Frequency = "1d") -> pl.DataFrame:
        """Return bars for `symbols`, see `DataSource.fetch`; the function is called for it."""
        return await asyncio.to_thread(collect, self, self.request(symbols, start, end, frequency))

    def deliver(self, request: BarRequest, progress: Progress | None = None) -> Iterator[Delivery]:
        """Yield what the function writes of one frequency.

        Raises
        ------
        RequestError
            It has neither daily nor minute bars to give, nothing is registered, or the function failed.
        """
        if request.frequency.name not in _FREQUENCIES:
            raise RequestError(
                f"registered bundles have daily and minute bars, none of {request.frequency}",
                hint="use --frequency 1d or 1m",
                frequency=request.frequency.name,
            )
        if request.frequency.name in self._delivered:
            self.close()
        written = self._run()
        self._delivered.add(request.frequency.name)
        return written.deliveries(request, progress)

    def ingest_to_bundle(
        self,
        bundle_name: str,
        symbols: Symbols | None = None,
        start: Any = None,
        end: Any = None,
        frequency: str | Frequency | None = None,
        **more: Any,
    ) -> IngestReport:
        """Call the function and store what it wrote, see `DataSource.ingest_to_bundle`.

        Parameters
        ----------
        frequency
            None stores all that was written: daily bars first, and minutes as a further version. The report is then of
            both; `version`, `content_hash` and `quality` are of the later one.
        **more
            As of `DataSource.ingest_to_bundle`.

        Raises
        ------
        RequestError
            Nothing is registered under the name, or the function failed or wrote no bars.
        """
        if frequency is not None:
            return super().ingest_to_bundle(bundle_name, symbols, start, end, frequency, **more)
        self.request(symbols, start, end)  # a date that is none, too
        if more.get("calendar") is None:
            self.calendar_name()  # one that no bundle can have is told before the function works for an hour
        written = self._run()
        frequencies = written.frequencies
        if not frequencies:
            raise RequestError(
                f"the ingest function of {self._bundle} wrote no bars",
                hint="it writes them with daily_bar_writer.write or minute_bar_writer.write; "
                "what it puts into output_dir is not read",
                bundle=self._bundle,
            )
        reports: list[IngestReport] = []
        nothing: list[NotCoveredError] = []
        for each in frequencies:
            mine = dict(more)
            if mine.get("op_id") and reports:
                mine["op_id"] = f"{mine['op_id']}-{each}"  # an operation is one commit
            try:
                reports.append(super().ingest_to_bundle(bundle_name, symbols, start, end, each, **mine))
            except NotCoveredError as error:  # written, but not in the range asked for
                nothing.append(error)
        if not reports:
            raise nothing[0]
        if len(reports) == 2:
            return _joined(reports[0], reports[1])
        return reports[0].with_notes([error.message for error in nothing])

    def plan(
        self,
        symbols: Symbols | None = None,
        start: Any = None,
        end: Any = None,
        frequency: str | Frequency | None = None,
    ) -> IngestPlan:
        """Return what would be run; the function itself is not called."""
        request = self.request(symbols, start, end, frequency or "1d")
        definition, _ = self._definition()
        notes = [f"a function writes {self._bundle}: its symbols are known when it has run"]
        if definition.start_session is not None or definition.end_session is not None:
            first, last = definition.start_session or "the first", definition.end_session or "the last"
            notes.append(f"the function is asked for sessions from {first} to {last}")
        return IngestPlan.of(self, request, request.symbols, notes=tuple(notes))

    def get_metadata(self) -> SourceMetadata:
        """Return what the source says of itself; `source_url` is the file that registered the bundle."""
        return SourceMetadata(source_type=self.name, source_url=self._definition()[1], adjustment="raw")

    def supports_live(self) -> bool:
        """Return False: a function does not stream."""
        return False

    def options(self) -> dict[str, Any]:
        """Return the name and the calendar; a file to execute is not taken from a bundle, which others may have made."""
        return {"bundle": self._bundle, **({"calendar": self._calendar} if self._calendar is not None else {})}

    def calendar_name(self) -> str | None:
        """Return the calendar that was given, else the registered one."""
        return self._calendar or stored_calendar(self._definition()[0].calendar_name)

    def list_symbols(self) -> list[str]:
        """Return every symbol with bars, sorted; the function is called for it."""
        return self._run().symbols()

    def close(self) -> None:
        """Remove what was written and not stored."""
        written, self._written = self._written, None
        self._delivered.clear()
        if written is not None:
            written.close()

    def _run(self) -> WrittenBundle:
        if self._written is None:
            definition, _ = self._definition()
            self._written = run_definition(
                self._bundle, definition, self._environ, show_progress=self._show_progress, output=self._output
            )
        return self._written

    def _definition(self) -> tuple[RegisteredBundle, str]:
        """Return the definition and where it is from."""
        if self._found is None:
            self._found = self._look_up()
        return self._found

    def _look_up(self) -> tuple[RegisteredBundle, str]:
        if self._extension is None and self._bundle in registration.bundles:
            return registration.bundles[self._bundle], "python"
        path = self._extension or default_extension(self._environ)
        if self._extension is None and not path.is_file():
            raise registration.unknown_bundle(
                self._bundle, registration.bundles, f", and there is no file {path} that could"
            )
        found = read_definitions(path)
        if self._bundle not in found:
            raise registration.unknown_bundle(self._bundle, found, f" in {path}")
        return found[self._bundle], str(path)


def _joined(daily: IngestReport, minute: IngestReport) -> IngestReport:
    """Return one report of two versions."""
    versions = f"daily bars are in version {daily.version}, minutes came with version {minute.version}"
    return replace(
        minute,
        unchanged=daily.unchanged and minute.unchanged,
        rows=daily.rows + minute.rows,
        rows_added=daily.rows_added + minute.rows_added,
        rows_changed=daily.rows_changed + minute.rows_changed,
        rows_removed=daily.rows_removed + minute.rows_removed,
        rows_quarantined=daily.rows_quarantined + minute.rows_quarantined,
        symbols=tuple(sorted({*daily.symbols, *minute.symbols})),
        quarantined=dict(Counter(daily.quarantined) + Counter(minute.quarantined)),
        examples=(*daily.examples, *minute.examples)[:MAX_EXAMPLES],
        skipped={**daily.skipped, **minute.skipped},
        failures={**daily.failures, **minute.failures},
        notes=tuple(dict.fromkeys((versions, *daily.notes, *minute.notes))),
        seconds=round(daily.seconds + minute.seconds, 3),
        revisions=(*daily.revisions, *minute.revisions),
    )

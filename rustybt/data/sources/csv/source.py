"""Bars from CSV files: any layout, any order, digit for digit."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rustybt.config import load_settings
from rustybt.data.sources.base import DataSource, Progress, Symbols
from rustybt.data.sources.csv.actions import check_actions
from rustybt.data.sources.csv.delivery import CsvContents, CsvDelivery
from rustybt.data.sources.csv.files import FoundFiles, find_files
from rustybt.data.sources.csv.input import CsvFormat
from rustybt.data.sources.csv.reading import Limits, check_encoding
from rustybt.data.sources.csv.table import check_separator
from rustybt.data.sources.ingest.plan import IngestPlan
from rustybt.data.sources.reading.collect import collect
from rustybt.data.sources.reading.columns import check_column_map
from rustybt.data.sources.reading.printed_numbers import check_decimal_mark
from rustybt.data.sources.reading.stamps import BarLabel, StampRules
from rustybt.errors import RequestError
from rustybt.market.assets import AssetAttributes
from rustybt.market.calendars import canonical_name
from rustybt.market.corporate_actions import PRICE_BASES, CorporateAction
from rustybt.market.frequency import DAILY, Frequency
from rustybt.market.provenance import SourceMetadata
from rustybt.market.request import BarRequest, check_symbol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from rustybt.data.sources.delivery import Delivery


class CSVDataSource(DataSource):
    """Bars from a CSV file, a directory of them, or a glob.

    A file with a symbol (ticker) column holds many symbols in any order; one without holds the symbol that it is named after.
    Columns are known by the usual names in any case; further ones are left alone. Numbers are kept digit for digit.

    Parameters
    ----------
    path
        File, directory (its .csv, .tsv and .txt files, also packed as .gz, .bz2, .xz, .zst or .zip) or glob.
    column_map
        Field to column, such as ``{"close": "Last"}``; the other way round is understood as well.
    timezone
        IANA zone of times without an offset; UTC if None. Dates of daily bars are never shifted.
    date_format
        ``dmy``, ``mdy``, ``unix_s``, ``unix_ms``, ``unix_us``, ``unix_ns``, ``iso``, or a pattern such as ``%d.%m.%Y``; None
        finds it, and refuses to guess between day and month.
    delimiter
        One of , ; tab |; None finds it.
    encoding
        UTF-8 if None.
    decimal
        The decimal mark, ``.`` or ``,``; the other one may then stand between thousands. None: a point, and nothing between
        thousands.
    skip_lines
        Lines before the header to leave out.
    symbol
        Symbol of files without a symbol column, instead of their name.
    bar_label
        Which end of an intraday bar its time names: ``open`` or ``close``.
    asset_type, venue, currency
        Of every symbol; they choose the calendar unless `calendar` does.
    price_basis
        ``raw``, ``split_adjusted``, ``split_dividend_adjusted`` or ``unknown``.
    calendar
        Trading calendar, a MIC such as XNYS, or 24/7.
    actions
        Corporate actions: a list, or the path of a CSV with the columns symbol,kind,ex_date,ratio,amount.
    max_decompressed_bytes, max_field_bytes
        Caps against bombs and unclosed quotes; None takes the settings ``csv.max_decompressed_bytes`` and
        ``csv.max_field_bytes``.

    Raises
    ------
    RequestError
        An option has no meaning.
    BadResponseError
        The file of corporate actions is malformed.
    """

    name: ClassVar[str] = "csv"
    is_local: ClassVar[bool] = True
    # See `CsvFormat`; sources of a fixed layout have others.
    _event_columns: ClassVar[bool] = False
    _named_by_file: ClassVar[bool] = False
    _required: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        column_map: Mapping[str, str] | None = None,
        timezone: str | None = None,
        date_format: str | None = None,
        delimiter: str | None = None,
        encoding: str | None = None,
        decimal: str | None = None,
        skip_lines: int = 0,
        symbol: str | None = None,
        bar_label: BarLabel = "open",
        asset_type: str = "equity",
        venue: str | None = None,
        currency: str = "USD",
        price_basis: str = "raw",
        calendar: str | None = None,
        actions: Sequence[CorporateAction] | str | os.PathLike[str] | None = None,
        max_decompressed_bytes: int | None = None,
        max_field_bytes: int | None = None,
    ) -> None:
        if not os.fspath(path):
            raise RequestError("the path is empty", hint="name a file, a directory or a glob: --path prices/")
        self._path = os.path.abspath(os.path.expanduser(os.fspath(path)))  # noqa: PTH100, PTH111  may be a glob
        settings = load_settings()
        limits = Limits(
            _whole(max_decompressed_bytes, "max_decompressed_bytes", settings.csv_max_decompressed_bytes),
            _whole(max_field_bytes, "max_field_bytes", settings.csv_max_field_bytes),
        )
        self._form = CsvFormat(
            check_column_map(column_map),
            check_separator(delimiter),
            check_encoding(encoding),
            _whole(skip_lines, "skip_lines", 0),
            limits,
            self.name if self._event_columns else "",
            self._named_by_file,
            self._required,
        )
        self._rules = StampRules(DAILY, timezone, date_format, bar_label)
        if price_basis not in PRICE_BASES:
            raise RequestError(f"unknown price basis {price_basis!r}", hint=f"use one of {', '.join(PRICE_BASES)}")
        self._calendar = None if calendar is None else canonical_name(calendar)
        events, actions_path = check_actions(actions, limits)
        self._contents = CsvContents(
            None if symbol is None else check_symbol(symbol),
            AssetAttributes(venue=venue, asset_type=asset_type, currency=currency),
            price_basis,
            events,
            check_decimal_mark(decimal),
        )
        given = {
            "column_map": dict(column_map) if column_map else None,
            "timezone": timezone,
            "date_format": date_format,
            "delimiter": delimiter,
            "encoding": encoding,
            "decimal": decimal,
            "skip_lines": skip_lines or None,
            "symbol": symbol,
            "bar_label": None if bar_label == self._default_label else bar_label,
            "asset_type": None if asset_type == "equity" else asset_type,
            "venue": venue,
            "currency": None if currency == "USD" else currency,
            "price_basis": None if price_basis == "raw" else price_basis,
            "calendar": calendar,
            "actions": None if actions_path is None else str(actions_path),
            "max_decompressed_bytes": max_decompressed_bytes,
            "max_field_bytes": max_field_bytes,
        }
        self._given = {"path": self._path, **{name: value for name, value in given.items() if value is not None}}

    _default_label: ClassVar[BarLabel] = "open"

    async def fetch(self, symbols: Symbols, start: Any, end: Any, frequency: str | Frequency = "1d") -> pl.DataFrame:
        """Fetch bars for `symbols`, see `DataSource.fetch`; rows that are no bars are left out with a DataQualityWarning."""
        request = self.request(symbols, start, end, frequency)
        return await asyncio.to_thread(collect, self, request)

    def deliver(self, request: BarRequest, progress: Progress | None = None) -> Iterator[Delivery]:
        """Yield batches of whole symbols in rising order; memory is bounded by a batch, or by the largest symbol."""
        rules = StampRules(request.frequency, self._rules.timezone, self._rules.date_format, self._rules.bar_label)
        found = self._files(request.frequency)
        return CsvDelivery(found, self._form, rules, self._contents, request, progress).deliveries()

    def get_metadata(self) -> SourceMetadata:
        """Return what the source says of itself; `source_url` is the path."""
        return SourceMetadata(
            source_type=self.name,
            source_url=self._path,
            timezone=self._rules.timezone or "UTC",
            adjustment=self._contents.price_basis,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._given.items())})"

    def supports_live(self) -> bool:
        """Return False: a file does not stream."""
        return False

    def options(self) -> dict[str, Any]:
        """Return the options that were given, the path absolute."""
        return dict(self._given)

    def calendar_name(self) -> str | None:
        """Return the calendar that was given."""
        return self._calendar

    def list_symbols(self) -> list[str]:
        """Return every symbol in the files, sorted; files with a symbol column are read for it."""
        return self._reader(DAILY).symbols()

    def plan(
        self,
        symbols: Symbols | None = None,
        start: Any = None,
        end: Any = None,
        frequency: str | Frequency = "1d",
    ) -> IngestPlan:
        """Return which files and symbols an ingest would read."""
        request = self.request(symbols, start, end, frequency)
        found = self._files(request.frequency)
        reader = self._reader(request.frequency, request)
        names = reader.symbols()
        failures = tuple((symbol, error.message) for symbol, error in reader.failures.items())
        return IngestPlan.of(
            self,
            request,
            tuple(names),
            files=tuple(file.label for file in found.files),
            size_bytes=sum(file.size_bytes for file in found.files),
            failures=failures,
            columns=reader.columns,
            notes=reader.notes,
        )

    def _files(self, frequency: Frequency) -> FoundFiles:  # noqa: ARG002  csvdir has a folder for each frequency
        return find_files(Path(self._path))

    def _reader(self, frequency: Frequency, request: BarRequest | None = None) -> CsvDelivery:
        asked = request or BarRequest((), None, None, frequency)
        return CsvDelivery(self._files(frequency), self._form, self._rules, self._contents, asked, None)


def _whole(value: Any, name: str, default: int) -> int:
    """Return an option that the command line may hand over as text.

    Raises
    ------
    RequestError
        It is no whole number, or negative.
    """
    if value is None:
        return default
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise RequestError(f"{name}={value!r} is not a whole number", hint="write it in digits")
    return number

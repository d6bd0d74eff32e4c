"""CSV files as deliveries: which layout they have, in which order their symbols come, and what each batch holds."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

import polars as pl

from rustybt.data.sources.csv.actions import actions_of_rows
from rustybt.data.sources.csv.input import (
    CsvFormat,
    Head,
    TextRows,
    fields_of,
    read_heads,
    read_long_blocks,
    read_single_files,
)
from rustybt.data.sources.csv.spool import Spool
from rustybt.data.sources.delivery import Delivery
from rustybt.data.sources.reading.bar_rows import FILE, BuiltBars, build_bars
from rustybt.data.sources.reading.date_order import DateOrders
from rustybt.data.sources.reading.printed_numbers import comma_example, number_parser
from rustybt.errors import BadResponseError, RequestError, SourceError, SymbolNotFoundError
from rustybt.market.bars import PRICE_COLUMNS
from rustybt.market.request import BarRequest, check_symbol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rustybt.data.sources.base import Progress
    from rustybt.data.sources.csv.files import FoundFiles
    from rustybt.data.sources.reading.stamp_formats import DateOrder, StampFamily
    from rustybt.data.sources.reading.stamps import StampRules
    from rustybt.market.assets import AssetAttributes
    from rustybt.market.corporate_actions import CorporateAction

BATCH_BYTES = 64 * 2**20
# How much larger a packed file is expected to become; only the size of a batch depends on it.
_EXPANSION = 5


class ByteProgress:
    """Adds up bytes read and tells a progress callback."""

    def __init__(self, progress: Progress | None, total_bytes: int) -> None:
        self._progress = progress
        self._done = 0
        self._total = total_bytes

    def add(self, size_bytes: int) -> None:
        """Note that `size_bytes` more were read; packed files unpack to more than they are."""
        self._done = min(self._done + size_bytes, self._total)
        if self._progress is not None:
            self._progress("read", self._done, self._total)


@dataclass(frozen=True, slots=True)
class CsvContents:
    """What the files hold, apart from their layout.

    Parameters
    ----------
    symbol
        The symbol of files without a symbol column; None takes each file's name.
    attributes
        Of every symbol.
    actions
        Corporate actions that the caller gave.
    decimal
        The decimal mark of their numbers; None for a point and nothing between thousands.
    """

    symbol: str | None
    attributes: AssetAttributes
    price_basis: str
    actions: tuple[CorporateAction, ...] = ()
    decimal: str | None = None


class CsvDelivery:
    """Reads found files for one request; iterate `deliveries` once."""

    def __init__(
        self,
        found: FoundFiles,
        form: CsvFormat,
        rules: StampRules,
        contents: CsvContents,
        request: BarRequest,
        progress: Progress | None,
    ) -> None:
        self._form = form
        self._rules = rules
        self._contents = contents
        self._request = request
        self._progress = ByteProgress(progress, sum(file.size_bytes for file in found.files))
        self._heads, failures = read_heads(found.files, form, contents.symbol)
        self._failures: dict[str, SourceError] = {**found.failures, **failures}
        self._labels = [head.file.label for head in self._heads]
        self._parse = number_parser(contents.decimal)

    def deliveries(self) -> Iterator[Delivery]:
        """Yield the batches, symbols rising; what failed comes with the first.

        Raises
        ------
        RequestError
            Day and month cannot be told apart, or the frequency does not fit the timestamps.
        SourceError
            A file with a symbol column is broken, or the only file is.
        """
        if any(head.is_long for head in self._heads):
            if self._failures:
                # Its symbols are not known: without it, any of them would be silently incomplete.
                raise next(iter(self._failures.values()))
            return self._long()
        return self._single()

    @property
    def failures(self) -> dict[str, SourceError]:
        """What is known to fail before any row is read, by symbol."""
        return dict(self._failures)

    def symbols(self) -> list[str]:
        """Return the wanted symbols that the files hold, sorted; those of a symbol column are read."""
        if not any(head.is_long for head in self._heads):
            return [symbol for symbol, _ in self._files_by_symbol()]
        present: set[str] = set()
        for part in read_long_blocks(self._heads, self._form, self._progress.add):
            if part.rows.height:
                present.update(part.rows["symbol"].drop_nulls().unique().to_list())
        return self._wanted(present)

    # -- one symbol a file -------------------------------------------------------------------------------------------

    def _single(self) -> Iterator[Delivery]:
        files = self._files_by_symbol()
        order = self._date_order([at for _, members in files for at in members])
        pending = Delivery(
            failures=self._failures,
            actions=self._contents.actions,
            price_basis=self._contents.price_basis,
            notes=self._notes(),
        )
        timed = False
        for batch in self._batches(files):
            codes = [at for _, members in batch for at in members]
            symbols = [symbol for symbol, members in batch for _ in members]
            parts = read_single_files([self._heads[at] for at in codes], codes, symbols, self._form)
            failures = self._failures_of(parts, symbols)
            built = [self._build(_without(part.rows, failures), order) for part in parts if part.rows.height]
            timed = self._check_times(built, timed=timed)
            delivery = self._delivery(pending, parts, built, failures, dict.fromkeys(symbols))
            del parts, built
            yield delivery
            self._progress.add(sum(self._heads[at].file.size_bytes for at in codes))
            pending = Delivery(price_basis=self._contents.price_basis)
        if pending.failures or not files:
            yield pending

    def _files_by_symbol(self) -> list[tuple[str, list[int]]]:
        """Return the usable, wanted symbols, sorted, each with its files; note the others as failures."""
        owners: dict[str, list[int]] = {}
        for at, head in enumerate(self._heads):
            symbol = self._contents.symbol or head.file.symbol
            try:
                check_symbol(symbol)
            except RequestError as error:
                self._failures[symbol] = BadResponseError(error.message, hint=error.hint, file=head.file.label)
            else:
                owners.setdefault(symbol, []).append(at)
        kept = self._wanted(owners)
        # One of a symbol's files is broken: without it, the symbol would be silently incomplete.
        return [(symbol, owners[symbol]) for symbol in kept if symbol not in self._failures]

    def _wanted(self, present: Iterable[str]) -> list[str]:
        """Return the symbols to deliver, sorted; what was asked for and is not there is a failure."""
        asked = self._request.symbols
        if not asked:
            return sorted(symbol for symbol in present if symbol)
        known = set(present)
        self._failures = {symbol: error for symbol, error in self._failures.items() if symbol in asked}
        for symbol in asked:
            if symbol not in known and symbol not in self._failures:
                self._failures[symbol] = _not_found(symbol, known, self._labels)
        return sorted(known.intersection(asked))

    def _batches(self, files: Sequence[tuple[str, list[int]]]) -> Iterator[list[tuple[str, list[int]]]]:
        batch: list[tuple[str, list[int]]] = []
        size = 0
        for symbol, members in files:
            expected = sum(_text_bytes(self._heads[at]) for at in members)
            if batch and size + expected > BATCH_BYTES:
                yield batch
                batch, size = [], 0
            batch.append((symbol, members))
            size += expected
        if batch:
            yield batch

    def _failures_of(self, parts: Sequence[TextRows], symbols: Sequence[str]) -> dict[str, SourceError]:
        """Return the failures of a batch; a file with nothing but a header is one."""
        failures = {symbol: error for part in parts for symbol, error in part.failures.items()}
        found: set[str] = set()
        for part in parts:
            if part.rows.height:
                found.update(part.rows["symbol"].unique().to_list())
            found.update(part.quarantined["symbol"].unique().to_list())
        for symbol in symbols:
            if symbol not in found and symbol not in failures:
                failures[symbol] = BadResponseError(
                    f"{symbol}: the file has a header and no rows", hint="remove the file, or fill it", symbol=symbol
                )
        return failures

    # -- symbols in a column -----------------------------------------------------------------------------------------

    def _long(self) -> Iterator[Delivery]:
        pending = Delivery(
            failures=self._failures,
            actions=self._contents.actions,
            price_basis=self._contents.price_basis,
            notes=self._notes(),
        )
        hashes: dict[str, str] = {}
        quarantined = pending.quarantined
        orders = DateOrders()
        asked = list(self._request.symbols)
        present: set[str] = set()
        with Spool() as spool:
            size = 0
            for part in read_long_blocks(self._heads, self._form, self._progress.add):
                hashes.update(part.hashes)
                quarantined = quarantined.vstack(part.quarantined)
                if not part.rows.height:
                    continue
                code = int(part.rows[FILE][0])
                if self._heads[code].family == "slashed" and self._rules.date_format is None:
                    orders.note(self._labels[code], part.rows["timestamp"])
                wanted = pl.col("symbol").is_in(asked) | pl.col("symbol").is_null()
                rows = part.rows.filter(wanted) if asked else part.rows
                if asked:
                    present.update(part.rows["symbol"].drop_nulls().unique().to_list())
                spool.add(rows)
                size += rows.height
                del part, rows
            order = orders.agreed()
            kept = set(self._wanted(present or spool.counts))
            pending = replace(pending, failures=self._failures, quarantined=quarantined, files=hashes)
            timed = False
            for batch, read in spool.drain():
                rows = read
                if not kept.issuperset(batch):
                    rows = rows.filter(pl.col("symbol").is_in(list(kept)) | pl.col("symbol").is_null())
                built = [self._build(part, order) for part in self._by_family(rows)]
                timed = self._check_times(built, timed=timed)
                delivery = self._delivery(pending, [], built, {}, dict.fromkeys(kept.intersection(batch)))
                # While the caller works on the bars, their text need not be held.
                del rows, read, built
                yield delivery
                pending = Delivery(price_basis=self._contents.price_basis)
        if pending.failures or not size:
            yield pending

    def _by_family(self, rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
        """Yield the rows of files whose timestamps are spelled alike."""
        families: dict[StampFamily | None, list[int]] = {}
        for code, head in enumerate(self._heads):
            families.setdefault(head.family, []).append(code)
        if len(families) == 1:
            yield rows
            return
        for codes in families.values():
            part = rows.filter(pl.col(FILE).is_in(codes))
            if part.height:
                yield part

    # -- both --------------------------------------------------------------------------------------------------------

    def _build(self, rows: pl.DataFrame, order: DateOrder | None) -> tuple[pl.DataFrame, BuiltBars]:
        if "time" in rows.columns:
            # A file without this column, among others that have it, prints both in one.
            # What the caller gave a pattern for is left as it is printed.
            plain = self._rules.date_format is None
            date, time = (_dashed, _coloned) if plain else (pl.col, pl.col)
            stamp = pl.concat_str(date("timestamp"), time("time"), separator=" ")
            rows = rows.with_columns(timestamp=pl.coalesce(stamp, "timestamp"))
        stamps = self._rules.read(rows["timestamp"], order)
        return rows, build_bars(rows, stamps, self._request, self._labels, self._parse)

    def _delivery(
        self,
        pending: Delivery,
        parts: Sequence[TextRows],
        built: Sequence[tuple[pl.DataFrame, BuiltBars]],
        failures: dict[str, SourceError],
        symbols: Iterable[str],
    ) -> Delivery:
        bars, quarantined, actions = pending.bars, pending.quarantined, list(pending.actions)
        flags = []
        for rows, item in built:
            bars = bars.vstack(item.bars) if bars.height else item.bars
            quarantined = quarantined.vstack(item.quarantined)
            flags.append((item.missing_volume, item.bars.height))
            if self._form.event_columns:
                currency = self._contents.attributes.currency
                found, unread = actions_of_rows(
                    rows, self._rules, self._request, currency, self._labels, self._form.event_columns
                )
                actions += found
                quarantined = quarantined.vstack(unread)
        for part in parts:
            quarantined = quarantined.vstack(part.quarantined)
        return replace(
            pending,
            bars=bars,
            quarantined=quarantined,
            missing_volume=_joined_flags(flags),
            assets=dict.fromkeys(symbols, self._contents.attributes),
            actions=tuple(actions),
            failures={**pending.failures, **failures},
            notes=(*pending.notes, *self._number_notes(built)),
            files={**pending.files, **{name: digest for part in parts for name, digest in part.hashes.items()}},
        )

    def _check_times(self, built: Sequence[tuple[pl.DataFrame, BuiltBars]], *, timed: bool) -> bool:
        """Refuse dates without times as intraday bars, and times of day as daily bars."""
        frequency = self._request.frequency
        timed = timed or any(item.has_time for _, item in built)
        rows = sum(item.bars.height for _, item in built)
        if frequency.is_intraday and rows and not timed:
            raise RequestError(
                f"the timestamps are dates without a time, which cannot be bars of {frequency}",
                hint="ingest them as --frequency 1d",
            )
        if not frequency.is_intraday and any(item.has_time for _, item in built):
            labels = sum(item.bars.select("symbol", "timestamp").n_unique() for _, item in built)
            if labels * 2 < rows:
                raise RequestError(
                    f"the files have several bars a day, they are not bars of {frequency}",
                    hint="name their frequency: --frequency 1m (or 5m, 15m, 30m, 1h); of a run it is --data-frequency",
                )
        return timed

    def _date_order(self, codes: Sequence[int]) -> DateOrder | None:
        """Return whether day or month comes first, read from all files whose dates have slashes."""
        slashed = [at for at in codes if self._heads[at].family == "slashed"]
        if not slashed or self._rules.date_format is not None:
            return None
        orders = DateOrders()
        for first in range(0, len(slashed), 50):
            some = slashed[first : first + 50]
            names = [self._heads[at].file.symbol for at in some]
            for part in read_single_files([self._heads[at] for at in some], some, names, self._form):
                for (code,), rows in part.rows.partition_by(FILE, as_dict=True).items() if part.rows.height else ():
                    orders.note(self._labels[int(code)], rows["timestamp"])
        return orders.agreed()

    def _number_notes(self, built: Sequence[tuple[pl.DataFrame, BuiltBars]]) -> list[str]:
        """Say how to read numbers with a decimal comma, where some were set aside."""
        if self._contents.decimal is not None:
            return []
        for rows, item in built:
            for column in PRICE_COLUMNS if item.quarantined.height else ():
                if (example := comma_example(rows[column])) is not None:
                    return [f"{column} {example} looks like a number with a decimal comma: --decimal , reads it"]
        return []

    @property
    def notes(self) -> tuple[str, ...]:
        """What the beginnings of the files give notice of."""
        return self._notes()

    @property
    def columns(self) -> str:
        """Which column of the first file is read as what, as text; empty if no file can be read."""
        if not self._heads:
            return ""
        head = self._heads[0]
        return ", ".join(f"{name}={head.header.names[at]}" for name, at in fields_of(head, self._form).items())

    def _notes(self) -> tuple[str, ...]:
        unused = sorted({name for head in self._heads for name in head.columns.unused})
        notes = []
        if unused:
            notes.append(f"columns not used: {', '.join(unused[:20])}")
        silent = [head.file.label for head in self._heads if "volume" not in head.columns]
        if silent:
            notes.append(f"no volume column in {', '.join(silent[:5])}: volume is stored as 0 and marked missing")
        return tuple(notes)


def _dashed(column: str) -> pl.Expr:
    """Return a date of eight digits as ISO, any other as it is."""
    text = pl.col(column).str.strip_chars()
    return text.str.replace(r"^(\d{4})(\d{2})(\d{2})$", "${1}-${2}-${3}")


def _coloned(column: str) -> pl.Expr:
    """Return a time of day of digits alone, such as 93000 or 0930, with colons; any other as it is."""
    text = pl.col(column).str.strip_chars()
    return text.str.replace(r"^(\d{1,2})(\d{2})(\d{2})$", "${1}:${2}:${3}").str.replace(
        r"^(\d{1,2})(\d{2})$", "${1}:${2}"
    )


def _text_bytes(head: Head) -> int:
    return head.file.size_bytes * (_EXPANSION if head.file.compression else 1)


def _without(rows: pl.DataFrame, symbols: Iterable[str]) -> pl.DataFrame:
    names = list(symbols)
    return rows.filter(~pl.col("symbol").is_in(names)) if names else rows


def _joined_flags(flags: Sequence[tuple[pl.Series | None, int]]) -> pl.Series | None:
    """Return one flag a row for parts of which some have none."""
    if all(flag is None for flag, _ in flags):
        return None
    whole = pl.Series(dtype=pl.Boolean)
    for flag, height in flags:
        whole = whole.append(
            flag if flag is not None else pl.repeat(value=False, n=height, dtype=pl.Boolean, eager=True)
        )
    return whole


def _not_found(symbol: str, known: set[str], labels: Sequence[str]) -> SymbolNotFoundError:
    composed = unicodedata.normalize("NFC", symbol)
    twin = next((other for other in known if unicodedata.normalize("NFC", other) == composed), None)
    near = [twin] if twin else get_close_matches(symbol, sorted(known), n=3, cutoff=0.5)
    where = labels[0] if len(labels) == 1 else f"{len(labels)} files"
    return SymbolNotFoundError(
        f"{where} {'has' if len(labels) == 1 else 'have'} no symbol {symbol!r}",
        hint=f"did you mean {' or '.join(near)}?" if near else "rustybt ingest csv --plan lists the symbols",
        symbol=symbol,
    )

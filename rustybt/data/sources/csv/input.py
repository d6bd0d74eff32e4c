"""The files of a CSV source as rows of text: one file a symbol, or symbols in a column."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.data.sources.csv.reading import Block, CsvBytes, Limits, check_text
from rustybt.data.sources.csv.table import Header, TextTable, parse_rows, read_header, split_record
from rustybt.data.sources.delivery import empty_quarantine
from rustybt.data.sources.reading.bar_rows import FILE, LINE, ragged_quarantine
from rustybt.data.sources.reading.columns import Columns, field_of, find_columns
from rustybt.data.sources.reading.stamp_formats import StampFamily, family_of
from rustybt.errors import BadResponseError, SourceError
from rustybt.market.bars import join_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rustybt.data.sources.csv.files import InputFile

_HEAD_BYTES = 16 * 2**10
_READERS = 4
# Files are joined and parsed as one text up to this size each; of a packed file, up to what it should become. Larger ones
# are parsed block by block.
_JOINED_BYTES, _JOINED_MINIMUM, _USUAL_RATIO = 32 * 2**20, 2**20, 20


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """How the files are written, as far as the caller says so; None is found out.

    Parameters
    ----------
    event_columns
        Who says what the columns dividend and split hold, the source's name; empty leaves them alone.
    named_by_file
        Zipline's csvdir: the first column is the date, whatever it is called, and a file's name is its symbol.
    required
        Fields that a file must have beside the date and the prices.
    """

    column_map: Mapping[str, str] = field(default_factory=dict)
    separator: str | None = None
    encoding: str | None = None
    skip_lines: int = 0
    limits: Limits = field(default_factory=Limits)
    event_columns: str = ""
    named_by_file: bool = False
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """What the beginning of a file says: its columns, and how its first timestamp is spelled."""

    file: InputFile
    header: Header
    columns: Columns
    family: StampFamily | None

    @property
    def is_long(self) -> bool:
        """True if a column names the symbol of each row."""
        return "symbol" in self.columns

    @property
    def layout(self) -> tuple[object, ...]:
        """Equal for files whose rows can be parsed as one text."""
        return (self.header.names, self.header.separator, self.family)


@dataclass(frozen=True, slots=True)
class TextRows:
    """Rows of text with symbol, `FILE` and `LINE`; ragged records; what failed, by symbol; hashes by file name."""

    rows: pl.DataFrame
    quarantined: pl.DataFrame
    failures: dict[str, SourceError]
    hashes: dict[str, str]


def read_heads(
    files: Sequence[InputFile], form: CsvFormat, symbol: str | None
) -> tuple[list[Head], dict[str, SourceError]]:
    """Return the head of each file, in order, and the failures of those without a usable one, by symbol."""
    heads: list[Head] = []
    failures: dict[str, SourceError] = {}
    with ThreadPoolExecutor(_READERS, thread_name_prefix="rustybt-csv") as pool:
        for file, head in zip(files, pool.map(lambda item: _try_head(item, form), files), strict=True):
            if isinstance(head, SourceError):
                failures[symbol or file.symbol] = head
            else:
                heads.append(head)
    return heads, failures


def _try_head(file: InputFile, form: CsvFormat) -> Head | SourceError:
    try:
        stream = CsvBytes(file, form.limits, form.encoding, block_bytes=_HEAD_BYTES)
        block = next(iter(stream), Block(b"", 1))
        check_text(block, file)
        return read_head(block, file, form)
    except SourceError as error:
        return error


def read_head(block: Block, file: InputFile, form: CsvFormat) -> Head:
    """Return what the first block of a file says of it."""
    header = read_header(block, file.label, form.separator, form.skip_lines)
    columns = _columns(header.names, file.label, form)
    body = block.data[header.size_bytes : header.size_bytes + 4_096]
    first = body.lstrip(b"\r\n").partition(b"\n")[0].decode(errors="replace").rstrip("\r")
    record = split_record(first, header.separator)
    position = columns.positions["timestamp"]
    return Head(file, header, columns, family_of(record[position]) if position < len(record) else None)


def _columns(names: Sequence[str], label: str, form: CsvFormat) -> Columns:
    """Return which column is which field, as the source's layout has it.

    Raises
    ------
    BadResponseError
        See `find_columns`; or the layout needs a column that is not there.
    """
    given = form.column_map
    if form.named_by_file and "timestamp" not in given and not field_of(names[0]):
        given = {"timestamp": names[0], **given}
    columns = find_columns(names, given, label)
    if form.named_by_file and "symbol" in columns and "symbol" not in given:
        positions = dict(columns.positions)
        columns = Columns(positions, (*columns.unused, names[positions.pop("symbol")]))
    missing = [name for name in form.required if name not in columns]
    if missing:
        raise BadResponseError(
            f"{label} has no column for {', '.join(missing)}; its columns are {', '.join(map(repr, names[:20]))}",
            hint="rustybt ingest csv --path FILE reads bars of other layouts",
            missing=missing,
        )
    return columns


def fields_of(head: Head, form: CsvFormat) -> dict[str, int]:
    """Return the fields to read, with their columns; the events of csvdir only where they are asked for."""
    skipped = () if form.event_columns else ("dividend", "split")
    return {name: position for name, position in head.columns.positions.items() if name not in skipped}


def read_single_files(
    heads: Sequence[Head], codes: Sequence[int], symbols: Sequence[str], form: CsvFormat
) -> list[TextRows]:
    """Read files of one symbol each, whole; those of equal layout are parsed as one text.

    A file that cannot be read fails its own symbol and no other.

    Parameters
    ----------
    codes
        `FILE` code of each head.
    symbols
        The symbol of each head's file.
    """
    groups: dict[tuple[object, ...], list[tuple[int, _Body]]] = {}
    failures: dict[str, SourceError] = {}
    hashes: dict[str, str] = {}
    parts: list[TextRows] = []
    with ThreadPoolExecutor(_READERS, thread_name_prefix="rustybt-csv") as pool:
        for at, body in enumerate(pool.map(lambda head: _try_body(head, form), heads)):
            if isinstance(body, SourceError):
                failures[symbols[at]] = body
            elif body is None:
                try:
                    parts += _parse_large(heads[at], codes[at], symbols[at], form)
                except SourceError as error:
                    failures[symbols[at]] = error
            else:
                groups.setdefault(heads[at].layout, []).append((at, body))
                hashes[heads[at].file.label] = body.sha256
    for members in groups.values():
        try:
            parts.append(_parse_group(members, heads, codes, symbols, form))
        except BadResponseError:
            # Joined, one bad file spoils its neighbours: alone, it fails alone.
            for member in members:
                try:
                    parts.append(_parse_group([member], heads, codes, symbols, form))
                except BadResponseError as error:
                    failures[symbols[member[0]]] = error
    return [*parts, TextRows(pl.DataFrame(), empty_quarantine(), failures, hashes)]


@dataclass(frozen=True, slots=True)
class _Body:
    """The records after the header, ended by a line end; not copied until those of a group are joined."""

    parts: list[bytes | memoryview]
    line_count: int
    sha256: str


def _try_body(head: Head, form: CsvFormat) -> _Body | SourceError | None:
    """Return the records of a file, None if they are too large to be joined with others."""
    try:
        stream = CsvBytes(head.file, form.limits, form.encoding)
        parts: list[bytes | memoryview] = []
        lines, size = 0, 0
        for block in stream:
            check_text(block, head.file)
            size += len(block.data)
            if size > min(_JOINED_BYTES, _JOINED_MINIMUM + _USUAL_RATIO * head.file.size_bytes):
                return None
            skipped = 0 if parts else head.header.size_bytes
            parts.append(memoryview(block.data)[skipped:])
            lines += block.data.count(b"\n", skipped)
    except SourceError as error:
        return error
    if parts and len(parts[-1]) and parts[-1][-1] != ord("\n"):
        parts.append(b"\n")
        lines += 1
    return _Body(parts, lines, stream.sha256)


def _parse_large(head: Head, code: int, symbol: str, form: CsvFormat) -> list[TextRows]:
    """Read a file block by block, so that only its rows are held and never its text; all of it, or its error."""
    parts = list(read_long_blocks([head], form, lambda _: None))
    rows = [part.rows.with_columns(pl.lit(symbol).alias("symbol"), pl.lit(code, dtype=pl.UInt32).alias(FILE))
            for part in parts if part.rows.height]  # fmt: skip
    quarantined = join_frames([part.quarantined for part in parts]).with_columns(symbol=pl.lit(symbol))
    hashes = {name: digest for part in parts for name, digest in part.hashes.items()}
    return [TextRows(join_frames(rows) if rows else pl.DataFrame(), quarantined, {}, hashes)]


def _parse_group(
    members: Sequence[tuple[int, _Body]],
    heads: Sequence[Head],
    codes: Sequence[int],
    symbols: Sequence[str],
    form: CsvFormat,
) -> TextRows:
    head = heads[members[0][0]]
    data = b"".join(part for _, body in members for part in body.parts)
    table = parse_rows(data, head.header, fields_of(head, form), head.file.label, head.header.lines + 1)
    bounds = np.cumsum([body.line_count for _, body in members])
    starts = np.concatenate(([0], bounds[:-1]))
    owner = np.searchsorted(bounds, table.rows[LINE].to_numpy(), side="right")
    first_lines = np.array([heads[at].header.lines + 1 for at, _ in members])
    rows = table.rows.with_columns(
        pl.Series("symbol", [symbols[at] for at, _ in members], dtype=pl.String).gather(owner).alias("symbol"),
        pl.Series(FILE, np.array([codes[at] for at, _ in members], dtype=np.uint32)[owner]),
        pl.Series(LINE, table.rows[LINE].to_numpy() - starts[owner] + first_lines[owner], dtype=pl.UInt32),
    )
    quarantined = empty_quarantine()
    for record in table.ragged:
        index = int(np.searchsorted(bounds, record[0], side="right"))
        at = members[index][0]
        shifted = (record[0] - int(starts[index]), *record[1:])
        quarantined = quarantined.vstack(
            ragged_quarantine([shifted], symbols[at], heads[at].file.label, heads[at].header.lines + 1)
        )
    return TextRows(rows, quarantined, {}, {})


def read_long_blocks(heads: Sequence[Head], form: CsvFormat, advance: Callable[[int], None]) -> Iterator[TextRows]:
    """Yield the rows of files that name the symbol of each row, block by block, in the files' order.

    A file without a symbol column gives its own name to all its rows.

    Raises
    ------
    SourceError
        A file is broken: which symbols would be incomplete cannot be known, so nothing is delivered.
    """
    columns = list(dict.fromkeys(name for head in heads for name in (*fields_of(head, form), "symbol")))
    for code, head in enumerate(heads):
        stream = CsvBytes(head.file, form.limits, form.encoding)
        fields = fields_of(head, form)
        for block in stream:
            check_text(block, head.file)
            skipped = head.header.size_bytes if block.first_line == 1 else 0
            first_line = block.first_line + (head.header.lines if skipped else 0)
            table = parse_rows(
                block.data[skipped:] if skipped else block.data, head.header, fields, head.file.label, first_line
            )
            yield _located(table, head, code, first_line, columns)
            advance(len(block.data))
        yield TextRows(pl.DataFrame(), empty_quarantine(), {}, {head.file.label: stream.sha256})


def _located(table: TextTable, head: Head, code: int, first_line: int, columns: Sequence[str]) -> TextRows:
    """Return the rows with the columns that all files together have, null where this one has none."""
    symbol = pl.col("symbol").str.strip_chars() if head.is_long else pl.lit(head.file.symbol)
    rows = table.rows.with_columns(
        pl.when(symbol != "").then(symbol).alias("symbol"),
        pl.lit(code, dtype=pl.UInt32).alias(FILE),
        (pl.col(LINE) + first_line).cast(pl.UInt32),
    )
    absent = [pl.lit(None, dtype=pl.String).alias(name) for name in columns if name not in rows.columns]
    rows = rows.with_columns(absent).select(*columns, FILE, LINE)
    quarantined = ragged_quarantine(
        table.ragged, None if head.is_long else head.file.symbol, head.file.label, first_line
    )
    return TextRows(rows, quarantined, {}, {})

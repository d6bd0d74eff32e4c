"""Records of a CSV as columns of text: nothing is converted here, and no record is lost without a reason."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from rustybt.data.sources.reading.stamp_formats import family_of
from rustybt.errors import BadResponseError, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from rustybt.data.sources.csv.reading import Block

SEPARATORS = (",", ";", "\t", "|")
LINE = "line"
MAX_TEXT = 200

TOO_FEW = "too few fields"
TOO_MANY = "too many fields"
AFTER_QUOTE = "text after a closing quote"
# No record of a file can be this one: a NUL byte ends the reading before.
_MALFORMED = ["\0"]

# A few blank lines cost nothing; they are looked for in pieces, because numbers of lines take eight bytes each.
_MANY_BLANKS = 1_000
_PIECE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Header:
    """The first record of a file.

    Parameters
    ----------
    size_bytes, lines
        What comes before the first row, the header included.
    """

    names: tuple[str, ...]
    separator: str
    size_bytes: int
    lines: int


@dataclass(frozen=True, slots=True)
class TextTable:
    """Rows as text.

    Parameters
    ----------
    rows
        One String column a field, empty fields null, and `LINE` (UInt32, counted from 0 within the bytes given).
    ragged
        (line, reason, text) of the records that do not have the header's number of fields.
    line_count
        Line ends in the bytes given, the last record's included.
    """

    rows: pl.DataFrame
    ragged: tuple[tuple[int, str, str], ...]
    line_count: int


def read_header(block: Block, label: str, separator: str | None = None, skip_lines: int = 0) -> Header:
    """Return the header: the first line that is not blank and no ``#`` comment, after `skip_lines` others.

    Raises
    ------
    BadResponseError
        The file has no such line, or it is a row of data.
    """
    start, lines, skipped = 0, 0, 0
    while start < len(block.data):
        end = block.data.find(b"\n", start)
        end = len(block.data) if end < 0 else end
        text = block.data[start:end].decode().rstrip("\r")
        start, lines = min(end + 1, len(block.data)), lines + 1
        if skipped < skip_lines:
            skipped += 1
        elif text.strip(" \t,;|\ufeff") and not text.lstrip().startswith("#"):
            return _header(text, label, separator, start, lines)
    raise BadResponseError(f"{label} is empty", hint="the first line names the columns", file=label)


def _header(text: str, label: str, separator: str | None, size_bytes: int, lines: int) -> Header:
    chosen = separator or max(SEPARATORS, key=lambda mark: len(split_record(text, mark)))
    names = tuple(name.strip() for name in split_record(text, chosen))
    if any(family_of(name) for name in names):
        raise BadResponseError(
            f"{label} line {lines} is a row of data, not the names of the columns: {text[:80]!r}",
            hint="put a header such as date,open,high,low,close,volume before it",
            file=label,
            line=lines,
        )
    return Header(names, chosen, size_bytes, lines)


def split_record(text: str, separator: str) -> list[str]:
    """Return the fields of one record."""
    try:
        return next(csv.reader([text], delimiter=separator), [])
    except csv.Error:
        return text.split(separator)


def check_separator(separator: str | None) -> str | None:
    """Return `separator` if it is one usable character; a tab may be spelled out.

    Raises
    ------
    RequestError
        It cannot.
    """
    spelled = {"\\t": "\t", "tab": "\t"}.get(separator or "", separator)
    if spelled is None or (
        len(spelled) == 1 and spelled.isascii() and spelled not in '"\n\r\0' and not spelled.isalnum()
    ):
        return spelled
    raise RequestError(f"delimiter {separator!r} is not one character", hint="use one of , ; tab |")


def parse_rows(data: bytes, header: Header, positions: Mapping[str, int], label: str, first_line: int) -> TextTable:
    """Return the rows of `data`, whole records without header; blank lines are left out.

    Every record must have the header's number of fields, which is proved by counting separators: polars itself fills
    short records with nulls without a word.

    Raises
    ------
    BadResponseError
        A field is longer than the reader takes.
    """
    lines: pl.Series | None = None
    ragged: tuple[tuple[int, str, str], ...] = ()
    counts = _Counts.of(data, header)
    line_count = counts.lines
    if b'"' not in data and counts.are_short and data.count(b"\n\n") + data.count(b"\n\r") > _MANY_BLANKS:
        # As rows of nulls they would take a hundred times their size.
        data, lines = _without_blanks(data)
        counts = _Counts.of(data, header)
    if b'"' in data and _has_text_after_quotes(data, header.separator):
        # Polars and a lenient reader make 12 of "1"2.
        return _parse_slow(data, header, positions, label, first_line, strict=True)
    table = _parse_fast(data, header, counts)
    if table is None and b'"' not in data:
        data, kept, ragged = _set_aside(data, header)
        if lines is not None:
            ragged = tuple((int(lines[at]), reason, text) for at, reason, text in ragged)
        lines = kept if lines is None else lines.gather(kept)
        table = _parse_fast(data, header, _Counts.of(data, header))
    if table is None:
        return _parse_slow(data, header, positions, label, first_line)
    numbered = table.with_row_index(LINE) if lines is None else table.with_columns(lines.alias(LINE))
    rows = numbered.select(*(pl.col(f"c{position}").alias(field) for field, position in positions.items()), LINE)
    if table["c0"].null_count():
        rows = rows.filter(~table.select(pl.all_horizontal(pl.all().is_null())).to_series())
    return TextTable(rows, ragged, line_count)


def _without_blanks(data: bytes) -> tuple[bytes, pl.Series]:
    """Return the lines of unquoted text that hold something, and their numbers."""
    parts: list[bytes] = []
    numbers: list[NDArray[np.int64]] = []
    start, line = 0, 0
    while start < len(data):
        end = data.find(b"\n", min(start + _PIECE_BYTES, len(data))) + 1 or len(data)
        piece = np.frombuffer(data, dtype=np.uint8, count=end - start, offset=start)
        ends = np.flatnonzero(piece == ord("\n"))
        starts = np.concatenate(([0], ends + 1))
        starts = starts[starts < piece.size]
        # All of white space and control characters is at most a blank; a UTF-8 letter is above it.
        holds = np.bitwise_or.reduceat(piece > ord(" "), starts)
        parts.append(piece[np.repeat(holds, np.diff(starts, append=piece.size))].tobytes())
        numbers.append(np.flatnonzero(holds) + line)
        start, line = end, line + len(starts)
    return b"".join(parts), pl.Series(LINE, np.concatenate(numbers), dtype=pl.UInt32)


def _set_aside(data: bytes, header: Header) -> tuple[bytes, pl.Series, tuple[tuple[int, str, str], ...]]:
    """Return the records of unquoted text that have the right number of fields, their lines, and the others."""
    width = len(header.names)
    text = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", dtype=np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    marks = np.flatnonzero(text == ord(header.separator))
    counts = np.diff(np.searchsorted(marks, ends), prepend=0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    keep = counts == width - 1
    ragged: list[tuple[int, str, str]] = []
    parts: list[bytes] = []
    done = 0
    for at in np.flatnonzero(~keep).tolist():
        record = data[starts[at] : ends[at]].rstrip(b"\r")
        parts.append(data[done : starts[at]])
        done = int(ends[at]) + 1
        if counts[at] >= width and not record.split(header.separator.encode(), width)[-1].strip(
            header.separator.encode()
        ):
            # A separator at the end of the line adds nothing.
            parts.append(header.separator.encode().join(record.split(header.separator.encode())[:width]) + b"\n")
            keep[at] = True
        elif record.strip():
            reason = TOO_FEW if counts[at] < width - 1 else TOO_MANY
            ragged.append((at, reason, record[: MAX_TEXT * 4].decode(errors="replace")[:MAX_TEXT]))
    parts.append(data[done:])
    return b"".join(parts), pl.Series(LINE, np.flatnonzero(keep), dtype=pl.UInt32), tuple(ragged)


@dataclass(frozen=True, slots=True)
class _Counts:
    """Separators and lines of a text; every record has its fields only if the numbers say so."""

    separators: int
    lines: int
    width: int

    @classmethod
    def of(cls, data: bytes, header: Header) -> _Counts:
        return cls(data.count(header.separator.encode()), count_lines(data), len(header.names))

    @property
    def are_short(self) -> bool:
        """True where some line has too few separators: a blank one, or a ragged one."""
        return self.separators < (self.width - 1) * self.lines or self.width == 1


def _parse_fast(data: bytes, header: Header, counts: _Counts) -> pl.DataFrame | None:
    """Return every field as text, or None unless each record provably has as many as the header."""
    width = len(header.names)
    schema = {f"c{i}": pl.String for i in range(width)}
    has_quotes = b'"' in data
    try:
        table = pl.read_csv(
            data, has_header=False, schema=schema, separator=header.separator, quote_char='"' if has_quotes else None
        )
    except pl.exceptions.PolarsError:
        return None
    separators = counts.separators
    if has_quotes:
        inside = table.select(
            pl.sum_horizontal(pl.all().str.count_matches(header.separator, literal=True).sum()).alias("separators"),
            pl.sum_horizontal(pl.all().str.count_matches("\n", literal=True).sum()).alias("breaks"),
        ).row(0)
        if inside[1]:
            # A field over several lines: the slow reader knows the line of each record.
            return None
        separators -= inside[0]
    if counts.lines != table.height:
        return None
    expected = (width - 1) * table.height
    if separators == expected:
        return table
    # Blank lines are the one innocent reason for missing separators.
    blank = int(table.select(pl.all_horizontal(pl.all().is_null()).sum()).item())
    return table if width > 1 and separators == expected - (width - 1) * blank else None


def _has_text_after_quotes(data: bytes, separator: str) -> bool:
    """Return whether a field that begins with a quote goes on behind the quote that closes it."""
    text = np.frombuffer(b"\n" + data + b"\n", dtype=np.uint8)
    marks = '\r\n"' + separator
    is_end = np.logical_or.reduce([text == ord(mark) for mark in marks])
    is_quote = text == ord('"')
    # Almost always each quote has the end of a field on one side, which whole arrays show ten times faster than pairs.
    if not (is_quote[1:-1] & ~is_end[:-2] & ~is_end[2:]).any():
        return False
    quotes = np.flatnonzero(is_quote)
    ends = np.zeros(256, dtype=np.bool_)
    ends[[ord(mark) for mark in marks]] = True
    # Quotes come in pairs; within a field that begins with one, every second closes or is half of a doubled one.
    opening, closing = quotes[:-1:2], quotes[1::2]
    suspects = ~ends[text[closing - 1]] & ~ends[text[closing + 1]] & (text[closing + 1] != ord(" "))
    return bool(ends[text[opening[suspects] - 1]].any())


def _parse_slow(
    data: bytes, header: Header, positions: Mapping[str, int], label: str, first_line: int, *, strict: bool = False
) -> TextTable:
    """Read record by record, to tell which ones are ragged."""
    width = len(header.names)
    columns: dict[str, list[str | None]] = {field: [] for field in positions}
    lines: list[int] = []
    ragged: list[tuple[int, str, str]] = []
    text = data.decode()
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=header.separator, strict=strict)
    line = 0
    try:
        while (record := _next_record(reader)) is not None:
            at, line = line, reader.line_num
            if record == _MALFORMED:
                ragged.append((at, AFTER_QUOTE, "\n".join(text.split("\n")[at:line])[:MAX_TEXT]))
                continue
            if len(record) > width and not any(record[width:]):
                # A separator at the end of the line adds nothing.
                del record[width:]
            if not any(record):
                continue
            if len(record) != width:
                reason = TOO_FEW if len(record) < width else TOO_MANY
                ragged.append((at, reason, header.separator.join(record)[:MAX_TEXT]))
                continue
            lines.append(at)
            for field, position in positions.items():
                columns[field].append(record[position] or None)
    except csv.Error as error:
        number = first_line + reader.line_num
        raise BadResponseError(f"{label} line {number} is no CSV: {error}", file=label, line=number) from error
    rows = pl.DataFrame({**columns, LINE: lines}, schema={**dict.fromkeys(positions, pl.String), LINE: pl.UInt32})
    return TextTable(rows, tuple(ragged), line)


def _next_record(reader: Iterator[list[str]]) -> list[str] | None:
    """Return the next record, `_MALFORMED` where a field goes on behind its closing quote, None at the end."""
    try:
        return next(reader, None)
    except csv.Error as error:
        if "expected after" in str(error):
            return _MALFORMED
        raise


def count_lines(data: bytes) -> int:
    """Return the number of lines, the last one included also without its line end."""
    return data.count(b"\n") + (1 if data and not data.endswith(b"\n") else 0)


def join_names(names: Sequence[str]) -> str:
    """Return column names for a sentence."""
    return ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")

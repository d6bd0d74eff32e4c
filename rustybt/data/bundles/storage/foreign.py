"""Parquet files that other programs wrote: their columns, and their rows piece by piece. Such files are only read.

A file may be one row group of any size, so it is read with pyarrow's batches, which never hold more than a piece of it.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from rustybt.errors import BadResponseError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: Rows of one piece: some 50 MB of bars.
PIECE_ROWS = 500_000

_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})")


@dataclass(frozen=True, slots=True)
class ForeignParquet:
    """An open file of another program; use `open_foreign`.

    Parameters
    ----------
    path
        Where it lies, for messages.
    names
        Its columns in order; a name may occur twice.
    row_count
        Rows by the file's own account.
    """

    path: Path
    names: tuple[str, ...]
    row_count: int
    _file: Any

    def is_date(self, name: str) -> bool:
        """Return whether the column `name` holds dates without a time of day."""
        import pyarrow as pa

        return any(pa.types.is_date(field.type) for field in self._file.schema_arrow if field.name == name)

    def no_rows(self, columns: Sequence[str]) -> pl.DataFrame:
        """Return `columns` with the dtypes that `pieces` gives them, and no rows.

        Raises
        ------
        BadResponseError
            A column cannot be read.
        """
        import pyarrow as pa

        schema = self._file.schema_arrow
        with _reading(self.path):
            table = pa.schema([schema.field(schema.get_field_index(name)) for name in columns]).empty_table()
            return _frame(table)

    def pieces(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Yield all rows of `columns`, at most `PIECE_ROWS` of them at a time, in the file's order.

        Decimals of more than 38 digits and stamps of a fixed offset are text, which keeps each digit and each wall clock; bytes
        are text as well.

        Raises
        ------
        BadResponseError
            The file is damaged.
        """
        import pyarrow as pa

        with _reading(self.path):
            batches = self._file.iter_batches(batch_size=PIECE_ROWS, columns=list(columns), use_threads=True)
        while True:
            with _reading(self.path):
                batch = next(batches, None)
                if batch is None:
                    return
                frame = _frame(pa.Table.from_batches([batch]).select(list(columns)))
            yield frame


@contextmanager
def open_foreign(path: Path) -> Iterator[ForeignParquet]:
    """Open a Parquet file for reading; it is not changed, and nothing is created beside it.

    Raises
    ------
    BadResponseError
        It cannot be opened, or is no Parquet file.
    """
    import pyarrow.parquet as pq

    with _reading(path):
        raw = path.open("rb")
    with raw:
        with _reading(path):
            file = pq.ParquetFile(raw)
            schema, count = file.schema_arrow, file.metadata.num_rows
        yield ForeignParquet(path, tuple(schema.names), count, file)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what the libraries say of a damaged file into one error that names it."""
    import pyarrow as pa

    try:
        yield
    except (OSError, UnicodeDecodeError, pa.ArrowException, pl.exceptions.PolarsError) as error:
        said = " ".join(str(error).split())[:200]
        raise BadResponseError(f"{path} cannot be read as Parquet: {said}", file=str(path)) from error


def _frame(table: Any) -> pl.DataFrame:
    """Return an Arrow table as polars columns."""
    columns = [_series(name, column) for name, column in zip(table.column_names, table.columns, strict=True)]
    return pl.DataFrame(columns)


def _series(name: str, column: Any) -> pl.Series:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_decimal256(kind):
        column = column.cast(pa.string())
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        column = column.cast(pa.binary()).cast(pa.string())
    elif pa.types.is_timestamp(kind) and kind.tz is not None and not _is_zone(kind.tz):
        return _stamps_of_offset(name, column.cast(pa.timestamp(kind.unit, "UTC")), _OFFSET.fullmatch(kind.tz))
    return pl.Series(name, pl.from_arrow(column))


def _is_zone(name: str) -> bool:
    """Return whether polars knows the zone: of one that it does not, it takes no column."""
    with suppress(ZoneInfoNotFoundError, ValueError, OSError, pl.exceptions.PolarsError):
        ZoneInfo(name)
        pl.Series([0]).cast(pl.Datetime("us", name))
        return True
    return False


def _stamps_of_offset(name: str, column: Any, offset: re.Match[str] | None) -> pl.Series:
    """Return ISO text with the offset, so that the wall clock is kept; of a zone nobody knows, the instants in UTC."""
    stamps = pl.Series(name, pl.from_arrow(column))
    if offset is None:
        return stamps
    minutes = int(offset[2]) * 60 + int(offset[3])
    wall = stamps.dt.replace_time_zone(None).cast(pl.Datetime("us")).dt.offset_by(f"{offset[1].strip('+')}{minutes}m")
    return wall.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f") + f"{offset[1]}{offset[2]}:{offset[3]}"

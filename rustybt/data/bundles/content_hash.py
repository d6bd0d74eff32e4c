"""The content hash: what a version says, whoever fetched it and however its files are laid out.

A Merkle tree over blocks of one (frequency, symbol, month):

* block  = SHA-256 of a header (symbol, frequency, month, rows, scales) and its rows as fixed-width little-endian integers;
  a column's scale is the smallest that holds the block's values, so trailing zeros and file layout never matter;
* series = SHA-256 over its blocks in order of month;
* root   = SHA-256 over the series in order of (frequency, symbol), then corporate actions, price bases, asset attributes
  and aliases as canonical JSON.

Sids, provenance and fetch times are outside it. Unchanged blocks are not hashed again: their digests are kept beside the
data (`BLOCK_SCHEMA`).
"""

from __future__ import annotations

import hashlib
import json
import struct
from decimal import Context
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rustybt.market.bars import DECIMAL, VALUE_COLUMNS, join_frames, series_starts
from rustybt.market.decimals import MAX_SCALE, narrow

if TYPE_CHECKING:
    from collections.abc import Iterator

#: One row a block: `month` counts from January 1970, `first` and `last` are the timestamps of its outer bars (us UTC).
BLOCK_SCHEMA = pl.Schema(
    {
        "frequency": pl.String,
        "symbol": pl.String,
        "month": pl.Int32,
        "rows": pl.Int64,
        "first": pl.Int64,
        "last": pl.Int64,
        "digest": pl.Binary,
    }
)
BLOCK_KEY = ("frequency", "symbol", "month")

_FORMAT = b"rustybt-bars-1"
_ROOT_FORMAT = b"rustybt-content-1"
_HEADER = struct.Struct("<iq6B")  # month, rows, five scales, bytes a value
#: The same, for all blocks at once.
_HEADERS = np.dtype([("month", "<i4"), ("rows", "<i8"), ("scales", "u1", (len(VALUE_COLUMNS),)), ("width", "u1")])
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1

#: Wide enough to shift any contract value to an integer without rounding.
_WIDE = Context(prec=60)

Integers: TypeAlias = NDArray[np.int64]


def months_of(timestamps: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the months since January 1970 (UTC) of timestamps in microseconds."""
    return timestamps.view("datetime64[us]").astype("datetime64[M]").astype(np.int32)


def hash_blocks(bars: pl.DataFrame, frequency: str) -> pl.DataFrame:
    """Return one row of `BLOCK_SCHEMA` for each (symbol, month) of bars, with wide or narrow decimals: the same digests.

    The frame must hold whole blocks: every bar of each (symbol, month) that it touches.
    """
    if bars.is_empty():
        return BLOCK_SCHEMA.to_frame()
    stamps = bars["timestamp"].to_physical().to_numpy()
    months = months_of(stamps)
    is_start = np.zeros(len(stamps), dtype=bool)
    is_start[series_starts(bars["symbol"])] = True
    is_start[1:] |= months[1:] != months[:-1]
    starts = np.flatnonzero(is_start)
    ends = np.append(starts[1:], len(stamps))
    symbols = bars["symbol"].gather(starts).to_list()
    return pl.DataFrame(
        {
            "frequency": [frequency] * len(starts),
            "symbol": symbols,
            "month": months[starts],
            "rows": ends - starts,
            "first": stamps[starts],
            "last": stamps[ends - 1],
            "digest": list(_digests(bars, frequency, stamps, months, starts, ends, symbols)),
        },
        schema=BLOCK_SCHEMA,
    )


def _digests(
    bars: pl.DataFrame,
    frequency: str,
    stamps: Integers,
    months: NDArray[np.int32],
    starts: Integers,
    ends: Integers,
    symbols: list[str],
) -> Iterator[bytes]:
    """Yield a digest for each block; rows lie row-major so that a block is one slice of memory."""
    columns = _stripped_columns(bars, starts, ends)
    if columns is None:
        if len(starts) == 1:
            yield _digest_exactly(bars, frequency, symbols[0], stamps, int(months[0]))
            return
        # Some column needs more than 64 bits: halve until the blocks that do stand alone.
        middle = len(starts) // 2
        at = int(starts[middle])
        for rows, blocks, base in ((slice(0, at), slice(0, middle), 0), (slice(at, None), slice(middle, None), at)):
            yield from _digests(
                bars[rows],
                frequency,
                stamps[rows],
                months[rows],
                starts[blocks] - base,
                ends[blocks] - base,
                symbols[blocks],
            )
        return
    integers, scales = columns
    width = 8 * (1 + len(VALUE_COLUMNS))
    body = np.column_stack([stamps, *integers]).astype("<i8", copy=False).tobytes()
    headers = np.empty(len(starts), dtype=_HEADERS)
    headers["month"], headers["rows"], headers["scales"], headers["width"] = months[starts], ends - starts, scales, 8
    packed, size = headers.tobytes(), headers.itemsize
    prefix, previous = b"", None
    cuts = zip(range(0, len(packed), size), (starts * width).tolist(), (ends * width).tolist(), symbols, strict=True)
    for at, start, end, symbol in cuts:
        if symbol != previous:
            prefix, previous = _prefix(frequency, symbol), symbol
        yield hashlib.sha256(prefix + packed[at : at + size] + body[start:end]).digest()


def _prefix(frequency: str, symbol: str) -> bytes:
    return b"".join(struct.pack("<H", len(part)) + part for part in (_FORMAT, frequency.encode(), symbol.encode()))


def _stripped_columns(
    bars: pl.DataFrame, starts: Integers, ends: Integers
) -> tuple[list[Integers], NDArray[np.uint8]] | None:
    """Return each column as integers at its blocks' own smallest scales, or None where 64 bits do not hold a column."""
    lengths = ends - starts
    integers: list[Integers] = []
    scales = np.empty((len(starts), len(VALUE_COLUMNS)), dtype=np.uint8)
    for at, name in enumerate(VALUE_COLUMNS):
        column = bars[name]
        if column.dtype == DECIMAL:
            column = narrow(column)
        scale: int = column.dtype.scale  # type: ignore[attr-defined]
        found = column.to_physical().cast(pl.Int64, strict=False)
        if found.null_count():
            return None
        values: Integers = found.to_numpy()
        values, scales[:, at] = _strip_zeros(values, scale, starts, lengths)
        integers.append(values)
    return integers, scales


def _strip_zeros(
    values: Integers, scale: int, starts: Integers, lengths: Integers
) -> tuple[Integers, NDArray[np.uint8]]:
    """Divide each block by ten while all its values allow it and it has decimals left."""
    block_scales = np.full(len(starts), scale, dtype=np.uint8)
    for _ in range(scale):
        tenths = values // 10
        strippable = np.logical_and.reduceat(tenths * 10 == values, starts)
        if not strippable.any():
            break
        values = np.where(np.repeat(strippable, lengths), tenths, values)
        block_scales[strippable] -= 1
    return values, block_scales


def _digest_exactly(block: pl.DataFrame, frequency: str, symbol: str, stamps: Integers, month: int) -> bytes:
    """Return the digest of one block by Python integers; the same bytes as the fast path where 64 bits suffice."""
    columns: list[list[int]] = []
    scales: list[int] = []
    for name in VALUE_COLUMNS:
        unscaled = [int(value.scaleb(MAX_SCALE, _WIDE)) for value in block[name].to_list()]
        scale = MAX_SCALE
        while scale and all(value % 10 == 0 for value in unscaled):
            unscaled = [value // 10 for value in unscaled]
            scale -= 1
        columns.append(unscaled)
        scales.append(scale)
    narrow = all(_INT64_MIN <= value <= _INT64_MAX for column in columns for value in column)
    width = 8 if narrow else 16
    rows = b"".join(
        int(stamp).to_bytes(8, "little", signed=True)
        + b"".join(value.to_bytes(width, "little", signed=True) for value in row)
        for stamp, row in zip(stamps.tolist(), zip(*columns, strict=True), strict=True)
    )
    header = _HEADER.pack(month, len(stamps), *scales, width)
    return hashlib.sha256(_prefix(frequency, symbol) + header + rows).digest()


def merge_blocks(*tables: pl.DataFrame) -> pl.DataFrame:
    """Return one block table: a later table replaces what it names in an earlier one; a block of no rows is gone."""
    return (
        join_frames([BLOCK_SCHEMA.to_frame(), *tables])
        .unique(subset=list(BLOCK_KEY), keep="last", maintain_order=True)
        .filter(pl.col("rows") > 0)
        .sort(*BLOCK_KEY)
    )


def content_hash(blocks: pl.DataFrame, described: dict[str, Any]) -> str:
    """Return the Merkle root as 64 hexadecimal digits.

    Parameters
    ----------
    blocks
        Every block of the version, sorted by (frequency, symbol, month).
    described
        Corporate actions, price bases, asset attributes and aliases as plain JSON values.
    """
    root = hashlib.sha256(_ROOT_FORMAT)
    for (frequency, symbol), months, digests in _by_series(blocks):
        series = hashlib.sha256(_prefix(frequency, symbol))
        for month, digest in zip(months, digests, strict=True):
            series.update(struct.pack("<i", month) + digest)
        root.update(series.digest())
    canonical = json.dumps(described, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    root.update(hashlib.sha256(canonical.encode()).digest())
    return root.hexdigest()


def _by_series(blocks: pl.DataFrame) -> Iterator[tuple[tuple[str, str], list[int], list[bytes]]]:
    if blocks.is_empty():
        return
    changed = (blocks["symbol"] != blocks["symbol"].shift(1)) | (blocks["frequency"] != blocks["frequency"].shift(1))
    starts = changed.fill_null(True).arg_true().to_list()  # noqa: FBT003
    months, digests = blocks["month"].to_list(), blocks["digest"].to_list()
    heads = blocks.select("frequency", "symbol")[starts].rows()
    for head, start, end in zip(heads, starts, [*starts[1:], blocks.height], strict=True):
        yield (head[0], head[1]), months[start:end], digests[start:end]

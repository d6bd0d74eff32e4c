"""The content hash once more, from its specification and in plain Python integers: slow, and sharing no code with the store.

Whoever implements another store compares with this; see `rustybt.data.bundles.content_hash` for the words.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

#: (symbol, timestamp) -> open, high, low, close, volume.
Bars: TypeAlias = "Mapping[tuple[str, datetime], Sequence[Decimal]]"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DECIMALS = 18


def reference_block(frequency: str, symbol: str, rows: Iterable[tuple[datetime, Sequence[Decimal]]]) -> bytes:
    """Return the digest of one block: all bars of a symbol in one month (UTC), in order of time."""
    held = sorted(rows)
    columns, scales = [], []
    for at in range(5):
        integers = [_unscaled(values[at]) for _, values in held]
        scale = _DECIMALS
        while scale and all(number % 10 == 0 for number in integers):
            integers = [number // 10 for number in integers]
            scale -= 1
        columns.append(integers)
        scales.append(scale)
    width = 8 if all(-(2**63) <= number < 2**63 for column in columns for number in column) else 16
    first = held[0][0]
    parts = [
        _named(b"rustybt-bars-1", frequency.encode(), symbol.encode()),
        _integer((first.year - 1970) * 12 + first.month - 1, 4),
        _integer(len(held), 8),
        bytes([*scales, width]),
    ]
    for row, (moment, _) in enumerate(held):
        parts.append(_integer((moment - _EPOCH) // timedelta(microseconds=1), 8))
        parts.extend(_integer(column[row], width) for column in columns)
    return hashlib.sha256(b"".join(parts)).digest()


def reference_hash(bars: Mapping[str, Bars], described: Mapping[str, Any]) -> str:
    """Return the content hash of a version.

    Parameters
    ----------
    bars
        Frequency -> its bars.
    described
        ``assets`` (symbol -> attributes and price_basis), ``actions`` and ``aliases`` as plain JSON values; the lists in the
        order in which the store hashes them.
    """
    blocks: dict[tuple[str, str], dict[int, list[tuple[datetime, Sequence[Decimal]]]]] = {}
    for frequency, held in bars.items():
        for (symbol, moment), values in held.items():
            month = (moment.year - 1970) * 12 + moment.month - 1
            blocks.setdefault((frequency, symbol), {}).setdefault(month, []).append((moment, values))
    root = hashlib.sha256(b"rustybt-content-1")
    for (frequency, symbol), months in sorted(blocks.items()):
        series = hashlib.sha256(_named(b"rustybt-bars-1", frequency.encode(), symbol.encode()))
        for month, rows in sorted(months.items()):
            series.update(_integer(month, 4) + reference_block(frequency, symbol, rows))
        root.update(series.digest())
    text = json.dumps(described, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    root.update(hashlib.sha256(text.encode()).digest())
    return root.hexdigest()


def _named(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(2, "little") + part for part in parts)


def _integer(number: int, width: int) -> bytes:
    return number.to_bytes(width, "little", signed=True)


def _unscaled(value: Decimal) -> int:
    """Return `value` times 10**18, by its digits alone: Decimal arithmetic would round to the context's precision."""
    sign, digits, exponent = value.as_tuple()
    number = int("".join(map(str, digits))) if digits else 0
    shift = _DECIMALS + int(exponent)
    power: int = 10 ** abs(shift)
    number = number * power if shift >= 0 else number // power
    return -number if sign else number

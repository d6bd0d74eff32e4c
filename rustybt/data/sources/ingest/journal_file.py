"""One file of an ingest's journal: some finished symbols, each readable by itself, whole or not at all.

A magic word, the SHA-256 of all that follows, the length of the index, the index (JSON), then for each symbol its facts (JSON)
and its frames (Arrow IPC). Nothing in it is executed when it is read.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from rustybt.data.sources.delivery import QUARANTINE_SCHEMA, Delivery, empty_quarantine
from rustybt.errors import StorageError
from rustybt.market.assets import AssetAttributes
from rustybt.market.bars import BAR_COLUMNS, BAR_SCHEMA, empty_bars
from rustybt.market.corporate_actions import CorporateAction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MAGIC = b"rustybt-journal-1\n"
_DIGEST_BYTES, _LENGTH_BYTES = 32, 8
_HEAD_BYTES = len(_MAGIC) + _DIGEST_BYTES + _LENGTH_BYTES
_MISSING = "missing_volume"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """Where one finished symbol lies.

    Parameters
    ----------
    is_whole
        The symbol's whole series was fetched anew.
    offset, lengths
        Of facts, bars and quarantined rows in the file, in bytes.
    """

    symbol: str
    is_whole: bool
    path: Path
    offset: int
    lengths: tuple[int, int, int]

    def load(self) -> Delivery:
        """Read it back; the file was checked when the journal was opened."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                parts = [file.read(length) for length in self.lengths]
            return _decode(self.symbol, *parts)
        except (OSError, ValueError, KeyError, pl.exceptions.PolarsError) as error:
            raise StorageError(
                f"what was fetched of {self.symbol} cannot be read back from {self.path.name}: {error}",
                hint="run the command again: what is damaged is fetched again",
                symbol=self.symbol,
            ) from error


def encode_entry(symbol: str, delivery: Delivery, *, is_whole: bool = False) -> tuple[dict[str, Any], bytes]:
    """Return the index line and the bytes of one finished symbol."""
    facts = {
        "assets": {name: attributes.to_json() for name, attributes in delivery.assets.items()},
        "actions": [action.to_json() for action in delivery.actions],
        "tells_all_events": delivery.tells_all_events,
        "price_basis": delivery.price_basis,
        "number_rule": delivery.number_rule,
        "aliases": dict(delivery.aliases),
        "skipped": dict(delivery.skipped),
        "resampled_from": delivery.resampled_from,
        "fetched_at": delivery.fetched_at,
        "notes": list(delivery.notes),
    }
    bars = delivery.bars.drop("symbol")
    if delivery.missing_volume is not None:
        bars = bars.with_columns(delivery.missing_volume.alias(_MISSING))
    parts = (
        json.dumps(facts, ensure_ascii=False).encode(),
        _ipc(bars) if bars.height else b"",
        _ipc(delivery.quarantined) if delivery.quarantined.height else b"",
    )
    return {"symbol": symbol, "is_whole": is_whole, "lengths": [len(part) for part in parts]}, b"".join(parts)


def encode_file(entries: Sequence[tuple[dict[str, Any], bytes]]) -> bytes:
    """Return the bytes of a file of such entries."""
    index = json.dumps([line for line, _ in entries], ensure_ascii=False).encode()
    rest = b"".join([len(index).to_bytes(_LENGTH_BYTES, "big"), index, *(data for _, data in entries)])
    return b"".join([_MAGIC, hashlib.sha256(rest).digest(), rest])


def read_index(path: Path) -> list[JournalEntry] | None:
    """Return the entries of a file, None if its bytes are not those that were written."""
    data = path.read_bytes()
    digest = data[len(_MAGIC) : len(_MAGIC) + _DIGEST_BYTES]
    rest = memoryview(data)[len(_MAGIC) + _DIGEST_BYTES :]
    if not data.startswith(_MAGIC) or hashlib.sha256(rest).digest() != digest:
        return None
    length = int.from_bytes(rest[:_LENGTH_BYTES], "big")
    offset = _HEAD_BYTES + length
    entries = []
    for line in json.loads(bytes(rest[_LENGTH_BYTES : _LENGTH_BYTES + length])):
        facts, bars, quarantined = line["lengths"]
        entries.append(JournalEntry(line["symbol"], line["is_whole"], path, offset, (facts, bars, quarantined)))
        offset += facts + bars + quarantined
    return entries


def _decode(symbol: str, facts: bytes, bars: bytes, quarantined: bytes) -> Delivery:
    told = json.loads(facts)
    frame, missing = empty_bars(), None
    if bars:
        stored = pl.read_ipc(io.BytesIO(bars))
        missing = stored[_MISSING] if _MISSING in stored.columns else None
        frame = stored.with_columns(pl.lit(symbol).alias("symbol")).select(BAR_COLUMNS).cast(BAR_SCHEMA)
    return Delivery(
        bars=frame,
        quarantined=pl.read_ipc(io.BytesIO(quarantined)).cast(QUARANTINE_SCHEMA) if quarantined else empty_quarantine(),
        missing_volume=missing,
        assets={name: AssetAttributes.from_json(value) for name, value in told["assets"].items()},
        actions=tuple(CorporateAction.from_json(value) for value in told["actions"]),
        tells_all_events=told["tells_all_events"],
        price_basis=told["price_basis"],
        number_rule=told["number_rule"],
        aliases=told["aliases"],
        skipped=told["skipped"],
        resampled_from=told["resampled_from"],
        fetched_at=told["fetched_at"],
        notes=tuple(told["notes"]),
    )


def _ipc(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_ipc(buffer, compression="lz4")
    return buffer.getvalue()

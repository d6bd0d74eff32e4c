"""The bars of an old bundle's files, as a source would deliver them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from rustybt.data.migration.bars.judging import sha256_of
from rustybt.data.migration.bars.rows import RowsRead, read_rows
from rustybt.data.sources.csv.spool import Spool
from rustybt.data.sources.delivery import Delivery, empty_quarantine
from rustybt.data.sources.frame import first_rule
from rustybt.errors import BadResponseError, SourceError, SymbolNotFoundError
from rustybt.market.assets import AssetAttributes
from rustybt.market.bars import join_frames
from rustybt.market.wording import listed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rustybt.data.migration.bars.old_file import OldFile
    from rustybt.data.sources.base import Progress
    from rustybt.market.frequency import Frequency

#: The old catalogs do not say whether prices were adjusted.
PRICE_BASIS = "unknown"

_MAX_NAMED = 20


def deliveries(
    files: Sequence[OldFile],
    frequency: Frequency,
    *,
    names: Mapping[int, str],
    attributes: Mapping[str, AssetAttributes],
    progress: Progress | None = None,
) -> Iterator[Delivery]:
    """Yield the bars of all usable files of `frequency`, in batches of whole symbols in rising order.

    The rows of a partition say themselves when they are: what its folder is called means nothing. A row that is in several files
    comes several times, and of contradicting ones the last is taken by the quality rules, which report the others. Last come the
    files whose checksum the catalog confirms, and of these the one written last; by name where they were written at once.

    Rows beyond what `rustybt.data.sources.csv.spool` holds in memory wait in temporary files, never in the old folder.

    Parameters
    ----------
    files
        As from `find_files`; those that are not usable or of another frequency are passed over.
    names
        Symbol of each sid, for files that have sids. Rows of another sid are a failure named ``sid 17``.
    attributes
        Of each symbol, where known.
    progress
        Called with ``read``, bytes of files read and bytes of all files.

    Yields
    ------
    Delivery
        The first one also holds failures, rows set aside, checksums by the files' relative names, and notes; there is always
        one. Daily bars are labelled by the date that their stamp shows, in its own zone.

    Raises
    ------
    BadResponseError
        A file is not any more what `find_files` saw; no bar was yielded.
    """
    wanted = _in_order([file for file in files if file.is_usable and file.frequency == frequency])
    size = sum(file.size_bytes for file in wanted)
    found, quarantined, done = RowsRead(), [empty_quarantine()], 0
    with Spool() as spool:
        for file in wanted:
            for built in read_rows(file.path, file.relative, frequency, names, found):
                flags = built.missing_volume
                spool.add(built.bars.with_columns(missing=pl.lit(value=False) if flags is None else flags))
                if built.quarantined.height:
                    quarantined.append(built.quarantined)
            _check_unchanged(file)
            done += file.size_bytes
            if progress is not None:
                progress("read", done, size)
        plain = Delivery(price_basis=PRICE_BASIS, number_rule=first_rule(found.number_rules))
        pending = replace(
            plain,
            quarantined=join_frames(quarantined),
            failures=_failures(found),
            files={file.relative: file.sha256 for file in wanted},
            notes=_notes(found),
        )
        if not spool.counts:
            yield pending
        for symbols, rows in spool.drain():
            yield replace(
                pending,
                bars=rows.drop("missing"),
                missing_volume=rows["missing"] if rows["missing"].any() else None,
                assets={symbol: attributes.get(symbol, AssetAttributes()) for symbol in symbols},
            )
            pending = plain


def _in_order(files: Sequence[OldFile]) -> list[OldFile]:
    """Return the files in the order in which a later one is believed against an earlier one."""
    return sorted(files, key=lambda file: (file.verdict == "sound", _written_at(file), file.relative))


def _written_at(file: OldFile) -> int:
    try:
        return file.path.stat().st_mtime_ns
    except OSError as error:
        raise _gone(file, error) from error


def _check_unchanged(file: OldFile) -> None:
    """Raise unless the bytes that were read are those that were judged."""
    try:
        digest = sha256_of(file.path)
    except OSError as error:
        raise _gone(file, error) from error
    if digest != file.sha256:
        raise BadResponseError(
            f"{file.path} was written to while it was read",
            hint="stop what writes to the old bundles, and migrate again",
            file=str(file.path),
        )


def _gone(file: OldFile, error: OSError) -> BadResponseError:
    return BadResponseError(
        f"{file.path} cannot be read any more: {error.strerror}", hint="migrate again", file=str(file.path)
    )


def _failures(found: RowsRead) -> dict[str, SourceError]:
    unnamed: dict[str, SourceError] = {
        f"sid {sid}": SymbolNotFoundError(
            f"the old catalog has no symbol for sid {sid}: {_rows(count)} left out", symbol=f"sid {sid}", rows=count
        )
        for sid, count in sorted(found.unnamed_sids.items())
    }
    refused = {
        symbol: BadResponseError(f"{found.refusals[symbol]}: {_rows(count)} left out", symbol=symbol, rows=count)
        for symbol, count in sorted(found.refused_symbols.items())
    }
    return {**unnamed, **refused}


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _notes(found: RowsRead) -> tuple[str, ...]:
    if not found.unused_columns:
        return ()
    return (f"columns not used: {listed(sorted(found.unused_columns), _MAX_NAMED)}",)

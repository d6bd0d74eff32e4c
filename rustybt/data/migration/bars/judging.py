"""Whether a file of an old bundle is what its catalog says, and whether it holds bars."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rustybt.data.bundles.storage.foreign import open_foreign
from rustybt.data.migration.bars.rows import check_holds_bars, read_through
from rustybt.errors import BadResponseError
from rustybt.market.frequency import DAILY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rustybt.data.migration.bars.old_file import Verdict
    from rustybt.market.frequency import Frequency

_SHA256 = re.compile(r"[0-9a-f]{64}")
_BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found; the fields are those of `OldFile`."""

    frequency: Frequency | None
    verdict: Verdict
    reason: str
    recorded: str = ""
    size_bytes: int = 0
    sha256: str = ""


def judge(folder: Path, relative: str, frequency: Frequency | None, checksums: Sequence[str]) -> Judgement:
    """Return what is to be thought of a file that lies in the bundle's folder; it is read, never changed.

    Parameters
    ----------
    frequency
        Where the path or the catalog tells; else dates without a time are taken for daily bars.
    checksums
        All that the catalog has of this file. One that agrees is enough.
    """
    path = folder / relative
    first = next(iter(checksums), "")
    try:
        obstacle = _obstacle(path, folder, relative)
        if obstacle is not None:
            return Judgement(frequency, *obstacle, recorded=first)
        size, sha256 = path.stat().st_size, sha256_of(path)
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
        said = getattr(error, "strerror", None) or str(error)
        return Judgement(frequency, "unreadable", f"{relative} cannot be read: {said}", first)
    comparable = [text for text in checksums if _SHA256.fullmatch(_plain(text))]
    recorded = next((text for text in comparable if _plain(text) == sha256), next(iter(comparable), first))
    found = Judgement(frequency, "sound", "", recorded, size, sha256)
    damage = _damage(path, relative, size)
    if comparable and _plain(recorded) != sha256:
        also = f"; moreover, {damage}" if damage else ""
        return replace(found, verdict="changed", reason=f"{relative} is not what the catalog recorded{also}")
    if damage:
        return replace(found, verdict="unreadable", reason=damage)
    told = _checksum_reason(relative, recorded, is_comparable=bool(comparable))
    return _contents(replace(found, verdict="unrecorded" if told else "sound", reason=told), path, relative)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, lower-case hex.

    Raises
    ------
    OSError
        It cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _plain(checksum: str) -> str:
    return checksum.strip().lower()


def _obstacle(path: Path, folder: Path, relative: str) -> tuple[Verdict, str] | None:
    """Return why a file must not, or cannot, be opened."""
    if not path.resolve().is_relative_to(folder.resolve()):
        return "outside", f"{relative} is a link that leads out of the bundle's folder; it was not read"
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        with os.scandir(path):  # one that may not be entered says so
            return "unreadable", f"{relative} is a folder"
    # To open a pipe would wait for its other end.
    return None if stat.S_ISREG(mode) else ("unreadable", f"{relative} is no file")


def _damage(path: Path, relative: str, size_bytes: int) -> str:
    """Return what keeps a file from being opened as Parquet; empty where nothing does."""
    if not size_bytes:
        return f"{relative} is empty"
    try:
        with open_foreign(path):
            return ""
    except BadResponseError as error:
        return error.message


def _checksum_reason(relative: str, recorded: str, *, is_comparable: bool) -> str:
    if is_comparable:
        return ""
    if recorded:
        return f"{relative} cannot be compared: the recorded checksum {recorded[:80]!r} is no SHA-256"
    return f"{relative} cannot be compared: the catalog has no checksum of it"


def _contents(found: Judgement, path: Path, relative: str) -> Judgement:
    """Return the judgement of a file whose bytes are in order, once its columns and every row have been looked at."""
    try:
        columns = check_holds_bars(path, relative, found.frequency)
    except BadResponseError as error:
        return replace(found, verdict="not_bars", reason=error.message)
    if found.frequency is None and columns.has_only_dates:
        found = replace(found, frequency=DAILY)
    try:
        read_through(path, columns)
    except BadResponseError as error:
        return replace(found, verdict="unreadable", reason=error.message)
    return found

"""The Parquet files of an old bundle: what lies in its folder, what its catalog names, and whether they agree."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from rustybt.data.migration.bars.folder_frequency import frequency_of_parts, frequency_of_text
from rustybt.data.migration.bars.judging import judge
from rustybt.data.migration.bars.old_file import OldFile
from rustybt.data.migration.bars.recorded_paths import RecordedPaths
from rustybt.data.migration.places import storable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rustybt.data.migration.bars.recorded_paths import PathInFolder
    from rustybt.market.frequency import Frequency

_SUFFIXES = (".parquet", ".parq", ".pq")


@dataclass(slots=True)
class _Recorded:
    """What the catalog says of one file, by each path that means it."""

    checksums: list[str] = field(default_factory=list)
    resolutions: list[str] = field(default_factory=list)

    @property
    def frequency(self) -> Frequency | None:
        known = (frequency_of_text(text) for text in self.resolutions)
        return next((frequency for frequency in known if frequency is not None), None)


def find_files(
    folder: Path, recorded: Mapping[str, str], resolutions: Mapping[str, str] = MappingProxyType({})
) -> tuple[OldFile, ...]:
    """Return every Parquet file below a bundle's folder and every one that its catalog names, each with a verdict.

    Each file is read twice, once for its checksum and once as Parquet; nothing is written. Links that lead out of the folder are
    reported and not followed.

    Parameters
    ----------
    folder
        The old bundle's; where there is none, every recorded file is missing.
    recorded
        Path as the catalog wrote it, of whatever machine and root, to its SHA-256; empty where it has none.
    resolutions
        Such a path to the resolution of its dataset.

    Returns
    -------
    tuple of OldFile
        Sorted by `OldFile.relative`.
    """
    folder = folder.absolute()
    present = sorted(_walk(folder))
    paths = RecordedPaths(folder, present)
    known: dict[str, _Recorded] = {}
    absent: dict[str, tuple[PathInFolder, _Recorded]] = {}
    for text in dict.fromkeys((*recorded, *resolutions)):
        place = paths.find(text)
        said = known.setdefault(place.relative, _Recorded()) if place.relative else _Recorded()
        if not place.relative:
            absent[text] = (place, said)
        said.checksums += [recorded[text]] if recorded.get(text) else []
        said.resolutions += [resolutions[text]] if resolutions.get(text) else []
    files = [_present(folder, relative, known.get(relative, _Recorded())) for relative in present]
    files += [_absent(folder, text, place, said) for text, (place, said) in absent.items()]
    return tuple(sorted(files, key=lambda file: file.relative))


def _walk(folder: Path) -> Iterator[str]:
    """Yield what is named like a Parquet file, and links to folders elsewhere, POSIX and relative to `folder`."""
    home = folder.resolve()
    closed: list[OSError] = []
    for here, folders, files in os.walk(folder, onerror=closed.append):
        for name in files:
            if name.lower().endswith(_SUFFIXES):
                yield Path(here, name).relative_to(folder).as_posix()
        for name in folders:
            path = Path(here, name)
            is_elsewhere = path.is_symlink() and not path.resolve().is_relative_to(home)
            if is_elsewhere or (name.lower().endswith(_SUFFIXES) and not path.is_symlink() and _is_empty(path)):
                yield path.relative_to(folder).as_posix()
    for error in closed:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            yield Path(error.filename).relative_to(folder).as_posix()


def _is_empty(path: Path) -> bool:
    """Return whether a folder that is named like a file has no such files in it, which are judged each on its own."""
    return not any(name.lower().endswith(_SUFFIXES) for _, _, files in os.walk(path) for name in files)


def _present(folder: Path, relative: str, said: _Recorded) -> OldFile:
    frequency = frequency_of_parts(Path(relative).parts) or said.frequency
    judgement = judge(folder, relative, frequency, said.checksums)
    return OldFile(
        path=folder / relative,
        relative=storable(relative),
        frequency=judgement.frequency,
        size_bytes=judgement.size_bytes,
        sha256=judgement.sha256,
        recorded=judgement.recorded,
        verdict=judgement.verdict,
        reason=storable(judgement.reason),
    )


def _absent(folder: Path, text: str, place: PathInFolder, said: _Recorded) -> OldFile:
    recorded = next(iter(said.checksums), "")
    frequency = frequency_of_parts(Path(place.expected).parts) or said.frequency
    path = Path(os.path.normpath(folder / place.expected))
    if place.is_outside:
        reason = f"{text} lies outside the bundle's folder; it was not read"
        return OldFile(path, text, frequency, 0, "", recorded, "outside", reason)
    try:
        is_folder = bool(place.expected) and path.is_dir()
    except OSError as error:
        reason = f"{text} cannot be read: {error.strerror}"
        return OldFile(path, text, frequency, 0, "", recorded, "unreadable", reason)
    if is_folder:
        return OldFile(path, text, frequency, 0, "", recorded, "unreadable", f"{text} is a folder")
    return OldFile(path, text, frequency, 0, "", recorded, "missing", f"{text} is in the catalog, and not on disk")

"""Which files a path means: a file, a directory or a glob; nothing but regular files is ever opened."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rustybt.errors import BadResponseError, RequestError, SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable

COMPRESSIONS = ("gz", "bz2", "xz", "zst", "zip")
_NAME = re.compile(r"(?P<stem>.+?)(?:\.(?P<kind>csv|tsv|txt))?(?:\.(?P<packed>gz|bz2|xz|zst|zip))?", re.IGNORECASE)
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class InputFile:
    """A regular file to read.

    Parameters
    ----------
    symbol
        The name without its extensions: the symbol, where the file has no symbol column. It is data and never part of
        another path.
    label
        The name shown in messages.
    compression
        One of `COMPRESSIONS`, or empty.
    """

    path: Path
    symbol: str
    label: str
    compression: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """The files of a path, sorted by name, and the entries that cannot be read, by symbol."""

    files: tuple[InputFile, ...]
    failures: dict[str, SourceError]


def find_files(path: str | os.PathLike[str]) -> FoundFiles:
    """Return what `path` means: one file, every CSV of a directory (not of those below it), or a glob's matches.

    Raises
    ------
    RequestError
        Nothing is there, or no file of the directory is a CSV.
    BadResponseError
        The path is a pipe, a socket or a device: reading it could wait for ever.
    SourceUnavailableError
        The file system does not let us look.
    """
    text = os.path.expanduser(os.fspath(path))  # noqa: PTH111  a `~` before a glob is no path yet
    target = Path(text)
    try:
        status = os.stat(target)  # noqa: PTH116  Path.stat hides nothing, os.stat takes any length of name
    except FileNotFoundError:
        if _MAGIC.search(text):
            return _found(_matches(text), f"no file matches {text}")
        raise RequestError(f"no file or directory {text}", hint=_nearby(target), path=text) from None
    except (OSError, ValueError) as error:
        raise _unreadable(text, error) from error
    if stat.S_ISDIR(status.st_mode):
        return _found(_entries(target), f"no CSV file in the directory {text}", _csvdir_hint(target))
    return FoundFiles((_input(target, status),), {})


def _entries(directory: Path) -> Iterable[Path]:
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208  names, not paths: one stat each is enough
    except OSError as error:
        raise _unreadable(str(directory), error) from error
    return [directory / name for name in names if not name.startswith(".") and _is_csv_name(name)]


def _is_csv_name(name: str) -> bool:
    found = _NAME.fullmatch(name)
    return found is not None and found["kind"] is not None


def _matches(pattern: str) -> Iterable[Path]:
    """Return the matches of a glob; `**` does not follow links to directories, so that a loop of links ends."""
    parts = Path(pattern).parts
    first = next(i for i, part in enumerate(parts) if _MAGIC.search(part))
    root = Path(*parts[:first]) if first else Path()
    try:
        return sorted(p for p in root.glob(str(Path(*parts[first:]))) if not p.name.startswith(".") and not p.is_dir())
    except (OSError, ValueError) as error:
        raise _unreadable(pattern, error) from error


def _found(paths: Iterable[Path], nothing: str, hint: str = "name a file, a directory or a glob") -> FoundFiles:
    files: list[InputFile] = []
    failures: dict[str, SourceError] = {}
    for path in paths:
        try:
            files.append(_input(path, os.stat(path)))  # noqa: PTH116
        except SourceError as error:
            failures[_symbol_of(path.name)] = error
        except OSError as error:
            failures[_symbol_of(path.name)] = _unreadable(str(path), error)
    if not files and not failures:
        raise RequestError(nothing, hint=hint)
    return FoundFiles(tuple(files), failures)


def _input(path: Path, status: os.stat_result) -> InputFile:
    if not stat.S_ISREG(status.st_mode):
        raise not_regular(path, status.st_mode)
    found = _NAME.fullmatch(path.name)
    packed = (found["packed"] or "").lower() if found else ""
    return InputFile(path, _symbol_of(path.name), _printable(path.name), packed, status.st_size)


def not_regular(path: Path, mode: int) -> BadResponseError:
    """Return the error for something at `path` that is no regular file."""
    kinds = ((stat.S_ISDIR, "directory"), (stat.S_ISFIFO, "named pipe"), (stat.S_ISSOCK, "socket"))
    kind = next((name for test, name in kinds if test(mode)), "device")
    return BadResponseError(
        f"{_printable(str(path))} is a {kind}, not a file",
        hint="save the rows to a file first",
        file=_printable(path.name),
    )


def _symbol_of(name: str) -> str:
    found = _NAME.fullmatch(name)
    return _printable(found["stem"] if found else name).strip()


def _printable(text: str) -> str:
    """Return a file name as text, also where its bytes are not UTF-8."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def _unreadable(path: str, error: Exception) -> SourceUnavailableError:
    reason = getattr(error, "strerror", None) or str(error)
    return SourceUnavailableError(
        f"cannot read {_printable(path)}: {reason}", hint="check the path and its permissions", file=_printable(path)
    )


def _nearby(target: Path) -> str:
    from difflib import get_close_matches

    try:
        names = os.listdir(target.parent)  # noqa: PTH208
    except OSError:
        return f"there is no directory {target.parent} either"
    near = get_close_matches(target.name, names, n=3)
    return f"did you mean {' or '.join(near)}?" if near else "check the path"


def _csvdir_hint(target: Path) -> str:
    if (target / "daily").is_dir() or (target / "minute").is_dir():
        return f"it has Zipline's csvdir layout: rustybt ingest csvdir --csvdir {target}"
    return (
        "files must end in .csv, .tsv or .txt (also .gz, .bz2, .xz, .zst, .zip); a glob reaches below: 'DIR/**/*.csv'"
    )

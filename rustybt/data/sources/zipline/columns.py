"""One column of a bcolz table on disk, read in parts; what is not whole is refused before bcolz touches it.

bcolz trusts its files: a chunk that is cut off makes it read beyond the end of a buffer. So the headers of all chunks are
compared with the files' sizes first.
"""

from __future__ import annotations

import json
import struct
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.data.bundles.storage.bcolz_import import import_bcolz
from rustybt.data.bundles.zipline_layout import HALF_WRITTEN
from rustybt.errors import BadResponseError

if TYPE_CHECKING:
    from pathlib import Path

    from rustybt.market.decimals import IntegerArray

_FILE_HEADER = 16
_CHUNK_HEADER = struct.Struct("<4sIII")
_MAGIC = b"blpk"
_MOST_BROKEN = 100


class BcolzColumn:
    """A column of whole numbers, uint32 as Zipline writes them.

    Parameters
    ----------
    folder
        The table's folder; the column is a folder in it.

    Raises
    ------
    BadResponseError
        It is missing, no column of uint32, or its files are not whole; the message names the file.
    MissingDependencyError
        bcolz is not installed.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name
        sizes = read_json(self.path / "meta" / "sizes")
        storage = read_json(self.path / "meta" / "storage")
        shape, chunk = sizes.get("shape"), storage.get("chunklen")
        if isinstance(shape, list) and len(shape) == 1:
            shape = shape[0]
        if not (_is_count(shape) and _is_count(chunk) and chunk) or storage.get("dtype") not in ("uint32", "<u4"):
            raise BadResponseError(f"{self.path} is no bcolz column of uint32", hint=HALF_WRITTEN, file=str(self.path))
        self._rows = int(shape)  # type: ignore[arg-type]
        self._chunk = int(chunk)
        count = -(-self._rows // self._chunk)
        problems = ((number, self._problem(number)) for number in range(count))
        self._broken = dict(islice(((number, problem) for number, problem in problems if problem), _MOST_BROKEN))
        #: bcolz reads a last chunk that is not full as soon as it opens the column.
        self._unreadable = len(self._broken) == _MOST_BROKEN or (self._rows % self._chunk and count - 1 in self._broken)
        self._opened: Any = None

    def __len__(self) -> int:
        return self._rows

    def read(self, start: int, stop: int) -> IntegerArray:
        """Return the rows from `start` up to `stop`, not included.

        Raises
        ------
        BadResponseError
            A chunk with some of them is damaged.
        """
        for number in self._broken:
            if self._unreadable or start // self._chunk <= number < -(-stop // self._chunk):
                raise BadResponseError(self._broken[number], hint=HALF_WRITTEN, file=str(self._file(number)))
        try:
            if self._opened is None:
                self._opened = import_bcolz().carray(rootdir=str(self.path), mode="r")
            return np.asarray(self._opened[start:stop], dtype=np.int64)
        except (RuntimeError, ValueError, OSError, KeyError, TypeError, MemoryError, struct.error) as error:
            raise BadResponseError(
                f"bcolz cannot read {self.path}: {error}", hint=HALF_WRITTEN, file=str(self.path)
            ) from error

    def _file(self, number: int) -> Path:
        return self.path / "data" / f"__{number}.blp"

    def _problem(self, number: int) -> str:
        """Return what is wrong with a chunk's file, empty if nothing is."""
        path = self._file(number)
        try:
            with path.open("rb") as file:
                header = file.read(_FILE_HEADER + _CHUNK_HEADER.size)
            size = path.stat().st_size
        except FileNotFoundError:
            return f"{path} is missing"
        except OSError as error:
            return f"{path} cannot be read: {error.strerror or error}"
        if len(header) < _FILE_HEADER + _CHUNK_HEADER.size or not header.startswith(_MAGIC):
            return f"{path} is no chunk of bcolz" if header else f"{path} is empty"
        _, unpacked, _, packed = _CHUNK_HEADER.unpack(header[_FILE_HEADER:])
        whole = self._chunk * 4
        needed = min(whole, (self._rows - number * self._chunk) * 4)
        if size < _FILE_HEADER + packed or packed < _CHUNK_HEADER.size:
            return f"{path} is cut off: {size:,} of {_FILE_HEADER + packed:,} bytes"
        if not needed <= unpacked <= whole:
            return f"{path} holds {unpacked // 4:,} rows instead of {needed // 4:,}"
        return ""


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises
    ------
    BadResponseError
        There is no such file, or it holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadResponseError(f"{path} is missing", hint=HALF_WRITTEN, file=str(path)) from error
    except OSError as error:
        raise BadResponseError(f"{path} cannot be read: {error.strerror or error}", file=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise BadResponseError(f"{path} is no JSON: {error}", hint=HALF_WRITTEN, file=str(path)) from error
    if not isinstance(found, dict):
        raise BadResponseError(f"{path} holds no JSON object", hint=HALF_WRITTEN, file=str(path))
    return found


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

"""A file of a report, whole or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rustybt.errors import StorageError

if TYPE_CHECKING:
    import os


def write_whole(path: str | os.PathLike[str], content: bytes) -> Path:
    """Write `content` beside `path`, whose directory is made if need be, and then move it there; return the path.

    What was there stays until then, and a link is replaced, not followed.

    Raises
    ------
    StorageError
        The file system refuses.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".writing-") as scratch:
            made = Path(scratch) / "made"
            made.write_bytes(content)
            made.replace(target)
    except (OSError, ValueError) as error:  # a ValueError is a name with a zero byte
        raise StorageError(
            f"cannot write {str(target)!r:.300}: {getattr(error, 'strerror', None) or error}",
            hint="name a file in a directory to write into",
        ) from error
    return target

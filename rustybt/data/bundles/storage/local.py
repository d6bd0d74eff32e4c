"""A home on a local disk."""

from __future__ import annotations

import errno
import os
import re
import sys
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rustybt.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

TEMPORARY_PREFIX = ".tmp-"
_NETWORK_FILE_SYSTEMS = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs"),
    *("fuse.sshfs", "fuse.rclone", "fuse.s3fs"),
}


@dataclass(frozen=True, slots=True)
class LocalFile:
    """One file of a `LocalStorage`."""

    key: str
    size_bytes: int
    modified_at: float


@contextmanager
def translated(action: str, path: Path) -> Iterator[None]:
    """Turn the file system's refusals into `StorageError`; a missing file or a lock's timeout stays what it is."""
    try:
        yield
    except (FileNotFoundError, TimeoutError):
        raise
    except OSError as error:
        reason, hint = _explain(error)
        raise StorageError(f"cannot {action} {path}: {reason}", hint=hint, path=str(path), errno=error.errno) from error


def _explain(error: OSError) -> tuple[str, str]:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"no space left ({error.strerror})", "free some space, then run the command again: nothing was lost"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"not writable ({error.strerror})", "choose another home: rustybt config set home PATH, or RUSTYBT_HOME"
    return error.strerror or str(error), "rustybt doctor checks the home"


def sync_directory(folder: Path) -> None:
    """Make renames and removals in `folder` durable; Windows has no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(descriptor: int) -> None:
    """Make a file's bytes durable; on macOS only F_FULLFSYNC reaches the platter."""
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def refuse_network_home(home: Path, mounts: Path = Path("/proc/self/mounts")) -> None:
    """Raise where file locks and fsync cannot be trusted.

    Raises
    ------
    StorageError
        The home lies on NFS, SMB or the like.
    """
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return
    target = home.absolute()
    kind, depth = "", -1
    for line in lines:
        _, point, file_system, *_ = line.split(" ")
        where = Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), point))
        if (target == where or where in target.parents) and len(where.parts) > depth:
            kind, depth = file_system, len(where.parts)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise StorageError(
            f"the home {home} lies on {kind}: SQLite and file locks are not safe there",
            hint="choose a local folder: rustybt config set home PATH; share data with rustybt bundle export",
        )


class LocalStorage:
    """Files below one folder.

    Parameters
    ----------
    root
        The home; created on the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Return where `key` lies.

        Raises
        ------
        StorageError
            The key would leave the home; such a key never comes from a user, so the metadata was tampered with.
        """
        parts = key.split("/")
        if "\\" in key or any(part in ("", "..", ".") for part in parts):
            raise StorageError(f"{key!r} is not a key inside the home {self.root}", hint="rustybt bundle recover")
        return self.root.joinpath(*parts)

    @property
    def location(self) -> str:
        """The folder."""
        return str(self.root)

    def local_path(self, key: str) -> Path:
        """Return where `key` lies."""
        return self.path(key)

    def put_new(self, key: str, data: bytes) -> None:
        """Write `data`, fsync it, rename it to its name and fsync the folder."""
        path = self.path(key)
        temporary = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
        with translated("write", path):
            self._make_folder(path.parent)
            try:
                descriptor = os.open(
                    temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644
                )
                try:
                    view = memoryview(data)
                    while view:
                        view = view[os.write(descriptor, view) :]
                    sync_file(descriptor)
                finally:
                    os.close(descriptor)
                if path.exists():
                    raise FileExistsError(errno.EEXIST, "the file exists already", str(path))
                temporary.rename(path)
                sync_directory(path.parent)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise

    def _make_folder(self, folder: Path) -> None:
        """Create `folder` and make each new level durable, else a power loss could take the folder and its files."""
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for level in reversed(missing):
            level.mkdir(exist_ok=True)
            sync_directory(level.parent)

    def open(self, key: str) -> bytes:
        """Read a whole file."""
        path = self.path(key)
        with translated("read", path):
            return path.read_bytes()

    def list(self, prefix: str) -> Iterator[LocalFile]:
        """Yield every file below the folder `prefix`; links are not followed."""
        top = self.path(prefix)
        for folder, _, names in os.walk(top):
            for name in sorted(names):
                path = Path(folder, name)
                try:
                    status = path.lstat()
                except FileNotFoundError:
                    continue
                yield LocalFile(path.relative_to(self.root).as_posix(), status.st_size, status.st_mtime)

    def delete(self, key: str) -> None:
        """Remove a file if it is there."""
        path = self.path(key)
        try:
            path.unlink()
        except FileNotFoundError:
            return
        except OSError:
            with translated("delete", path):
                raise

    def stamp(self, key: str) -> tuple[int, ...]:
        """Return inode, size and modification time."""
        status = self.path(key).stat()
        return (status.st_ino, status.st_size, status.st_mtime_ns)

"""What lies in a folder, to the byte, and with what a file system remembers of a change."""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    kind: str
    size: int
    mtime_ns: int
    inode: int
    content: str


def snapshot(folder, *, without=()):
    """Return {relative path: Entry} of everything below and of the folder itself, {} if there is none.

    `without` are relative paths that are left out, with all below. Links are not followed.
    """
    folder = Path(folder)
    if not os.path.lexists(folder):
        return {}
    found = {".": _entry(folder)}
    for parent, folders, files in os.walk(folder):
        here = Path(parent).relative_to(folder)
        folders[:] = [name for name in folders if (here / name).as_posix() not in without]
        for name in [*folders, *files]:
            path = (here / name).as_posix()
            if path not in without:
                found[path] = _entry(folder / path)
    return found


def _entry(path):
    status = path.lstat()
    if path.is_symlink():
        kind, content = "link", str(path.readlink())
    elif path.is_dir():
        kind, content = "folder", ""
    else:
        kind, content = "file", sha256(path.read_bytes()).hexdigest()
    return Entry(kind, status.st_size, status.st_mtime_ns, status.st_ino, content)


def contents(folder, *, without=()):
    """Return {relative path: bytes as SHA-256, or what else it is}: what a copy of the folder has in common with it."""
    found = snapshot(folder, without=without)
    return {path: (entry.kind, entry.content) for path, entry in found.items()}


def changes(before, after):
    """Return what differs as sentences."""
    gone = [f"{path} is gone" for path in before.keys() - after.keys()]
    made = [f"{path} was made" for path in after.keys() - before.keys()]
    both = before.keys() & after.keys()
    return sorted([*gone, *made, *[f"{path} changed" for path in both if before[path] != after[path]]])

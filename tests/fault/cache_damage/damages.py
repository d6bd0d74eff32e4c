"""Ways in which files of a cache rot, and where they lie."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from tests.fault.cache_vendor import SYMBOLS

ROOT = Path(__file__).parents[3]
EIGHT = SYMBOLS[:8]


def files_of(home):
    return sorted((home / ".rustybt" / "cache").glob("cache-*/*.parquet"))


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(bytes(data))


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "truncated": truncate,
    "flipped": flip,
    "emptied": lambda path: path.write_bytes(b""),
    "deleted": Path.unlink,
    "of-another-symbol": lambda path: shutil.copy(next(p for p in files_of(path.parents[3]) if p != path), path),
    "a-folder": replace_by_folder,
}


def exchange(home, chance, ways, number):
    """Put a damaged copy in the place of some file, or nothing."""
    copy = home / f"damaged-{number}"
    with suppress(FileNotFoundError):  # it was dropped meanwhile
        path = chance.choice([path for path in files_of(home) if path.stat().st_size] or [copy])
        shutil.copy(path, copy)
        if copy.stat().st_size:
            chance.choice(ways)(copy)
        copy.replace(path) if copy.exists() else path.unlink()
    copy.unlink(missing_ok=True)

"""``credentials.toml`` beside the user's settings: keys that only their owner can read."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from typing import TYPE_CHECKING, Any

from rustybt.config import to_toml, user_file, write_atomically
from rustybt.errors import AuthenticationError, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAME = "credentials.toml"
_OPENED = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_WORD = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def path() -> Path:
    """Return where the file is, whether it exists or not."""
    return user_file().parent / NAME


def read(vendor: str) -> dict[str, str]:
    """Return the keys of `vendor` by the name of their variable; none where there is no file.

    Raises
    ------
    AuthenticationError
        Others than the owner can read the file, it belongs to somebody else, or it is not as it should be.
    """
    keys = _read_all().get(vendor, {})
    if not isinstance(keys, dict) or not all(isinstance(value, str) for value in keys.values()):
        raise AuthenticationError(
            f"{path()}: [{vendor}] is not a table of texts", hint='write it as [polygon] MASSIVE_API_KEY = "..."'
        )
    return keys


def write(vendor: str, keys: Mapping[str, str]) -> Path:
    """Store keys of `vendor`, and return the file's path; other keys in it stay, its comments do not.

    The file is readable by its owner alone from its creation on, and is replaced as a whole or stays as it is.

    Raises
    ------
    RequestError
        A name cannot stand in the file.
    AuthenticationError
        The file that is there must not be read, see `read`.
    StorageError
        The file cannot be written.
    """
    for name in (vendor, *keys):
        if not _WORD.fullmatch(name):
            raise RequestError(f"{name!r} cannot name a key", hint="names are letters, digits, - and _")
    read(vendor)
    tables = _read_all()
    flat = {
        f"{table}.{name}": value
        for table, values in tables.items()
        if isinstance(values, dict)
        for name, value in values.items()
    }
    flat.update({f"{vendor}.{name}": value for name, value in keys.items()})
    write_atomically(path(), to_toml(flat))
    return path()


def _read_all() -> dict[str, Any]:
    place = path()
    try:
        # Not blocking, and checked after opening: what is checked is what is read.
        handle = os.open(place, _OPENED)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise AuthenticationError(
            f"cannot read the keys in {place}: {error.strerror}", hint=f"chmod 600 {place}"
        ) from error
    try:
        _check_owner(handle, place)
        with os.fdopen(os.dup(handle), "rb") as file:
            content = file.read()
    finally:
        os.close(handle)
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError:
        found = "it is not UTF-8"
    except tomllib.TOMLDecodeError as error:
        # Only the place: the text of the error may repeat what stands there.
        found = (re.findall(r"at line \d+|at end of document", str(error)) or ["somewhere"])[0]
    raise AuthenticationError(f"{place} is not TOML: {found}", hint='write it as [polygon] MASSIVE_API_KEY = "..."')


def _check_owner(handle: int, place: Path) -> None:
    """Refuse a file that others can read, write or have put there."""
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode):
        raise AuthenticationError(f"the keys in {place} are not used: it is no file", hint="make it a plain file")
    if os.name != "posix":  # access lists there; the folder of settings is the user's own
        return
    if facts.st_uid != os.geteuid():
        raise AuthenticationError(
            f"the keys in {place} are not used: the file belongs to another user", hint=f"chown $USER {place}"
        )
    if facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise AuthenticationError(
            f"the keys in {place} are not used: others can read or change the file", hint=f"chmod 600 {place}"
        )

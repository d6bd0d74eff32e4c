"""The files of settings: where they are, reading and writing them."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT_FILE = "rustybt.toml"
#: Environment variable that names the user's file.
USER_FILE_VARIABLE = "RUSTYBT_CONFIG_FILE"


def default_home() -> Path:
    """Return the platform's data folder for RustyBT."""
    import platformdirs

    return Path(platformdirs.user_data_dir("rustybt", appauthor=False))


def user_file() -> Path:
    """Return the path of the user's settings file, whether it exists or not."""
    named = os.environ.get(USER_FILE_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_config_dir("rustybt", appauthor=False)) / "config.toml"


def read_file(path: Path) -> dict[str, Any]:
    """Return the settings of a TOML file with dotted keys; none if there is no file."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise RequestError(
            f"cannot read the settings in {path}: {error.strerror}", hint="check the file's permissions"
        ) from error
    import tomllib

    try:
        return _flatten(tomllib.loads(content.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"{path} is not TOML: {error}", hint="correct the file, or remove it") from error


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat.update(_flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat


def to_toml(flat: Mapping[str, Any]) -> str:
    """Return settings as TOML: plain keys first, then a table for each prefix."""
    tables: dict[str, list[str]] = {"": []}
    for key, value in sorted(flat.items()):
        table, _, name = key.rpartition(".")
        tables.setdefault(table, []).append(f"{name} = {_to_toml_value(value)}")
    blocks = ["\n".join(([f"[{table}]"] if table else []) + lines) for table, lines in tables.items() if lines]
    return "\n\n".join(blocks) + "\n" if blocks else ""


def _to_toml_value(value: Any) -> str:
    # TOML's basic strings are JSON's, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_atomically(path: Path, text: str) -> None:
    """Replace the file, readable by its owner alone from its creation on, or leave it as it is.

    Raises
    ------
    StorageError
        The file cannot be written; it is as it was.
    """
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # mkstemp creates the file with mode 0600.
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StorageError(
            f"cannot write the settings to {path}: {error.strerror}",
            hint=f"check its folder, or set {USER_FILE_VARIABLE}",
        ) from error

"""Settings and where each one comes from.

Precedence, strongest first: a flag of the command, the environment (``RUSTYBT_HOME``, ``RUSTYBT_CACHE_MAX_SIZE_BYTES``), the
project's ``./rustybt.toml``, the user's own file (``RUSTYBT_CONFIG_FILE``, else ``config.toml`` in the platform's
configuration folder), the default. Dotted keys are tables in the files::

    home = "/data/rustybt"

    [cache]
    max_size_bytes = "20GB"
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
import tempfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PROJECT_FILE = "rustybt.toml"
ENVIRONMENT_PREFIX = "RUSTYBT_"
#: Environment variable that names the user's file.
USER_FILE_VARIABLE = "RUSTYBT_CONFIG_FILE"

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_FORMATS = ("text", "json")
_SIZE_UNITS = {
    "": 1,
    **{p: 1_000**n for n, p in enumerate("kmgt", 1)},
    **{f"{p}i": 1024**n for n, p in enumerate("kmgt", 1)},
}
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_QUANTITY = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)


def parse_size(value: Any) -> int:
    """Return a number of bytes: 5000000, ``5GB`` (10**9 each) or ``5GiB`` (2**30 each).

    Raises
    ------
    RequestError
        It is no size, or negative.
    """
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value)
        unit = match[2].lower().removesuffix("b") if match else "?"
        if match and unit in _SIZE_UNITS:
            return int(
                float(match[1].replace("_", "")) * _SIZE_UNITS[unit]
                if "." in match[1]
                else int(match[1]) * _SIZE_UNITS[unit]
            )
    elif isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise RequestError(
        f"{value!r} is not a size", hint="write bytes, or a number with kB, MB, GB, KiB, MiB or GiB: 5GB"
    )


def parse_duration(value: Any) -> float:
    """Return a number of seconds: 90, ``90s``, ``15m``, ``12h``, ``2d``, ``1w`` or ``500ms``.

    Raises
    ------
    RequestError
        It is no duration, or negative.
    """
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value)
        if match and match[2].lower() in _SECONDS:
            return float(match[1].replace("_", "")) * _SECONDS[match[2].lower()]
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    raise RequestError(f"{value!r} is not a duration", hint="write seconds, or a number with s, m, h, d or w: 2d")


def _parse_home(value: Any) -> Path:
    if not isinstance(value, str | os.PathLike) or not str(value).strip() or "\0" in str(value):
        raise RequestError(f"{value!r} is not a folder", hint="write the path of a local folder")
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError as error:
        raise RequestError(f"{value!r} is not a folder: {error}", hint="write the path in full") from error


def _choice(options: tuple[str, ...]) -> Callable[[Any], str]:
    """Return a parser that accepts `options` in upper or lower case."""

    def parse(value: Any) -> str:
        for option in options:
            if isinstance(value, str) and value.strip().casefold() == option.casefold():
                return option
        raise RequestError(f"{value!r} is not a choice", hint=f"use one of {', '.join(options)}")

    return parse


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


def _setting(parse: Callable[[Any], Any], doc: str, default: Any, key: str = "") -> Any:
    return field(default=default, metadata={"parse": parse, "doc": doc, "key": key})


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, typed; use `load_settings`.

    Parameters
    ----------
    origins
        Where each value that is not a default comes from, by key.
    """

    home: Path = field(
        default_factory=default_home,
        metadata={"parse": _parse_home, "doc": "folder of bundles, cache and database", "key": ""},
    )
    log_level: str = _setting(_choice(_LEVELS), "least severe event that is logged", "WARNING")
    log_format: str = _setting(_choice(_FORMATS), "shape of log lines", "text")
    cache_max_size_bytes: int = _setting(
        parse_size, "the cache evicts beyond this", 10 * 1024**3, "cache.max_size_bytes"
    )
    bundle_lock_timeout_seconds: float = _setting(
        parse_duration, "how long a writer waits for another", 60.0, "bundle.lock_timeout_seconds"
    )
    bundle_gc_grace_seconds: float = _setting(
        parse_duration, "how old an unreferenced file must be to be deleted", 3_600.0, "bundle.gc_grace_seconds"
    )
    csv_max_decompressed_bytes: int = _setting(
        parse_size, "largest decompressed size of a CSV file", 8 * 1024**3, "csv.max_decompressed_bytes"
    )
    csv_max_field_bytes: int = _setting(parse_size, "largest field of a CSV file", 1024**2, "csv.max_field_bytes")
    origins: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        return getattr(self, _attribute(key))

    def origin(self, key: str) -> str:
        """Return where the value of `key` comes from: ``default`` or the flag, variable or file that set it.

        Raises
        ------
        RequestError
            No such setting; the hint lists near ones.
        """
        return self.origins.get(setting_key(_attribute(key)), "default")

    def items(self) -> list[tuple[str, Any, str]]:
        """Return (key, value, origin) of every setting, in the order of this class."""
        return [(key, self[key], self.origin(key)) for key in setting_keys()]


def setting_key(attribute: str) -> str:
    """Return the dotted key of an attribute of `Settings`."""
    return str(_FIELDS[attribute].metadata["key"]) or attribute


_FIELDS = {f.name: f for f in fields(Settings) if f.metadata}
_ATTRIBUTES = {setting_key(name): name for name in _FIELDS}


def setting_keys() -> list[str]:
    """Return the dotted keys of all settings."""
    return list(_ATTRIBUTES)


def describe_setting(key: str) -> str:
    """Return one line that says what the setting does."""
    return str(_FIELDS[_attribute(key)].metadata["doc"])


def environment_variable(key: str) -> str:
    """Return the name of the environment variable of a setting."""
    return ENVIRONMENT_PREFIX + _attribute(key).upper()


def _attribute(key: str) -> str:
    if key in _FIELDS:
        return key
    if key not in _ATTRIBUTES:
        near = difflib.get_close_matches(key, _ATTRIBUTES, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else "rustybt config show lists all settings"
        raise RequestError(f"unknown setting {key!r}", hint=hint, key=key)
    return _ATTRIBUTES[key]


def load_settings(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings afresh: two small files and the environment.

    Parameters
    ----------
    overrides
        Flags, by key; they win over all else, and a value of None is no flag.

    Raises
    ------
    RequestError
        A file is not TOML or cannot be read, a key is unknown, or a value is not of its kind; the message names the origin.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    # From the weakest to the strongest: later ones overwrite.
    for key, value, origin in (*_from_files(), *_from_environment(), *_from_flags(overrides or {})):
        try:
            attribute = _attribute(key)
            values[attribute] = _FIELDS[attribute].metadata["parse"](value)
        except RequestError as error:
            raise RequestError(f"{origin}: {key}: {error.message}", hint=error.hint, key=key, origin=origin) from None
        origins[setting_key(attribute)] = origin
    return Settings(**values, origins=origins)


def _from_files() -> Iterator[tuple[str, Any, str]]:
    for kind, path in (("user file", user_file()), ("project file", Path(PROJECT_FILE))):
        for key, value in _read_file(path).items():
            place = path.absolute()
            # A folder written in a file is meant from where the file lies.
            is_relative = key == "home" and isinstance(value, str) and value.strip() and not value.startswith("~")
            yield key, place.parent / value if is_relative else value, f"{kind} {place}"


def _from_environment() -> Iterator[tuple[str, Any, str]]:
    for key in setting_keys():
        variable = environment_variable(key)
        value = os.environ.get(variable)
        if value:
            yield key, value, f"environment {variable}"


def _from_flags(overrides: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    for key, value in overrides.items():
        if value is not None:
            yield key, value, "flag"


def _read_file(path: Path) -> dict[str, Any]:
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


def set_value(key: str, value: Any) -> Path:
    """Write one setting to the user's file, and return the file's path; None removes the setting.

    The value is checked first. Other settings in the file stay; its comments do not.

    Raises
    ------
    RequestError
        Unknown key, or a value not of its kind; nothing was written.
    StorageError
        The file cannot be written; it is as it was.
    """
    attribute = _attribute(key)
    path = user_file()
    found = _read_file(path)
    found.pop(setting_key(attribute), None)
    for other, kept in found.items():
        # What cannot be read must not be rewritten: it might come back as something else.
        _FIELDS[_attribute(other)].metadata["parse"](kept)
    if value is not None:
        parsed = _FIELDS[attribute].metadata["parse"](value)
        found[setting_key(attribute)] = str(parsed) if isinstance(parsed, Path) else value
    _write_atomically(path, _to_toml(found))
    return path


def _to_toml(flat: Mapping[str, Any]) -> str:
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


def _write_atomically(path: Path, text: str) -> None:
    """Replace the file, readable by its owner alone, or leave it as it is."""
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


class Config:
    """Settings by key, as one line: ``Config.get("cache.max_size_bytes")``."""

    @staticmethod
    def get(key: str, default: Any = None) -> Any:
        """Return the value of `key`; where nobody set it, `default`, or the setting's own default if that is None.

        Raises
        ------
        RequestError
            No such setting, or a value somewhere is not of its kind.
        """
        settings = load_settings()
        is_unset = settings.origin(key) == "default"
        return default if is_unset and default is not None else settings[key]

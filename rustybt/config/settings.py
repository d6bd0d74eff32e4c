"""All settings, typed, and where each one comes from."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rustybt.config.files import PROJECT_FILE, default_home, read_file, to_toml, user_file, write_atomically
from rustybt.config.sources import (
    FREQUENCY_VARIABLES,
    SOURCE_SETTINGS,
    SOURCE_VARIABLES,
    refuse_key,
    source_key,
    source_name,
)
from rustybt.config.values import (
    choice,
    parse_address,
    parse_duration,
    parse_freshness,
    parse_home,
    parse_sessions,
    parse_size,
)
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ENVIRONMENT_PREFIX = "RUSTYBT_"
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_FORMATS = ("text", "json")


def _setting(parse: Callable[[Any], Any], doc: str, default: Any, key: str = "") -> Any:
    return field(default=default, metadata={"parse": parse, "doc": doc, "key": key})


def _freshness(frequency: str) -> Any:
    doc = f"when cached bars of {frequency} are asked for again; None: by source and calendar"
    return _setting(parse_freshness, doc, None, f"cache.freshness.{frequency}")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, typed; use `load_settings`.

    Parameters
    ----------
    sources
        What is set for sources, by source and setting; see `source_settings`.
    origins
        Where each value that is not a default comes from, by key.
    """

    home: Path = field(
        default_factory=default_home,
        metadata={"parse": parse_home, "doc": "folder of bundles, cache and database", "key": ""},
    )
    log_level: str = _setting(choice(_LEVELS), "least severe event that is logged", "WARNING")
    log_format: str = _setting(choice(_FORMATS), "shape of log lines", "text")
    cache_max_size_bytes: int = _setting(
        parse_size, "the cache evicts beyond this", 10 * 1024**3, "cache.max_size_bytes"
    )
    cache_dir: Path | None = field(
        default=None,
        metadata={"parse": parse_home, "doc": "folder of cached bars; None: inside the home", "key": "cache.dir"},
    )
    cache_revision_sessions: int = _setting(
        parse_sessions, "sessions asked for again after each close, for corrections", 5, "cache.revision_sessions"
    )
    cache_empty_expiry_seconds: float = _setting(
        parse_duration, "how long a range that the source has no bars for is believed", 604_800.0, "cache.empty_expiry"
    )
    cache_freshness_1m: str | None = _freshness("1m")
    cache_freshness_5m: str | None = _freshness("5m")
    cache_freshness_15m: str | None = _freshness("15m")
    cache_freshness_30m: str | None = _freshness("30m")
    cache_freshness_1h: str | None = _freshness("1h")
    cache_freshness_1d: str | None = _freshness("1d")
    cache_freshness_1w: str | None = _freshness("1w")
    cache_freshness_1month: str | None = _freshness("1M")
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
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        of_source = source_key(key)
        if of_source is not None:
            return self.sources.get(of_source[0], {}).get(of_source[1])
        return getattr(self, _attribute(key))

    def origin(self, key: str) -> str:
        """Return where the value of `key` comes from: ``default`` or the flag, variable or file that set it.

        Raises
        ------
        RequestError
            No such setting; the hint lists near ones.
        """
        return self.origins.get(_canonical_key(key), "default")

    def items(self) -> list[tuple[str, Any, str]]:
        """Return (key, value, origin) of every setting, in the order of this class, then of what is set for sources.

        A proxy is shown without its user and password.
        """
        of_sources = [f"sources.{name}.{setting}" for name, found in sorted(self.sources.items()) for setting in found]
        return [(key, shown_value(key, self[key]), self.origin(key)) for key in (*setting_keys(), *of_sources)]


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
    of_source = source_key(key)
    if of_source is not None:
        return SOURCE_SETTINGS[of_source[1]][1]
    return str(_FIELDS[_attribute(key)].metadata["doc"])


def environment_variable(key: str) -> str:
    """Return the name of the environment variable of a setting."""
    canonical = _canonical_key(key)
    for name, text in FREQUENCY_VARIABLES.items():
        # Variables know no small letters: a minute and a month would be one.
        if canonical.endswith((f"freshness.{name}", f"freshness_{name}")):
            canonical = canonical.removesuffix(name) + text
    return ENVIRONMENT_PREFIX + canonical.replace(".", "_").upper()


def shown_value(key: str, value: Any) -> Any:
    """Return the value of a setting as it may be printed: an address without user and password."""
    of_source = source_key(key)
    if of_source is None or SOURCE_SETTINGS[of_source[1]][0] is not parse_address:
        return value
    return re.sub(r"(?<=//)[^/]*@", "", str(value))


def _attribute(key: str) -> str:
    if key in _FIELDS:
        return key
    if key not in _ATTRIBUTES:
        refuse_key(key)
        near = difflib.get_close_matches(key, _ATTRIBUTES, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else "rustybt config show lists all settings"
        raise RequestError(f"unknown setting {key!r}", hint=hint, key=key)
    return _ATTRIBUTES[key]


def _canonical_key(key: str) -> str:
    of_source = source_key(key)
    return f"sources.{of_source[0]}.{of_source[1]}" if of_source else setting_key(_attribute(key))


def _parse(key: str, value: Any) -> Any:
    """Return the typed value of a setting."""
    of_source = source_key(key)
    if of_source is not None:
        return SOURCE_SETTINGS[of_source[1]][0](value)
    return _FIELDS[_attribute(key)].metadata["parse"](value)


def source_settings(name: str, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what is set for a source, typed: only what somebody set.

    Parameters
    ----------
    name
        Of the source; it need not be known.
    overrides
        Flags, by setting: ``{"timeout_seconds": 5}``; they win over all else, and a value of None is no flag.

    Returns
    -------
    dict
        Any of ``requests_per_minute`` (0 is no limit), ``parallel_requests``, ``timeout_seconds``, ``max_attempts``,
        ``proxy``, ``ca_bundle``, ``base_url``, ``freshness`` and ``freshness_1d`` or another frequency.

    Raises
    ------
    RequestError
        As `load_settings`.
    """
    flags = {f"sources.{name}.{setting}": value for setting, value in (overrides or {}).items()}
    return dict(load_settings(flags).sources.get(source_name(name), {}))


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
    sources: dict[str, dict[str, Any]] = {}
    origins: dict[str, str] = {}
    # From the weakest to the strongest: later ones overwrite.
    for key, value, origin in (*_from_files(), *_from_environment(), *_from_flags(overrides or {})):
        try:
            parsed, canonical, of_source = _parse(key, value), _canonical_key(key), source_key(key)
        except RequestError as error:
            raise RequestError(f"{origin}: {key}: {error.message}", hint=error.hint, key=key, origin=origin) from None
        origins[canonical] = origin
        if of_source is None:
            values[_attribute(key)] = parsed
        else:
            sources.setdefault(of_source[0], {})[of_source[1]] = parsed
    return Settings(**values, sources=sources, origins=origins)


def _from_files() -> Iterator[tuple[str, Any, str]]:
    for kind, path in (("user file", user_file()), ("project file", Path(PROJECT_FILE))):
        for key, value in read_file(path).items():
            place = path.absolute()
            # A folder written in a file is meant from where the file lies.
            is_path = key in ("home", "cache.dir") or (key.startswith("sources.") and key.endswith(".ca_bundle"))
            is_relative = is_path and isinstance(value, str) and value.strip() and not value.startswith("~")
            yield key, place.parent / value if is_relative else value, f"{kind} {place}"


def _from_environment() -> Iterator[tuple[str, Any, str]]:
    for key in setting_keys():
        variable = environment_variable(key)
        value = os.environ.get(variable)
        if value:
            yield key, value, f"environment {variable}"
    prefix = f"{ENVIRONMENT_PREFIX}SOURCES_"
    for variable in sorted(name for name in os.environ if name.startswith(prefix)):
        rest, value = variable.removeprefix(prefix).lower(), os.environ[variable]
        known = next((text for text in SOURCE_VARIABLES if rest.endswith(f"_{text}")), None)
        # What is not known is handed on, to be refused like an unknown setting of a file.
        name, _, last = (rest.removesuffix(f"_{known}"), "", SOURCE_VARIABLES[known]) if known else rest.partition("_")
        if value:
            yield f"sources.{name}.{last}", value, f"environment {variable}"


def _from_flags(overrides: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    for key, value in overrides.items():
        if value is not None:
            yield key, value, "flag"


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
    canonical = _canonical_key(key)
    path = user_file()
    found = {other: kept for other, kept in read_file(path).items() if _canonical_key(other) != canonical}
    for other, kept in found.items():
        # What cannot be read must not be rewritten: it might come back as something else.
        _parse(other, kept)
    if value is not None:
        parsed = _parse(key, value)
        found[canonical] = str(parsed) if isinstance(parsed, Path) or canonical.endswith(".ca_bundle") else value
    write_atomically(path, to_toml(found))
    return path


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

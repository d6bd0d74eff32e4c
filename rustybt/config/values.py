"""How the text of a setting becomes a value; what is not of its kind is refused with what to write instead."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

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


def parse_home(value: Any) -> Path:
    """Return a folder or file as an absolute path."""
    if not isinstance(value, str | os.PathLike) or not str(value).strip() or "\0" in str(value):
        raise RequestError(f"{value!r} is not a folder", hint="write the path of a local folder")
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError as error:
        raise RequestError(f"{value!r} is not a folder: {error}", hint="write the path in full") from error


def choice(options: tuple[str, ...]) -> Callable[[Any], str]:
    """Return a parser that accepts `options` in upper or lower case."""

    def parse(value: Any) -> str:
        for option in options:
            if isinstance(value, str) and value.strip().casefold() == option.casefold():
                return option
        raise RequestError(f"{value!r} is not a choice", hint=f"use one of {', '.join(options)}")

    return parse


def parse_rate(value: Any) -> float:
    """Return a number of requests; 0 is no limit."""
    try:
        rate = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except ValueError:
        rate = math.nan
    if not (math.isfinite(rate) and rate >= 0):
        raise RequestError(f"{value!r} is not a rate", hint="write a number of requests, or 0 for no limit")
    return rate


def parse_count(value: Any) -> int:
    """Return a whole number from 1 on."""
    number = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 10**6:
        raise RequestError(f"{value!r} is not a number from 1 on", hint="write a whole number: 4")
    return number


def parse_wait(value: Any) -> float:
    """Return a number of seconds above 0."""
    seconds = parse_duration(value)
    if seconds <= 0:
        raise RequestError(f"{value!r} is not longer than nothing", hint="30 is usual")
    return seconds


def parse_address(value: Any) -> str:
    """Return an http or https address; what is none is not repeated, for it may hold a password."""
    if not isinstance(value, str) or not re.match(r"https?://[^\s/]", value.strip()):
        raise RequestError("it is not an http or https address", hint="write it as http://127.0.0.1:8080")
    return value.strip()


def parse_freshness(value: Any) -> str:
    """Return when cached bars are asked for again: ``market_close``, ``ttl:1h``, ``hybrid:5m``, ``never`` or ``always``.

    Raises
    ------
    RequestError
        It is none of them, or the part after the colon is no duration.
    """
    text = value.strip().lower() if isinstance(value, str) else ""
    name, _, duration = text.partition(":")
    if text in ("market_close", "never", "always") or (name in ("ttl", "hybrid") and _QUANTITY.fullmatch(duration)):
        if duration:
            parse_duration(duration)
        return text
    raise RequestError(
        f"{value!r} is not a freshness", hint="use one of market_close, ttl:1h, hybrid:5m, never, always"
    )


def parse_sessions(value: Any) -> int:
    """Return a whole number of sessions, from 0 on."""
    is_nothing = value == 0 if isinstance(value, int) and not isinstance(value, bool) else str(value).strip() == "0"
    try:
        return 0 if is_nothing else parse_count(value)
    except RequestError as error:
        raise RequestError(f"{value!r} is not a number of sessions", hint="write a whole number: 5") from error

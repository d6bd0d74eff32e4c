"""What can be set for each source: how it is reached and how hard it is tried."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from rustybt.config.values import parse_address, parse_count, parse_freshness, parse_home, parse_rate, parse_wait
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

#: The frequencies for which freshness can be set, each as the environment writes it, where 1m and 1M would be one.
FREQUENCY_VARIABLES = {
    **{name: name for name in ("1m", "5m", "15m", "30m", "1h", "1d", "1w")},
    "1M": "1month",
}
#: What can be set for each source: how it is read, and what it is.
SOURCE_SETTINGS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "requests_per_minute": (parse_rate, "requests in a minute, for all processes together; 0 is no limit"),
    "parallel_requests": (parse_count, "requests that run at once"),
    "timeout_seconds": (parse_wait, "longest wait for an answer"),
    "max_attempts": (parse_count, "requests for one thing before it is given up"),
    "proxy": (parse_address, "HTTP proxy that every request goes through"),
    "ca_bundle": (lambda value: str(parse_home(value)), "file of certificates to trust, PEM"),
    "base_url": (parse_address, "address instead of the vendor's own"),
    "freshness": (parse_freshness, "when cached bars are asked for again"),
    **{
        f"freshness_{name}": (parse_freshness, f"when cached bars of {name} are asked for again")
        for name in FREQUENCY_VARIABLES
    },
}
#: How the environment writes the settings of sources, and which they are.
SOURCE_VARIABLES = {
    **{setting: setting for setting in SOURCE_SETTINGS if setting != "freshness_1M"},
    **{f"freshness_{text}": f"freshness_{name}" for name, text in FREQUENCY_VARIABLES.items()},
}
_SOURCE_KEY = re.compile(r"sources\.([A-Za-z0-9][A-Za-z0-9_-]*)\.(\w+)", re.ASCII)
_KEY_LIKE = re.compile(r"(?:^|[._])(?:\w*api_?key\w*|key(?:_id)?|\w*secret\w*|\w*token|\w*password)$", re.IGNORECASE)


def source_key(key: str) -> tuple[str, str] | None:
    """Return source and setting of ``sources.NAME.SETTING``; None for a setting that is of no source.

    In names of sources capitals and small letters are one, and so are ``-`` and ``_``: the environment knows no others.
    """
    if not key.startswith("sources."):
        return None
    match = _SOURCE_KEY.fullmatch(key)
    if match and match[2] in SOURCE_SETTINGS:
        return source_name(match[1]), match[2]
    refuse_key(key)
    near = difflib.get_close_matches(match[2], SOURCE_SETTINGS, n=2) if match else []
    hint = f"did you mean {' or '.join(near)}?" if near else f"a source has {', '.join(SOURCE_SETTINGS)}"
    raise RequestError(f"unknown setting {key!r}", hint=hint, key=key)


def source_name(name: str) -> str:
    """Return the name of a source as settings write it."""
    return name.lower().replace("-", "_")


def refuse_key(key: str) -> None:
    """Refuse a vendor's key among the settings, which are printed, shared and committed; never repeat it."""
    if _KEY_LIKE.search(key):
        raise RequestError(
            "a key does not belong into the settings, which others may read",
            hint="remove it there; store it with rustybt config set-key NAME, or set the vendor's own environment variable",
            key=key,
        )

"""No key in any text: vendors' error messages and clients' exceptions echo addresses, and addresses hold keys."""

from __future__ import annotations

import base64
import html
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from rustybt.errors import RustybtError

E = TypeVar("E", bound="RustybtError")

MASK = "***"

#: Keys of this process. What was a key once stays one in texts that come later.
_known: set[str] = set()

_NAMES = (
    r"(?:api[-_]?key(?:[-_]?id)?|apca[-_]api[-_](?:key[-_]id|secret[-_]key)|access[-_]?key|access[-_]?token|auth[-_]?token"
    r"|secret(?:[-_]?key)?|token|key|signature|password|passwd|crumb)"
)
_RULES = (
    # A query's argument, also one cut off: apikey=ABC...; three dots stand for one in our own hints.
    (re.compile(rf"(?i)(?<![\w-])({_NAMES}(?:=|%3D))(?!\.\.\.)[^\s&\"'<>;,)\]}}]+"), rf"\1{MASK}"),
    # A header or a JSON member: Authorization: Bearer ..., "apiKey": "...".
    (re.compile(r"(?i)(\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}"), rf"\1{MASK}"),
    (re.compile(rf"(?i)(?<![\w-])({_NAMES}[\"']?\s*:\s*[\"']?)(?!\s)[\w.~+/=%-]{{8,}}"), rf"\1{MASK}"),
    # User and password of an address.
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@\"'<>]+@"), rf"\1{MASK}@"),
)


def remember(key: str) -> None:
    """Mask `key` in every text that is redacted from now on."""
    if key not in _known:
        _known.add(key)


def redact(text: str, *secrets: object) -> str:
    """Return `text` without keys.

    Masked are the `secrets` and every key this process has loaded, as they are, URL-encoded, in base64, in JSON or HTML, and
    cut off after at least 8 characters; moreover whatever stands where a key stands: ``apikey=``, ``Authorization: Bearer``,
    and user and password of an address.

    Parameters
    ----------
    secrets
        `Secret` objects or texts.
    """
    keys = _known.union(reveal() if callable(reveal := getattr(key, "reveal", None)) else str(key) for key in secrets)
    # Longest first: one key may begin another.
    for key in sorted(keys, key=len, reverse=True):
        text = _pattern(key).sub(MASK, text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def mask_error(error: E) -> E:
    """Mask keys in everything that `error` shows, cut it off from the client's exception and from its frames; return it.

    Error trackers record the variables of every frame, and in those of a client are addresses, headers and answers.
    """
    error.message = redact(error.message)
    error.args = (error.message,)
    error.hint = None if error.hint is None else redact(error.hint)
    error.details = {name: _masked(value) for name, value in error.details.items()}
    error.__cause__ = error.__context__ = error.__traceback__ = None
    return error


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: _masked(held) for name, held in value.items()}
    return [_masked(held) for held in value] if isinstance(value, list | tuple) else value


@lru_cache(maxsize=256)
def _pattern(key: str) -> re.Pattern[str]:
    """Return a pattern of everything `key` may look like in a text."""
    if not key:
        return re.compile(r"(?!)")
    encoded = base64.b64encode(key.encode()).decode().rstrip("=")
    urlsafe = encoded.replace("+", "-").replace("/", "_")
    shapes = {key, json.dumps(key)[1:-1], html.escape(key), repr(key)[1:-1], encoded, urlsafe}
    found = [re.escape(shape) for shape in shapes]
    # Hexadecimal digits after a per cent sign come in both cases.
    found += [re.sub(r"%([0-9A-F]{2})", r"%(?i:\1)", re.escape(f(key, safe=""))) for f in (quote, quote_plus)]
    found += [re.sub(r"%([0-9A-F]{2})", r"%(?i:\1)", re.escape(quote(key)))]
    if len(key) < 8:
        # So short a key may be part of ordinary words.
        return re.compile("|".join(rf"(?<!\w){shape}(?!\w)" for shape in sorted(set(found), key=len, reverse=True)))
    # A key cut off: its first 8 characters, and what follows them in one word.
    return re.compile("|".join([*sorted(set(found), key=len, reverse=True), re.escape(key[:8]) + r"[\w.~+/=%-]*"]))

"""JSON read strictly: what can be read in two ways, or is no JSON at all, is an error and never somebody's guess."""

from __future__ import annotations

import json
from typing import Any


def read_exactly(text: str | bytes, *, whole: type = str) -> Any:
    """Return JSON with each number as the text it was printed as, so that no digit is lost.

    Parameters
    ----------
    whole
        What becomes of whole numbers: ``str``, or ``int`` where a client reckons with them.

    Raises
    ------
    ValueError
        It is no JSON, names a member twice, holds NaN or Infinity, or is nested too deeply.
    """
    return _read(text, str, whole)


def read_doubles(text: str | bytes) -> Any:
    """Return JSON with numbers as Python has them, for a vendor that prints doubles.

    Raises
    ------
    ValueError
        See `read_exactly`.
    """
    return _read(text, float, int)


def _read(text: str | bytes, fraction: type, whole: type) -> Any:
    try:
        return json.loads(
            text, parse_float=fraction, parse_int=whole, parse_constant=_no_number, object_pairs_hook=_members
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; readers differ in which of two members of one name they take."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member stands there twice")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")

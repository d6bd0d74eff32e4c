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
    try:
        import orjson
    except ImportError:
        return _read(text, float, int)
    found = orjson.loads(text)
    quote, escape = (b'"', b"\\") if isinstance(text, bytes) else ('"', "\\")
    # It takes the last of two members of one name: then the text has more quotation marks than what was read.
    if escape in text or text.count(quote) != 2 * _strings_in(found):  # type: ignore[operator, arg-type]
        return _read(text, float, int)
    return found


def _strings_in(tree: Any) -> int:
    """Return how many names and texts a tree holds; too few where a list mixes texts and numbers."""
    count = 0
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if type(node) is dict:
            count += len(node)
            waiting += node.values()
        elif type(node) is str:
            count += 1
        elif type(node) is list and node and type(node[0]) in (dict, list, str):
            waiting += node
    return count


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

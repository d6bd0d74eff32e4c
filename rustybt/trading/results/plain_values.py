"""Whatever a strategy records, as values that a file can hold."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

# An absolute path, of this system or of Windows: its folders, and its name.
_PATH = re.compile(r"""(?<![\w./\\])(?:[A-Za-z]:)?(?:[\\/][^\\/\s:,;'"()<>]+)+[\\/](?=[^\\/\s:,;'"()<>])""")

# Python refuses to print integers of more than 4,300 digits.
_MOST_BITS = 10_000


def plain(value: Any, within: tuple[int, ...] = ()) -> Any:
    """Return `value` in JSON's types; a number that is not finite becomes null, an unknown object its text.

    Parameters
    ----------
    within
        Identities of the containers around it: one that holds itself ends there.
    """
    if isinstance(value, (dict, list, tuple, set, frozenset)):
        return "..." if id(value) in within else _plain_container(value, (*within, id(value)))
    if isinstance(value, np.generic):
        inner = value.item()
        return text_of(value) if isinstance(inner, np.generic) else plain(inner)
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    is_known = value is None or isinstance(value, str) or (isinstance(value, int) and value.bit_length() <= _MOST_BITS)
    return value if is_known else text_of(value)


def _plain_container(value: Any, within: tuple[int, ...]) -> Any:
    if isinstance(value, dict):
        return {text_of(k): plain(v, within) for k, v in value.items()}
    found = [plain(v, within) for v in value]
    # The order of a set is another in each process.
    return sorted(found, key=str) if isinstance(value, (set, frozenset)) else found


def as_read(value: Any) -> Any:
    """Return `value` as it is read from a saved result: a number that is not finite is NaN."""
    found = json.loads(json.dumps(plain(value)))
    return np.nan if found is None else found


def text_of(value: Any) -> str:
    """Return the text of `value`; of one that cannot say what it is, its type."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a strategy's own class may raise anything
        return f"<{type(value).__name__}>"


def without_folders(text: str) -> str:
    """Return `text` with the names of files only: where they lie on the user's machine is nobody's business."""
    return _PATH.sub("", text)

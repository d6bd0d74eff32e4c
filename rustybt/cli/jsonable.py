"""Values of the library as plain JSON: decimals as text, dates as ISO text, never NaN."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any


def to_jsonable(value: Any) -> Any:
    """Return `value` built of dict, list, str, int, float, bool and None only.

    Decimals become text without exponent, so that no digit is lost; instants and dates ISO 8601 text; NaN and
    infinities None, because JSON has no such numbers.
    """
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, bool, int)):
        return value
    for kind, convert in _SCALARS:
        if isinstance(value, kind):
            return convert(value)
    return _container(value)


_SCALARS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (Decimal, lambda value: format(value, "f")),
    (date, lambda value: value.isoformat()),
    (timedelta, lambda value: value.total_seconds()),
    (PurePath, str),
)


def _container(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return to_jsonable(value.to_json())
    if hasattr(value, "item") and getattr(value, "shape", None) == ():  # a numpy scalar
        return to_jsonable(value.item())
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, Mapping)):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(to_jsonable(item) for item in value)
    return [to_jsonable(item) for item in value] if isinstance(value, Iterable) else str(value)

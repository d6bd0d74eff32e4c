"""Values of the library as plain JSON: decimals as text, dates as ISO text, never NaN."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any


def to_jsonable(value: Any) -> Any:
    """Return `value` built of dict, list, str, int, float, bool and None only.

    Decimals become text without exponent, so that no digit is lost; instants and dates ISO 8601 text; NaN and
    infinities None, because JSON has no such numbers.
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return _container(value)


def _container(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return to_jsonable(value.to_json())
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if hasattr(value, "item") and getattr(value, "shape", None) == ():  # a numpy scalar
        return to_jsonable(value.item())
    if isinstance(value, (set, frozenset)):
        return sorted(to_jsonable(item) for item in value)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, PurePath)):
        return [to_jsonable(item) for item in value]
    return str(value)

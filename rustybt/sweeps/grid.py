"""A grid of parameters as the list of its combinations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import islice, product
from typing import Any

import numpy as np

from rustybt.errors import RequestError

#: More than these are a mistake, or an iterable without an end.
_MOST = 1_000_000
_HINT = "{'FAST': [5, 10], 'SLOW': [50, 100]}, or a list of mappings: [{'FAST': 5, 'SLOW': 50}, ...]"


def combinations(grid: Any) -> tuple[dict[str, Any], ...]:
    """Return the combinations of `grid` in its order: name to value.

    Parameters
    ----------
    grid
        A mapping of names to values: every value with every other, the last name varies fastest. Or an iterable of
        mappings, taken as they are. Numbers of numpy become Python's.

    Raises
    ------
    RequestError
        It is neither, a name is no Python name, or there is no combination, or more than a million.
    """
    if isinstance(grid, Mapping):
        columns = [_values(name, values) for name, values in grid.items()]
        _refuse_too_many(math.prod(len(values) for values in columns))
        found = [dict(zip(grid, values, strict=True)) for values in product(*columns)] if grid else []
    elif isinstance(grid, Iterable) and not isinstance(grid, str | bytes):
        found = [_given(parameters) for parameters in islice(grid, _MOST + 1)]
        _refuse_too_many(len(found))
    else:
        raise RequestError(f"a grid is a mapping of names to values, not {type(grid).__name__} {grid!r}", hint=_HINT)
    if not found:
        raise RequestError("the grid is empty: there is nothing to run", hint=_HINT)
    for name in names_of(found):
        if not isinstance(name, str) or not name.isidentifier():
            raise RequestError(f"{name!r} in the grid is not a name that a strategy can have", hint=_HINT)
    return tuple({name: _plain(value) for name, value in parameters.items()} for parameters in found)


def _refuse_too_many(count: int) -> None:
    if count > _MOST:
        raise RequestError(
            f"the grid has more than {_MOST:,} combinations: each is a run of its own",
            hint="give fewer values, or a list of the combinations that matter",
        )


def names_of(found: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return every name of the combinations, in the order of their first use."""
    return tuple(dict.fromkeys(name for parameters in found for name in parameters))


def _values(name: Any, values: Any) -> list[Any]:
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise RequestError(
            f"the grid gives {name!r} {values!r}, not a list of values", hint=f"{{{name!r}: [{values!r}]}}"
        )
    found = list(islice(values, _MOST + 1))
    if not found:
        raise RequestError(f"the grid gives {name!r} no value", hint=_HINT)
    return found


def _given(parameters: Any) -> dict[str, Any]:
    if not isinstance(parameters, Mapping):
        raise RequestError(
            f"a grid that is a list holds mappings, not {type(parameters).__name__} {parameters!r}", hint=_HINT
        )
    return dict(parameters)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value

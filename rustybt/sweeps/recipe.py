"""The strategy of a sweep: a script that travels as text, or functions."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rustybt.algorithm import TradingAlgorithm
from rustybt.errors import RequestError
from rustybt.trading.strategy import FUNCTIONS, Script, Strategy, load_script, run_script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Recipe:
    """A strategy that has still to be given its parameters.

    Parameters
    ----------
    script
        Its text; None for functions.
    filename
        What the script is called in tracebacks.
    functions
        Functions by argument of the run, without a script.
    """

    script: Script | None = None
    filename: str = ""
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    def arguments(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `TradingAlgorithm` takes: a script with its names set, or functions and arguments of `initialize`."""
        if self.script is None:
            return {**self.functions, **parameters}
        script = replace(self.script, parameters={**self.script.parameters, **parameters})
        return {"script": run_script(script, self.filename)}


def recipe_of(given: Any, found: Sequence[Mapping[str, Any]], names: Sequence[str]) -> tuple[Recipe, Mapping[str, Any]]:
    """Return the strategy without parameters, and arguments that make a run of it, once its names are known to exist.

    Raises
    ------
    RequestError
        It is no strategy, or `names` are not those of its script or of its `initialize`.
    StrategyError
        The script failed while it was loaded.
    """
    # Any values will do: a script is given them after it was run.
    values = dict.fromkeys(names)
    if isinstance(given, str | Path):
        checked, script = load_script(given, values), None
    elif isinstance(given, Strategy) and given.script is not None:
        checked, script = given, given.script
    else:
        functions = _functions(given)
        _check_parameters(functions, found, names)
        return Recipe(functions=functions), functions
    function = next(iter(checked.functions.values()))
    filename = str(getattr(function, "__globals__", {}).get("__file__", given))
    if script is None:
        script = replace(cast("Script", checked.script), parameters={})
        return Recipe(script, filename), {"script": checked}
    recipe = Recipe(script, filename)
    return recipe, recipe.arguments(values)


def _functions(given: Any) -> dict[str, Callable[..., Any]]:
    if isinstance(given, Mapping):
        for name in given:
            if name not in FUNCTIONS:
                near = difflib.get_close_matches(str(name), FUNCTIONS, n=1) or FUNCTIONS
                raise RequestError(f"a strategy has no function {name!r}", hint=f"did you mean {' or '.join(near)}?")
        found = {name: function for name, function in given.items() if function is not None}
    else:
        found = {name: function for name in FUNCTIONS if (function := getattr(given, name, None)) is not None}
    odd = [name for name, function in found.items() if not callable(function)]
    if odd or not found.keys() & set(FUNCTIONS[:3]):
        said = f"its {odd[0]} is no function" if odd else "it has neither initialize nor handle_data"
        raise RequestError(
            f"a sweep takes a script or functions, not {type(given).__name__} {given!r}: {said}",
            hint="sweep('momentum.py', ...) or sweep({'initialize': initialize, 'handle_data': handle_data}, ...)",
        )
    return found


def _check_parameters(
    functions: Mapping[str, Callable[..., Any]], found: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> None:
    """Refuse names that `initialize` does not take."""
    hint = f"def initialize(context, {', '.join(names)})"
    if "initialize" not in functions:
        raise RequestError(f"there is no initialize to be given {', '.join(names)}", hint=hint)
    taken = [name for name in names if name in signature(TradingAlgorithm).parameters]
    if taken:
        raise RequestError(
            f"initialize cannot be given {taken[0]!r}: it is an argument of the run itself", hint="give it another name"
        )
    try:
        expected = signature(functions["initialize"])
    except ValueError:  # some that are not written in Python have none
        return
    for parameters in found:
        try:
            expected.bind(None, **parameters)
        except TypeError as error:
            raise RequestError(f"initialize cannot be given {parameters}: {error}", hint=hint) from error

"""Strategy scripts: a Python file with `initialize`, `handle_data` and the other functions of a Zipline strategy."""

from __future__ import annotations

import ast
import difflib
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rustybt.errors import RequestError, RustybtError, StrategyError

FUNCTIONS = ("initialize", "handle_data", "before_trading_start", "analyze")


def load_script(path: Path, overrides: Mapping[str, str] | None = None) -> dict[str, Callable[..., Any]]:
    """Run the file at `path` and return those of `FUNCTIONS` that it defines.

    Parameters
    ----------
    overrides
        Values for names that the script assigns at its top level, as text: ``{"FAST": "20"}``. A Python literal
        becomes that value, anything else stays text.

    Raises
    ------
    RequestError
        There is no such file, it defines none of the functions, or an override names nothing in it.
    StrategyError
        The script itself failed; the message names its line.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"cannot read the strategy {path}: {error}", hint="rustybt run -f FILE.py -b BUNDLE") from error
    namespace: dict[str, Any] = {"__name__": "rustybt_strategy", "__file__": str(path)}
    try:
        exec(compile(source, str(path), "exec"), namespace)  # noqa: S102 - running the user's script is the request
    except RustybtError:
        raise
    except Exception as error:
        raise strategy_error(error, path) from error
    for name, text in (overrides or {}).items():
        if name not in namespace or name.startswith("__"):
            names = [key for key in namespace if not key.startswith("_")]
            near = difflib.get_close_matches(name, names)
            raise RequestError(
                f"--set {name}: the strategy {path} has no name {name!r} at its top level",
                hint=f"did you mean {', '.join(near)}?" if near else f"write {name} = ... in the script",
            )
        namespace[name] = _literal(text)
    found = {name: namespace[name] for name in FUNCTIONS if callable(namespace.get(name))}
    if not found.keys() & {"initialize", "handle_data", "before_trading_start"}:
        raise RequestError(
            f"the strategy {path} defines neither initialize nor handle_data",
            hint="a strategy is a file with def initialize(context) and def handle_data(context, data)",
        )
    return found


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def strategy_error(error: Exception, path: Path) -> StrategyError:
    """Return `error` as a `StrategyError` that names the innermost line of the script at `path`."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError):
        where, text = f"{path}, line {error.lineno}", (error.text or "").strip()
        return StrategyError(f"{where}: {type(error).__name__}: {error.msg}", hint=text or None)
    if not frames:
        return StrategyError(f"{path}: {type(error).__name__}: {error}", hint="run again with --debug for the traceback")
    last = frames[-1]
    return StrategyError(
        f"{path}, line {last.lineno}, in {last.name}: {type(error).__name__}: {error}",
        hint=last.line or None,
        line=last.lineno,
    )

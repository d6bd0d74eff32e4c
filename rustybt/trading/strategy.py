"""A strategy: the functions a run calls, and the script they came from, so that a result can be replayed."""

from __future__ import annotations

import ast
import difflib
import inspect
import linecache
import sysconfig
import traceback
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError, RustybtError, StrategyError
from rustybt.market.assets import Asset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FUNCTIONS = ("initialize", "handle_data", "before_trading_start", "analyze")
_MARK = "__rustybt_script__"
_loading: ContextVar[bool] = ContextVar("rustybt_loading_script", default=False)
_PACKAGE = str(Path(__file__).resolve().parents[1])
_STANDARD_LIBRARY = str(Path(sysconfig.get_paths()["stdlib"]).resolve())


class ScriptEndsHereError(BaseException):
    """A script that is loaded for its functions asks for a run of its own: what it defined so far is the strategy.

    Not an Exception, so that no handler of the script keeps it.
    """


def stop_if_loading() -> None:
    """Stop a script that is being loaded: its program runs when it is started itself, not when a replay reads it."""
    if _loading.get():
        raise ScriptEndsHereError


@dataclass(frozen=True, slots=True)
class Script:
    """Text of a strategy file and the values set in it.

    Parameters
    ----------
    name
        File name, without its directory.
    parameters
        Top-level names given another value than the script's.
    functions
        Argument of the run to the name of its function, ``{"initialize": "setup"}``; when empty, the functions that
        bear the arguments' names.
    """

    name: str
    text: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Strategy:
    """What a run calls; `script` is None when it cannot be told where the functions came from, `unknown` says why."""

    initialize: Callable[..., Any] | None = None
    handle_data: Callable[..., Any] | None = None
    before_trading_start: Callable[..., Any] | None = None
    analyze: Callable[..., Any] | None = None
    script: Script | None = None
    unknown: str | None = None

    @property
    def functions(self) -> dict[str, Callable[..., Any]]:
        """The functions that there are, by name: keywords of `run_algorithm`."""
        return {name: f for name in FUNCTIONS if (f := getattr(self, name)) is not None}


def load_script(path: str | Path, parameters: Mapping[str, Any] | None = None) -> Strategy:
    """Run the file at `path` and return the strategy that it defines.

    Parameters
    ----------
    parameters
        Values for names that the script assigns at its top level; text that is a Python literal becomes its value.

    Raises
    ------
    RequestError
        The file cannot be read, defines none of the functions, or lacks a name in `parameters`.
    StrategyError
        The script itself failed; the message names its line.
    """
    where = Path(path)
    try:
        text = where.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(
            f"cannot read the strategy {where}: {error}", hint="rustybt run -f FILE.py -b BUNDLE"
        ) from error
    return run_script(Script(where.name, text, dict(parameters or {})), str(where))


def run_script(script: Script, filename: str) -> Strategy:
    """Run the text of `script`, named `filename` in tracebacks, and return the strategy that it defines."""
    values = {name: _literal(value) for name, value in script.parameters.items()}
    script = replace(script, parameters=values)
    namespace: dict[str, Any] = {"__name__": "rustybt_strategy", "__file__": filename, _MARK: script}
    # So that tracebacks show the line even when the file is gone, as in a replay.
    lines = script.text.splitlines(keepends=True)
    linecache.cache[filename] = (len(script.text), None, lines, filename)
    token = _loading.set(True)
    try:
        exec(compile(script.text, filename, "exec"), namespace)  # noqa: S102 - running the user's script is the request
    except ScriptEndsHereError:
        pass
    except RustybtError:
        raise
    except (Exception, SystemExit) as error:
        raise strategy_error(error, "while it was loaded", filename) from error
    finally:
        _loading.reset(token)
    for name, value in values.items():
        if name not in namespace or name.startswith("__"):
            names = [key for key in namespace if not key.startswith("_")]
            near = difflib.get_close_matches(name, names)
            raise RequestError(
                f"{filename} has no name {name!r} at its top level to be set",
                hint=f"did you mean {', '.join(near)}?" if near else f"write {name} = ... in the script",
            )
        namespace[name] = value
    roles = script.functions or {role: role for role in FUNCTIONS}
    found = {role: namespace[name] for role, name in roles.items() if callable(namespace.get(name))}
    if not found.keys() & set(FUNCTIONS[:3]):
        raise RequestError(
            f"{filename} defines neither initialize nor handle_data",
            hint="a strategy is a file with def initialize(context) and def handle_data(context, data)",
        )
    for role, function in found.items():
        check_function(function, role)
    return Strategy(**found, script=script)


def check_function(function: Any, name: str) -> None:
    """Raise unless `function`, called `name`, does something when it is called.

    Raises
    ------
    RequestError
        It is no function; or one with `async` or `yield`, of which a call runs not a line.
    """
    if not callable(function):
        raise RequestError(f"{name} must be a function, not {type(function).__name__} {function!r}")
    # Of an object that can be called, what its class says.
    for one in (function, type(function).__call__):
        if inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one):
            raise RequestError(
                f"{name} is declared with async def, and would never run: a backtest awaits nothing",
                hint="write def instead of async def, and asyncio.run(...) around what must be awaited",
            )
        if inspect.isgeneratorfunction(one):
            raise RequestError(f"{name} has a yield, and would never run", hint="write it without yield")


def _literal(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


def strategy_of(script: Any, given: Mapping[str, Callable[..., Any] | None]) -> Strategy:
    """Return the strategy of a run: `script`, a path or a loaded one, or the functions `given` by argument.

    Raises
    ------
    RequestError
        Both are given, or what is given is no strategy.
    StrategyError
        The file failed while it was loaded.
    """
    named = [name for name, function in given.items() if function is not None]
    for name, function in given.items():
        if function is not None:
            check_function(function, name)
    if script is None:
        found, unknown = script_of(given)
        return Strategy(**given, script=found, unknown=unknown)
    if named:
        raise RequestError(
            f"pass a script or functions, not both: {', '.join(named)}", hint="leave out script=, or the functions"
        )
    if not isinstance(script, str | Path | Strategy):
        raise RequestError(
            f"script= takes the path of a strategy file, not {type(script).__name__} {script!r}", hint="script='my.py'"
        )
    return script if isinstance(script, Strategy) else load_script(script)


def script_of(functions: Mapping[str, Callable[..., Any] | None]) -> tuple[Script | None, str | None]:
    """Return the script that all `functions` came from, or None and why it is not known.

    It is known when each is a name at the top level of one file: running the file makes it again.
    """
    scripts: list[Script] = []
    names: dict[str, str] = {}
    for role, function in functions.items():
        if function is None:
            continue
        found = _script_of(role, function)
        if isinstance(found, str):
            return None, found
        scripts.append(found)
        names[role] = getattr(function, "__name__", role)
    if not scripts:
        return None, "it was given no functions"
    if any(s.text != scripts[0].text for s in scripts):
        return None, f"its functions come from several files: {', '.join(dict.fromkeys(s.name for s in scripts))}"
    # A script that was run as one says by itself which functions are its strategy.
    is_loaded = _MARK in getattr(next(f for f in functions.values() if f is not None), "__globals__", {})
    return (scripts[0] if is_loaded else replace(scripts[0], functions=names)), None


def _script_of(role: str, function: Callable[..., Any]) -> Script | str:
    """Return the script of one function, or why it has none."""
    space = getattr(function, "__globals__", {})
    if isinstance(space.get(_MARK), Script):
        marked: Script = space[_MARK]
        return marked
    name = getattr(function, "__qualname__", type(function).__name__)
    what = role if name == role else f"{role} ({name})"
    if not isinstance(space.get("__file__"), str):
        return f"{what} is not defined in a file"
    path = Path(space["__file__"])
    try:
        text = path.read_text(encoding="utf-8")
        names = _top_level(ast.parse(text))
    except (OSError, ValueError, SyntaxError) as error:
        return f"{what} comes from {path}, which cannot be read: {error}"
    if space.get(name) is function and name in names:
        return Script(path.name, text)
    return f"{what} is no function at the top level of {path.name}, outside functions, classes and `if __name__ == ...`"


def _top_level(module: ast.Module) -> set[str]:
    """Return the functions that running the file anew defines, whatever its `__name__`."""
    names: set[str] = set()
    pending: list[ast.AST] = list(module.body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.If) and any(
            isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(node.test)
        ):
            pending += node.orelse
        elif isinstance(node, (ast.stmt, ast.excepthandler)) and not isinstance(node, ast.ClassDef):
            pending += ast.iter_child_nodes(node)
    return names


def strategy_error(error: BaseException, when: str, filename: str | None = None) -> RustybtError:
    """Return `error`, raised by a strategy, as an error that says when, in which line and with which assets at hand.

    An error of RustyBT's own keeps its class.

    Parameters
    ----------
    when
        ``in the session 2010-05-06``.
    filename
        The script, for errors without a frame in it.
    """
    where, line, text = filename or "the strategy", None, None
    about = _assets_at(error)
    named = "".join(f", {name} = {symbol}" for name, symbol in about.items())
    if isinstance(error, SyntaxError) and error.filename == filename:
        where, line, text = f"{filename}, line {error.lineno}", error.lineno, error.text
    else:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_users(f.filename)]
        mine = [f for f in frames if f.filename == filename] or frames
        if mine:
            last = mine[-1]
            where, line, text = f"{last.filename}, line {last.lineno}", last.lineno, last.line
            if when != f"in {last.name}":
                where += f", in {last.name}"
    more: dict[str, Any] = {"line": line, "when": when, **({"assets": about} if about else {})}
    if isinstance(error, RustybtError):
        return type(error)(f"{error.message} ({where}, {when}{named})", hint=error.hint, **{**error.details, **more})
    what = f"{type(error).__name__}: {error}"
    hint = (text or "").strip() or None
    missing = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
    if missing.partition(".")[0] == "zipline" or missing.startswith("rustybt.finance"):
        inside = text is not None and "finance" in text
        hint = f"change the import line to: from rustybt.api import {'commission, slippage, ...' if inside else '...'}"
    return StrategyError(f"{where}, {when}{named}: {what}", hint=hint, **more)


def is_users_fault(error: BaseException) -> bool:
    """Return whether `error` passed through code that is neither ours nor of a package: a model of the user's own, say."""
    return any(_is_users(frame.filename) for frame in traceback.extract_tb(error.__traceback__))


def _assets_at(error: BaseException) -> dict[str, str]:
    """Return the symbols of the assets that local names of the strategy stood for where it raised, three at most."""
    frames = [f for f, _ in traceback.walk_tb(error.__traceback__) if _is_users(f.f_code.co_filename)]
    found = {n: v.symbol for n, v in frames[-1].f_locals.items() if isinstance(v, Asset)} if frames else {}
    return dict(list(found.items())[:3])


def _is_users(filename: str) -> bool:
    """Return whether a frame is neither ours nor of an installed package nor of Python itself."""
    inside = str(Path(filename).resolve()) if not filename.startswith("<") else filename
    return not inside.startswith((_PACKAGE, _STANDARD_LIBRARY)) and "site-packages" not in inside

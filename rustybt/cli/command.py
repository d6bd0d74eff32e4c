"""Commands that share their output flags.

`command` registers a function whose first parameter is the `Terminal`; the flags that every command has (``--json``,
``--quiet``, ``-v``, ``--no-progress``, ``--home``, ``--debug``) are added here, once.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from rustybt.cli.errors import EXIT_PIPE_CLOSED
from rustybt.cli.options import flag
from rustybt.cli.terminal import Terminal, silence_stdout

Function = TypeVar("Function", bound=Callable[..., int | None])

_PANEL = "Shared flags"

Json = Annotated[bool, flag("--json", text="Print one JSON document on stdout; decimals are text.", panel=_PANEL)]
Quiet = Annotated[bool, flag("--quiet", "-q", text="No notes and no progress on stderr.", panel=_PANEL)]
Verbose = Annotated[
    int,
    flag("--verbose", "-v", text="Log what happens; twice for everything.", panel=_PANEL, count=True),
]
NoProgress = Annotated[bool, flag("--no-progress", text="No progress bars.", panel=_PANEL)]
Home = Annotated[
    str | None,
    typer.Option("--home", metavar="DIR", help="Where bundles live, instead of RUSTYBT_HOME.", rich_help_panel=_PANEL),
]
Debug = Annotated[bool, flag("--debug", text="Print tracebacks.", panel=_PANEL)]

_FLAGS: dict[str, tuple[Any, Any]] = {
    "as_json": (Json, False),
    "quiet": (Quiet, False),
    "verbose": (Verbose, 0),
    "no_progress": (NoProgress, False),
    "home": (Home, None),
    "debug": (Debug, False),
}
#: Names of the parameters that `command` adds.
FLAG_NAMES = frozenset(_FLAGS)


def new_group(text: str, **settings: Any) -> typer.Typer:
    """Return an application for a group of commands."""
    group = typer.Typer(rich_markup_mode="rich", no_args_is_help=True, add_completion=False, help=text, **settings)
    group.callback()(lambda: None)
    return group


def new_command() -> typer.Typer:
    """Return an application that holds a single command."""
    return typer.Typer(rich_markup_mode="rich", add_completion=False)


def command(app: typer.Typer, name: str | None = None, **settings: Any) -> Callable[[Function], Function]:
    """Register a function as a command of `app`, with the shared flags; the function itself stays callable.

    The function's first parameter receives the `Terminal`; what it returns is the exit status, None for 0. A
    parameter annotated `typer.Context` receives the context.
    """

    def register(function: Function) -> Function:
        app.command(name, **settings)(with_flags(function))
        return function

    return register


def with_flags(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Return `function` taking the shared flags and a context instead of a `Terminal`."""
    # Command modules import Terminal for type checking only.
    known = {**function.__globals__, "Terminal": Terminal}
    hints = get_type_hints(function, globalns=known, include_extras=True)
    own = [p.replace(annotation=hints[p.name]) for p in list(inspect.signature(function).parameters.values())[1:]]
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    takes_context = any(p.name == "ctx" for p in own)
    flags = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _FLAGS.items()
    ]

    @functools.wraps(function)
    def run(ctx: typer.Context, **values: Any) -> int | None:
        terminal: Terminal = ctx.find_object(Terminal) or Terminal()
        apply_flags(terminal, {name: values.pop(name) for name in _FLAGS})
        if takes_context:
            values["ctx"] = ctx
        try:
            status = function(terminal, **values)
            sys.stdout.flush()
        except BrokenPipeError:  # `rustybt ... | head`: whoever reads has seen enough
            silence_stdout()
            return EXIT_PIPE_CLOSED
        return status

    parameters = [*([] if takes_context else [context]), *own, *flags]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def apply_flags(terminal: Terminal, flags: dict[str, Any]) -> None:
    """Add the flags of one command to those given before it; configure logging and the home accordingly."""
    terminal.json = terminal.json or flags["as_json"]
    terminal.quiet = terminal.quiet or flags["quiet"]
    terminal.verbosity = max(terminal.verbosity, flags["verbose"])
    terminal.show_progress = terminal.show_progress and not flags["no_progress"]
    terminal.debug = terminal.debug or flags["debug"]
    set_home(terminal, flags["home"])
    configure_logging(terminal)


def set_home(terminal: Terminal, home: str | None) -> None:
    """Use `home`, where given, for this command and for whatever it calls."""
    if home is not None:
        terminal.home = str(Path(home).expanduser().absolute())
    if terminal.home is not None:
        # Strategy scripts open bundles themselves: they must see the same home.
        os.environ["RUSTYBT_HOME"] = terminal.home


def configure_logging(terminal: Terminal) -> None:
    """Send log events to stderr: warnings, or more with ``-v``; the settings choose the form."""
    from rustybt import logging
    from rustybt.config import load_settings

    settings = load_settings(terminal.settings_overrides)
    asked = {0: settings.log_level, 1: "INFO"}.get(terminal.verbosity, "DEBUG")
    logging.configure("ERROR" if terminal.quiet else asked, settings.log_format)

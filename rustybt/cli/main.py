"""The entry point ``rustybt``: which commands there are, and where each lives.

A command's module is imported only when it runs; the help page is drawn from the table below. So ``rustybt --help``
starts in the time of the interpreter and the command-line library.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from rustybt.cli.errors import EXIT_INTERRUPTED, EXIT_PIPE_CLOSED, report
from rustybt.cli.options import flag
from rustybt.cli.terminal import Terminal, silence_stdout
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Entry(NamedTuple):
    """One top-level command: where it lives and how the help page lists it."""

    module: str
    help: str
    panel: str


_DATA, _BACKTEST, _SETUP = "Data", "Backtest", "Set-up"

COMMANDS: dict[str, Entry] = {
    "ingest": Entry("ingest", "Bring bars into a bundle: a new version, or none if nothing changed.", _DATA),
    "update": Entry("update", "Bring a bundle up to date from the sources recorded in it.", _DATA),
    "bundle": Entry("bundle_group", "List, inspect, check, compare, export and tidy bundles.", _DATA),
    "import": Entry("import_group", "Bring in bundles of other programs, read where they lie.", _DATA),
    "migrate": Entry(
        "migrate", "Bring the catalogs and bundles of the first design into this home: all of it, or nothing.", _DATA
    ),
    "sources": Entry("sources", "Where bars can come from.", _DATA),
    "cache": Entry("cache_group", "What the cache holds, what it saved, and making room in it.", _DATA),
    "run": Entry("run", "Run a strategy script on a bundle, on several together, or on a source's bars.", _BACKTEST),
    "replay": Entry("replay", "Run a saved result again on its pinned data and compare.", _BACKTEST),
    "report": Entry("report", "Write a report of a saved result: one HTML page and a chart.", _BACKTEST),
    "demo": Entry("demo", "Show the whole journey on sample bars: no key, no network.", _SETUP),
    "config": Entry("config", "Show or change settings.", _SETUP),
    "doctor": Entry("doctor", "Check this installation and its home directory.", _SETUP),
}


#: What `rustybt bundle` can do: written without its group, such a word is understood and answered.
BUNDLE_COMMANDS = frozenset(
    {
        "list",
        "info",
        "versions",
        "validate",
        "verify",
        "diff",
        "export",
        "import",
        "rm",
        "gc",
        "recover",
        "tag",
        "untag",
    }
)


class LazyGroup(TyperGroup):
    """A group that knows its commands by name and imports the one that is asked for."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the real command in place of its entry on the help page."""
        if args and args[0] not in COMMANDS and args[0] in BUNDLE_COMMANDS:
            raise RequestError(f"no such command {args[0]!r}", hint=f"did you mean: rustybt bundle {args[0]}")
        name, entry, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in COMMANDS else entry, rest


def load(name: str) -> Any:
    """Import the command `name` and return it."""
    module = importlib.import_module(f"rustybt.cli.{COMMANDS[name].module}")
    loaded: Any = typer.main.get_command(module.app)
    loaded.name = name
    for shown in (loaded, *getattr(loaded, "commands", {}).values()):
        plain_help_option(shown)
    return loaded


def plain_help_option(shown: Any) -> None:
    """Let the line of ``--help`` on the help page name no type, as no other flag does."""
    option = shown.get_help_option(typer.Context(shown, help_option_names=["-h", "--help"]))
    if option is not None:
        option.metavar = ""


def build_app() -> typer.Typer:
    """Return the application with one light entry per command."""
    built = typer.Typer(
        name="rustybt",
        cls=LazyGroup,
        no_args_is_help=True,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    built.callback()(start)
    for name, entry in COMMANDS.items():
        built.command(name, help=entry.help, rich_help_panel=entry.panel)(_entry)
    return built


def _entry() -> None:
    """Stand for a command on the help page; `LazyGroup` puts the real one in its place."""


def _print_version(value: bool) -> None:  # noqa: FBT001 - the signature of an option's callback
    if value:
        from rustybt.__about__ import __version__

        sys.stdout.write(f"rustybt {__version__}\n")
        raise typer.Exit


def start(
    ctx: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, flag("--version", "-V", text="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    home: Annotated[
        str | None, typer.Option("--home", metavar="DIR", help="Where bundles live, instead of RUSTYBT_HOME.")
    ] = None,
) -> None:
    """Market data you can trust: any bars in with one command, versioned and verified, ready for a backtest.

    Data goes to stdout, notes and progress to stderr; --json works with every command.
    Exit status: 0 ok, 2 bad request, 3 partial, 4 quality gate, 5 source refused, 6 corrupt or missing data, 1 other.
    """
    if home is not None:
        from rustybt.cli.command import set_home

        set_home(ctx.ensure_object(Terminal), home)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a narrow encoding must not kill a command
    sys.exit(invoke(sys.argv[1:] if args is None else args))


def invoke(args: Sequence[str], terminal: Terminal | None = None) -> int:
    """Run one command line in this process and return its exit status; failures are printed, not raised."""
    words = list(args)
    options = words[: words.index("--")] if "--" in words else words
    terminal = terminal or Terminal()
    # Known before parsing, because a line that cannot be parsed must also answer in the form asked for.
    terminal.json = terminal.json or "--json" in options
    terminal.debug = terminal.debug or "--debug" in options
    home = os.environ.get("RUSTYBT_HOME")
    try:
        group: Any = typer.main.get_command(build_app())
        plain_help_option(group)
        status = int(group.main(words, prog_name="rustybt", standalone_mode=False, obj=terminal) or 0)
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
        return EXIT_PIPE_CLOSED
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one place where every failure is told
        return _failed(error, terminal)
    finally:
        _restore_home(home)
    if status == EXIT_INTERRUPTED:
        return report(KeyboardInterrupt(terminal.last_words), terminal)
    return status


def _failed(error: BaseException, terminal: Terminal) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":  # the help page was asked for by asking for nothing
        sys.stdout.write(f"{error.format_message()}\n")  # type: ignore[attr-defined]
        return 2
    return report(error, terminal)


def _restore_home(home: str | None) -> None:
    if home is None:
        os.environ.pop("RUSTYBT_HOME", None)
    else:
        os.environ["RUSTYBT_HOME"] = home


if __name__ == "__main__":
    main()

"""Where a command writes: data to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from rustybt.cli.progress import Progress

#: A pipe has no width; wide enough that no cell is ever cut.
PIPE_WIDTH = 10_000


class Terminal:
    """The two streams of one command and the flags that shape them.

    Parameters
    ----------
    json
        Print one JSON document on stdout instead of tables.
    quiet
        Print neither notes nor progress on stderr; errors still appear.
    verbosity
        How often ``-v`` was given: 1 logs what happens, 2 everything.
    show_progress
        False hides progress bars.
    debug
        Print tracebacks.
    home
        Home directory given on the command line, None for the configured one.
    """

    def __init__(
        self,
        *,
        json: bool = False,
        quiet: bool = False,
        verbosity: int = 0,
        show_progress: bool = True,
        debug: bool = False,
        home: str | None = None,
    ) -> None:
        self.json = json
        self.quiet = quiet
        self.verbosity = verbosity
        self.show_progress = show_progress
        self.debug = debug
        self.home = home

    @property
    def settings_overrides(self) -> dict[str, Any]:
        """Settings given as flags, which win over every other origin."""
        return {} if self.home is None else {"home": self.home}

    def data(self, value: Any) -> None:
        """Print `value` as the JSON document of this command."""
        import json

        from rustybt.cli.jsonable import to_jsonable

        text = json.dumps(to_jsonable(value), indent=2, ensure_ascii=False, allow_nan=False)
        self.line(text)

    def line(self, text: str = "") -> None:
        """Print one line of data on stdout, as it is."""
        sys.stdout.write(f"{text}\n")

    def note(self, text: str) -> None:
        """Print one line about what happens on stderr, unless quiet."""
        if not self.quiet:
            sys.stderr.write(f"{text}\n")

    def alert(self, text: str) -> None:
        """Print one line on stderr, even when quiet."""
        sys.stderr.write(f"{text}\n")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "") -> None:
        """Print rows under headings; numbers are set to the right. In a pipe: no frame, never cut.

        A column whose heading ends in ``>`` is set to the right.
        """
        from rich import box
        from rich.table import Table

        console = self.console()
        style = box.SIMPLE_HEAD if console.is_terminal else None
        table = Table(box=style, title=title or None, title_justify="left", title_style="bold", pad_edge=False)
        for column in columns:
            right = column.endswith(">")
            table.add_column(column.removesuffix(">"), justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        console.print(table)

    def facts(self, pairs: Iterable[tuple[str, Any]], *, title: str = "") -> None:
        """Print names and values, one a line."""
        from rich.table import Table

        console = self.console()
        table = Table(box=None, title=title or None, title_justify="left", title_style="bold", pad_edge=False)
        table.show_header = False
        table.add_column(style="dim" if console.is_terminal else "")
        table.add_column(overflow="fold")
        for name, value in pairs:
            table.add_row(_cell(name), _cell(value))
        console.print(table)

    def console(self) -> Console:
        """Return a rich console on stdout: coloured on a terminal, plain and wide in a pipe."""
        from rich.console import Console

        class StdoutConsole(Console):
            """Leaves a closed pipe to the command, which knows the exit status."""

            def on_broken_pipe(self) -> None:
                raise  # noqa: PLE0704 - called while the error is handled

        is_terminal = sys.stdout.isatty()
        return StdoutConsole(file=sys.stdout, width=None if is_terminal else PIPE_WIDTH, highlight=False)

    def progress(self) -> Progress:
        """Return a reporter for long work; use it as a context manager and hand it to the library."""
        from rustybt.cli.progress import Progress

        return Progress(sys.stderr, enabled=self.show_progress and not self.quiet)


def _cell(value: Any) -> Any:
    """Return one cell: text without markup and without control characters."""
    from rich.text import Text

    if value is None:
        return Text("-", style="dim")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, int):
        return Text(f"{value:,}")
    return Text(printable(str(value)))


def printable(text: str) -> str:
    """Return `text` with control characters spelled out: data must not steer the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def silence_stdout() -> None:
    """Point stdout at nothing after its reader went away, so that the interpreter's last flush stays calm."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, sys.stdout.fileno())
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - lives until the process ends
    finally:
        os.close(null)

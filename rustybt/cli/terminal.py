"""Where a command writes: data to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from rustybt.cli.progress import Progress


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
        #: What an interrupted command leaves behind, for the message that it ends with.
        self.last_words = ""

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
        """Print rows under headings; in a pipe without frame or colour, and never cut.

        A column whose heading ends in ``>`` is set to the right.
        """
        cells = [[_cell(value) for value in row] for row in rows]
        if not sys.stdout.isatty():
            self._plain(title, [[column.removesuffix(">") for column in columns], *cells], columns)
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 2, 0, 0), title=title or None, title_justify="left", title_style="bold")
        for column in columns:
            justify: Literal["left", "right"] = "right" if column.endswith(">") else "left"
            table.add_column(column.removesuffix(">"), justify=justify, overflow="fold")
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        self._console().print(table)

    def facts(self, pairs: Iterable[tuple[str, Any]], *, title: str = "") -> None:
        """Print names and values, one a line."""
        cells = [[_cell(name), _cell(value)] for name, value in pairs]
        if not sys.stdout.isatty():
            self._plain(title, cells, ("", ""))
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 2, 0, 0), title=title or None, title_justify="left", title_style="bold")
        table.show_header = False
        table.add_column(style="dim")
        table.add_column(overflow="fold")
        for name, value in cells:
            table.add_row(Text(name), Text(value))
        self._console().print(table)

    def _plain(self, title: str, cells: Sequence[Sequence[str]], columns: Sequence[str]) -> None:
        """Print cells in columns two spaces apart."""
        if title:
            self.line(title)
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            parts = [
                cell.rjust(width) if column.endswith(">") else cell.ljust(width)
                for cell, width, column in zip(row, widths, columns, strict=True)
            ]
            self.line("  ".join(parts).rstrip())

    def _console(self) -> Console:
        from rich.console import Console

        class StdoutConsole(Console):
            """Leaves a closed pipe to the command, which knows the exit status."""

            def on_broken_pipe(self) -> None:
                raise  # noqa: PLE0704 - called while the error is handled

        return StdoutConsole(file=sys.stdout, highlight=False)

    def progress(self) -> Progress:
        """Return a reporter for long work; use it as a context manager and hand it to the library."""
        from rustybt.cli.progress import Progress

        return Progress(sys.stderr, enabled=self.show_progress and not self.quiet)


def _cell(value: Any) -> str:
    """Return one cell as text without control characters."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else printable(str(value)).replace("\n", "\\n")


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
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    finally:
        os.close(null)

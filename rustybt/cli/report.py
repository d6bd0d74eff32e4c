"""``rustybt report``: the pages of a saved result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rustybt.cli.command import command, new_command
from rustybt.cli.options import ResultDirectory, open_store

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal

app = new_command()

Against = Annotated[
    list[Path] | None,
    typer.Option("--against", metavar="DIR", help="Another saved result to draw beside it; repeatable."),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="DIR", help="Where to write; the result's directory if absent.")
]
Notice = Annotated[str, typer.Option("--notice", help="A sentence the reader must not miss.")]
Title = Annotated[str | None, typer.Option("--title", help="Heading of the page and of the chart.")]


@command(app)
def report(
    terminal: Terminal,
    *,
    result_dir: ResultDirectory,
    against: Against = None,
    output: Output = None,
    title: Title = None,
    notice: Notice = "",
) -> None:
    """Write a report of a saved result: one HTML page and a chart.

    report.html needs nothing beside it; equity.png is written where matplotlib is installed.

    Example: rustybt report results/ma --against results/hold
    """
    from rustybt.cli.results import reference_of, write_report
    from rustybt.trading.results.result import Result

    result = Result.load(result_dir)
    others = tuple((path.name.replace("-", " ").replace("_", " "), Result.load(path)) for path in against or [])
    with open_store(terminal) as store:
        written = write_report(
            result,
            output or result_dir,
            store,
            title=title or f"{result_dir.name} on {reference_of(result)}",
            against=others,
            result_dir=result_dir,
            notice=notice,
        )
    if terminal.json:
        terminal.data({"files": [str(path) for path in written]})
        return
    for path in written:
        terminal.line(str(path))
    if len(written) == 1 and len(result.perf):
        terminal.note('no chart as PNG: matplotlib is not installed (pip install "rustybt[plot]")')

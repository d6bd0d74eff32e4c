"""``rustybt run``: a strategy script on a bundle."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rustybt.cli.command import command, new_command
from rustybt.cli.options import End, Start, complete_bundles, open_store, read_pairs

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal

app = new_command()

Script = Annotated[
    Path, typer.Option("--file", "-f", metavar="SCRIPT", help="Strategy: a Python file.", show_default=False)
]
Bundle = Annotated[
    str,
    typer.Option(
        "--bundle",
        "-b",
        metavar="B",
        help="Bundle, or a version of it: us, us@3, us@TAG.",
        autocompletion=complete_bundles,
        show_default=False,
    ),
]
Capital = Annotated[float, typer.Option("--capital-base", metavar="X", min=0.0, help="Cash to start with.")]
DataFrequency = Annotated[
    str, typer.Option("--data-frequency", metavar="F", help="daily, minute, or a frequency of the bundle.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="K=V", help="Give a top-level name of the script another value; repeatable."),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="DIR", help="Save the result here, with a report; replay it later."),
]


@command(app)
def run(
    terminal: Terminal,
    *,
    file: Script,
    bundle: Bundle,
    start: Start = None,
    end: End = None,
    capital_base: Capital = 1e6,
    data_frequency: DataFrequency = "daily",
    set_: Set = None,
    output: Output = None,
) -> None:
    """Run a strategy script on a bundle.

    Prints its performance. Without dates the whole range of the bundle is used.

    Example: rustybt run -f moving_average.py -b us -s 2015-01-01 -e 2020-12-31 -o results/ma
    """
    from rustybt.algorithm import run_algorithm
    from rustybt.cli.results import check_output, currency_of, reference_of, save_result, show_result
    from rustybt.trading.strategy import load_script

    replaced = check_output(output)
    # With --json stdout is one document: what the script prints goes to stderr.
    aside = contextlib.redirect_stdout(sys.stderr) if terminal.json else contextlib.nullcontext()
    with open_store(terminal) as store, terminal.progress() as progress, aside:
        strategy = load_script(file, read_pairs(set_ or [], "--set", separator=None))
        result = run_algorithm(
            start=start,
            end=end,
            capital_base=capital_base,
            bundle=bundle,
            data_frequency=data_frequency,
            store=store,
            progress=progress,
            script=strategy,
        )
        written = save_result(result, output, store, title=f"{file.stem} on {reference_of(result)}") if output else []
        currency = currency_of(result, store)
    show_result(terminal, result, written, currency=currency)
    if replaced is not None and replaced != reference_of(result):
        terminal.note(f"note: {output} held a result of {replaced}, which is replaced")

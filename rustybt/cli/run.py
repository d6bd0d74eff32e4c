"""``rustybt run``: a strategy script on a bundle, or on bars that a source delivers."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustybt.cli.cache_flags import CacheMode, MaxStale, NoCache, Offline, warnings_told
from rustybt.cli.command import command, new_command
from rustybt.cli.csv_options import CSV_OPTIONS
from rustybt.cli.options import (
    End,
    Start,
    Symbols,
    SymbolsFile,
    complete_bundles,
    open_store,
    read_pairs,
    read_symbols,
)
from rustybt.cli.source_options import VENDOR_OPTIONS, refuse_words, taking, typed
from rustybt.cli.vendors import given_options
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from rustybt.cli.source_run import SourceRun
    from rustybt.cli.terminal import Terminal

app = new_command()

Script = Annotated[
    Path, typer.Option("--file", "-f", metavar="SCRIPT", help="Strategy: a Python file.", show_default=False)
]
Bundle = Annotated[
    list[str] | None,
    typer.Option(
        "--bundle",
        "-b",
        metavar="B",
        help="Bundle, or a version of it: us, us@3, us@TAG. Repeatable: a run on several, with --calendar if theirs differ.",
        autocompletion=complete_bundles,
        show_default=False,
    ),
]
Source = Annotated[
    str | None,
    typer.Option(
        "--source",
        metavar="S",
        help="Source to take the bars from instead: yfinance, ccxt, csv ...; with --symbols.",
        show_default=False,
    ),
]
Capital = Annotated[float, typer.Option("--capital-base", metavar="X", min=0.0, help="Cash to start with.")]
DataFrequency = Annotated[
    str, typer.Option("--data-frequency", metavar="F", help="daily, minute, or a frequency of the bundle.")
]
Calendar = Annotated[
    str | None,
    typer.Option("--calendar", metavar="C", help="Trading calendar of the run: XNYS, 24/7 ...; the data's if absent."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="K=V", help="Give a top-level name of the script another value; repeatable."),
]
Sweep = Annotated[
    list[str] | None,
    typer.Option(
        "--sweep",
        metavar="K=V1,V2",
        help="Run with each of these values of a top-level name; repeatable: each with each. Prints one row a run.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, help="Processes of a sweep; one a processor if absent."),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="DIR", help="Save the result here, with a report; replay it later."),
]


@command(app, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@taking({**VENDOR_OPTIONS, **CSV_OPTIONS})
def run(
    terminal: Terminal,
    ctx: typer.Context,
    *,
    file: Script,
    bundle: Bundle = None,
    source: Source = None,
    symbols: Symbols = None,
    symbols_file: SymbolsFile = None,
    start: Start = None,
    end: End = None,
    capital_base: Capital = 1e6,
    data_frequency: DataFrequency = "daily",
    calendar: Calendar = None,
    set_: Set = None,
    sweep: Sweep = None,
    workers: Workers = None,
    output: Output = None,
    no_cache: NoCache = False,
    offline: Offline = False,
    max_stale: MaxStale = None,
    **options: Any,
) -> int:
    """Run a strategy script on a bundle, on several together, or on a source's bars.

    Prints its performance. Without dates the whole range of the data is used. Bars of a vendor come through the cache:
    the same run again makes no request. Only a result on a bundle can be replayed. With --sweep it is run once for each
    combination of values, in several processes, and -o saves each result in 0001, 0002 ... beside sweep.csv.

    Example: rustybt run -f moving_average.py -b us -s 2015-01-01 -e 2020-12-31 -o results/ma
    """
    from rustybt.algorithm import run_algorithm
    from rustybt.cli.results import (
        check_output,
        currency_of,
        partial_result_kept,
        reference_of,
        save_result,
        show_result,
    )
    from rustybt.cli.source_run import open_source
    from rustybt.cli.sweep_run import read_grid, refuse_sweep_flags, run_sweep
    from rustybt.trading.strategy import load_script

    mode = CacheMode.of(no_cache=no_cache, offline=offline, max_stale=max_stale)
    named = read_symbols(symbols, symbols_file)
    _check_data(bundle, source, named, options, mode, ctx)
    refuse_sweep_flags(sweep=sweep, workers=workers, source=source, bundles=bundle or ())
    fixed = read_pairs(set_ or [], "--set", separator=None)
    grid = read_grid(sweep or [], fixed)
    replaced = check_output(output)
    ranged: dict[str, Any] = {
        "start": start,
        "end": end,
        "capital_base": capital_base,
        "data_frequency": data_frequency,
    }
    if grid:
        ranged |= {"trading_calendar": calendar}
        (swept,) = bundle or [""]
        return run_sweep(terminal, file, fixed, grid, swept, output=output, workers=workers, arguments=ranged)
    # With --json stdout is one document: what the script prints goes to stderr.
    aside = contextlib.redirect_stdout(sys.stderr) if terminal.json else contextlib.nullcontext()
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(open_store(terminal))
        fetched: SourceRun | None = None
        progress = stack.enter_context(terminal.progress())
        if source is not None:
            fetched = stack.enter_context(open_source(source, named, options, ctx, store, mode, calendar, progress))
        stack.enter_context(warnings_told(terminal))
        stack.enter_context(aside)
        # Where a script goes in the file system, the result does not follow.
        with contextlib.chdir("."):
            strategy = load_script(file, fixed)
        sign = None if fetched is None else fetched.sign
        with partial_result_kept(terminal, output, store, title=file.stem, sign=sign), contextlib.chdir("."):
            result = run_algorithm(
                **ranged,
                store=store,
                progress=progress,
                script=strategy,
                **(
                    {"bundle": _one_or_all(bundle), "trading_calendar": calendar}
                    if fetched is None
                    else fetched.arguments
                ),
            )
        if fetched is not None:
            fetched.sign(result)
        written = save_result(result, output, store, title=f"{file.stem} on {reference_of(result)}") if output else []
        currency = currency_of(result, store)
    show_result(terminal, result, written, currency=currency, use=None if fetched is None else fetched.use)
    if replaced is not None and replaced != reference_of(result):
        terminal.note(f"note: {output} held a result of {replaced}, which is replaced")
    if output is not None and fetched is not None:
        terminal.note(
            f"note: {output} cannot be replayed: a source may deliver other bars tomorrow, a bundle keeps them"
        )
        terminal.note(f"  hint: {fetched.ingest_command()}, then rustybt run -b NAME")
    return 0


def _one_or_all(bundles: list[str] | None) -> str | list[str] | None:
    return bundles[0] if bundles is not None and len(bundles) == 1 else bundles


def _check_data(
    bundle: list[str] | None,
    source: str | None,
    symbols: list[str] | None,
    options: dict[str, Any],
    mode: CacheMode,
    ctx: typer.Context,
) -> None:
    """Refuse a line that does not say which data to run on, or says it twice.

    Raises
    ------
    RequestError
        The message names what does not go together.
    """
    if source is None:
        refuse_words(ctx)
    if (not bundle) == (source is None):
        said = "--bundle and --source exclude each other" if bundle else "a run needs bars: --bundle or --source"
        raise RequestError(said, hint="rustybt run -f SCRIPT -b BUNDLE, or --source yfinance --symbols AAPL,MSFT")
    if source is not None:
        return
    alone = [*(["--symbols"] if symbols else []), *map(typed, given_options(options, options))]
    if alone:
        raise RequestError(
            f"{alone[0]} goes with --source: a bundle's bars are all there", hint="leave it out, or name a source"
        )
    mode.refuse_for("a bundle is read from this machine")

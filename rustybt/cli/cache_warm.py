"""``rustybt cache warm``: bars into the cache before somebody waits for them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustybt.cli.bundle_facts import counted
from rustybt.cli.cache import app
from rustybt.cli.cache_flags import is_local
from rustybt.cli.command import command
from rustybt.cli.options import Frequency, SymbolsFile, VendorEnd, VendorStart, open_store, read_symbols
from rustybt.cli.source_options import VENDOR_OPTIONS, read_source, taking
from rustybt.errors import RequestError, StorageError

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal

SourceName = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="yfinance, ccxt, polygon, alpaca, alphavantage ...", show_default=False),
]
_Symbols = Annotated[
    list[str] | None,
    typer.Option("--symbols", metavar="A,B", help="These symbols; commas, or given more than once."),
]


@command(app, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@taking(VENDOR_OPTIONS)
def warm(
    terminal: Terminal,
    ctx: typer.Context,
    *,
    source: SourceName,
    symbols: _Symbols = None,
    symbols_file: SymbolsFile = None,
    start: VendorStart = None,
    end: VendorEnd = None,
    frequency: Frequency = "1d",
    **options: Any,
) -> int:
    """Fetch what the cache lacks, so that the next run or ingest need not wait; run it after the close.

    Example: rustybt cache warm yfinance --symbols AAPL,MSFT --frequency 1d --start 2020-01-01
    """
    from rustybt.data.cache.freshness import LOCAL_SOURCES
    from rustybt.data.sources import CachedDataSource, get_source

    if source in LOCAL_SOURCES:
        raise _nothing_to_warm(source)
    name, given = read_source(source, options, ctx)
    made = get_source(name, **given)
    if is_local(made):
        raise _nothing_to_warm(name)
    named = read_symbols(symbols, symbols_file)
    if named is None:
        raise RequestError("no symbol given", hint="--symbols AAPL,MSFT or --symbols-file FILE")
    with open_store(terminal) as store, closing(made):
        try:
            with terminal.progress() as progress:
                report = CachedDataSource(made, store=store).warm_cache(named, start, end, frequency, progress=progress)
        except KeyboardInterrupt as stop:
            terminal.last_words = str(stop)
            raise
    return _show(terminal, report)


def _nothing_to_warm(name: str) -> RequestError:
    return RequestError(
        f"{name} reads files of this machine: there is nothing to warm", hint="name a vendor: rustybt sources list"
    )


def _show(terminal: Terminal, report: Any) -> int:
    """Print what came and what failed; return 3 when some symbols failed, 5 when all did, 1 when nothing could be kept."""
    failures = dict(sorted(report.failures.items()))
    status = 0 if not failures else 5 if len(failures) == len(report.symbols) else 3
    if not report.is_kept and not status:
        status = StorageError.exit_code
    if terminal.json:
        terminal.data({"warm": report, "exit_code": status})
        return status
    use, warm = report.use, len(report.symbols) - len(failures)
    came = f"{counted(use.rows_fetched, 'bar')} fetched" if use.rows_fetched else "nothing was missing"
    requests = counted(use.requests_made, "request")
    if not report.is_kept:
        terminal.line(f"nothing is warm: {came} and not kept, {requests}")
        terminal.alert("  the cache could not be written; rustybt doctor shows where it is")
    elif warm:
        terminal.line(f"{counted(warm, 'symbol')} warm: {came}, {requests}")
    else:
        terminal.line(f"no symbol is warm: {requests}")
    for symbol, error in failures.items():
        terminal.alert(f"  failed  {symbol}: {error.message}")
    for hint in dict.fromkeys(error.hint for error in failures.values() if error.hint):
        terminal.alert(f"  hint: {hint}")
    return status

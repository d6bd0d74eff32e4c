"""``rustybt import``: bundles of other programs, read where they lie."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustybt.cli.bundle_facts import counted
from rustybt.cli.command import command, new_group
from rustybt.cli.options import (
    End,
    Replace,
    Start,
    Strict,
    Symbols,
    SymbolsFile,
    complete_bundles,
    open_store,
    read_symbols,
)
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]", help="The Zipline bundle; absent, lists those that are there.", show_default=False
    ),
]
Timestamp = Annotated[
    str | None,
    typer.Option(
        "--timestamp", metavar="T", help="The newest ingestion at or before T, ISO (UTC), or the name of its folder."
    ),
]
Root = Annotated[
    Path | None,
    typer.Option("--root", metavar="DIR", help="Zipline's folder, instead of ZIPLINE_ROOT or ~/.zipline."),
]
Into = Annotated[
    str | None,
    typer.Option(
        "--bundle", "-b", metavar="B", help="Bundle to write; NAME if absent.", autocompletion=complete_bundles
    ),
]
Which = Annotated[str, typer.Option("--frequency", metavar="F", help="1d, 1m, or all that there is.")]

#: Differences that are printed; --json has the first hundred.
_MOST_LISTED = 10

app = new_group(
    "Bring in bundles of other programs, read where they lie.\n\n"
    "What `rustybt bundle export` wrote comes back by `rustybt bundle import`."
)


@command(app)
def zipline(
    terminal: Terminal,
    *,
    name: Name = None,
    timestamp: Timestamp = None,
    root: Root = None,
    bundle: Into = None,
    symbols: Symbols = None,
    symbols_file: SymbolsFile = None,
    start: Start = None,
    end: End = None,
    frequency: Which = "all",
    strict: Strict = False,
    replace: Replace = False,
) -> int:
    """Read a bundle that Zipline ingested, where it lies: bars, splits, dividends and assets; then compare every number.

    Needs the extra called zipline; without it, the command says how to install it. Exit status 6 if a number or a bar differs afterwards.

    Example: rustybt import zipline quandl
    """
    from rustybt.data.bundles.zipline_layout import zipline_root
    from rustybt.data.sources.zipline.ingestions import list_bundles

    if name is None:
        if bundle is not None:
            raise RequestError(
                f"--bundle {bundle} is the bundle to write; no bundle of Zipline's is named",
                hint=f"rustybt import zipline NAME --bundle {bundle}; without both, the command lists Zipline's bundles",
            )
        folder = zipline_root(root)
        _show_bundles(terminal, folder, list_bundles(folder))
        return 0
    from rustybt.data.sources.registry import get_source
    from rustybt.data.sources.zipline.bundle_import import import_bundle

    options = {"name": name, "root": root, "timestamp": timestamp}
    source: Any = get_source("zipline", **options)
    with open_store(terminal) as store, closing(source):
        with terminal.progress() as progress:
            done = import_bundle(
                source,
                bundle or name,
                store,
                symbols=read_symbols(symbols, symbols_file),
                start=start,
                end=end,
                frequency=frequency,
                strict=strict,
                replace=replace,
                progress=progress,
            )
        return _show(terminal, source, done, store)


def _show_bundles(terminal: Terminal, root: Path, bundles: dict[str, Any]) -> None:
    if terminal.json:
        found = {name: [ingestion.timestamp for ingestion in held] for name, held in bundles.items()}
        terminal.data({"root": str(root), "bundles": found})
        return
    if not bundles:
        terminal.note(f"no Zipline bundles in {root / 'data'}; --root DIR looks elsewhere")
        return
    rows = [(name, len(held), held[-1].timestamp) for name, held in bundles.items()]
    terminal.table(["bundle", "ingestions>", "newest"], rows, title=f"Zipline's bundles in {root}")


def _show(terminal: Terminal, source: Any, done: Any, store: Any) -> int:
    """Print what was stored and what was compared; return the exit status."""
    from rustybt.cli.reports import show_ingest

    ingestion = source.ingestion
    if terminal.json:
        where = {"zipline": ingestion.bundle, "timestamp": ingestion.timestamp, "folder": str(ingestion.folder)}
        terminal.data({**where, **done.to_json()})
        return int(done.exit_code)
    terminal.note(f"Zipline's {ingestion.bundle}, ingested {ingestion.timestamp.replace(';', ':')}")
    told: set[str] = set()
    for report, proof in zip(done.reports, done.proofs, strict=True):
        notes = tuple(note for note in report.notes if note not in told)
        show_ingest(terminal, replace_fields(report, notes=notes), store)
        told.update(notes)
        _show_proof(terminal, proof)
    return int(done.exit_code)


def _show_proof(terminal: Terminal, proof: Any) -> None:
    compared = f"{counted(proof.rows, 'row')}, {proof.prices:,} prices and {proof.volumes:,} volumes compared"
    if proof.is_equal:
        terminal.line(f"  proof    {proof.frequency}: {compared}, all equal")
    else:
        terminal.line(f"  proof    {proof.frequency}: {compared}, {counted(proof.difference_count, 'difference')}")
        for difference in proof.differences[:_MOST_LISTED]:
            terminal.line(f"    {difference}")
        if proof.difference_count > _MOST_LISTED:
            terminal.note(f"    {proof.difference_count - _MOST_LISTED:,} more; --json lists the first hundred")
        terminal.alert(
            "  hint: bars that the bundle had before and Zipline has not: --replace removes them, or --bundle NEW"
        )
    for reason, count in proof.set_aside.items():
        terminal.line(f"  not compared, set aside {count:,}: {reason}")
    for symbol, reason in proof.unread.items():
        terminal.alert(f"  not compared: {symbol}: {reason}")

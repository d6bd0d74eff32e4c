"""``rustybt run --sweep``: a strategy script with many values of its names, on one version of a bundle."""

from __future__ import annotations

import ast
import contextlib
import sys
from typing import TYPE_CHECKING, Any

from rustybt.cli.options import open_store, read_pairs
from rustybt.cli.results import currency_of, reference_of
from rustybt.cli.terminal import printable
from rustybt.errors import RequestError, StrategyError
from rustybt.trading.report.summary import summary_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rustybt.cli.terminal import Terminal
    from rustybt.sweeps import SweepResult

#: Some runs failed, the others are done.
EXIT_PARTIAL = 3
#: Figures of the table; --json and sweep.csv have all.
_SHOWN = (
    "total_return",
    "annual_return",
    "annual_volatility",
    "sharpe",
    "sortino",
    "max_drawdown",
    "alpha",
    "beta",
    "ending_value",
    "transactions",
)


def read_grid(texts: list[str], fixed: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return name to values of ``K=V1,V2,...``; commas inside brackets and quotes separate nothing.

    Raises
    ------
    RequestError
        A part is not of that form, or a name is given twice or by --set as well.
    """
    grid = {}
    for name, text in read_pairs(texts, "--sweep", separator=None).items():
        if name in fixed:
            raise RequestError(f"{name} is given by --set and by --sweep", hint=f"leave out --set {name}=...")
        grid[name] = _values(name, text)
    return grid


def _values(name: str, text: str) -> list[Any]:
    try:
        found = ast.literal_eval(f"[{text}]")
    except (ValueError, SyntaxError):  # words: each part is a literal or itself
        found = [part.strip() for part in text.split(",")]
    if not found or "" in found:
        raise RequestError(f"--sweep {name}={text} lacks a value", hint=f"--sweep {name}=10,20,50")
    return list(found)


def refuse_sweep_flags(
    *, sweep: list[str] | None, workers: int | None, source: str | None, bundles: Sequence[str] = ()
) -> None:
    """Refuse flags that do not go together.

    Raises
    ------
    RequestError
        --sweep with --source or with several bundles, --workers without --sweep.
    """
    if sweep and len(bundles) > 1:
        raise RequestError(
            f"a sweep runs on one bundle, not on {len(bundles)}: {', '.join(bundles)}",
            hint="run the values one by one with --set, or bring the bars into one bundle: rustybt ingest bundle --from B",
        )
    if sweep and source is not None:
        raise RequestError(
            "--sweep and --source exclude each other: each run would fetch its own bars, and they may differ",
            hint=f"rustybt ingest {source} --bundle NAME ..., then rustybt run -b NAME --sweep ...",
        )
    if workers is not None and not sweep:
        raise RequestError("--workers goes with --sweep: a single run has one", hint="--sweep NAME=10,20,50")


def run_sweep(
    terminal: Terminal,
    file: Path,
    fixed: Mapping[str, Any],
    grid: Mapping[str, list[Any]],
    bundle: str,
    *,
    output: Path | None,
    workers: int | None,
    arguments: Mapping[str, Any],
) -> int:
    """Run and print a sweep; return 3 when some runs failed, the status of a failed strategy when all did."""
    from rustybt.sweeps import SweepResult, sweep
    from rustybt.trading.strategy import load_script

    # With --json stdout is one document; what the runs print goes to stderr in any case.
    aside = contextlib.redirect_stdout(sys.stderr) if terminal.json else contextlib.nullcontext()
    with open_store(terminal) as store, store.open(bundle) as opened:
        try:
            with aside, terminal.progress() as progress:
                strategy = load_script(file, fixed)
                found = sweep(strategy, grid, opened, output=output, workers=workers, progress=progress, **arguments)
        except KeyboardInterrupt as stop:
            terminal.last_words = str(stop)
            if not terminal.json and isinstance(partial := getattr(stop, "partial_result", None), SweepResult):
                _print(terminal, partial, store, output)
            raise
        failed = len(found.failures)
        status = 0 if not failed else EXIT_PARTIAL if failed < len(found.frame) else StrategyError.exit_code
        if terminal.json:
            terminal.data(_facts(found, status))
        else:
            _print(terminal, found, store, output)
    return status


def _facts(found: SweepResult, status: int) -> dict[str, Any]:
    frame = found.frame.reset_index().astype(object)
    return {
        "parameters": found.parameters,
        "pin": found.pin,
        # Not defined, NaN or pandas' NA, is null.
        "runs": frame.where(frame.notna(), None).to_dict("records"),
        "output": found.output,
        "exit_code": status,
    }


def _print(terminal: Terminal, found: SweepResult, store: Any, output: Path | None) -> None:
    """Print the rows, the highest Sharpe ratio first; why a run failed goes to stderr."""
    currency = currency_of(found, store)
    frame = found.frame.sort_values("sharpe", ascending=False, kind="stable", na_position="last")
    shown = [name for name in _SHOWN if name in frame]
    rows = []
    for number, row in frame.astype(object).where(frame.notna(), None).iterrows():
        figures = summary_lines({name: row[name] for name in shown}, currency)
        rows.append([number, *(row[name] for name in found.parameters), *(text for _, text in figures)])
    headings = ["run>", *(f"{name}>" for name in found.parameters), *(f"{name.replace('_', ' ')}>" for name in shown)]
    terminal.table(headings, rows, title=f"{len(rows):,} runs on {reference_of(found)}")
    for number, row in found.failures.iterrows():
        given = ", ".join(f"{name}={row[name]!r}" for name in found.parameters)
        terminal.alert(printable(f"run {number} failed ({given}): {row['error']}"))
    if output is not None:
        terminal.note(f"wrote {output}: sweep.csv, and each result in 0001, 0002 ...")

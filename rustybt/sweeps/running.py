"""`sweep`: the combinations go to an executor, their outcomes come back into one table."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rustybt.algorithm import TradingAlgorithm
from rustybt.data.bundles.bundle import Bundle
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import RequestError, StorageError
from rustybt.sweeps.collecting import jobs_of, run_jobs
from rustybt.sweeps.executors import refuse_unguarded_main, starts_afresh
from rustybt.sweeps.grid import combinations, names_of
from rustybt.sweeps.recipe import recipe_of
from rustybt.sweeps.result import RESERVED, TABLE, SweepResult, build_frame
from rustybt.sweeps.task import Outcome, PinnedBundle, Task
from rustybt.trading.results.plain_values import without_folders
from rustybt.trading.run_inputs import effective_arguments
from rustybt.trading.strategy import FUNCTIONS, stop_if_loading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    from rustybt.market.pin import Pin
    from rustybt.trading.simulation import Progress

_NOT_BEGUN = Outcome(error="not run: the sweep was interrupted before")
_NOT_REPLAYABLE = (
    "results of functions that are given parameters are saved, but cannot be replayed; those of a script file can"
)


def sweep(
    script_or_functions: Any,
    grid: Any,
    bundle: str | Bundle,
    executor: Executor | None = None,
    *,
    output: str | Path | None = None,
    workers: int | None = None,
    store: BundleStore | None = None,
    progress: Progress | None = None,
    **arguments: Any,
) -> SweepResult:
    """Run a strategy with every combination of `grid` on one version of a bundle.

    The version is looked up once, before the first run, and kept from garbage collection until the last: every run reads
    the same bars, also when an ingest makes a new version meanwhile. Workers open it themselves; no bars are sent. The
    rows are the same whatever runs them and in which order they end. A combination that fails has its error in its row.

    Parameters
    ----------
    script_or_functions
        Path of a strategy file or a loaded one, whose top-level names are given other values, as ``--set`` does; it
        travels as text. Or a mapping, a module or another object with `initialize`, `handle_data`,
        `before_trading_start` and `analyze`: `initialize` is given the values as keyword arguments. Only results of a
        file can be replayed.
    grid
        Name to values, every one with every other; or an iterable of mappings, name to value.
    bundle
        A reference, ``us`` or ``us@3``, or an opened bundle.
    executor
        Any executor of `concurrent.futures`, or of dask: ``client.get_executor()``; its workers must reach the home
        under the same path. It is left open. By default new processes, as many as processors or runs.
    output
        Directory in which each result is saved, in ``0001``, ``0002`` ..., beside the table as ``sweep.csv``; results
        of an earlier sweep there are replaced.
    workers
        Processes of the default executor.
    store
        Where a reference is looked up; by default the user's home.
    progress
        Called with ``"sweep"``, how many runs have ended, and how many there are.
    **arguments
        Of `run_algorithm`: `start`, `end`, `capital_base`, `data_frequency` ...

    Raises
    ------
    RequestError
        The grid, the strategy or an argument cannot be used, or cannot be sent to other processes; nothing was run.
    StrategyError
        The file failed while it was loaded; nothing was run.
    BundleError
        There is no such bundle or version.
    StorageError
        The file system refuses `output`.
    KeyboardInterrupt
        Ctrl-C: what has not begun is cancelled, what runs is waited for (a second Ctrl-C ends it); `partial_result` on
        the error is the sweep with what was done.

    Examples
    --------
    >>> found = sweep("momentum.py", {"WINDOW": [60, 120]}, bundle="us")   # doctest: +SKIP
    >>> found.best("sharpe")["WINDOW"]   # doctest: +SKIP
    """
    stop_if_loading()
    if workers is not None and (executor is not None or workers < 1):
        why = "an executor has its own" if executor is not None else "there must be one at least"
        raise RequestError(f"workers={workers} cannot be used: {why}", hint="leave out workers= or executor=")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise RequestError(
            f"executor= takes an executor of concurrent.futures, not {executor!r}",
            hint="executor=ThreadPoolExecutor(4), or workers=4",
        )
    if starts_afresh(executor):
        refuse_unguarded_main()
    found = combinations(grid)
    names = names_of(found)
    taken = [name for name in names if name in RESERVED]
    if taken:
        raise RequestError(
            f"no parameter can be called {taken[0]!r}: it is a column of the figures", hint="give it another name"
        )
    recipe, runnable = recipe_of(script_or_functions, found, names)
    given = _arguments(arguments)
    with ExitStack() as stack:
        opened = _open(bundle, store, stack)
        # What is wrong with the arguments is wrong with every run: better known before the first.
        TradingAlgorithm(bundle=opened, **given, **runnable)
        storage = store.storage if store is not None and isinstance(bundle, str) else None
        data = PinnedBundle(opened.home, opened.reference, opened.content_hash, storage)
        folder = None if output is None else Path(output).expanduser().absolute()
        tasks = [Task(at, values, recipe, data, given, folder) for at, values in enumerate(found, 1)]
        jobs = jobs_of(tasks, executor)
        if folder is not None:
            _prepare(folder)
            if recipe.script is None:
                warnings.warn(_NOT_REPLAYABLE, UserWarning, stacklevel=2)
        outcomes: dict[int, Outcome] = {}
        build = partial(_build, found, names, outcomes, opened.pin, folder)
        try:
            run_jobs(jobs, executor, workers, outcomes, progress)
        except KeyboardInterrupt as stop:
            if not stop.args:
                stop.args = (f"interrupted; {len(outcomes)} of {len(tasks)} runs are done",)
            stop.__dict__["partial_result"] = build()
            raise
        return build()


def _arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of each run, those refused that a sweep has its own way for."""
    if "data_source" in given or "symbols" in given:
        raise RequestError(
            "a sweep runs on a bundle: a source may deliver other bars to each run",
            hint="source.ingest_to_bundle('us'), then sweep(..., bundle='us')",
        )
    for name in ("script", *FUNCTIONS):
        if name in given:
            raise RequestError(f"{name} is part of the first argument", hint="sweep(script_or_functions, grid, bundle)")
    return effective_arguments(given, TradingAlgorithm)


def _open(bundle: Any, store: BundleStore | None, stack: ExitStack) -> Bundle:
    """Return the version, open until the sweep is over: garbage collection leaves it alone."""
    if isinstance(bundle, Bundle):
        home: Path | None = bundle.home
        reference = bundle.reference
    elif isinstance(bundle, str):
        home, reference = None, bundle
    else:
        raise RequestError(
            f"bundle= takes a reference or a bundle opened from a store, not {type(bundle).__name__} {bundle!r}",
            hint="bundle='us' or bundle=rb.bundle('us@3'); bars in memory go through rb.ingest_frame",
        )
    if store is None or home is not None:
        store = stack.enter_context(BundleStore(home))
    return stack.enter_context(store.open(reference))


def _prepare(folder: Path) -> None:
    """Make the directory to save into, without the results of an earlier sweep."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A result is what has a result.json: a run that fails now must not show what it was before.
        for earlier in [*folder.glob("[0-9][0-9][0-9][0-9]*/result.json"), *folder.glob(TABLE)]:
            earlier.unlink()
    except OSError as error:
        raise StorageError(
            f"cannot save the sweep in {folder}: {error.strerror or error}", hint="name a directory to write into"
        ) from error


def _build(
    found: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    outcomes: Mapping[int, Outcome],
    pin: Pin,
    folder: Path | None,
) -> SweepResult:
    rows = [outcomes.get(number, _NOT_BEGUN) for number in range(1, len(found) + 1)]
    frame = build_frame(found, names, rows)
    if folder is not None:
        try:
            # The file is shared: it names scripts, not the folders of this machine.
            frame.assign(error=frame["error"].map(without_folders, na_action="ignore")).to_csv(folder / TABLE)
        except OSError as error:
            raise StorageError(f"cannot write {folder / TABLE}: {error.strerror or error}") from error
    return SweepResult(frame, tuple(names), pin, folder)

"""One run of a sweep: all that a worker needs to know, and what it answers."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rustybt.algorithm import TradingAlgorithm
from rustybt.data.bundles.store import BundleStore
from rustybt.errors import RustybtError, VersionNotFoundError
from rustybt.logging import without_warnings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rustybt.data.bundles.bundle import Bundle
    from rustybt.data.bundles.storage import Storage
    from rustybt.sweeps.recipe import Recipe
    from rustybt.trading.results.result import Result

#: Of `Result.summary`, what is the same in every row or stands in a column of its own.
_NOT_COLUMNS = ("start", "end", "starting_cash", "error")


@dataclass(frozen=True, slots=True)
class PinnedBundle:
    """Which version all runs read, and where a worker finds it.

    Parameters
    ----------
    storage
        Where the files lie if that is not the home.
    """

    home: Path
    reference: str
    content_hash: str
    storage: Storage | None = None

    def open(self, store: BundleStore) -> Bundle:
        """Return the version.

        Raises
        ------
        BundleError
            It is gone, or another one bears its name since the sweep began.
        """
        opened = store.open(self.reference)
        if opened.content_hash != self.content_hash:
            found = opened.content_hash
            opened.close()
            raise VersionNotFoundError(
                f"{self.reference} is not what the sweep began with: sha256:{self.content_hash[:16]}... became "
                f"sha256:{found[:16]}...",
                hint="leave the bundle alone while a sweep runs, and run it again",
                reference=self.reference,
            )
        return opened


@dataclass(frozen=True, slots=True)
class Task:
    """One combination and everything around it; `number` counts from 1 in the grid's order."""

    number: int
    parameters: Mapping[str, Any]
    recipe: Recipe
    data: PinnedBundle
    arguments: Mapping[str, Any]
    output: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task: figures, or why there are none; both when the result could not be saved."""

    figures: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    error: str | None = None


def folder_of(output: Path, number: int) -> Path:
    """Return where the result of run `number` is saved."""
    return output / f"{number:04d}"


def run_task(task: Task) -> Outcome:
    """Run one combination; whatever its strategy does wrong is told in the outcome."""
    begun = time.perf_counter()
    figures: dict[str, Any] = {}
    error = None
    try:
        result = _run(task)
        figures = {name: value for name, value in result.summary().items() if name not in _NOT_COLUMNS}
        _save(result, task)
    except (Exception, SystemExit) as failure:  # noqa: BLE001 - one failing combination never fails the others
        error = f"not saved: {told(failure)}" if figures else told(failure)
    return Outcome(figures, time.perf_counter() - begun, error)


def run_packed(packed: bytes) -> Outcome:
    """Run a pickled task: one that cannot be unpickled here fails alone, and does not take the worker with it."""
    try:
        task: Task = pickle.loads(packed)  # noqa: S301 - packed by the process that started this one
    except Exception as failure:  # noqa: BLE001 - unpickling imports the user's modules
        return Outcome(error=f"a worker process cannot load it: {told(failure)}")
    return run_task(task)


def told(failure: BaseException) -> str:
    """Return an error in one line of a table."""
    return failure.message if isinstance(failure, RustybtError) else f"{type(failure).__name__}: {failure}"


def _run(task: Task) -> Result:
    # The home is told, not looked up: a worker may have another environment.
    with BundleStore(task.data.home, storage=task.data.storage) as store, task.data.open(store) as bundle:
        given = {**task.arguments, **task.recipe.arguments(task.parameters)}
        return TradingAlgorithm(bundle=bundle, **given).run()


def _save(result: Result, task: Task) -> None:
    if task.output is None:
        return
    # That functions cannot be replayed is said once, for the whole sweep.
    with without_warnings(UserWarning):
        result.save(folder_of(task.output, task.number))

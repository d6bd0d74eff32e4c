"""The runs of a sweep go to an executor; their outcomes come back in whatever order they end."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, CancelledError, as_completed, wait
from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError
from rustybt.sweeps.executors import is_process_pool, kill_pool, pack, start_pool, starts_afresh
from rustybt.sweeps.task import Outcome, Task, run_packed, run_task, told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Executor, Future

    from rustybt.trading.simulation import Progress

    #: A function that can be sent anywhere, and its argument.
    Job = tuple[Callable[[Any], Outcome], Any]

_DIED = Outcome(error="its worker process ended in the middle of the run: killed, out of memory, or crashed")


def jobs_of(tasks: Sequence[Task], executor: Executor | None) -> dict[int, Job]:
    """Return what is handed to `executor`, None for the default pool, by the numbers of the tasks.

    Raises
    ------
    RequestError
        A task cannot be sent to another process.
    """
    if executor is None or is_process_pool(executor):
        is_fresh = starts_afresh(executor)
        return {task.number: (run_packed, pack(task, is_fresh=is_fresh)) for task in tasks}
    return {task.number: (run_task, task) for task in tasks}


def run_jobs(
    jobs: Mapping[int, Job],
    executor: Executor | None,
    workers: int | None,
    outcomes: dict[int, Outcome],
    progress: Progress | None,
) -> None:
    """Run all jobs and fill `outcomes` as they come; None is the default pool, of `workers` processes.

    Raises
    ------
    RequestError
        The executor takes no work.
    KeyboardInterrupt
        Ctrl-C; `outcomes` holds what was done.
    """

    def tell() -> None:
        if progress is not None:
            progress("sweep", len(outcomes), len(jobs))

    tell()
    if executor is not None:
        died = _collect(executor, jobs, outcomes, tell)
        outcomes.update(dict.fromkeys(died, _DIED))
        if died:
            tell()
        return
    with start_pool(len(jobs), workers) as pool:
        lost = _collect(pool, jobs, outcomes, tell, is_own=True)
    # One of them took its process, and with it the pool, away from the others: from here on each has its own.
    for number in lost:
        with start_pool(1) as pool:
            if _collect(pool, {number: jobs[number]}, outcomes, tell, is_own=True):
                outcomes[number] = _DIED
                tell()


def _collect(
    executor: Executor,
    jobs: Mapping[int, Job],
    outcomes: dict[int, Outcome],
    tell: Callable[[], None],
    *,
    is_own: bool = False,
) -> list[int]:
    """Run jobs and keep their outcomes; return the numbers of those whose process died."""
    futures: dict[Future[Outcome], int] = {}
    died: list[int] = []
    try:
        for number, (function, argument) in jobs.items():
            future = _submit(executor, function, argument)
            if future is None:
                died.append(number)
            else:
                futures[future] = number
        for future in as_completed(futures):
            outcome = _outcome_of(future)
            if outcome is None:
                died.append(futures[future])
            else:
                outcomes[futures[future]] = outcome
                tell()
    except KeyboardInterrupt:
        _finish(executor if is_own else None, futures, outcomes)
        raise
    return sorted(died)


def _submit(executor: Executor, function: Callable[[Any], Outcome], argument: Any) -> Future[Outcome] | None:
    """Return the future of a run, None where a process of the executor has died."""
    try:
        return executor.submit(function, argument)
    except BrokenExecutor:
        return None
    except RuntimeError as error:
        raise RequestError(f"the executor takes no work: {error}", hint="pass one that is open") from error


def _finish(pool: Executor | None, futures: Mapping[Future[Outcome], int], outcomes: dict[int, Outcome]) -> None:
    """Cancel what has not begun and keep what still ends; asked again, end the processes of our own pool."""
    running = [future for future in futures if not future.cancel()]
    try:
        wait(running)
    except KeyboardInterrupt:
        if pool is not None:
            kill_pool(pool)
    for future in running:
        if future.done() and (outcome := _outcome_of(future)) is not None:
            outcomes[futures[future]] = outcome


def _outcome_of(future: Future[Outcome]) -> Outcome | None:
    """Return what came of a run that has ended, None when its process died."""
    try:
        error = future.exception()
    except CancelledError:
        return Outcome(error="cancelled by its executor")
    if isinstance(error, KeyboardInterrupt):
        raise error
    if isinstance(error, BrokenExecutor):
        return None
    return future.result() if error is None else Outcome(error=told(error))

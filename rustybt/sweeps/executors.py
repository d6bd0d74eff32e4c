"""Where the runs of a sweep happen: the default pool, and what cannot travel to another process."""

from __future__ import annotations

import ast
import inspect
import io
import multiprocessing
import os
import pickle
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError
from rustybt.trading.strategy import script_of

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from rustybt.sweeps.task import Task

# What Windows can wait for at once.
_MOST_WORKERS = 61
_THREADS = "executor=concurrent.futures.ThreadPoolExecutor()"


def start_pool(runs: int, workers: int | None = None) -> ProcessPoolExecutor:
    """Return a pool of fresh processes for `runs` runs, one a processor unless `workers` says otherwise."""
    count = min(workers or os.cpu_count() or 1, runs, _MOST_WORKERS)
    # Spawned on every system: a fork copies locks that threads of polars may hold.
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_begin_worker)


def _begin_worker() -> None:
    # Ctrl-C reaches every process of a terminal: the one that collects decides, the runs it waits for go on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # stdout carries the data of whoever asked for the sweep; the pipe of several workers would mix lines into it.
    sys.stdout = sys.stderr


def kill_pool(pool: Executor) -> None:
    """End the processes of `pool` in the middle of their runs."""
    for process in list((getattr(pool, "_processes", None) or {}).values()):
        process.terminate()


def is_process_pool(executor: Executor) -> bool:
    """Return whether `executor` pickles what it is given with the standard library."""
    return isinstance(executor, ProcessPoolExecutor)


def starts_afresh(executor: Executor | None) -> bool:
    """Return whether the workers import the main module anew; None is the default pool."""
    if executor is None:
        return True
    context = getattr(executor, "_mp_context", None) if is_process_pool(executor) else None
    return context is not None and context.get_start_method() != "fork"


def refuse_unguarded_main() -> None:
    """Refuse a call that every worker would repeat, because it stands at the top level of the program.

    Spawned processes import the program's file; what it calls without ``if __name__ == "__main__"`` is called again.

    Raises
    ------
    RequestError
        This is such a call.
    """
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    line = _line_of(main)
    if path is None or line is None:
        return
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, ValueError, SyntaxError):
        return
    if not any(_is_guard(node) and node.lineno <= line <= (node.end_lineno or line) for node in tree.body):
        raise RequestError(
            f"{path}, line {line}: every worker process would begin this sweep again, because it imports the file",
            hint=f'put the call under if __name__ == "__main__":, or pass {_THREADS}',
        )


def _line_of(module: Any) -> int | None:
    """Return the line at which the top level of `module` stands, None when it is not on the stack."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_globals is getattr(module, "__dict__", None):
            return frame.f_lineno
        frame = frame.f_back
    return None


def _is_guard(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and any(isinstance(n, ast.Name) and n.id == "__name__" for n in ast.walk(node.test))


def pack(task: Task, *, is_fresh: bool) -> bytes:
    """Return a task as bytes for another process.

    Parameters
    ----------
    is_fresh
        Whether that process imports the main module anew.

    Raises
    ------
    RequestError
        Something in it cannot travel: a lambda, a closure, what was defined in a notebook, an open file.
    """
    stream = io.BytesIO()
    try:
        (_FreshPickler if is_fresh else pickle.Pickler)(stream, pickle.HIGHEST_PROTOCOL).dump(task)
    except (pickle.PicklingError, AttributeError, TypeError, RecursionError) as error:
        raise RequestError(
            f"the sweep cannot be sent to another process: {error}",
            hint=f"write the strategy into a file and pass its path, or pass {_THREADS}",
        ) from error
    return stream.getvalue()


class _FreshPickler(pickle.Pickler):
    """Refuses what a process that imports the main module anew would look for in vain."""

    def reducer_override(self, value: Any) -> Any:
        """Leave everything to the default, after a look at where functions and classes come from."""
        if isinstance(value, FunctionType | type) and value.__module__ == "__main__":
            why = _why_lost(value)
            if why:
                raise pickle.PicklingError(why)
        return NotImplemented


def _why_lost(value: Any) -> str | None:
    if getattr(sys.modules["__main__"], "__file__", None) is None:
        return f"{value.__qualname__} is defined in a notebook or on the command line"
    return script_of({value.__name__: value})[1] if isinstance(value, FunctionType) else None

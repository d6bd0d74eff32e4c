"""Progress of long work: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

#: Seconds between two lines where there is no terminal.
LINE_INTERVAL_SECONDS = 5.0
#: Seconds between two lines about one wait, which counts down.
WAIT_INTERVAL_SECONDS = 30.0
_SECONDS = re.compile(r"waiting (\d+) s\b")


class Progress:
    """A callable that the library reports to: ``progress(stage, done, total)``; `total` 0 means unknown.

    The first word of `stage` names the work, the rest says where it is: ``backtest 2004-02-12``. On a terminal each work is a bar with rate and time left. Elsewhere one line is written every
    `LINE_INTERVAL_SECONDS`, so that a log shows life without filling up.
    """

    def __init__(self, stream: TextIO, *, enabled: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._enabled = enabled
        self._clock = clock
        self._bars: RichProgress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, tuple[float, int]] = {}
        self._last_line = clock()
        self._last_wait = ("", 0)
        self._last_wait_line = clock()

    def __enter__(self) -> Self:
        if self._enabled and self._stream.isatty():
            self._bars = _rich_progress(self._stream)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` items of `stage` are done."""
        if not self._enabled:
            return
        if self._bars is not None:
            work = _work_of(stage)
            if work not in self._tasks:
                self._tasks[work] = self._bars.add_task(stage, total=total or None, completed=done)
            self._bars.update(self._tasks[work], description=stage, completed=done, total=total or None)
            return
        self._write_line(stage, done, total)

    def _write_line(self, stage: str, done: int, total: int) -> None:
        now = self._clock()
        # What was done when the work began, as by an earlier run, is nobody's speed.
        started, before = self._started.setdefault(_work_of(stage), (now, done))
        if _is_wait(stage):  # said at once: without it nothing seems to happen
            if self._is_told(stage, now):
                return
        elif now - self._last_line < LINE_INTERVAL_SECONDS:
            return
        self._last_line = now
        self._stream.write(f"{describe(stage, done, total, now - started, before=before)}\n")
        self._stream.flush()

    def _is_told(self, stage: str, now: float) -> bool:
        """Return whether a wait is one that was told a moment ago, and only counts down since."""
        found = _SECONDS.search(stage)
        left = int(found[1]) if found else 0
        what = _SECONDS.sub("", stage)
        same = what == self._last_wait[0] and left <= self._last_wait[1]
        self._last_wait = (what, left)
        if same and now - self._last_wait_line < WAIT_INTERVAL_SECONDS:
            return True
        self._last_wait_line = now
        return False


def _work_of(stage: str) -> str:
    return stage.split(" ", 1)[0]


def _is_wait(stage: str) -> bool:
    """Return whether a stage is a wait for somebody else: ``fetch waiting 37 s: polygon, 5/min``."""
    return stage.partition(" ")[2].startswith("waiting")


def describe(stage: str, done: int, total: int, elapsed_seconds: float, *, before: int = 0) -> str:
    """Return one line on how far `stage` is, how fast, and how long it may still take; `before` were done at its start."""
    rate = (done - before) / elapsed_seconds if elapsed_seconds > 0 else 0.0
    if _is_wait(stage):
        work, _, wait = stage.partition(" ")
        return f"{wait} ({work} {done:,} of {total:,})" if total else wait
    parts = [f"{stage}: {done:,} of {total:,} ({done / total:.0%})" if total else f"{stage}: {done:,}"]
    if rate > 0:
        parts.append(f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s")
        if total > done:
            parts.append(f"about {(total - done) / rate:,.0f} s left")
    return ", ".join(parts)


def _rich_progress(stream: TextIO) -> RichProgress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """Items a second."""

        def render(self, task: object) -> Text:
            speed = getattr(task, "finished_speed", None) or getattr(task, "speed", None)
            return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")

    return RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
        console=Console(file=stream),
        transient=True,
    )

"""``rustybt replay``: a saved result again, on the data it is pinned to."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from rustybt.cli.command import command, new_command
from rustybt.cli.options import ResultDirectory, open_store

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal

app = new_command()


@command(app)
def replay(terminal: Terminal, *, result_dir: ResultDirectory) -> int:
    """Run a saved result again on its pinned data and compare.

    Proves the same result, or says precisely what is missing or different. Exit status 0 when every session and every fill is the same, 6 when the data is gone, 1 when something differs.

    Example: rustybt replay results/ma
    """
    from rustybt.algorithm import replay as replay_result

    # With --json stdout is one document: what the script prints goes to stderr.
    aside = contextlib.redirect_stdout(sys.stderr) if terminal.json else contextlib.nullcontext()
    with open_store(terminal) as store, terminal.progress() as progress, aside:
        report = replay_result(result_dir, store=store, progress=progress)
    if terminal.json:
        terminal.data(report)
    else:
        for line in report.lines():
            terminal.line(line)
    return 0 if report.is_same else 1

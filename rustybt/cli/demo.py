"""``rustybt demo``: the whole journey on sample bars, every step a command line that can be repeated."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from rustybt.cli.command import command, new_command
from rustybt.cli.terminal import Terminal
from rustybt.errors import RequestError

app = new_command()

Output = Annotated[Path, typer.Option("--output", metavar="DIR", help="Where everything is written.")]
Generated = Annotated[bool, typer.Option("--generated", help="Use generated bars even if real ones are installed.")]

#: Marks a home that this command made, and may therefore empty.
MARKER = ".made-by-rustybt-demo"
BUNDLE = "demo"


class Journey:
    """Runs command lines in this process and shows each with its output; with ``--json`` it collects them instead."""

    def __init__(self, terminal: Terminal, home: Path) -> None:
        self._terminal = terminal
        self._home = home
        self.steps: list[dict[str, Any]] = []
        self.status = 0

    def say(self, text: str) -> None:
        """Print a sentence between two steps."""
        if not self._terminal.json:
            self._terminal.line()
            self._terminal.line(text)

    def run(self, *words: str) -> dict[str, Any]:
        """Run one command line; return its JSON answer in JSON mode, an empty dict otherwise."""
        from rustybt.cli.main import invoke

        line = shlex.join(["rustybt", *words])
        inner = Terminal(
            json=self._terminal.json,
            quiet=self._terminal.quiet,
            verbosity=self._terminal.verbosity,
            show_progress=self._terminal.show_progress,
            debug=self._terminal.debug,
            home=str(self._home),
        )
        answer: dict[str, Any] = {}
        if self._terminal.json:
            captured = io.StringIO()
            with contextlib.redirect_stdout(captured):
                status = invoke([*words, "--json"], inner)
            answer = json.loads(captured.getvalue() or "{}")
            self.steps.append({"command": line, "exit_status": status, "answer": answer})
        else:
            self._terminal.line(f"$ {line}")
            sys.stdout.flush()
            status = invoke(list(words), inner)
        self.status = self.status or status
        return answer


@command(app)
def demo(
    terminal: Terminal,
    *,
    output: Output = Path("demo-output"),
    generated: Generated = False,
) -> int:
    r"""Show the whole journey on sample bars: no key, no network.

    CSV to a verified, versioned bundle, a backtest, a chart; then one bar is changed.
    Real daily bars come with the extra rustybt\[demo]; without it they are generated and say so.

    Example: rustybt demo --output demo-output
    """
    from rustybt.demo import generated_bars, sample_bars, write_files

    started = time.monotonic()
    home = _fresh_home(output)
    sample = generated_bars() if generated else sample_bars()
    files = write_files(sample, output)
    journey = Journey(terminal, home)
    journey.say(f"Bars: {sample.description}; {len(sample.rows):,} rows.")
    journey.say("1. Own CSV files in, with the splits as explicit events: checked, exact, versioned.")
    ingest = ("ingest", "csv", "--path", str(files.bars), "--bundle", BUNDLE, "--actions", str(files.actions))
    journey.run(*ingest)
    journey.say("2. The same again: nothing changed, so nothing is written.")
    journey.run(*ingest)
    journey.say("3. What is in the bundle, where it came from, how good it is.")
    journey.run("bundle", "list")
    journey.run("bundle", "info", BUNDLE)
    journey.say("4. A moving-average strategy over thirteen years, and buy and hold beside it.")
    result, hold = output / "moving-average", output / "buy-and-hold"
    journey.run("run", "-f", str(files.buy_and_hold), "-b", BUNDLE, "-o", str(hold))
    journey.run("run", "-f", str(files.strategy), "-b", BUNDLE, "-o", str(result))
    report = ("report", str(result), "--against", str(hold), "--output", str(output))
    journey.run(
        *report,
        "--title",
        _title(is_real=sample.is_real),
        *(() if sample.is_real else ("--notice", sample.description)),
    )
    symbol, day, close, corrected = files.corrected
    journey.say(f"5. A vendor corrects one bar: the close of {symbol} on {day}, {close} becomes {corrected}.")
    journey.run(
        "ingest", "csv", "--path", str(files.corrected_bars), "--bundle", BUNDLE, "--actions", str(files.actions)
    )
    journey.run("bundle", "diff", f"{BUNDLE}@1", f"{BUNDLE}@2")
    journey.say("   The result is pinned to version 1, and still proves itself on it:")
    journey.run("replay", str(result))
    journey.say("   On the corrected bars it would have been another one:")
    journey.run("run", "-f", str(files.strategy), "-b", f"{BUNDLE}@2")
    _finish(terminal, journey, output, home, time.monotonic() - started)
    return journey.status


def _title(*, is_real: bool) -> str:
    return "Moving average 50/200 on five US stocks" if is_real else "Moving average 50/200 on GENERATED bars"


def _fresh_home(output: Path) -> Path:
    """Return an empty home inside `output`; only one that an earlier demo made is emptied."""
    home = (output / "home").resolve()
    if home.exists() and any(home.iterdir()):
        if not (home / MARKER).exists():
            raise RequestError(
                f"{home} exists and was not made by the demo: it is left alone",
                hint="rustybt demo --output ANOTHER_DIR",
            )
        shutil.rmtree(home)
    home.mkdir(parents=True, exist_ok=True)
    (home / MARKER).write_text("made by `rustybt demo`, which may empty this folder\n", encoding="utf-8")
    return home


def _finish(terminal: Terminal, journey: Journey, output: Path, home: Path, seconds: float) -> None:
    written = [path for name in ("report.html", "equity.png") if (path := output / name).exists()]
    if terminal.json:
        terminal.data({"home": str(home), "files": written, "seconds": seconds, "steps": journey.steps})
        return
    journey.say(f"Done in {seconds:.1f} s. To look further:")
    for path in written:
        terminal.line(f"  open {path}")
    if not (output / "equity.png").exists():
        terminal.line('  no chart as PNG: matplotlib is not installed (pip install "rustybt[demo]")')
    terminal.line(f"  rustybt --home {shlex.quote(str(home))} bundle list")

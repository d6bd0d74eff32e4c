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
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustybt.cli.command import command, new_command
from rustybt.cli.options import flag
from rustybt.cli.terminal import Terminal
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from rustybt.demo import SampleBars

app = new_command()

Output = Annotated[Path, typer.Option("--output", metavar="DIR", help="Where everything is written.")]
Generated = Annotated[bool, flag("--generated", text="Use generated bars even if real ones are installed.")]

#: Marks a home that this command made, and may therefore empty.
MARKER = ".made-by-rustybt-demo"
BUNDLE = "demo"


class StepFailedError(Exception):
    """A command of the journey failed and has said why; `status` is its exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"a step ended with status {status}")
        self.status = status


class Journey:
    """Runs command lines in this process and shows each with its output; with ``--json`` it collects them instead."""

    def __init__(self, terminal: Terminal, home: Path) -> None:
        self._terminal = terminal
        self._home = home
        self.steps: list[dict[str, Any]] = []

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
        if status:
            raise StepFailedError(status)
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
    started = time.monotonic()
    home = _fresh_home(output)
    journey = Journey(terminal, home)
    try:
        _travel(journey, output, generated=generated)
    except StepFailedError as failure:
        if terminal.json:
            terminal.data({"home": str(home), "steps": journey.steps})
        return failure.status
    _finish(terminal, journey, output, home, time.monotonic() - started)
    return 0


def _travel(journey: Journey, output: Path, *, generated: bool) -> None:
    from rustybt.demo import generated_bars, sample_bars, write_files

    sample = generated_bars() if generated else sample_bars()
    files = write_files(sample, output)
    result, hold = output / "moving-average", output / "buy-and-hold"
    ingest = ("ingest", "csv", "--bundle", BUNDLE, "--actions", str(files.actions))
    notice = (
        "Splits are booked; the sample has no dividends, so these are price returns."
        if sample.is_real
        else sample.description
    )

    journey.say(f"Bars: {sample.description}; {len(sample.rows):,} rows.")
    journey.say(
        f"The commands below run in a home of their own: by hand, {program()} --home {output / 'home'} COMMAND."
    )
    journey.say("1. Own CSV files in, with the splits as explicit events: checked, exact, versioned.")
    journey.run(*ingest, "--path", str(files.bars))
    journey.say("2. The same again: nothing changed, so nothing is written.")
    journey.run(*ingest, "--path", str(files.bars))
    journey.say("3. What is in the bundle, where it came from, how good it is.")
    journey.run("bundle", "list")
    journey.run("bundle", "info", BUNDLE)
    journey.say("4. A moving-average strategy over thirteen years, and buy and hold beside it.")
    journey.run("run", "-f", str(files.buy_and_hold), "-b", BUNDLE, "-o", str(hold))
    journey.run("run", "-f", str(files.strategy), "-b", BUNDLE, "-o", str(result))
    title = "Moving average 50/200 on " + ("five US stocks" if sample.is_real else "GENERATED bars")
    against = ("--against", str(hold), "--output", str(output))
    journey.run("report", str(result), *against, "--title", title, "--notice", notice)
    _correct_a_bar(journey, sample, output, ingest, files.strategy, result)


def _correct_a_bar(
    journey: Journey, sample: SampleBars, output: Path, ingest: tuple[str, ...], strategy: Path, result: Path
) -> None:
    from rustybt.demo import write_correction
    from rustybt.trading.results.result import Result

    before = Result.load(result)
    fills = before.transactions
    largest = fills.iloc[int(fills["value"].abs().to_numpy().argmax())]
    bar = write_correction(sample, output, str(largest["symbol"]), str(largest["session"]))
    journey.say(
        f"5. Say the vendor corrects one bar, one that the strategy traded at: the close of {bar.symbol} on {bar.day} "
        f"was {bar.before} and becomes {bar.after}."
    )
    journey.run(*ingest, "--path", str(bar.path))
    journey.run("bundle", "diff", f"{BUNDLE}@1", f"{BUNDLE}@2")
    journey.say("   The result is pinned to version 1, and still proves itself on it:")
    journey.run("replay", str(result))
    again = output / "moving-average-corrected"
    journey.say("   On the corrected bars it would have been another one:")
    journey.run("run", "-f", str(strategy), "-b", f"{BUNDLE}@2", "-o", str(again))
    values = [float(found.perf["portfolio_value"].iloc[-1]) for found in (before, Result.load(again))]
    journey.say(f"   Ending value {values[0]:,.2f} on {BUNDLE}@1, {values[1]:,.2f} on {BUNDLE}@2.")


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
    terminal.line(f"  {program()} --home {shlex.quote(str(home))} bundle list")


def program() -> str:
    """Return how a shell here starts this program: by its name, or by its path where the name is not on PATH."""
    if shutil.which("rustybt") is not None:
        return "rustybt"
    started = Path(sys.argv[0])
    return (
        shlex.quote(str(started)) if started.name == "rustybt" else f"{shlex.quote(sys.executable)} -m rustybt.cli.main"
    )

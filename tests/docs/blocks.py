"""Fenced blocks of the documentation, and how each kind is run.

=====================  ==========================================================================================
``csv file=NAME``      (any language) written as a file
``console``            each line ``$ command`` is run; the lines after it must be its output, ``...`` standing for
                       anything; ``# exits 4`` at its end names an exit status other than 0
``python``             run; all blocks of a page share their names
``text``, ``mermaid``  shown only
``sh``                 not run: only installing, and only the few commands listed in `SHOWN_COMMANDS`
=====================  ==========================================================================================
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```[ ]*$", re.MULTILINE | re.DOTALL)
SHOWN_COMMANDS = ("pip install ", "make ", "git clone ", "cd ", "rustybt --install-completion", "python -m venv ")
EXITS = re.compile(r"\s+#\s*exits (\d+)\s*$")


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    file: str | None
    body: str

    def __str__(self):
        return f"{self.page}:{self.line}"


def blocks_of(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        language, *options = match["info"].split() or [""]
        files = [option.removeprefix("file=") for option in options if option.startswith("file=")]
        body = re.sub(rf"^{match['indent']}", "", match["body"], flags=re.MULTILINE)
        found.append(
            Block(path.name, text[: match.start()].count("\n") + 1, language, files[0] if files else None, body)
        )
    return found


@dataclass(frozen=True)
class Command:
    line: str
    status: int
    output: str


def commands_of(block: Block) -> list[Command]:
    commands: list[Command] = []
    for line in block.body.splitlines():
        if line.startswith("$ "):
            status = EXITS.search(line)
            commands.append(Command(EXITS.sub("", line[2:]), int(status[1]) if status else 0, ""))
        elif commands:
            last = commands[-1]
            if last.line.endswith("\\"):
                commands[-1] = Command(f"{last.line[:-1].rstrip()} {line.strip()}", last.status, "")
            else:
                commands[-1] = Command(last.line, last.status, f"{last.output}{line}\n")
        else:
            raise AssertionError(f"{block}: output before the first command: {line!r}")
    return commands


def run_block(block: Block, names: dict) -> None:
    if block.file is not None:
        target = Path(block.file)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.body, encoding="utf-8")
    elif block.language == "console":
        for command in commands_of(block):
            run_command(block, command)
    elif block.language == "python":
        exec(compile("\n" * block.line + block.body, block.page, "exec"), names)
    elif block.language == "sh":
        for line in block.body.splitlines():
            assert line.startswith(SHOWN_COMMANDS), f"{block}: {line!r} is shown but never run"
    else:
        assert block.language in ("text", "mermaid"), f"{block}: a block of {block.language!r} cannot be tested"


def run_command(block: Block, command: Command) -> None:
    status, out, err = run_line(command.line)
    shown = f"{block}: $ {command.line}\nstdout:\n{out}\nstderr:\n{err}"
    assert status == command.status, f"exit status {status}, not {command.status}\n{shown}"
    if command.output.strip():
        wanted = [" ".join(line.split()) for line in command.output.strip().splitlines()]
        got = [" ".join(line.split()) for line in (out + err).strip().splitlines()]
        assert matches(wanted, got), f"another output than documented:\n{command.output}\n{shown}"


def run_line(line: str) -> tuple[int, str, str]:
    words = shlex.split(line, comments=True)
    if words[0] == "rustybt" and "$(" not in line and not {"|", ">", "<", "&&"} & set(words):
        from rustybt.cli.main import invoke

        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = invoke(words[1:])
            except SystemExit as left:
                status = int(left.code or 0)
        return status, out.getvalue(), err.getvalue()
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def matches(wanted: list[str], got: list[str]) -> bool:
    """Return whether the lines are `wanted`; ``...`` alone stands for any lines, inside a line for any text."""
    if not wanted:
        return not got
    if wanted[0] == "...":
        return any(matches(wanted[1:], got[at:]) for at in range(len(got) + 1))
    if not got:
        return False
    pattern = ".*".join(re.escape(part) for part in wanted[0].split("..."))
    return re.fullmatch(pattern, got[0]) is not None and matches(wanted[1:], got[1:])

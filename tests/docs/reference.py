"""Writes docs/commands.md from the commands themselves: ``python tests/docs/reference.py``."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import typer

from rustybt.cli.command import FLAG_NAMES
from rustybt.cli.main import COMMANDS, load

TARGET = Path(__file__).resolve().parents[2] / "docs" / "commands.md"

HEAD = """# Every command

Data goes to stdout, notes, progress and errors to stderr. Dates are ISO, both ends included. `B` is `name`, `name@version`, `name@TAG`,
`name@latest` or `name@sha256:PREFIX`. Running a command again is harmless; Ctrl-C keeps what is finished. The exit statuses are explained
with [the errors](errors.md).

This page is written by `python tests/docs/reference.py` from the commands themselves.
"""


def reference() -> str:
    """Return the page."""
    sections = [HEAD, _shared()]
    for name, entry in COMMANDS.items():
        real = load(name)
        children = children_of(real)
        sections.append(f"## {name}\n\n{entry.help}\n")
        if children:
            sections += [_section(f"{name} {child}", command) for child, command in children.items()]
        else:
            sections.append(_section(name, real))
    return "\n".join(sections)


def children_of(real) -> dict:
    """Return the commands of a group by name, those made when they are asked for included; of a command, nothing."""
    if not hasattr(real, "commands"):
        return {}
    context = typer.Context(real)
    return {name: real.get_command(context, name) for name in real.list_commands(context)}


def _shared() -> str:
    a_command = next(iter(load("bundle").commands.values()))
    rows = [_row(parameter) for parameter in a_command.params if parameter.name in FLAG_NAMES]
    return "\n".join(["## Shared flags", "", "Every command takes these.", "", *_table("flag", rows)]) + "\n"


def _section(words: str, command) -> str:
    text = inspect.cleandoc(command.help)
    text, _, example = text.partition("Example: ")
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name not in FLAG_NAMES]
    usage = " ".join(
        [f"rustybt {words}", *(p.metavar or p.name.upper() for p in arguments), "[options]" if options else ""]
    )
    lines = [f"### `rustybt {words}`", "", " ".join(text.split()).replace("\\[", "["), "", f"    {usage.strip()}", ""]
    if arguments:
        lines += [*_table("argument", [_row(p) for p in arguments]), ""]
    if options:
        lines += [*_table("option", [_row(p) for p in options]), ""]
    return "\n".join([*lines, f"Example: `{example.strip()}`", ""])


def _table(head: str, rows: list[tuple[str, str]]) -> list[str]:
    return [f"| {head} | meaning |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows)]


def _row(parameter) -> tuple[str, str]:
    text = re.sub(r"\s+", " ", parameter.help or "").replace("|", "\\|")
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name}`", text
    names = ", ".join(f"`{name}`" for name in parameter.opts)
    value = f" *{parameter.metavar}*".replace("|", "\\|") if parameter.metavar else ""
    default = parameter.default
    shown = isinstance(default, (str, int, float)) and not isinstance(default, bool) and default not in ("", 0)
    extra = " Required." if parameter.required else f" Default: `{default}`." if shown else ""
    return f"{names}{value}", text + extra


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")

"""``rustybt sources``: where bars can come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rustybt.cli.command import command, new_group

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal

app = new_group("Where bars can come from.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a source.", show_default=False)]


@command(app, "list")
def list_(terminal: Terminal) -> None:
    """List the sources: which are ready, and what the others need.

    Example: rustybt sources list
    """
    from rustybt.data.sources import list_sources

    found = list_sources()
    if terminal.json:
        terminal.data({"sources": found})
        return
    terminal.table(
        ["name", "available", "needs", "what"],
        [(s.name, s.available, "" if s.available else s.pip_command or s.reason, _plain(s.doc)) for s in found],
    )


@command(app)
def info(terminal: Terminal, *, name: Name) -> None:
    """Show one source: what it delivers and which options it takes.

    Example: rustybt sources info csv
    """
    from rustybt.data.sources import source_info

    found = source_info(name)
    if terminal.json:
        terminal.data(found)
        return
    terminal.facts(
        [
            ("name", found.name),
            ("what", _plain(found.doc)),
            ("available", found.available),
            *([] if found.available else [("needs", found.pip_command or found.reason)]),
        ]
    )
    # Named as in Python: on the command line the built-in sources have some of them, under names that fit there.
    terminal.table(["option in Python", "what"], [(option, _plain(text)) for option, text in found.options.items()])
    terminal.note(
        f"in Python: rb.get_source({found.name!r}, ...); on the command line: rustybt ingest {found.name} --help"
    )


def _plain(text: str) -> str:
    """Return a docstring's text without its markup."""
    return text.replace("`", "")

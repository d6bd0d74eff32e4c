"""``rustybt update``: a bundle up to date from the source recorded in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from rustybt.cli.command import command, new_command
from rustybt.cli.options import BundleName, flag, open_store
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal

app = new_command()

Strict = Annotated[
    bool, flag("--strict", text="Read everything, and if any row is bad report it and store nothing (exit status 4).")
]


@command(app)
def update(terminal: Terminal, *, name: BundleName, strict: Strict = False) -> int:
    """Bring a bundle up to date from the source recorded in it.

    A CSV bundle reads its files again, from where they were: new rows and new files are taken in, equal content makes no
    version.

    Example: rustybt update us
    """
    from rustybt.cli.reports import show_ingest
    from rustybt.data.sources.update import update_bundle

    bare, at, _ = name.partition("@")
    if at:
        raise RequestError(
            f"a version never changes, so {name} cannot be updated", hint=f"rustybt update {bare} makes a new version"
        )
    with open_store(terminal) as store:
        with terminal.progress() as progress:
            reports = update_bundle(name, store=store, strict=strict, progress=progress)
        if terminal.json:
            terminal.data({"updates": reports})
            return max(report.exit_code for report in reports)
        return max(show_ingest(terminal, report, store) for report in reports)

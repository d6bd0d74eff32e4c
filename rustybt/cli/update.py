"""``rustybt update``: a bundle up to date from the source recorded in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustybt.cli.command import command, new_command
from rustybt.cli.options import BundleName, open_store

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal

app = new_command()


@command(app)
def update(terminal: Terminal, *, name: BundleName) -> int:
    """Bring a bundle up to date from the source recorded in it.

    A CSV bundle reads its files again, wherever they were.

    Example: rustybt update us
    """
    from rustybt.cli.reports import show_ingest
    from rustybt.data.sources.update import update_bundle

    with open_store(terminal) as store, terminal.progress() as progress:
        report = update_bundle(name, store=store, progress=progress)
    return show_ingest(terminal, report)

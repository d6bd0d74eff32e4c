"""``rustybt bundle validate | verify | diff``: is it good, is it whole, what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rustybt.cli.bundle import app
from rustybt.cli.command import command
from rustybt.cli.options import Reference, complete_bundles, open_store
from rustybt.errors import CorruptBundleError, DataQualityError

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal

First = Annotated[
    str, typer.Argument(metavar="B@1", help="Before.", autocompletion=complete_bundles, show_default=False)
]
Second = Annotated[
    str, typer.Argument(metavar="B@2", help="After.", autocompletion=complete_bundles, show_default=False)
]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=0, help="Rows shown of each kind; 0 shows all.")]


@command(app)
def validate(terminal: Terminal, *, reference: Reference) -> int:
    """Show the quality report of a version: what was quarantined, missing or odd.

    The report is that of the ingest which made the version: it covers what that ingest delivered. Exit status 4 when the report has issues.

    Example: rustybt bundle validate us
    """
    from rustybt.cli.reports import show_quality

    with open_store(terminal) as store, store.open(reference) as bundle:
        name, report, rows = bundle.info.reference, bundle.quality(), bundle.info.row_count
    show_quality(terminal, name, report, rows)
    return 0 if report is not None and report.validation_passed else DataQualityError.exit_code


@command(app)
def verify(terminal: Terminal, *, reference: Reference) -> int:
    """Read every file of a version and compare it with the checksum it was written with, and the content hash.

    Exit status 6 when a file is damaged or missing.

    Example: rustybt bundle verify us
    """
    from rustybt.cli.reports import show_verify

    with open_store(terminal) as store:
        report = store.verify(reference)
    show_verify(terminal, report)
    return 0 if report.is_whole else CorruptBundleError.exit_code


@command(app)
def diff(terminal: Terminal, *, first: First, second: Second, limit: Limit = 20) -> None:
    """Show which bars were added, removed or changed between two versions, with both values.

    Example: rustybt bundle diff us@1 us@2
    """
    from rustybt.cli.reports import show_diff

    with open_store(terminal) as store:
        found = store.diff(first, second)
    show_diff(terminal, found, limit)

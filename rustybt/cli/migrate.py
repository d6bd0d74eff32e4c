"""``rustybt migrate``: the catalogs and bundles of the first design into this home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rustybt.cli.bundle_facts import counted
from rustybt.cli.command import command, new_command
from rustybt.cli.options import flag, open_store
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal
    from rustybt.data.bundles.store import BundleStore
    from rustybt.data.migration import MigrationReport, ValidationReport
    from rustybt.data.sources.base import Progress

app = new_command()

EXIT_PARTIAL, EXIT_DIFFERENT = 3, 6
#: Bundles, files or differences listed before the rest is only counted.
MOST_LISTED = 30

Root = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="DIR",
        help="Folder of the old program; ZIPLINE_ROOT or ~/.zipline if absent.",
        show_default=False,
    ),
]
DryRun = Annotated[bool, flag("--dry-run", text="Say what would be done; make no file.")]
NoBackup = Annotated[bool, flag("--no-backup", text="Make no backup: it cannot be rolled back.")]
Validate = Annotated[bool, flag("--validate", text="Compare old with new, row by row and bar by bar.")]
RollBack = Annotated[
    str | None,
    typer.Option(
        "--rollback",
        metavar="TIMESTAMP",
        help="Restore the state before the migration of that backup.",
        show_default=False,
    ),
]
WithData = Annotated[
    bool, typer.Option("--with-data/--no-data", help="Bring the bars over too, or what the catalogs say alone.")
]


@command(app)
def migrate(
    terminal: Terminal,
    *,
    root: Root = None,
    dry_run: DryRun = False,
    no_backup: NoBackup = False,
    validate: Validate = False,
    rollback: RollBack = None,
    with_data: WithData = True,
) -> int:
    """Bring the catalogs and bundles of the first design into this home: all of it, or nothing.

    Reads DataCatalog (assets-8.db, data/catalog.db) and ParquetMetadataCatalog (data/BUNDLE/metadata.db) with the bundles'
    Parquet files, and leaves them as they are. Everything is copied first; running it again changes nothing.
    Exit status 3: some of it is damaged and stayed behind. 6: --validate found differences.

    Example: rustybt migrate --root ~/.zipline --dry-run
    """
    chosen = [
        name
        for name, given in (("--dry-run", dry_run), ("--validate", validate), ("--rollback", rollback is not None))
        if given
    ]
    if len(chosen) > 1 or (no_backup and chosen):
        raise RequestError(
            f"{' and '.join([*chosen, *(['--no-backup'] if no_backup else [])])} exclude each other",
            hint="give one of them",
        )
    with open_store(terminal) as store, terminal.progress() as progress:
        if rollback is not None:
            return _roll_back(terminal, store, rollback)
        if validate:
            return _validate(terminal, store, root, with_data=with_data, progress=progress)
        from rustybt.data.migration import Migration

        migration = Migration(store, root, with_data=with_data, backup=not no_backup, progress=progress)
        report = migration.dry_run() if dry_run else migration.run()
    if terminal.json:
        terminal.data(report)
    else:
        _show(terminal, report)
    return 0 if report.is_complete else EXIT_PARTIAL


def _show(terminal: Terminal, report: MigrationReport) -> None:
    states = {
        "new": "would come" if report.dry_run else "brought",
        "changed": "would change" if report.dry_run else "changed",
    }
    shown = sorted(report.bundles, key=lambda bundle: bundle.state == "unchanged")[:MOST_LISTED]
    terminal.table(
        ["bundle", "state", "source", "symbols>", "cached>", "files>", "rows>", "version>", "calendar"],
        [
            (
                b.name if b.name == b.old_name else f"{b.name} (was {b.old_name})",
                states.get(b.state, b.state.replace("_", " ")),
                b.source_type,
                b.symbols,
                b.cache_entries,
                b.files_used,
                b.rows or None,
                b.version,
                f"{b.calendar_name}: {b.calendar_reason}" if b.calendar_name else b.reason,
            )
            for b in shown
        ],
    )
    if len(report.bundles) > len(shown):
        terminal.note(f"{len(report.bundles) - len(shown):,} more bundles; --json lists them")
    _tell_problems(terminal, report)
    for name in report.zipline_bundles:
        terminal.note(f"{name} is a bundle in Zipline's own format: rustybt import zipline {name} --root {report.root}")
    for note in report.notes:
        terminal.note(note)
    rows = sum(report.row_counts.values())
    what = f"{counted(len(report.changed), 'bundle')}, {rows:,} rows of {counted(report.catalogs, 'old database')}"
    if not (report.bundles or report.catalogs or report.backup):
        terminal.note("nothing to bring over; --root DIR looks elsewhere")
    elif report.dry_run:
        terminal.note(f"would bring over {what}; nothing was written")
    elif not report.changed and not report.backup:
        terminal.note("nothing new: everything was brought over before")
    else:
        terminal.note(f"brought over {what} in {report.seconds:.1f} s")
        if report.backup:
            terminal.note(f"to undo it: rustybt migrate --rollback {report.backup}")
        terminal.note(f"to compare old and new: rustybt migrate --root {report.root} --validate")


def _tell_problems(terminal: Terminal, report: MigrationReport) -> None:
    told: list[str] = [f"{path}: {reason}" for path, reason in report.damaged.items()]
    for bundle in report.bundles:
        told += [f"{bundle.name}: {reason}" for reason in bundle.files_left_out.values()]
        if bundle.files_missing:
            gone = ", ".join(bundle.files_missing[:3]) + (" ..." if len(bundle.files_missing) > 3 else "")
            told.append(
                f"{bundle.name}: {counted(len(bundle.files_missing), 'file')} of the catalog already gone: {gone}"
            )
        told += [f"{bundle.name}: {symbol}: {reason}" for symbol, reason in bundle.failures.items()]
        if bundle.rows_quarantined:
            why = f"; rustybt bundle info {bundle.name} shows more" if bundle.version else ""
            told.append(f"{bundle.name}: {counted(bundle.rows_quarantined, 'row')} set aside{why}")
        told += [f"{bundle.name}: {note}" for note in bundle.notes]
    for line in told[:MOST_LISTED]:
        terminal.alert(line)
    if len(told) > MOST_LISTED:
        terminal.alert(f"{len(told) - MOST_LISTED:,} more; --json lists them")


def _validate(terminal: Terminal, store: BundleStore, root: Path | None, *, with_data: bool, progress: Progress) -> int:
    from rustybt.data.migration import Validation
    from rustybt.data.migration.places import find_root

    report = Validation(store, find_root(root), with_data=with_data, progress=progress).run()
    if terminal.json:
        terminal.data(report)
    else:
        _show_validation(terminal, report)
    if not report.is_equal:
        return EXIT_DIFFERENT
    return EXIT_PARTIAL if report.damaged else 0


def _show_validation(terminal: Terminal, report: ValidationReport) -> None:
    for path, reason in report.damaged.items():
        terminal.alert(f"{path}: {reason}")
    for difference in report.differences[:MOST_LISTED]:
        terminal.line(str(difference))
    if report.difference_count > MOST_LISTED:
        terminal.note(f"{report.difference_count - MOST_LISTED:,} more differences; --json lists the first 100")
    rows = sum(report.row_counts.values())
    compared = f"{rows:,} rows and {report.bars:,} bars of {counted(report.bundles, 'bundle')}"
    for note in report.notes:
        terminal.note(note)
    if report.is_equal:
        terminal.note(f"{compared} compared: old and new are equal")
    else:
        terminal.note(
            f"{compared} compared: {counted(report.difference_count, 'difference')}; what is new below the root comes over with "
            f"rustybt migrate --root {report.root}"
        )


def _roll_back(terminal: Terminal, store: BundleStore, timestamp: str) -> int:
    from rustybt.data.migration import roll_back

    report = roll_back(timestamp, store=store)
    if terminal.json:
        terminal.data(report)
        return 0
    if report.was_done:
        terminal.note(f"everything is as it was before {timestamp} already")
        return 0
    terminal.note(f"the state before {timestamp} is back: {counted(len(report.bundles), 'bundle')} gone again")
    for path in report.results:
        terminal.note(f"saved since, and perhaps without its bars now: {path}")
    for path in report.restored:
        terminal.note(f"restored {path}")
    for path in report.kept_aside:
        terminal.note(f"what was there is now {path}")
    return 0

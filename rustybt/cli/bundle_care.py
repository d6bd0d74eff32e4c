"""``rustybt bundle export | import | rm | gc | recover | tag | untag``: what moves, names or removes bundles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rustybt.cli.bundle import app
from rustybt.cli.bundle_facts import counted
from rustybt.cli.command import command
from rustybt.cli.options import BundleName, Reference, flag, open_store

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal
    from rustybt.data.bundles.zipline_export import ZiplineExport

To = Annotated[
    str, typer.Option("--to", metavar="FORMAT", help="csv, parquet, arrow, duckdb or zipline.", show_default=False)
]
Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="DIR", help="New directory to write; for zipline a ZIPLINE_ROOT.", show_default=False
    ),
]
ImportPath = Annotated[Path, typer.Argument(metavar="DIR", help="What `bundle export` wrote.", show_default=False)]
ImportAs = Annotated[
    str | None, typer.Option("--as", metavar="B", help="Name of the bundle; the exported one if absent.")
]
KeepLast = Annotated[
    int | None,
    typer.Option(
        "--keep-last", metavar="N", min=1, help="Also collect versions older than the last N; tagged ones stay."
    ),
]
DryRun = Annotated[bool, flag("--dry-run", text="Say what would go, and remove nothing.")]
GcName = Annotated[str | None, typer.Argument(metavar="[B]", help="Only this bundle.", show_default=False)]
Tag = Annotated[str, typer.Argument(metavar="NAME", help="Name of the tag.", show_default=False)]


@command(app)
def export(terminal: Terminal, *, reference: Reference, to: To, output: Output) -> None:
    """Write the bars of a version to files that other tools read; numbers stay exact, or what was rounded is told.

    With --to zipline the output is a ZIPLINE_ROOT, new or in use, in which zipline-reloaded finds the bundle; notes tell what
    its format cannot hold.

    Example: rustybt bundle export us@3 --to parquet --output us-files
    """
    from rustybt.data.bundles.export import export_bundle

    with open_store(terminal) as store, store.open(reference) as bundle:
        if to == "zipline":
            from rustybt.data.bundles.zipline_export import export_zipline

            _show_zipline(terminal, reference, export_zipline(bundle, output))
            return
        written = export_bundle(bundle, to, output)
    if terminal.json:
        terminal.data({"bundle": reference, "format": to, "written": written})
    else:
        for path in written:
            terminal.line(path)


def _show_zipline(terminal: Terminal, reference: str, done: ZiplineExport) -> None:
    if terminal.json:
        terminal.data({"bundle": reference, "format": "zipline", **done.to_json()})
        return
    for path in done.written:
        terminal.line(path)
    for note in done.notes:
        terminal.note(note)
    terminal.note(f"next: {done.next_step}")
    if done.has_minutes:
        terminal.note("      with --data-frequency minute in those sessions that have minutes")


@command(app, "import")
def import_(terminal: Terminal, *, path: ImportPath, name: ImportAs = None) -> None:
    """Bring an exported bundle into this home as a new version.

    Example: rustybt bundle import us-files --as us
    """
    from rustybt.data.bundles.export import import_path

    with open_store(terminal) as store:
        result = import_path(store, path, name=name)
    if terminal.json:
        terminal.data(result)
    else:
        terminal.note(f"{result.reference}: {'unchanged' if result.unchanged else f'{result.row_count:,} rows'}")


@command(app)
def rm(terminal: Terminal, *, name: BundleName) -> None:
    """Remove a bundle with all its versions; names the saved results that lose their data.

    Example: rustybt bundle rm us
    """
    from rustybt.cli.reports import tell_orphans

    with open_store(terminal) as store:
        versions = sum(not version.collected for version in store.versions(name))
        results = {folder: f"{name}@{version}" for folder, version in store.saved_results(name)}
        store.remove(name)
    if terminal.json:
        terminal.data({"removed": name, "versions": versions, "orphaned_results": results})
        return
    terminal.note(f"removed {name} with {counted(versions, 'version')}; `rustybt bundle gc` frees the space")
    tell_orphans(terminal, results.items())


@command(app)
def gc(terminal: Terminal, *, name: GcName = None, keep_last: KeepLast = None, dry_run: DryRun = False) -> None:
    """Delete files that no version needs, and with --keep-last older versions too; lists results it orphans.

    Example: rustybt bundle gc us --keep-last 5 --dry-run
    """
    from rustybt.cli.reports import show_gc

    with open_store(terminal) as store:
        report = store.gc(name, keep_last=keep_last, dry_run=dry_run)
    show_gc(terminal, report)


@command(app)
def recover(terminal: Terminal) -> int:
    """Rebuild a lost or damaged metadata database from the manifests beside the data.

    Example: rustybt bundle recover
    """
    from rustybt.cli.reports import show_recover

    with open_store(terminal) as store:
        report = store.recover()
    return show_recover(terminal, report)


@command(app)
def tag(terminal: Terminal, *, reference: Reference, tag: Tag) -> None:
    """Give a version a name; gc keeps tagged versions. A name that exists moves, and says from where.

    Example: rustybt bundle tag us@3 paper-2024
    """
    with open_store(terminal) as store:
        name = reference.partition("@")[0]
        before = store.tags(name).get(tag)
        version = store.tag(reference, tag).version
        tags = store.tags(name)
    _show_tags(terminal, tags)
    if before not in (None, version) and not terminal.json:
        terminal.note(f"{tag} was version {before}, which this name no longer keeps from gc")


@command(app)
def untag(terminal: Terminal, *, name: BundleName, tag: Tag) -> None:
    """Take a name away; the version itself stays.

    Example: rustybt bundle untag us paper-2024
    """
    with open_store(terminal) as store:
        before = store.tags(name).get(tag)
        store.untag(name, tag)
        tags = store.tags(name)
    if not terminal.json:
        terminal.note(f"{tag} no longer names version {before}")
    _show_tags(terminal, tags)


def _show_tags(terminal: Terminal, tags: dict[str, int]) -> None:
    if terminal.json:
        terminal.data({"tags": tags})
        return
    for name, version in tags.items():
        terminal.note(f"{name} -> version {version}")

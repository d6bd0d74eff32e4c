"""``rustybt doctor``: whether this installation is fit, and its home directory."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rustybt.cli.command import command, new_command
from rustybt.cli.options import open_store
from rustybt.errors import RustybtError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rustybt.cli.terminal import Terminal

app = new_command()

PACKAGES = (
    *("polars", "pyarrow", "numpy", "pandas", "sqlalchemy", "exchange_calendars", "structlog", "typer", "rich"),
    *("platformdirs", "filelock", "empyrical-reloaded"),
)
EXTRAS = {
    "matplotlib": "charts as PNG: the extra [plot]",
    "bokeh_sampledata": "real bars for the demo: the extra [demo]",
}
LOW_SPACE_BYTES = 1_000_000_000


class Finding(NamedTuple):
    """One line of the check-up: `state` is ok, note (works, but you may want to know) or problem."""

    state: str
    what: str
    detail: str
    hint: str = ""


@command(app)
def doctor(terminal: Terminal) -> int:
    """Check this installation and its home directory.

    Python, packages, settings, the home, its database, the sources. Exit status 0 when nothing is broken, 1 otherwise.

    Example: rustybt doctor
    """
    findings = list(examine(terminal))
    broken = [finding for finding in findings if finding.state == "problem"]
    if terminal.json:
        terminal.data({"healthy": not broken, "findings": [finding._asdict() for finding in findings]})
    else:
        columns = ["state", "what", "detail", "help"] if any(f.hint for f in findings) else ["state", "what", "detail"]
        terminal.table(columns, [finding[: len(columns)] for finding in findings])
    return 1 if broken else 0


def examine(terminal: Terminal) -> Iterator[Finding]:
    """Yield what was found, part by part; a part that fails is a finding and does not end the check-up."""
    parts: list[Callable[[Terminal], Iterator[Finding]]] = [_python, _packages, _extras, _home, _database, _sources]
    for part in parts:
        try:
            yield from part(terminal)
        except RustybtError as error:
            yield Finding("problem", part.__name__.strip("_"), error.message, error.hint or "")
        except Exception as error:  # noqa: BLE001 - whatever is broken here is the very answer
            yield Finding("problem", part.__name__.strip("_"), f"{type(error).__name__}: {error}")


def _python(_: Terminal) -> Iterator[Finding]:
    from rustybt.__about__ import __version__

    yield Finding("ok", "rustybt", f"{__version__} in {Path(__file__).parents[1]}")
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Finding("ok", "sqlite", sqlite3.sqlite_version)


def _packages(_: Terminal) -> Iterator[Finding]:
    absent = []
    for package in PACKAGES:
        try:
            yield Finding("ok", package, importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            absent.append(package)
    if absent:
        yield Finding("problem", "packages missing", ", ".join(absent), "pip install --force-reinstall rustybt")


def _extras(_: Terminal) -> Iterator[Finding]:
    for module, purpose in EXTRAS.items():
        try:
            yield Finding("ok", module, importlib.metadata.version(module))
        except importlib.metadata.PackageNotFoundError:
            yield Finding("note", module, f"not installed; {purpose}", 'pip install "rustybt[demo]"')


def _home(terminal: Terminal) -> Iterator[Finding]:
    from rustybt.cli.bundle_facts import size
    from rustybt.config import load_settings

    settings = load_settings(terminal.settings_overrides)
    home = settings.home
    yield Finding("ok", "home", f"{home} ({settings.origin('home')})")
    existing = next((folder for folder in (home, *home.parents) if folder.exists()), Path.cwd())
    if os.access(existing, os.W_OK):
        with tempfile.NamedTemporaryFile(dir=existing, prefix=".rustybt-doctor-"):
            yield Finding("ok", "home is writable", str(existing))
    else:
        yield Finding(
            "note", "home is read-only", f"{existing}: bundles can be read, not written", "rustybt --home DIR"
        )
    free = shutil.disk_usage(existing).free
    state = "ok" if free >= LOW_SPACE_BYTES else "note"
    yield Finding(state, "free space", size(free), "" if state == "ok" else "rustybt bundle gc --dry-run")


def _database(terminal: Terminal) -> Iterator[Finding]:
    from rustybt.cli.bundle_facts import size
    from rustybt.cli.cache import NEARLY_FULL
    from rustybt.data.bundles.cache_store import CacheStore

    with open_store(terminal) as store:
        found = store.list_bundles()
        cache = CacheStore(store)
        held, limit = cache.size_bytes(), cache.max_size_bytes
    names = ", ".join(bundle.name for bundle in found[:10])
    yield Finding("ok", "bundles", f"{len(found)}: {names}" if found else "none yet")
    is_full = held > 0 and held >= NEARLY_FULL * limit
    detail = f"{size(held)} of {size(limit)} in {cache.place.root}"
    yield Finding("note" if is_full else "ok", "cache", detail, "rustybt cache stats" if is_full else "")


def _sources(_: Terminal) -> Iterator[Finding]:
    from rustybt.data.sources import list_sources

    for source in list_sources():
        if source.available:
            yield Finding("ok", f"source {source.name}", source.doc.replace("`", ""))
        else:
            yield Finding("note", f"source {source.name}", source.reason, source.pip_command or "")

"""The lines by which Zipline knows of an exported bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustybt.data.bundles.zipline_layout import EXTENSION_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from rustybt.data.bundles.zipline_export.grid import SessionGrid

_FUNCTION = '''\
import os

from zipline.data.bundles import register


def written_by_rustybt(*arguments):
    """Refuse to ingest: an empty ingestion would hide the exported one."""
    os.rmdir(arguments[-1])
    raise SystemExit("this bundle was exported: rustybt bundle export B --to zipline --output ROOT writes it anew")


'''


_DEFINED = "def written_by_rustybt(*arguments):"


def register_line(name: str, grid: SessionGrid) -> str:
    """Return the call that registers the bundle `name`."""
    return (
        f"register({name!r}, written_by_rustybt, calendar_name={grid.calendar.name!r}, "
        f"minutes_per_day={grid.minutes_per_day}, create_writers=False)"
    )


def add_to_extension(root: Path, line: str) -> tuple[Path | None, list[str]]:
    """Write ``extension.py`` where there is none, and return it; else a note with the lines to add, if they are missing."""
    path = root / EXTENSION_FILE
    if not path.exists():
        path.write_text(f"{_FUNCTION}{line}\n", encoding="utf-8")
        return path, []
    held = path.read_text(encoding="utf-8", errors="replace").splitlines()
    if line in held:
        return None, []
    missing = line if _DEFINED in held else f"{_FUNCTION}{line}"
    return None, [f"{path} was left as it is; add to it, so that Zipline knows of the bundle:\n\n{missing}\n"]

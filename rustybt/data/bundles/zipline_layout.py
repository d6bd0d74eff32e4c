"""How Zipline lays out its bundles, for those that read them and those that write them.

``ROOT/data/NAME/TIMESTAMP`` is one ingestion: two tables of bars, a database of adjustments and one of assets.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DAILY_FOLDER = "daily_equities.bcolz"
MINUTE_FOLDER = "minute_equities.bcolz"
#: Describes the tables in the folder of minutes.
MINUTE_METADATA_FILE = "metadata.json"
ADJUSTMENTS_FILE = "adjustments.sqlite"
#: Below the root, where the user's bundles are registered.
EXTENSION_FILE = "extension.py"
#: Hint for an ingestion that cannot be read.
HALF_WRITTEN = "the ingestion may be half-written: zipline ingest again, or --timestamp for an older one"


def zipline_root(root: str | os.PathLike[str] | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return `root`, else the one that ``ZIPLINE_ROOT`` names, else ``~/.zipline``; absolute."""
    chosen = root if root is not None else environ.get("ZIPLINE_ROOT") or Path("~") / ".zipline"
    return Path(chosen).expanduser().absolute()


def bundles_folder(root: Path) -> Path:
    """Return the folder of all bundles below a root."""
    return root / "data"


def ingestion_name(moment: datetime) -> str:
    """Return the name of the folder of what was ingested at `moment`: its UTC time, semicolons for colons."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat().replace(":", ";")


def ingestion_moment(name: str) -> datetime | None:
    """Return when a folder of this name was ingested, UTC where it names no zone; None for a name that is no moment."""
    try:
        moment = datetime.fromisoformat(name.replace(";", ":"))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def minute_table(sid: int) -> str:
    """Return the path of an asset's table in the folder of minutes, with forward slashes: ``00/00/000024.bcolz``."""
    digits = f"{sid:06d}"
    return f"{digits[:2]}/{digits[2:4]}/{digits}.bcolz"

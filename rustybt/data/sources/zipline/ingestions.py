"""Where Zipline keeps its bundles: ``ROOT/data/NAME/TIMESTAMP``, one folder for each ingestion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rustybt.data.bundles.zipline_layout import bundles_folder, ingestion_moment
from rustybt.errors import RequestError, SourceUnavailableError
from rustybt.market.wording import listed

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

_MOST_LISTED = 10


@dataclass(frozen=True, slots=True, order=True)
class Ingestion:
    """One ingestion of one Zipline bundle.

    Parameters
    ----------
    moment
        When it was made, UTC, cut to microseconds.
    timestamp
        The name of its folder, as Zipline spells the moment there: ``2018-01-02T03;04;05.678901``.
    """

    moment: datetime
    timestamp: str
    bundle: str
    folder: Path


def list_bundles(root: Path) -> dict[str, list[Ingestion]]:
    """Return every bundle below a root with its ingestions, oldest first; empty where there is nothing.

    Raises
    ------
    SourceUnavailableError
        The folder cannot be looked into.
    """
    # Other programs keep their bundles there too, under names that Zipline could not give.
    names = [path.name for path in _folders(bundles_folder(root)) if _is_name(path.name)]
    found = {name: ingestions_of(root, name) for name in sorted(names)}
    return {name: ingestions for name, ingestions in found.items() if ingestions}


def ingestions_of(root: Path, bundle: str) -> list[Ingestion]:
    """Return the ingestions of a bundle, oldest first; folders whose name is no moment are passed over.

    Raises
    ------
    RequestError
        `bundle` is no name of a folder.
    SourceUnavailableError
        The folder cannot be looked into.
    """
    folder = bundles_folder(root) / _check_name(bundle)
    parsed = [(ingestion_moment(path.name), path) for path in _folders(folder)]
    return sorted(Ingestion(moment, path.name, bundle, path) for moment, path in parsed if moment is not None)


def find_ingestion(root: Path, bundle: str, timestamp: str | None = None) -> Ingestion:
    """Return the newest ingestion of a bundle, or the newest one at or before `timestamp`.

    Parameters
    ----------
    timestamp
        ISO text, UTC where it names no zone, a date alone being its midnight as in Zipline; or the name of the ingestion's
        folder.

    Raises
    ------
    RequestError
        There is no such bundle or ingestion (the hint lists what is there), or `timestamp` is no time.
    SourceUnavailableError
        The folder cannot be looked into.
    """
    found = ingestions_of(root, bundle)
    if not found:
        names = list(list_bundles(root))
        raise RequestError(
            f"{bundles_folder(root)} has no Zipline bundle {bundle!r} that was ingested",
            hint=f"there: {listed(names, _MOST_LISTED)}"
            if names
            else "--root DIR, or set ZIPLINE_ROOT, to where Zipline keeps its data",
            bundle=bundle,
        )
    if timestamp is None:
        return found[-1]
    exact = [ingestion for ingestion in found if ingestion.timestamp == timestamp]
    if exact:
        return exact[0]
    there = listed([ingestion.timestamp for ingestion in reversed(found)], _MOST_LISTED)
    latest = ingestion_moment(str(timestamp).strip())
    if latest is None:
        raise RequestError(f"{timestamp!r} is no time", hint=f"write 2020-01-31T14:30:00, or one of: {there}")
    earlier = [ingestion for ingestion in found if ingestion.moment <= latest]
    if not earlier:
        raise RequestError(
            f"the Zipline bundle {bundle} has no ingestion at or before {timestamp}",
            hint=f"there: {there}",
            bundle=bundle,
        )
    return earlier[-1]


def _is_name(bundle: str) -> bool:
    """Return whether a name stays inside the folder of bundles."""
    return bool(bundle) and not bundle.startswith(".") and not set(bundle) & set("/\\:\0")


def _check_name(bundle: str) -> str:
    if not isinstance(bundle, str) or not _is_name(bundle):
        raise RequestError(
            f"{bundle!r} is no name of a Zipline bundle", hint="rustybt import zipline lists the bundles that are there"
        )
    return bundle


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, without the hidden ones; none where it does not exist."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise SourceUnavailableError(
            f"cannot look into {folder}: {error.strerror or error}", path=str(folder)
        ) from error

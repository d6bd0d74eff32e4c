"""Zipline's door to csvdir bundles: ``register("x", csvdir_equities(["daily"], "/path"))``.

The names are deprecated; the bars go the way of `rustybt ingest csvdir`, digit for digit.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rustybt.deprecations import warn_deprecated
from rustybt.errors import RequestError

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping

    from rustybt.data.bundles.registration import IngestFunction

_FOLDERS = ("daily", "minute")


def csvdir_equities(
    tframes: Collection[str] | None = None, csvdir: str | os.PathLike[str] | None = None
) -> IngestFunction:
    """Return the ingest function of a directory in csvdir layout.

    Parameters
    ----------
    tframes
        ``daily``, ``minute`` or both; None takes the folders that are there.
    csvdir
        The directory; None takes the environment variable CSVDIR when the function is called.
    """
    warn_deprecated("rustybt.data.bundles.csvdir.csvdir_equities")
    return CSVDIRBundle(tframes, csvdir).ingest


class CSVDIRBundle:
    """The ingest function of a directory; see `csvdir_equities` for the parameters."""

    def __init__(self, tframes: Collection[str] | None = None, csvdir: str | os.PathLike[str] | None = None) -> None:
        self.tframes = tframes
        self.csvdir = csvdir

    def ingest(
        self,
        environ: Mapping[str, str],
        asset_db_writer: Any,
        minute_bar_writer: Any,
        daily_bar_writer: Any,
        adjustment_writer: Any,
        *others: Any,
    ) -> None:
        """Hand the directory to the writers, which are rustybt's.

        Raises
        ------
        RequestError
            There is no such directory, or no folder of a time frame in it.
        """
        del asset_db_writer, adjustment_writer, others  # a file names its symbol and holds its events
        _hand_over(environ, minute_bar_writer, daily_bar_writer, self.tframes, self.csvdir)


def csvdir_bundle(
    environ: Mapping[str, str],
    asset_db_writer: Any,
    minute_bar_writer: Any,
    daily_bar_writer: Any,
    adjustment_writer: Any,
    calendar: Any,
    start_session: Any,
    end_session: Any,
    cache: Any,
    show_progress: Any,
    output_dir: Any,
    tframes: Collection[str] | None = None,
    csvdir: str | os.PathLike[str] | None = None,
) -> None:
    """Write the bars of a directory in csvdir layout, called within an ingest function.

    Parameters
    ----------
    environ
        CSVDIR names the directory where `csvdir` does not.
    tframes, csvdir
        See `csvdir_equities`.

    Raises
    ------
    RequestError
        There is no such directory, or the writers are not those that rustybt hands to an ingest function.
    """
    warn_deprecated("rustybt.data.bundles.csvdir.csvdir_bundle")
    del asset_db_writer, adjustment_writer, calendar, start_session, end_session, cache, show_progress, output_dir
    _hand_over(environ, minute_bar_writer, daily_bar_writer, tframes, csvdir)


def _hand_over(
    environ: Mapping[str, str],
    minute_bar_writer: Any,
    daily_bar_writer: Any,
    tframes: Collection[str] | None,
    csvdir: str | os.PathLike[str] | None,
) -> None:
    named = csvdir or environ.get("CSVDIR")
    if not named:
        raise RequestError(
            "no csvdir is named", hint="set the environment variable CSVDIR, or csvdir_equities(csvdir=DIR)"
        )
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise RequestError(f"csvdir {folder} is not a directory", hint="name the one that holds daily/ or minute/")
    chosen = list(tframes or [name for name in _FOLDERS if (folder / name).is_dir()])
    unknown = [name for name in chosen if name not in _FOLDERS]
    if unknown or not chosen:
        raise RequestError(
            f"unknown time frame {unknown[0]!r}" if unknown else f"csvdir {folder} has neither daily/ nor minute/",
            hint="time frames are daily and minute",
        )
    for name in dict.fromkeys(chosen):
        hand_over(daily_bar_writer if name == "daily" else minute_bar_writer, "csvdir", str(folder))


def hand_over(writer: Any, source_name: str, path: str) -> None:
    """Let a source deliver the bars in place of what is written; for the writers of an ingest function.

    Raises
    ------
    RequestError
        The writer is another program's.
    """
    from rustybt.data.sources.registry import get_source

    if not hasattr(writer, "take_source"):
        raise RequestError(
            f"{type(writer).__name__} is not a writer that rustybt hands to an ingest function",
            hint=f"rustybt ingest {source_name}, or register the function and rustybt ingest registered NAME",
        )
    writer.take_source(get_source(source_name, path=path))

"""One call of an ingest function, with all that Zipline would hand to it."""

from __future__ import annotations

import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rustybt.data.sources.registered.calendars import sessions_of, zipline_calendar
from rustybt.data.sources.registered.frame_cache import FrameCache
from rustybt.data.sources.registered.user_code import telling_where
from rustybt.data.sources.registered.written_bundle import WrittenBundle
from rustybt.data.sources.registered.zipline_names import zipline_stands_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rustybt.data.bundles.registration import RegisteredBundle


def run_definition(
    name: str,
    definition: RegisteredBundle,
    environ: Mapping[str, str],
    *,
    show_progress: bool = False,
    output: TextIO | None = None,
) -> WrittenBundle:
    """Call the function of a definition and return what it wrote; whoever takes it closes it.

    Parameters
    ----------
    output
        Where the function's prints go; None leaves them on stdout.

    Raises
    ------
    RequestError
        The function raised; the message names the line.
    """
    calendar = zipline_calendar(definition.calendar_name)
    start, end = sessions_of(calendar, definition.start_session, definition.end_session)
    written = WrittenBundle(name)
    writers: tuple[Any, ...] = (
        written.asset_db_writer,
        written.minute_bar_writer,
        written.daily_bar_writer,
        written.adjustment_writer,
    )
    if not definition.create_writers:
        writers = (None,) * len(writers)
    code = getattr(definition.ingest, "__code__", None)
    own_file = "" if code is None else str(code.co_filename)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="rustybt-cache-") as cache,
            tempfile.TemporaryDirectory(prefix="rustybt-output-") as folder,
            zipline_stands_in(),
            redirect_stdout(output or sys.stdout),
            telling_where(f"the ingest function of {name}", own_file),
        ):
            frames = FrameCache(Path(cache))
            definition.ingest(environ, *writers, calendar, start, end, frames, show_progress, folder)
    except BaseException:
        written.close()
        raise
    return written

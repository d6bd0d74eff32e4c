"""The user's own code: executed when it was asked for, and its errors told with file and line."""

from __future__ import annotations

import os
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rustybt.data.adapters.redaction import redact
from rustybt.data.bundles import registration
from rustybt.data.bundles.zipline_layout import EXTENSION_FILE, zipline_root
from rustybt.data.sources.registered.zipline_names import zipline_stands_in
from rustybt.errors import RequestError, RustybtError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from rustybt.data.bundles.registration import RegisteredBundle


def default_extension(environ: Mapping[str, str]) -> Path:
    """Return where Zipline's own command looks for definitions: ``$ZIPLINE_ROOT/extension.py``, else ``~/.zipline``."""
    return zipline_root(environ=environ) / EXTENSION_FILE


def read_definitions(path: Path) -> dict[str, RegisteredBundle]:
    """Execute a file and return the bundles that it registers; those registered before stay as they were.

    Raises
    ------
    RequestError
        There is no such file, or it raises; the message names the line.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        raise RequestError(
            f"cannot read the extension file {path}: {error.strerror or error}",
            hint="--extension FILE names it; else it is $ZIPLINE_ROOT/extension.py or ~/.zipline/extension.py",
            path=str(path),
        ) from error
    namespace = {"__name__": "<extension>", "__file__": str(path)}
    with registration.separate_definitions() as found, zipline_stands_in():
        with telling_where(f"the extension file {path.name}", str(path)):
            # What the file holds is the user's own program, which they asked to run.
            exec(compile(source, str(path), "exec"), namespace)  # noqa: S102
        return dict(found)


@contextmanager
def telling_where(what: str, own_file: str) -> Iterator[None]:
    """Turn errors of the user's code into RequestErrors that name the line; ours pass as they are.

    Parameters
    ----------
    own_file
        The file whose line is told where it is part of the traceback.

    Raises
    ------
    RequestError
        The code raised something, or left the program.
    """
    try:
        yield
    except (RustybtError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        place = _place(error, own_file)
        missing = isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "zipline"
        raise RequestError(
            # Errors of a fetch hold its address, and that often a key.
            redact(f"{what} failed{place}: {type(error).__name__}: {error}"),
            hint="rustybt stands in for zipline.data.bundles and the calendars; for other parts: pip install zipline-reloaded"
            if missing
            else "correct it there; --debug prints the traceback",
            file=own_file,
        ) from error


def _place(error: BaseException, own_file: str) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f" at {error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if os.path.normcase(frame.filename) == os.path.normcase(own_file)]
    # Without one of the user's file: the function was imported from elsewhere.
    last = next(iter(reversed(own or frames)), None)
    return "" if last is None else f" at {last.filename}, line {last.lineno}"

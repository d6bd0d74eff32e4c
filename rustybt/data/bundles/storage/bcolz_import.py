"""bcolz, the library of Zipline's bars: imported when it is needed, and only here."""

from __future__ import annotations

import sys
from typing import Any

from rustybt.errors import MissingDependencyError

#: The newest Python for which there are wheels of bcolz-zipline.
NEWEST_PYTHON = (3, 12)
_PIP = 'pip install "rustybt[zipline]"'


def import_bcolz() -> Any:
    """Return the module bcolz.

    Raises
    ------
    MissingDependencyError
        It is not installed; the hint says what installs it, or which Python has it.
    """
    try:
        import bcolz
    except ImportError as error:
        too_new = sys.version_info[:2] > NEWEST_PYTHON
        here = f"{sys.version_info[0]}.{sys.version_info[1]}"
        newest = ".".join(map(str, NEWEST_PYTHON))
        raise MissingDependencyError(
            "Zipline's bars are bcolz files, and the package bcolz-zipline is not installed"
            + (f"; it has no wheels for Python {here}" if too_new else ""),
            hint=f"use Python {newest} or older: {_PIP}" if too_new else _PIP,
        ) from error
    return bcolz

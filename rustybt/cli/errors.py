"""What a failed command prints, and its exit status."""

from __future__ import annotations

import contextlib
import sys
import traceback
from pathlib import Path
from typing import Any

from rustybt.cli.data_use import missing_lines
from rustybt.cli.terminal import Terminal, printable
from rustybt.errors import RustybtError

EXIT_INTERRUPTED = 130
#: What a shell reports for a program ended by SIGPIPE: the reader of stdout went away.
EXIT_PIPE_CLOSED = 141
#: Symbols listed that an answer lacks; --json has them all.
MOST_MISSING = 20


def report(error: BaseException, terminal: Terminal) -> int:
    """Print what failed, why, and the command that helps; return the exit status.

    stderr gets text for people, never a traceback without ``--debug``. With ``--json`` stdout gets
    ``{"error": {"code", "message", "hint", "exit_code", ...}}`` as well, so that it is always one JSON document.
    """
    facts = describe(error)
    with contextlib.suppress(OSError):
        sys.stdout.flush()  # what was printed before the failure comes first
    if terminal.debug:
        traceback.print_exception(error, file=sys.stderr)
    terminal.alert(printable(f"error: {facts['message']}"))
    for line in missing_lines(error, MOST_MISSING):
        terminal.alert(printable(f"  missing {line}"))
    if facts["hint"]:
        terminal.alert(printable(f"  hint: {facts['hint']}"))
    if terminal.json:
        terminal.data({"error": facts})
    return int(facts["exit_code"])


def describe(error: BaseException) -> dict[str, Any]:
    """Return code, message, hint, exit_code and the structured details of `error`."""
    if isinstance(error, RustybtError):
        return {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "exit_code": error.exit_code,
            **({"details": error.details} if error.details else {}),
        }
    if isinstance(error, KeyboardInterrupt):
        return _facts("interrupted", str(error) or "interrupted; what was finished is kept", None, EXIT_INTERRUPTED)
    if hasattr(error, "format_message"):  # the command-line library's own usage errors
        return _facts("usage", error.format_message(), _usage_hint(error), int(getattr(error, "exit_code", 2)))
    if isinstance(error, MemoryError):
        return _facts("memory", "out of memory", "ask for fewer symbols or a shorter range", 1)
    if isinstance(error, OSError):
        named = [str(name) for name in (error.filename, error.filename2) if name is not None]
        where = f"{', '.join(named)}: " if named else ""
        return _facts("os-error", f"{where}{error.strerror or error}", None, 1)
    place = _origin(error)
    return _facts(
        "internal",
        f"unexpected {type(error).__name__}: {error} ({place})",
        "this is a bug in rustybt: run again with --debug and report the traceback",
        1,
    )


def _facts(code: str, message: str, hint: str | None, exit_code: int) -> dict[str, Any]:
    return {"code": code, "message": message, "hint": hint, "exit_code": exit_code}


def _usage_hint(error: BaseException) -> str | None:
    context = getattr(error, "ctx", None)
    return None if context is None else f"{context.command_path} --help"


def _origin(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "no traceback"

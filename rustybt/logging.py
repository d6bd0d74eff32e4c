"""Structured log events of the library: silent unless someone listens.

As a library RustyBT writes nothing: every logger hangs below the standard library's logger ``rustybt``, which has no
handler but a null one. `configure` (the command line calls it) writes events to a stream, as text or as JSON lines. An
application that configures `logging` itself gets the events as ordinary records; their fields are in
``record.fields``.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    import structlog

ROOT = "rustybt"
logging.getLogger(ROOT).addHandler(logging.NullHandler())
_filters = threading.RLock()


@contextmanager
def without_warnings(*categories: type[Warning]) -> Iterator[None]:
    """Ignore Python's warnings of `categories` inside, one thread after the other.

    Their filters belong to the whole process: two threads that set and restore them at once undo each other's.
    """
    with _filters, warnings.catch_warnings():
        for category in categories:
            warnings.simplefilter("ignore", category)
        yield


def get_logger(name: str = ROOT, **initial: Any) -> structlog.stdlib.BoundLogger:
    """Return a structured logger below ``rustybt``.

    Parameters
    ----------
    name
        Usually ``__name__`` of the caller.
    **initial
        Fields of every event of this logger.
    """
    import structlog

    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name if name == ROOT or name.startswith(f"{ROOT}.") else f"{ROOT}.{name}"),
        processors=[structlog.stdlib.filter_by_level, structlog.processors.format_exc_info, _to_record],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
        **initial,
    )
    return logger


def _to_record(_: Any, __: str, event: MutableMapping[str, Any]) -> tuple[tuple[str], dict[str, Any]]:
    """Hand the event to `logging`: its name as the message, its fields aside, so that no field name can clash."""
    name = str(event.pop("event", ""))
    return (name,), {"extra": {"fields": dict(event)}}


def configure(level: str | int = "WARNING", style: str = "text", stream: TextIO | None = None) -> None:
    """Write events of `level` and above to `stream` (default stderr); a second call replaces the first.

    Parameters
    ----------
    style
        ``text``: one line a person reads. ``json``: one object a line, with `timestamp` (ISO, UTC), `level`,
        `logger`, `event` and the event's fields.
    """
    root = logging.getLogger(ROOT)
    for handler in list(root.handlers):
        if getattr(handler, "from_rustybt", False):
            root.removeHandler(handler)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.from_rustybt = True  # type: ignore[attr-defined]
    handler.setFormatter(_JsonLines() if style == "json" else _TextLines())
    root.addHandler(handler)
    root.setLevel(level.upper() if isinstance(level, str) else level)
    root.propagate = False


class _TextLines(logging.Formatter):
    """``08:31:02 warning cache_miss symbol=AAPL``."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{key}={value!s}" for key, value in getattr(record, "fields", {}).items())
        stamp = self.formatTime(record, "%H:%M:%S")
        return " ".join(part for part in (stamp, record.levelname.lower(), record.getMessage(), fields) if part)


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        from datetime import UTC, datetime

        body = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        return json.dumps(body, default=str, ensure_ascii=False)

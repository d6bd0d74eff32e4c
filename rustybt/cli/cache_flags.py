"""How a command uses the cache: ``--no-cache``, ``--offline`` and ``--max-stale``."""

from __future__ import annotations

import contextlib
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from rustybt.cli.options import flag
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rustybt.cli.terminal import Terminal

_PANEL = "Cache"
_PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep

NoCache = Annotated[
    bool, flag("--no-cache", text="Ask the vendor for everything; neither read nor write the cache.", panel=_PANEL)
]
Offline = Annotated[
    bool, flag("--offline", text="Make no request: take what the cache has, and say what it lacks.", panel=_PANEL)
]
MaxStale = Annotated[
    str | None,
    typer.Option(
        "--max-stale",
        metavar="T",
        help="Take what is out of date by at most this, as 2d or 12h, without asking; it is marked.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]

#: Parameter -> (annotation, default), for commands that are put together from tables.
CACHE_FLAGS: dict[str, tuple[Any, Any]] = {
    "no_cache": (NoCache, False),
    "offline": (Offline, False),
    "max_stale": (MaxStale, None),
}


@dataclass(frozen=True, slots=True)
class CacheMode:
    """How the cache is used.

    Parameters
    ----------
    use_cache
        False neither reads nor writes it.
    offline
        Make no request.
    max_stale_seconds
        How old an answer may be that is served without asking; None for what the freshness policy says.
    """

    use_cache: bool = True
    offline: bool = False
    max_stale_seconds: float | None = None

    @classmethod
    def of(cls, *, no_cache: bool, offline: bool, max_stale: str | None) -> CacheMode:
        """Return the mode that the flags ask for.

        Raises
        ------
        RequestError
            Two of them are given, or the age is no duration.
        """
        from rustybt.config import parse_duration

        given = [
            name
            for name, is_given in (
                ("--no-cache", no_cache),
                ("--offline", offline),
                ("--max-stale", max_stale is not None),
            )
            if is_given
        ]
        if len(given) > 1:
            raise RequestError(f"{' and '.join(given)} exclude each other", hint=f"keep one: {' or '.join(given)}")
        try:
            seconds = None if max_stale is None else parse_duration(max_stale)
        except RequestError as error:
            raise RequestError(f"--max-stale: {error.message}", hint=error.hint) from None
        return cls(not no_cache, offline, seconds)

    @property
    def words(self) -> tuple[str, ...]:
        """The flags as they are typed, to repeat a command with them."""
        if not self.use_cache:
            return ("--no-cache",)
        if self.offline:
            return ("--offline",)
        return () if self.max_stale_seconds is None else ("--max-stale", f"{self.max_stale_seconds:g}s")

    @property
    def arguments(self) -> dict[str, Any]:
        """What `CachedDataSource` takes."""
        return {"offline": self.offline, "max_stale_seconds": self.max_stale_seconds}

    def refuse_for(self, what: str) -> None:
        """Refuse flags where nothing is downloaded.

        Raises
        ------
        RequestError
            One was given.
        """
        if self.words:
            raise RequestError(f"{self.words[0]} says nothing here: {what}, nothing is downloaded", hint="leave it out")


def cached(source: Any, store: Any, mode: CacheMode) -> Any:
    """Return `source` behind the cache of the store's home, or itself where that has nothing to offer.

    Raises
    ------
    RequestError
        A flag was given for a source that reads this machine's files.
    """
    if is_local(source):
        mode.refuse_for(f"{source.name} reads files of this machine")
        return source
    if not mode.use_cache:
        return source
    from rustybt.data.sources import CachedDataSource

    return CachedDataSource(source, store=store, **mode.arguments)


def is_local(source: Any) -> bool:
    """Return whether the bars of `source` lie on this machine, where a cache gains nothing."""
    return bool(source.is_local)


@contextlib.contextmanager
def warnings_told(terminal: Terminal) -> Iterator[None]:
    """Print our own warnings as other lines of stderr are, instead of with file and line; stale data is told each time."""
    from rustybt.data.sources.delivery import StaleDataWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", StaleDataWarning)
        shown = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, StaleDataWarning) or filename.startswith(_PACKAGE):
                terminal.alert(f"warning: {message}")
            else:
                shown(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield

"""The bars of ``rustybt run --source``: a source, behind the cache unless told otherwise, and what came from where."""

from __future__ import annotations

import contextlib
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rustybt.cli.cache_flags import cached
from rustybt.cli.data_use import DataUse, WatchedSource
from rustybt.cli.source_options import read_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import typer

    from rustybt.cli.cache_flags import CacheMode


@dataclass(frozen=True, slots=True)
class SourceRun:
    """A source as a run takes it.

    Parameters
    ----------
    options
        With which the source was made.
    arguments
        What `run_algorithm` is given.
    """

    name: str
    options: Mapping[str, Any]
    watched: WatchedSource
    arguments: Mapping[str, Any]

    @property
    def use(self) -> DataUse:
        """Where the bars came from so far."""
        return self.watched.use

    def sign(self, result: Any) -> None:
        """Write into the result's parameters where its bars came from; it has no pin."""
        symbols, start, end = self.watched.asked
        result.parameters["data_source"] = {
            "name": self.name,
            "options": self.watched.options,
            "symbols": symbols,
            "start": _iso(start),
            "end": _iso(end),
            **{key: value for key, value in self.use.to_json().items() if key != "source"},
        }

    def ingest_command(self) -> str:
        """Return the command that brings the same bars into a bundle."""
        from rustybt.cli.ingest import option_words

        symbols, start, end = self.watched.asked
        words = ["rustybt", "ingest", self.name, "--bundle", "NAME", "--symbols", ",".join(symbols)]
        for name, value in (("--start", _iso(start)), ("--end", _iso(end))):
            words += [name, value] if value else []
        for key, value in self.options.items():
            if isinstance(value, dict):
                words += [f"--{key.replace('_', '-')}", ",".join(f"{k}={v}" for k, v in value.items())]
            else:
                words += option_words(key, value)
        return shlex.join(words)


@contextlib.contextmanager
def open_source(
    name: str,
    symbols: Sequence[str] | None,
    values: Mapping[str, Any],
    ctx: typer.Context,
    store: Any,
    mode: CacheMode,
    calendar: str | None,
    progress: Any = None,
) -> Iterator[SourceRun]:
    """Make the source that a command line names, and close it afterwards.

    Parameters
    ----------
    values
        The command's options for sources; None and False were not given.
    calendar
        Trading calendar of the run; None leaves it to the bars.
    progress
        Told how far a fetch is.

    Raises
    ------
    RequestError
        No such source, no such option, or one that does not go with it.
    """
    from rustybt.data.sources import get_source, source_info

    source_name, options = read_source(name, values, ctx)
    if calendar is not None and "calendar" in source_info(source_name).options:
        options["calendar"] = calendar
    source = get_source(source_name, **options)
    with contextlib.closing(cached(source, store, mode)) as asked:
        watched = WatchedSource(asked, progress)
        arguments = {
            "data_source": watched,
            "symbols": tuple(symbols or ()),
            "trading_calendar": calendar,
            "use_cache": False,  # it is behind the cache already, or shall not be
        }
        yield SourceRun(source_name, options, watched, arguments)


def _iso(value: Any) -> str | None:
    return None if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)

"""Definitions of bundles, as Zipline has them: a name, and the function that is called to write the bundle.

Nothing is run here. `rustybt.data.bundles.ingest` calls the function with writers that lead into the store.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: Called by position with environ, asset_db_writer, minute_bar_writer, daily_bar_writer, adjustment_writer, calendar,
#: start_session, end_session, cache, show_progress and output_dir.
IngestFunction: TypeAlias = "Callable[..., Any]"


@dataclass(frozen=True, slots=True)
class RegisteredBundle:
    """One definition; see `register` for the attributes."""

    calendar_name: str
    start_session: Any
    end_session: Any
    minutes_per_day: int
    ingest: IngestFunction
    create_writers: bool


_registered: dict[str, RegisteredBundle] = {}

#: Every definition by name; read-only, `register` and `unregister` change it.
bundles: Mapping[str, RegisteredBundle] = MappingProxyType(_registered)


@overload
def register(
    name: str,
    f: IngestFunction,
    calendar_name: str = ...,
    start_session: Any = ...,
    end_session: Any = ...,
    minutes_per_day: int = ...,
    create_writers: bool = ...,  # noqa: FBT001  Zipline's signature
) -> IngestFunction: ...


@overload
def register(
    name: str,
    f: None = None,
    calendar_name: str = ...,
    start_session: Any = ...,
    end_session: Any = ...,
    minutes_per_day: int = ...,
    create_writers: bool = ...,  # noqa: FBT001
) -> Callable[[IngestFunction], IngestFunction]: ...


def register(
    name: str,
    f: IngestFunction | None = None,
    calendar_name: str = "NYSE",
    start_session: Any = None,
    end_session: Any = None,
    minutes_per_day: int = 390,
    create_writers: bool = True,  # noqa: FBT001, FBT002
) -> Any:
    """Register the function that writes a bundle; with a name alone, return a decorator that does.

    A definition of the same name is replaced, with a UserWarning.

    Parameters
    ----------
    f
        See `IngestFunction`.
    calendar_name
        Trading calendar of the bundle, a MIC or an alias such as NYSE.
    start_session, end_session
        Handed to `f`; None is the calendar's first and last session.
    minutes_per_day
        Kept for those who read it; the store needs none.
    create_writers
        False hands None to `f` in place of each writer.
    """

    def keep(function: IngestFunction, stacklevel: int) -> IngestFunction:
        if name in _registered:
            warnings.warn(f"Overwriting bundle with name {name!r}", UserWarning, stacklevel=stacklevel)
        _registered[name] = RegisteredBundle(
            calendar_name, start_session, end_session, minutes_per_day, function, create_writers
        )
        return function

    if f is None:
        return lambda function: keep(function, 3)
    return keep(f, 3)


def unregister(name: str) -> None:
    """Forget a definition.

    Raises
    ------
    RequestError
        There is none of that name.
    """
    if name not in _registered:
        raise unknown_bundle(name, _registered)
    del _registered[name]


@contextmanager
def separate_definitions() -> Iterator[dict[str, RegisteredBundle]]:
    """Start without definitions; yield those made meanwhile, and restore the others in the end, also after an error.

    A file that is executed again does not overwrite what it defined before.
    """
    before = dict(_registered)
    _registered.clear()
    try:
        yield _registered
    finally:
        _registered.clear()
        _registered.update(before)


def unknown_bundle(name: str, known: Mapping[str, RegisteredBundle], where: str = "") -> RequestError:
    """Return the error for a name that nothing is registered under; it lists those that are."""
    names = ", ".join(sorted(known)) or "none"
    return RequestError(
        f"no bundle is registered as {name!r}{where}; registered: {names}",
        hint=f'register it: register("{name}", ingest_function); a file elsewhere: rustybt ingest registered {name} --extension FILE',
        bundle=name,
        registered=sorted(known),
    )

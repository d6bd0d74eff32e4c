"""Modules that stand in for Zipline while a user's definitions run: ``from zipline.data.bundles import register`` finds ours.

Only what definitions of bundles use is here. Where Zipline is installed, its other modules are imported from there.
"""

from __future__ import annotations

import importlib
import sys
import threading
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

from rustybt.data.bundles import registration
from rustybt.data.sources.registered.calendars import zipline_calendar
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

_ROOT = "zipline"
_PACKAGES = ("zipline", "zipline.data", "zipline.data.bundles", "zipline.utils")
# The interpreter's modules are one for all threads, and so is who stands in for them.
_lock = threading.RLock()
_depth = 0


@contextmanager
def zipline_stands_in() -> Iterator[None]:
    """Let imports of Zipline's bundle modules find ours; what was imported before comes back in the end, also after an error.

    Another thread waits until the first has ended.
    """
    global _depth  # noqa: PLW0603  entered again by an ingest within a definition
    with _lock:
        if _depth:
            yield
            return
        before = _loaded()
        modules = _stand_ins(_real_folders())
        sys.modules.update(modules)
        _depth += 1
        try:
            yield
        finally:
            _depth -= 1
            for name in _loaded():
                del sys.modules[name]
            sys.modules.update(before)


def _loaded() -> dict[str, ModuleType]:
    return {name: found for name, found in sys.modules.items() if name == _ROOT or name.startswith(f"{_ROOT}.")}


def _real_folders() -> list[Path]:
    """Return where an installed Zipline lies, without importing it."""
    try:
        spec = find_spec(_ROOT)
    except (ImportError, ValueError):
        return []
    return [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec is not None else []


def _stand_ins(folders: list[Path]) -> dict[str, ModuleType]:
    contents: dict[str, dict[str, Any]] = {
        "zipline": {},
        "zipline.data": {},
        "zipline.data.bundles": {**_bundle_names(), "csvdir_equities": _of_door("csvdir", "csvdir_equities")},
        "zipline.data.bundles.core": _bundle_names(),
        "zipline.data.bundles.csvdir": {
            name: _of_door("csvdir", name) for name in ("csvdir_equities", "csvdir_bundle", "CSVDIRBundle")
        },
        "zipline.data.bundles.quandl": {"quandl_bundle": _of_door("quandl", "quandl_bundle")},
        "zipline.utils": {},
        "zipline.utils.cli": {"maybe_show_progress": maybe_show_progress},
        "zipline.utils.calendar_utils": {"get_calendar": zipline_calendar},
        "zipline.utils.calendars": {"get_calendar": zipline_calendar},  # the name of older versions
    }
    modules: dict[str, ModuleType] = {}
    for name, values in contents.items():
        module = ModuleType(name, "Stands in for Zipline's module of this name.")
        vars(module).update(values)
        parent, _, last = name.rpartition(".")
        if name in _PACKAGES:
            parts = name.split(".")[1:]
            module.__path__ = [str(folder.joinpath(*parts)) for folder in folders]
        if name.startswith("zipline.utils.calendar"):
            module.__getattr__ = _of_calendars  # type: ignore[method-assign]
        if parent:
            setattr(modules[parent], last, module)
        modules[name] = module
    return modules


def _bundle_names() -> dict[str, Any]:
    from rustybt.data.sources.registered.ingest import ingest

    return {
        "register": registration.register,
        "unregister": registration.unregister,
        "bundles": registration.bundles,
        "RegisteredBundle": registration.RegisteredBundle,
        "UnknownBundle": RequestError,
        "ingest": ingest,
        "load": _not_here("load", 'rustybt.bundle("NAME") opens what was ingested'),
        "clean": _not_here("clean", "rustybt bundle gc removes old versions"),
    }


def _of_door(module: str, name: str) -> Any:
    return getattr(importlib.import_module(f"rustybt.data.bundles.{module}"), name)


def _of_calendars(name: str) -> Any:
    """Return a name of the calendar library: register_calendar, TradingCalendar, days_at_time ..."""
    import exchange_calendars
    from exchange_calendars.calendar_utils import global_calendar_dispatcher
    from exchange_calendars.utils.pandas_utils import days_at_time

    known = {
        "TradingCalendar": exchange_calendars.ExchangeCalendar,
        "days_at_time": days_at_time,
        "global_calendar_dispatcher": global_calendar_dispatcher,
    }
    if name in known:
        return known[name]
    if name.startswith("__") or not hasattr(exchange_calendars, name):
        raise AttributeError(f"the calendar library has no {name}")
    return getattr(exchange_calendars, name)


def _not_here(name: str, hint: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise RequestError(
            f"zipline.data.bundles.{name} reads Zipline's own stores, which rustybt does not keep", hint=hint
        )

    return refuse


def maybe_show_progress(it: Iterable[Any], show_progress: bool, **_: Any) -> AbstractContextManager[Iterable[Any]]:  # noqa: ARG001, FBT001
    """Return a context manager that hands `it` over; the command line shows progress of its own."""
    return nullcontext(it)

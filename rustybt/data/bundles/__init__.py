"""Bundles: exact, versioned, verified bars on disk under one metadata database; and Zipline's way to define them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rustybt.data.bundles.csvdir import csvdir_equities
    from rustybt.data.bundles.registration import RegisteredBundle, bundles, register, unregister
    from rustybt.data.sources.registered.ingest import ingest

__all__ = ["RegisteredBundle", "bundles", "csvdir_equities", "ingest", "register", "unregister"]

#: Imported on use: the store's rooms are imported by all, and few define bundles.
_HOMES = {
    "RegisteredBundle": "rustybt.data.bundles.registration",
    "bundles": "rustybt.data.bundles.registration",
    "csvdir_equities": "rustybt.data.bundles.csvdir",
    "ingest": "rustybt.data.sources.registered.ingest",
    "register": "rustybt.data.bundles.registration",
    "unregister": "rustybt.data.bundles.registration",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

"""RustyBT: market data you can trust, from any vendor to a backtest and to live trading.

``import rustybt as rb`` costs next to nothing: each name below is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rustybt.__about__ import __version__

if TYPE_CHECKING:
    from rustybt.algorithm import replay, run_algorithm
    from rustybt.data.bundles.bundle import Bundle
    from rustybt.data.bundles.store import BundleStore, bundle
    from rustybt.data.sources import get_source
    from rustybt.data.sources.cached_source import CachedDataSource
    from rustybt.data.sources.frame import ingest_frame
    from rustybt.errors import RustybtError
    from rustybt.market.corporate_actions import CorporateAction
    from rustybt.market.frequency import Frequency
    from rustybt.sweeps import SweepResult, sweep
    from rustybt.trading.results.result import Result

__all__ = [
    "Bundle",
    "BundleStore",
    "CachedDataSource",
    "CorporateAction",
    "Frequency",
    "Result",
    "RustybtError",
    "SweepResult",
    "__version__",
    "bundle",
    "get_source",
    "ingest_frame",
    "replay",
    "run_algorithm",
    "sweep",
]

_HOMES = {
    "Bundle": "rustybt.data.bundles.bundle",
    "BundleStore": "rustybt.data.bundles.store",
    "CachedDataSource": "rustybt.data.sources.cached_source",
    "CorporateAction": "rustybt.market.corporate_actions",
    "Frequency": "rustybt.market.frequency",
    "Result": "rustybt.trading.results.result",
    "RustybtError": "rustybt.errors",
    "SweepResult": "rustybt.sweeps",
    "bundle": "rustybt.data.bundles.store",
    "get_source": "rustybt.data.sources",
    "ingest_frame": "rustybt.data.sources.frame",
    "replay": "rustybt.algorithm",
    "run_algorithm": "rustybt.algorithm",
    "sweep": "rustybt.sweeps",
}


#: Modules that are used as ``rb.api.order(...)`` and ``except rb.errors.RequestError``.
_ROOMS = ("api", "errors")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

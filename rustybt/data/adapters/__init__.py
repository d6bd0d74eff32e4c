"""Adapters talk to vendors: transport, throttle, retries and error mapping."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    # Deprecated adapters stand on the sources; they are imported for those who still ask for them.
    if name.endswith("Adapter"):
        from rustybt.data import old_adapters

        if name in old_adapters.__all__:
            return getattr(old_adapters, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Commission and slippage models as plain values, so that a saved result can be replayed with them."""

from __future__ import annotations

import inspect
from typing import Any

from rustybt.errors import RequestError
from rustybt.trading import commission, slippage

_MODELS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        commission.NoCommission,
        commission.PerShare,
        commission.PerTrade,
        commission.PerDollar,
        slippage.NoSlippage,
        slippage.FixedSlippage,
        slippage.FixedBasisPointsSlippage,
        slippage.VolumeShareSlippage,
    )
}
# Parameters that the model keeps under another name.
_KEPT_AS = {"PerShare": {"cost": "cost_per_share"}, "PerDollar": {"cost": "cost_per_dollar"}}


def describe_model(model: Any) -> dict[str, Any] | None:
    """Return name and arguments of a built-in model, None for none, and an empty dict for a user's own."""
    if model is None:
        return None
    name = type(model).__name__
    if _MODELS.get(name) is not type(model):
        return {}
    kept = _KEPT_AS.get(name, {})
    names = [p for p in inspect.signature(type(model)).parameters if p not in ("args", "kwargs")]
    return {"name": name, "arguments": {p: float(getattr(model, kept.get(p, p))) for p in names}}


def model_of(description: dict[str, Any] | None) -> Any:
    """Return the model that `describe_model` described, None for none.

    Raises
    ------
    RequestError
        No such model.
    """
    if description is None:
        return None
    kind = _MODELS.get(description.get("name", ""))
    if kind is None:
        raise RequestError(f"no built-in model is described by {description}")
    return kind(**description["arguments"])

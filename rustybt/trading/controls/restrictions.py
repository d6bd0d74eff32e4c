"""Which assets a strategy may not trade, and from when on; Zipline's `asset_restrictions`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from rustybt.errors import RequestError
from rustybt.market.assets import Asset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

__all__ = [
    "RESTRICTION_STATES",
    "HistoricalRestrictions",
    "NoRestrictions",
    "Restriction",
    "Restrictions",
    "SecurityListRestrictions",
    "StaticRestrictions",
]


class RestrictionStates(IntEnum):
    """Whether an asset may be traded; the numbers are Zipline's."""

    ALLOWED = 0
    FROZEN = 1


#: Zipline's name of `RestrictionStates`.
RESTRICTION_STATES = RestrictionStates


class Restriction(NamedTuple):
    """One asset's state from `effective_date` on, that instant included; without a time zone it is in UTC."""

    asset: Asset
    effective_date: Any
    state: RestrictionStates


class Restrictions(ABC):
    """Base of all restrictions; derive from it and write `is_restricted`. ``a | b`` restricts what either does."""

    @abstractmethod
    def is_restricted(self, assets: Asset | Iterable[Asset], dt: pd.Timestamp) -> Any:
        """Return whether an asset may not be traded at the instant `dt`; a Series by asset for several."""

    def __or__(self, other: object) -> Restrictions:
        if not isinstance(other, Restrictions):
            return NotImplemented
        parts = [part for part in (*_parts(self), *_parts(other)) if not isinstance(part, NoRestrictions)]
        if len(parts) < 2:
            return parts[0] if parts else NoRestrictions()
        return _Union(parts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class NoRestrictions(Restrictions):
    """Every asset may be traded."""

    def is_restricted(self, assets: Asset | Iterable[Asset], dt: pd.Timestamp) -> Any:  # noqa: ARG002
        """Return False."""
        return _each(assets, lambda _: False)


class StaticRestrictions(Restrictions):
    """The same assets are restricted at all times.

    Parameters
    ----------
    restricted_list
        The assets, in any container.

    Raises
    ------
    RequestError
        Something in it is not an asset.
    """

    def __init__(self, restricted_list: Iterable[Asset]) -> None:
        self._assets = frozenset(_asset(one) for one in _listed(restricted_list))

    def is_restricted(self, assets: Asset | Iterable[Asset], dt: pd.Timestamp) -> Any:  # noqa: ARG002
        """Return whether an asset is one of those."""
        return _each(assets, self._assets.__contains__)

    def __repr__(self) -> str:
        return f"StaticRestrictions({', '.join(asset.symbol for asset in sorted(self._assets))})"


class HistoricalRestrictions(Restrictions):
    """Assets are frozen and allowed again as time goes on; before its first restriction an asset is allowed.

    Parameters
    ----------
    restrictions
        In any order; each replaces the asset's earlier ones from its effective date on.

    Raises
    ------
    RequestError
        One has no asset, no date or no state.
    """

    def __init__(self, restrictions: Iterable[Restriction]) -> None:
        self._by_asset: dict[Asset, list[tuple[pd.Timestamp, RestrictionStates]]] = {}
        for restriction in _listed(restrictions):
            asset, since, state = _parsed(restriction)
            self._by_asset.setdefault(asset, []).append((since, state))
        for changes in self._by_asset.values():
            changes.sort(key=lambda change: change[0])

    def is_restricted(self, assets: Asset | Iterable[Asset], dt: pd.Timestamp) -> Any:
        """Return whether the last state up to `dt` is frozen."""
        now = _in_utc(dt)
        return _each(assets, lambda asset: self._is_frozen(asset, now))

    def _is_frozen(self, asset: Asset, now: pd.Timestamp) -> bool:
        states = [state for since, state in self._by_asset.get(asset, ()) if since <= now]
        return bool(states) and states[-1] is RestrictionStates.FROZEN

    def __repr__(self) -> str:
        return f"HistoricalRestrictions({', '.join(asset.symbol for asset in sorted(self._by_asset))})"


class SecurityListRestrictions(Restrictions):
    """The assets of a list that changes with time.

    Parameters
    ----------
    security_list_by_dt
        An object whose ``current_securities(dt)`` returns a container of assets.
    """

    def __init__(self, security_list_by_dt: Any) -> None:
        self._current: Callable[[Any], Any] = security_list_by_dt.current_securities

    def is_restricted(self, assets: Asset | Iterable[Asset], dt: pd.Timestamp) -> Any:
        """Return whether an asset is on the list at `dt`."""
        listed = self._current(dt)
        return _each(assets, lambda asset: asset in listed)


class _Union(Restrictions):
    """What any of several restricts."""

    def __init__(self, parts: list[Restrictions]) -> None:
        self.parts = parts

    def is_restricted(self, assets: Asset | Iterable[Asset], dt: pd.Timestamp) -> Any:
        return _each(assets, lambda asset: any(part.is_restricted(asset, dt) for part in self.parts))

    def __repr__(self) -> str:
        return " | ".join(repr(part) for part in self.parts)


def _parts(restrictions: Restrictions) -> list[Restrictions]:
    return restrictions.parts if isinstance(restrictions, _Union) else [restrictions]


def _each(assets: Any, is_restricted: Callable[[Asset], Any]) -> Any:
    """Return the answer for one asset, or a Series of those for several."""
    if isinstance(assets, Asset):
        return bool(is_restricted(assets))
    import numpy as np
    import pandas as pd

    chosen = list(assets)
    index = pd.Index(np.array(chosen, dtype=object))
    return pd.Series([bool(is_restricted(asset)) for asset in chosen], index=index, dtype=bool)


def _listed(values: Any) -> list[Any]:
    try:
        return list(values)
    except TypeError:
        raise RequestError(
            f"restrictions take a list, not {type(values).__name__} {values!r}",
            hint="write StaticRestrictions([asset])",
        ) from None


def _asset(value: Any) -> Asset:
    if not isinstance(value, Asset):
        raise RequestError(
            f"assets are restricted, not {type(value).__name__} {value!r}", hint=f"write symbol({str(value)!r})"
        )
    return value


def _parsed(restriction: Any) -> tuple[Asset, pd.Timestamp, RestrictionStates]:
    import pandas as pd

    try:
        asset, effective_date, state = restriction
        since, found = _in_utc(effective_date), RestrictionStates(state)
    except (TypeError, ValueError) as error:
        raise RequestError(
            f"{restriction!r} is no restriction: {error}",
            hint="write Restriction(symbol('A'), pd.Timestamp('2020-01-06'), RESTRICTION_STATES.FROZEN)",
        ) from error
    if since is pd.NaT:
        raise RequestError(
            f"the restriction of {asset} has no effective date",
            hint="write Restriction(symbol('A'), pd.Timestamp('2020-01-06'), RESTRICTION_STATES.FROZEN)",
        )
    return _asset(asset), since, found


def _in_utc(instant: Any) -> Any:
    import pandas as pd

    found = pd.Timestamp(instant)
    return found.tz_localize("UTC") if found.tzinfo is None else found.tz_convert("UTC")

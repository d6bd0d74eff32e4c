"""Rules that an order, or the account, must keep; Zipline's trading and account controls.

Sums and products are exact: an order that comes to its limit exactly keeps the rule.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from rustybt.errors import AccountControlError, RequestError, TradingControlError
from rustybt.logging import get_logger
from rustybt.market.assets import Asset
from rustybt.trading.controls.restrictions import Restrictions
from rustybt.trading.orders.lots import exact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from fractions import Fraction

    import pandas as pd

    from rustybt.trading.orders.lots import Amount

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProposedOrder:
    """What is known of an order before it is placed.

    Attributes
    ----------
    amount
        Signed, already rounded to what the asset trades in.
    held
        Signed amount held; open orders are not counted.
    price
        Last price, NaN where none is known.
    instant
        When it is placed, in UTC.
    session
        In which session.
    """

    asset: Asset
    amount: Amount
    held: Amount
    price: float
    instant: pd.Timestamp
    session: date

    @property
    def amount_after(self) -> Fraction:
        """The holding, were the order filled."""
        return exact(self.held) + exact(self.amount)

    def worth(self, amount: Fraction) -> Fraction | None:
        """Return the size of the value of `amount` at the last price, None where no price is known."""
        return abs(amount) * abs(exact(self.price)) if math.isfinite(self.price) else None


class TradingControl(ABC):
    """Base of the rules that each order must keep.

    Parameters
    ----------
    on_error
        ``fail``: an order that breaks the rule raises. ``log``: it is logged as an error, and placed.
    **limits
        What the rule was given, shown in its messages.
    """

    #: The function of `rustybt.api` that sets the rule.
    function: ClassVar[str]

    def __init__(self, on_error: str, **limits: Any) -> None:
        if on_error not in ("fail", "log"):
            raise RequestError(
                f"{self.function}(on_error={on_error!r}): it can fail or log", hint="on_error='fail' or on_error='log'"
            )
        self.on_error = on_error
        self._limits = {name: value for name, value in limits.items() if value is not None}
        #: Orders that broke the rule and were placed, in words.
        self.logged: list[str] = []

    @abstractmethod
    def violations(self, order: ProposedOrder) -> Iterator[str]:
        """Yield in which ways the order breaks the rule."""

    def check(self, order: ProposedOrder) -> None:
        """Raise or log where the order breaks the rule.

        Raises
        ------
        TradingControlError
            It does, and the rule was set to fail.
        """
        for why in self.violations(order):
            message = f"order of {order.amount} {order.asset.symbol} on {order.session} breaks {self}: {why}"
            facts = {"control": repr(self), "symbol": order.asset.symbol, "amount": order.amount}
            if self.on_error == "fail":
                raise TradingControlError(
                    message,
                    hint=f"check the order first, or change {self.function}() in initialize",
                    **facts,
                    session=str(order.session),
                )
            self.logged.append(message)
            logger.error("order_breaks_control", **facts, session=str(order.session), why=why)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_shown(self._limits)})"


class MaxOrderCount(TradingControl):
    """At most `max_count` orders a session.

    Each call that orders is counted, also one for an amount of 0, as in Zipline.
    """

    function = "set_max_order_count"

    def __init__(self, on_error: str, max_count: int) -> None:
        super().__init__(on_error, max_count=max_count)
        self._max = _limit(self.function, "max_count", max_count, is_needed=True)
        self._session: date | None = None
        self._count = 0

    def violations(self, order: ProposedOrder) -> Iterator[str]:
        """Count the order, unless it is refused."""
        if order.session != self._session:
            self._session, self._count = order.session, 0
        if self._max is not None and self._count >= self._max:
            yield f"orders placed in this session: {self._count}"
        # Not reached when the one who asks raises.
        self._count += 1


class MaxOrderSize(TradingControl):
    """No order, of one asset or of any, beyond `max_shares` or beyond `max_notional` at the last price.

    An order without a last price has no value that could be too much, as in Zipline.
    """

    function = "set_max_order_size"

    def __init__(
        self, on_error: str, asset: Asset | None = None, max_shares: Any = None, max_notional: Any = None
    ) -> None:
        super().__init__(on_error, asset=asset, max_shares=max_shares, max_notional=max_notional)
        self._asset = asset
        self._size = _SizeLimit(self.function, asset, max_shares, max_notional)

    def violations(self, order: ProposedOrder) -> Iterator[str]:
        """Compare the order itself."""
        if self._asset is None or self._asset == order.asset:
            yield from self._size.violations(order, exact(order.amount), "the order")


class MaxPositionSize(TradingControl):
    """No order after which the holding, of one asset or of any, would be beyond a limit.

    Open orders are not counted, and a holding that grew too large cannot be sold in parts that leave it so: Zipline's
    rules.
    """

    function = "set_max_position_size"

    def __init__(
        self, on_error: str, asset: Asset | None = None, max_shares: Any = None, max_notional: Any = None
    ) -> None:
        super().__init__(on_error, asset=asset, max_shares=max_shares, max_notional=max_notional)
        self._asset = asset
        self._size = _SizeLimit(self.function, asset, max_shares, max_notional)

    def violations(self, order: ProposedOrder) -> Iterator[str]:
        """Compare what would be held."""
        if self._asset is None or self._asset == order.asset:
            yield from self._size.violations(order, order.amount_after, "the holding after it")


class LongOnly(TradingControl):
    """No order after which less than nothing would be held; open orders are not counted."""

    function = "set_long_only"

    def violations(self, order: ProposedOrder) -> Iterator[str]:
        """Compare what would be held."""
        if order.amount_after < 0:
            yield f"{order.held} are held, and {_number(order.amount_after)} would be"


class RestrictedListOrder(TradingControl):
    """No order for a restricted asset, not even one for an amount of 0."""

    function = "set_asset_restrictions"

    def __init__(self, on_error: str, restrictions: Restrictions) -> None:
        if not isinstance(restrictions, Restrictions):
            raise RequestError(
                f"{self.function}() takes Restrictions, not {type(restrictions).__name__} {restrictions!r}",
                hint="write set_asset_restrictions(StaticRestrictions([asset]))",
            )
        super().__init__(on_error, restrictions=restrictions)
        self._restrictions = restrictions

    def violations(self, order: ProposedOrder) -> Iterator[str]:
        """Ask the restrictions at the instant of the order."""
        if self._restrictions.is_restricted(order.asset, order.instant):
            yield f"{order.asset.symbol} is restricted"


class Leveraged(Protocol):
    """What the rules for the account read of it."""

    @property
    def leverage(self) -> float:
        """Longs plus the size of shorts as a fraction of the account's value."""
        ...


class AccountControl(ABC):
    """Base of the rules that the account must keep at the end of each session."""

    function: ClassVar[str]

    def __init__(self, **limits: Any) -> None:
        self._limits = limits

    @abstractmethod
    def violation(self, account: Leveraged, instant: pd.Timestamp) -> str | None:
        """Return in which way the account breaks the rule, None where it keeps it."""

    def check(self, account: Leveraged, instant: pd.Timestamp, session: date) -> None:
        """Raise where the account breaks the rule.

        Raises
        ------
        AccountControlError
            It does.
        """
        why = self.violation(account, instant)
        if why is not None:
            raise AccountControlError(
                f"the account breaks {self} at the end of the session {session}: {why}",
                hint=f"change what is held when a session ends, or {self.function}() in initialize",
                control=repr(self),
                leverage=account.leverage,
                session=str(session),
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_shown(self._limits)})"


class MaxLeverage(AccountControl):
    """The gross leverage is at most `max_leverage`."""

    function = "set_max_leverage"

    def __init__(self, max_leverage: float) -> None:
        super().__init__(max_leverage=max_leverage)
        _limit(self.function, "max_leverage", max_leverage, is_needed=True)
        self._max = float(max_leverage)

    def violation(self, account: Leveraged, instant: pd.Timestamp) -> str | None:  # noqa: ARG002
        """Compare the leverage."""
        return f"its leverage is {account.leverage}" if account.leverage > self._max else None


class MinLeverage(AccountControl):
    """The gross leverage is at least `min_leverage` after the instant `deadline`, in UTC."""

    function = "set_min_leverage"

    def __init__(self, min_leverage: float, deadline: pd.Timestamp) -> None:
        super().__init__(min_leverage=min_leverage, deadline=str(deadline))
        _limit(self.function, "min_leverage", min_leverage, is_needed=True)
        self._min = float(min_leverage)
        self._deadline = deadline

    def violation(self, account: Leveraged, instant: pd.Timestamp) -> str | None:
        """Compare the leverage, once the deadline has passed."""
        if instant <= self._deadline or account.leverage >= self._min:
            return None
        return f"its leverage is {account.leverage}"


class _SizeLimit:
    """A number of shares, a value, or both, that must not be exceeded."""

    def __init__(self, function: str, asset: Any, max_shares: Any, max_notional: Any) -> None:
        if asset is not None and not isinstance(asset, Asset):
            raise RequestError(
                f"{function}() takes an asset, not {type(asset).__name__} {asset!r}",
                hint=f"write symbol({str(asset)!r})",
            )
        if max_shares is None and max_notional is None:
            raise RequestError(
                f"{function}() takes max_shares, max_notional or both", hint=f"{function}(max_shares=100)"
            )
        self._shares = _limit(function, "max_shares", max_shares)
        self._notional = _limit(function, "max_notional", max_notional)

    def violations(self, order: ProposedOrder, amount: Fraction, what: str) -> Iterator[str]:
        """Yield which limit `amount` of the order's asset exceeds."""
        if self._shares is not None and abs(amount) > self._shares:
            yield f"{what} is {_number(abs(amount))}, more than {_number(self._shares)}"
        if self._notional is None:
            return
        worth = order.worth(amount)
        if worth is not None and worth > self._notional:
            yield f"{what} is worth {_number(worth)}, more than {_number(self._notional)}"


def _limit(function: str, name: str, value: Any, *, is_needed: bool = False) -> Fraction | None:
    """Return a limit as the decimal that it is written as."""
    if value is None and not is_needed:
        return None
    try:
        if math.isfinite(value) and value >= 0:
            return exact(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise RequestError(f"{function}({name}={value!r}): a finite number is needed that is not negative")


def _number(value: Fraction) -> str:
    """Show a sum or product: whole numbers without a point."""
    return str(value.numerator) if value.denominator == 1 else str(float(value))


def _shown(limits: dict[str, Any]) -> str:
    return ", ".join(f"{name}={v.symbol if isinstance(v, Asset) else v}" for name, v in limits.items())

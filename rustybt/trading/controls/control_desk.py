"""Where a strategy sets its controls, and where they are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError
from rustybt.trading.controls.controls import (
    AccountControl,
    LongOnly,
    MaxLeverage,
    MaxOrderCount,
    MaxOrderSize,
    MaxPositionSize,
    MinLeverage,
    ProposedOrder,
    RestrictedListOrder,
    TradingControl,
)
from rustybt.trading.controls.restrictions import (
    NoRestrictions,
    Restrictions,
    SecurityListRestrictions,
    StaticRestrictions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date

    import pandas as pd

    from rustybt.data.portal import BarData
    from rustybt.market.assets import Asset
    from rustybt.trading.book.ledger import Ledger
    from rustybt.trading.book.portfolio import Account
    from rustybt.trading.orders.lots import Amount


class ControlDesk:
    """The controls of one run; `rustybt.api` says what each of them asks.

    Parameters
    ----------
    first_session
        Grace periods start at its midnight, UTC.
    only_initialize
        Raises RequestError when the function of that name is called too late.
    clock
        Returns the present instant, UTC.
    session
        Returns the present session.

    Attributes
    ----------
    restrictions
        All restrictions set; an asset that they name cannot be traded, whatever their `on_error` is.
    """

    def __init__(
        self,
        data: BarData,
        ledger: Ledger,
        first_session: date,
        *,
        only_initialize: Callable[[str], None],
        clock: Callable[[], Any],
        session: Callable[[], date],
    ) -> None:
        self._data = data
        self._ledger = ledger
        self._first_session = first_session
        self._only_initialize = only_initialize
        self._clock = clock
        self._session = session
        self._of_orders: list[TradingControl] = []
        self._of_account: list[AccountControl] = []
        self.restrictions: Restrictions = NoRestrictions()

    # Setting -------------------------------------------------------------------------------------------------------

    def set_max_position_size(
        self, asset: Asset | None = None, max_shares: Any = None, max_notional: Any = None, on_error: str = "fail"
    ) -> None:
        """Limit what is held; see `rustybt.api.set_max_position_size`."""
        self._add(MaxPositionSize(on_error, asset, max_shares, max_notional))

    def set_max_order_size(
        self, asset: Asset | None = None, max_shares: Any = None, max_notional: Any = None, on_error: str = "fail"
    ) -> None:
        """Limit an order; see `rustybt.api.set_max_order_size`."""
        self._add(MaxOrderSize(on_error, asset, max_shares, max_notional))

    def set_max_order_count(self, max_count: int, on_error: str = "fail") -> None:
        """Limit the orders of a session; see `rustybt.api.set_max_order_count`."""
        self._add(MaxOrderCount(on_error, max_count))

    def set_long_only(self, on_error: str = "fail") -> None:
        """Forbid shorts; see `rustybt.api.set_long_only`."""
        self._add(LongOnly(on_error))

    def set_do_not_order_list(self, restricted_list: Any, on_error: str = "fail") -> None:
        """Forbid assets; see `rustybt.api.set_do_not_order_list`."""
        if isinstance(restricted_list, Restrictions):
            restrictions = restricted_list
        elif hasattr(restricted_list, "current_securities"):
            restrictions = SecurityListRestrictions(restricted_list)
        else:
            restrictions = StaticRestrictions(restricted_list)
        self.set_asset_restrictions(restrictions, on_error)

    def set_asset_restrictions(self, restrictions: Restrictions, on_error: str = "fail") -> None:
        """Forbid assets; see `rustybt.api.set_asset_restrictions`."""
        self._add(RestrictedListOrder(on_error, restrictions))
        self.restrictions |= restrictions

    def set_max_leverage(self, max_leverage: float) -> None:
        """Limit the leverage; see `rustybt.api.set_max_leverage`."""
        self._add(MaxLeverage(max_leverage))

    def set_min_leverage(self, min_leverage: float, grace_period: Any) -> None:
        """Ask for leverage; see `rustybt.api.set_min_leverage`."""
        self._add(MinLeverage(min_leverage, self._after(grace_period)))

    def _add(self, control: TradingControl | AccountControl) -> None:
        self._only_initialize(control.function)
        if isinstance(control, TradingControl):
            self._of_orders.append(control)
        else:
            self._of_account.append(control)

    def _after(self, grace_period: Any) -> pd.Timestamp:
        import pandas as pd

        try:
            deadline = pd.Timestamp(self._first_session) + grace_period
        except (TypeError, ValueError):
            deadline = pd.NaT
        if not isinstance(deadline, pd.Timestamp):
            raise RequestError(
                f"set_min_leverage(grace_period={grace_period!r}): a stretch of time is needed",
                hint="grace_period=pd.Timedelta(days=5)",
            )
        return deadline.tz_localize("UTC")

    # Asking --------------------------------------------------------------------------------------------------------

    def check_order(self, asset: Asset, amount: Amount) -> None:
        """Ask every control of orders, in the order of their setting.

        Raises
        ------
        TradingControlError
            The order breaks one that was set to fail.
        """
        if not self._of_orders:
            return
        position = self._ledger.positions.get(asset)
        order = ProposedOrder(
            asset,
            amount,
            0 if position is None else position.amount,
            float(self._data.current(asset, "price")),
            self._instant(),
            self._session(),
        )
        for control in self._of_orders:
            control.check(order)

    def check_account(self, account: Account) -> None:
        """Ask every control of the account.

        Raises
        ------
        AccountControlError
            The account breaks one.
        """
        for control in self._of_account:
            control.check(account, self._clock(), self._session())

    def is_restricted(self, asset: Asset) -> bool:
        """Return whether an asset may not be traded now."""
        if isinstance(self.restrictions, NoRestrictions):
            return False
        return bool(self.restrictions.is_restricted(asset, self._instant()))

    def notes(self) -> Iterable[str]:
        """Return a sentence on each control that orders broke and were only logged for."""
        return [
            f"orders that broke {control} and were placed: {len(control.logged)}, the first: {control.logged[0]}"
            for control in self._of_orders
            if control.logged
        ]

    def _instant(self) -> pd.Timestamp:
        """Return the present instant, or the last of the session's date where that is earlier.

        On a 24/7 calendar a session closes at the midnight that the next date begins with, and is still of its own date.
        """
        import pandas as pd

        last = pd.Timestamp(self._session(), tz="UTC") + pd.Timedelta(days=1) - pd.Timedelta(1, "ns")
        now: pd.Timestamp = min(self._clock(), last)
        return now

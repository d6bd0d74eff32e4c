"""Cash and holdings, exact to 1e-9: cash + positions = portfolio value, on every bar, to the last digit."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.data.portal.arrays.adjustments import Dividend, Split, StockDividend
from rustybt.trading.book.nano import FLOAT_SAFE, guard, half_even, times, to_nano
from rustybt.trading.book.position import HeldPosition, Position, Positions
from rustybt.trading.book.transaction import Transaction
from rustybt.trading.orders.lots import exact, truncate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from decimal import Decimal

    from rustybt.data.portal.bar_provider import Floats
    from rustybt.market.assets import Asset

#: So many holdings are valued quicker one by one than as arrays.
_FEW = 32
_UNKNOWN = float("nan")
# Values up to this, times 1e9, fit an int64.
_INT64_PRICES = 9.0e9
# Larger holdings are summed as integers of Python.
_INT64_AMOUNT = 2**62


class Ledger:
    """The book of one run; amounts of money are integers of 1e-9.

    Attributes
    ----------
    cash
        Cash held.
    positions
        Asset to holding; a holding of 0 is removed.
    positions_value, long_value, short_value
        Values at the last known prices; short values are negative.
    longs_count, shorts_count
        Holdings with a positive and with a negative value.
    """

    def __init__(self, capital_base: float) -> None:
        self.starting_cash = to_nano(capital_base)
        self.cash = self.starting_cash
        self.positions: dict[Asset, Position] = {}
        #: The same holdings for strategies to read.
        self.view = Positions()
        self.positions_value = 0
        self.long_value = 0
        self.short_value = 0
        self.longs_count = 0
        self.shorts_count = 0
        self._owed_cash: dict[int, int] = {}
        self._owed_shares: dict[int, list[tuple[Asset, Any]]] = {}
        #: Counts what changed amounts or cost bases: while it stands still, only prices move.
        self.changes = 0
        self._columns: np.ndarray[Any, Any] | None = None
        self._amounts: np.ndarray[Any, Any] | None = None
        #: Last known prices, as long as nothing is traded.
        self._marks: list[int] | None = None

    @property
    def portfolio_value(self) -> int:
        """Cash and positions."""
        return self.cash + self.positions_value

    def _hold(self, asset: Asset) -> Position:
        position = self.positions.get(asset)
        if position is None:
            position = self.positions[asset] = Position(asset)
            self.view[asset] = HeldPosition(position)
        return position

    def _settle(self, position: Position) -> None:
        """Remove a holding of 0, and forget where prices are found."""
        if position.amount == 0:
            del self.positions[position.asset]
            self.view.pop(position.asset, None)
        self._columns = self._marks = None
        self.changes += 1

    # Trading -------------------------------------------------------------------------------------------------------

    def execute(self, transaction: Transaction) -> None:
        """Book a fill: the holding changes, cash pays for it."""
        asset = transaction.asset
        position = self._hold(asset)
        amount = transaction.amount
        spent = (
            amount * transaction.price_nano if type(amount) is int else times(to_nano(amount), transaction.price_nano)
        )
        self.cash = guard(self.cash - spent)
        position.execute(transaction)
        self._settle(position)

    def charge(self, asset: Asset, cost: int) -> None:
        """Pay a commission; it counts in the holding's cost basis."""
        self.cash = guard(self.cash - cost)
        position = self.positions.get(asset)
        if position is not None:
            position.add_cost(cost / 1e9)
            self.changes += 1

    # Corporate actions ---------------------------------------------------------------------------------------------

    def earn(self, dividends: Iterable[Dividend | StockDividend]) -> None:
        """Note what is owed for holdings before an ex-date; a short owes it."""
        for dividend in dividends:
            position = self.positions.get(dividend.asset)
            if position is None:
                continue
            if isinstance(dividend, Dividend):
                owed = _times_decimal(position.amount, dividend.amount)
                self._owed_cash[dividend.pay_t] = self._owed_cash.get(dividend.pay_t, 0) + owed
            else:
                shares = truncate(exact(position.amount) * dividend.ratio, dividend.asset)
                if shares:
                    self._owed_shares.setdefault(dividend.pay_t, []).append((dividend.asset, shares))

    def pay(self, t: int) -> int:
        """Settle what is due in session `t` and return the cash of it."""
        paid = self._owed_cash.pop(t, 0)
        self.cash = guard(self.cash + paid)
        for asset, shares in self._owed_shares.pop(t, ()):
            position = self._hold(asset)
            position.amount = truncate(position.amount + shares, asset, near=True)
            self._settle(position)
        return paid

    def split(self, split: Split) -> None:
        """Restate a holding after a split; the fraction of a share is paid in cash."""
        position = self.positions.get(split.asset)
        if position is None:
            return
        self.cash = guard(self.cash + position.split(split.ratio))
        self._settle(position)

    def close_out(self, asset: Asset, dt: Any, price: float) -> Transaction | None:
        """Sell or cover a holding whose asset is delisted, at `price` or else at the last known one."""
        position = self.positions.get(asset)
        if position is None:
            return None
        known = price == price  # noqa: PLR0124 - NaN differs from itself
        transaction = Transaction(asset, -position.amount, dt, to_nano(price) if known else position.price_nano, None)
        self.execute(transaction)
        return transaction

    # Valuation -----------------------------------------------------------------------------------------------------

    def mark(self, prices: Floats, column_of: Callable[[Asset], int], dt: Any) -> None:
        """Value the holdings at `prices`, a row of a panel; one without a price keeps its last.

        Parameters
        ----------
        column_of
            Returns an asset's place in `prices`.
        """
        if not self.positions:
            self.revalue()
            return
        if self._columns is None:
            self._place(column_of)
        held = prices[self._columns]
        if len(held) > _FEW and self._mark_at_once(held, dt):
            return
        self._mark_each(held.tolist(), dt)

    def _place(self, column_of: Callable[[Asset], int]) -> None:
        """Note where the holdings' prices are found, and their amounts as one array where all are whole."""
        self._columns = np.array([column_of(asset) for asset in self.positions], dtype=np.int64)
        amounts = [position.amount for position in self.positions.values()]
        fits = all(type(a) is int and -_INT64_AMOUNT < a < _INT64_AMOUNT for a in amounts)
        self._amounts = np.array(amounts, dtype=np.int64) if fits else None

    def _mark_each(self, prices: list[float], dt: Any) -> None:
        """Value the holdings one by one; for few of them quicker than arrays, and right for all."""
        long_value = short_value = longs = shorts = 0
        marks = []
        for position, price in zip(self.positions.values(), prices, strict=True):
            # What `to_nano` does, without its call: this runs for each holding in each bar. NaN is in neither branch.
            if -FLOAT_SAFE < price < FLOAT_SAFE:
                position.price_nano = mark = round(price * 1e9)
                position.last_sale_date = dt
            elif price == price:  # noqa: PLR0124
                position.price_nano = mark = to_nano(price)
                position.last_sale_date = dt
            else:
                mark = position.price_nano
            marks.append(mark)
            amount = position.amount
            value = amount * mark if type(amount) is int else position.value_nano
            if value > 0:
                long_value += value
                longs += 1
            elif value < 0:
                short_value += value
                shorts += 1
        self._set_values(guard(long_value), guard(short_value), longs, shorts)
        self._marks = marks

    def _mark_at_once(self, prices: Floats, dt: Any) -> bool:
        """Value the holdings in 64 bits; return False, and change nothing, where one has no price or the sum may not fit."""
        amounts = self._amounts
        if amounts is None:
            return False
        # NaN is not below anything.
        if not (np.abs(prices).max() < FLOAT_SAFE and np.abs(amounts * prices).sum() < _INT64_PRICES):
            return False
        marks = np.rint(prices * 1e9).astype(np.int64)
        values = amounts * marks
        longs = values > 0
        long_value, longs_count = int(values[longs].sum()), int(np.count_nonzero(longs))
        shorts_count = int(np.count_nonzero(values)) - longs_count
        self._set_values(long_value, int(values.sum()) - long_value, longs_count, shorts_count)
        self._marks = marks.tolist()
        for position, mark in zip(self.positions.values(), self._marks, strict=True):
            position.price_nano = mark
            position.last_sale_date = dt
        return True

    def _set_values(self, long_value: int, short_value: int, longs: int, shorts: int) -> None:
        self.long_value, self.short_value = long_value, short_value
        self.longs_count, self.shorts_count = longs, shorts
        self.positions_value = long_value + short_value

    def last_prices(self) -> list[int]:
        """Return the last known price of each holding in units of 1e-9, in the order of `positions`; not to be changed."""
        if self._marks is None:
            self._marks = [position.price_nano for position in self.positions.values()]
        return self._marks

    def revalue(self) -> None:
        """Sum the holdings at their last known prices."""
        self._mark_each([_UNKNOWN] * len(self.positions), None)


def _times_decimal(amount: float, cash: Decimal) -> int:
    """Return amount times cash a share, in units of 1e-9, rounded half-even."""
    product = exact(amount) * Fraction(cash) * 10**9
    return half_even(product.numerator, product.denominator)

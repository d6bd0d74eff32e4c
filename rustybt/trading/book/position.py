"""What is held of one asset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError
from rustybt.market.assets import Asset
from rustybt.trading.book.nano import NANO, from_nano, half_even, times, to_nano
from rustybt.trading.orders.lots import Amount, exact, lot_of, truncate

if TYPE_CHECKING:
    from fractions import Fraction

    from rustybt.trading.book.transaction import Transaction


class Position:
    """A holding, long or short.

    Attributes
    ----------
    amount
        Signed; whole for assets that trade in whole units.
    cost_basis
        Average price at which the holding breaks even, commissions included. A float, as in Zipline: no money is
        booked from it but the cash for a fraction of a share.
    price_nano
        Last known price in units of 1e-9.
    last_sale_date
        Instant of that price, in UTC; None before the first.
    """

    __slots__ = ("amount", "asset", "cost_basis", "last_sale_date", "price_nano")

    def __init__(self, asset: Asset) -> None:
        self.asset = asset
        self.amount: Amount = 0
        self.cost_basis = 0.0
        self.price_nano = 0
        self.last_sale_date: Any = None

    @property
    def sid(self) -> Asset:
        """The asset, under Zipline's other name for it."""
        return self.asset

    @property
    def value_nano(self) -> int:
        """Amount times price, in units of 1e-9."""
        if type(self.amount) is int:
            return self.amount * self.price_nano
        return times(to_nano(self.amount), self.price_nano)

    @property
    def last_sale_price(self) -> float:
        """Last known price."""
        return from_nano(self.price_nano)

    def execute(self, transaction: Transaction) -> None:
        """Add a fill."""
        before, traded = self.amount, transaction.amount
        total = truncate(before + traded, self.asset, near=True)
        if total == 0:
            self.cost_basis = 0.0
        elif before == 0 or (before > 0) == (traded > 0):
            self.cost_basis = (self.cost_basis * before + traded * transaction.price) / total
        elif abs(traded) > abs(before):
            self.cost_basis = transaction.price
        if total != 0 and (self.last_sale_date is None or transaction.dt > self.last_sale_date):
            self.price_nano = transaction.price_nano
            self.last_sale_date = transaction.dt
        self.amount = total

    def add_cost(self, cost: float) -> None:
        """Spread a commission over the holding's cost basis."""
        if self.amount:
            self.cost_basis = (self.cost_basis * self.amount + cost) / self.amount

    def split(self, ratio: Fraction) -> int:
        """Multiply the amount by `ratio` and return the cash for the fraction that is left, in units of 1e-9.

        The fraction is paid at the cost basis rounded to cents, and the cash rounded to cents: Zipline's rule. A short
        pays. The last price is restated, so that the value does not jump before the first bar after the split.
        """
        whole = truncate(exact(self.amount) * ratio, self.asset)
        factor = ratio.denominator / ratio.numerator
        # Zipline's arithmetic, for half a cent falls to the side to which its floats lean.
        fraction = self.amount / factor - whole
        self.cost_basis *= factor
        self.price_nano = half_even(self.price_nano * ratio.denominator, ratio.numerator)
        self.amount = whole
        if lot_of(self.asset) is not None:
            return 0
        self.cost_basis = round(self.cost_basis, 2)
        return to_nano(round(fraction * self.cost_basis, 2))

    def to_dict(self) -> dict[str, Any]:
        """Return the position with Zipline's keys."""
        return {
            "sid": self.asset,
            "amount": self.amount,
            "cost_basis": self.cost_basis,
            "last_sale_price": self.price_nano / NANO,
        }

    def __repr__(self) -> str:
        return (
            f"Position({self.asset}, amount={self.amount}, cost_basis={self.cost_basis}, "
            f"last_sale_price={self.last_sale_price})"
        )


class HeldPosition:
    """A holding for a strategy to read: always as the book has it, and not to be changed."""

    __slots__ = ("_held",)
    _held: Position

    def __init__(self, held: Position) -> None:
        object.__setattr__(self, "_held", held)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a position is read-only: {name} cannot be set", name=name, obj=self)

    @property
    def asset(self) -> Asset:
        """What is held."""
        return self._held.asset

    sid = asset

    @property
    def amount(self) -> Amount:
        """Signed; whole for assets that trade in whole units."""
        return self._held.amount

    @property
    def cost_basis(self) -> float:
        """Average price at which the holding breaks even, commissions included."""
        return self._held.cost_basis

    @property
    def last_sale_price(self) -> float:
        """Last known price."""
        return self._held.last_sale_price

    @property
    def last_sale_date(self) -> Any:
        """Instant of that price, in UTC; None before the first."""
        return self._held.last_sale_date

    def to_dict(self) -> dict[str, Any]:
        """Return the position with Zipline's keys."""
        return self._held.to_dict()

    def __repr__(self) -> str:
        return repr(self._held)


class Positions(dict[Asset, HeldPosition]):
    """Holdings by asset; one that is not held reads as a position of 0."""

    def __missing__(self, asset: Asset) -> HeldPosition:
        if isinstance(asset, Asset):
            return HeldPosition(Position(asset))
        raise RequestError(
            f"positions are found by asset, not by {type(asset).__name__} {asset!r}", hint="use symbol()"
        )

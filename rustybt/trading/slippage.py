"""Slippage models: at what price, and how much of, an order fills in a bar."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError
from rustybt.trading.book.nano import to_nano
from rustybt.trading.book.transaction import Transaction
from rustybt.trading.orders.lots import Amount, lot_of, truncate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rustybt.market.assets import Asset
    from rustybt.trading.orders.order import Order


class LiquidityExceeded(Exception):  # noqa: N818 - Zipline's name, raised by users' models
    """Raised by a model when nothing more of the asset can fill in this bar."""


class SlippageModel(ABC):
    """Base of all models; derive from it and write `process_order`."""

    def __init__(self) -> None:
        self._volume_for_bar: Amount = 0

    @property
    def volume_for_bar(self) -> Amount:
        """Amount of the present asset that already filled in this bar."""
        return self._volume_for_bar

    @abstractmethod
    def process_order(self, data: Any, order: Order) -> tuple[float | None, Amount | None]:
        """Return the price and the signed amount that fill now, or (None, None) for nothing.

        Raises
        ------
        LiquidityExceeded
            No further order of this asset fills in this bar.
        """

    def simulate(self, data: Any, asset: Asset, orders: Sequence[Order]) -> Iterator[tuple[Order, Transaction]]:
        """Yield the fills of `orders`, all of `asset`, in the present bar; none where nothing traded."""
        self._volume_for_bar = 0
        if data.current(asset, "volume") == 0:
            return
        price = data.current(asset, "close")
        if math.isnan(price):
            return
        dt = data.current_dt
        for order in orders:
            if not order.open_amount:
                continue
            order.check_triggers(price, dt)
            if not order.triggered:
                continue
            try:
                answer = self.process_order(data, order)
            except LiquidityExceeded:
                break
            fill_price, amount = self._checked(answer, asset)
            if fill_price is None or amount is None:
                continue
            filled = truncate(amount, asset)
            if not filled:
                raise RequestError(
                    f"{type(self).__name__} filled {amount} of {asset.symbol}: less than the smallest amount it trades in"
                )
            self._volume_for_bar += abs(filled)
            yield order, Transaction(asset, filled, dt, to_nano(fill_price), order.id)

    def _checked(self, answer: Any, asset: Asset) -> tuple[Any, Any]:
        """Return what `process_order` answered; RequestError, naming the model, for what is no price and amount."""
        try:
            price, amount = answer
            if price is None or amount is None or (math.isfinite(price) and math.isfinite(amount)):
                return price, amount
        except (TypeError, ValueError, OverflowError):
            pass
        raise RequestError(
            f"{type(self).__name__} answered {answer!r} for an order of {asset.symbol}: not a finite price and amount",
            hint="process_order returns a price and a signed amount, or None, None for no fill",
        )

    def __repr__(self) -> str:
        shown = ", ".join(f"{k}={v!r}" for k, v in sorted(vars(self).items()) if not k.startswith("_"))
        return f"{type(self).__name__}({shown})"


#: Zipline's name of the base for models of shares: futures are not traded here.
EquitySlippageModel = SlippageModel


class NoSlippage(SlippageModel):
    """Fill everything at the close."""

    def process_order(self, data: Any, order: Order) -> tuple[float | None, Amount | None]:
        """Return the close and the whole order."""
        return data.current(order.asset, "close"), order.open_amount


class FixedSlippage(SlippageModel):
    """Fill everything at the close plus half of `spread` for buys, minus half of it for sales."""

    def __init__(self, spread: float = 0.0) -> None:
        super().__init__()
        _check_rate(spread, "spread", least=-math.inf)
        self.spread = spread

    def process_order(self, data: Any, order: Order) -> tuple[float | None, Amount | None]:
        """Return the close moved by half the spread, and the whole order."""
        price = data.current(order.asset, "close")
        return price + (self.spread / 2.0 * order.direction), order.open_amount


class FixedBasisPointsSlippage(SlippageModel):
    """Fill at the close moved by `basis_points`, at most `volume_limit` of the bar's volume; Zipline's default.

    Parameters
    ----------
    basis_points
        Hundredths of a percent, not negative.
    volume_limit
        Fraction of the bar's volume that may fill, above 0.
    """

    def __init__(self, basis_points: float = 5.0, volume_limit: float = 0.1) -> None:
        super().__init__()
        _check_rate(basis_points, "basis_points")
        _check_rate(volume_limit, "volume_limit", above=True)
        self.basis_points = basis_points
        self.volume_limit = volume_limit
        self._fraction = basis_points / 10000.0

    def process_order(self, data: Any, order: Order) -> tuple[float | None, Amount | None]:
        """Return the moved close and what the volume allows."""
        most = truncate(self.volume_limit * data.current(order.asset, "volume"), order.asset)
        price = data.current(order.asset, "close")
        amount = min(abs(order.open_amount), most - self.volume_for_bar)
        if amount <= 0:
            raise LiquidityExceeded
        return price + price * (self._fraction * order.direction), amount * order.direction


class VolumeShareSlippage(SlippageModel):
    """Move the close by ``price_impact * volume_share ** 2``, filling at most `volume_limit` of the bar's volume.

    Parameters
    ----------
    volume_limit
        Fraction of the bar's volume that may fill.
    price_impact
        Move of the price, as a fraction, if the whole volume were ours.
    """

    def __init__(self, volume_limit: float = 0.025, price_impact: float = 0.1) -> None:
        super().__init__()
        _check_rate(volume_limit, "volume_limit", above=True)
        _check_rate(price_impact, "price_impact")
        self.volume_limit = volume_limit
        self.price_impact = price_impact

    def process_order(self, data: Any, order: Order) -> tuple[float | None, Amount | None]:
        """Return the moved close and what the volume allows."""
        volume = data.current(order.asset, "volume")
        left = self.volume_limit * volume - self.volume_for_bar
        if left < 1 and lot_of(order.asset) is None:
            raise LiquidityExceeded
        amount = truncate(min(left, abs(order.open_amount)), order.asset)
        if not amount:
            raise LiquidityExceeded
        share = min((self.volume_for_bar + amount) / volume, self.volume_limit)
        price = data.current(order.asset, "close")
        moved = price + share**2 * math.copysign(self.price_impact, order.direction) * price
        if _is_worse_than_limit(moved, order):
            return None, None
        return moved, math.copysign(amount, order.direction)


def _check_rate(rate: Any, name: str, *, least: float = 0.0, above: bool = False) -> None:
    """Raise RequestError unless `rate` is a finite number of at least `least`, or above it."""
    try:
        is_fine = math.isfinite(rate) and (rate > least if above else rate >= least)
    except (TypeError, ValueError, OverflowError):
        is_fine = False
    if not is_fine:
        must = "be above 0 and finite" if above else "not be negative, and be finite" if least == 0 else "be finite"
        raise RequestError(f"{name} must {must}, not {rate!r}")


def _is_worse_than_limit(price: float, order: Order) -> bool:
    if not order.limit:
        return False
    return price > order.limit if order.direction > 0 else price < order.limit

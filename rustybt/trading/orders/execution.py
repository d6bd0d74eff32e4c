"""Order styles: at what price an order may fill."""

from __future__ import annotations

import math
import reprlib
from abc import ABC, abstractmethod
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rustybt.errors import RequestError
from rustybt.trading.book.nano import from_nano, to_nano
from rustybt.trading.orders.lots import lot_of

if TYPE_CHECKING:
    from rustybt.market.assets import Asset

_CENT = 0.01
#: More than the book holds.
_MOST = 1e29
# Zipline rounds a limit that is up to 5 % of a tick beyond a price to that price, else in the order's favour.
_FAVOUR = 0.95
_EPSILON = 2.220446049250313e-16 * 10


class ExecutionStyle(ABC):
    """Gives an order its limit and stop price."""

    exchange: str | None = None

    @abstractmethod
    def get_limit_price(self, is_buy: bool) -> float | None:  # noqa: FBT001 - Zipline's signature
        """Return the worst price to fill at, None for any."""

    @abstractmethod
    def get_stop_price(self, is_buy: bool) -> float | None:  # noqa: FBT001
        """Return the price that must trade before the order is live, None for none."""


class MarketOrder(ExecutionStyle):
    """Fill at the price of the next bar."""

    def __init__(self, exchange: str | None = None) -> None:
        self.exchange = exchange

    def get_limit_price(self, is_buy: bool) -> float | None:  # noqa: ARG002, FBT001
        """Return None."""
        return None

    def get_stop_price(self, is_buy: bool) -> float | None:  # noqa: ARG002, FBT001
        """Return None."""
        return None


class LimitOrder(ExecutionStyle):
    """Fill at `limit_price` or better; the price is rounded to the asset's tick in the order's favour."""

    def __init__(self, limit_price: float, asset: Asset | None = None, exchange: str | None = None) -> None:
        self.limit_price = check_price(limit_price, "limit")
        self.asset = asset
        self.exchange = exchange

    def get_limit_price(self, is_buy: bool) -> float | None:  # noqa: FBT001
        """Return the limit price, rounded to the tick."""
        return _rounded(self.limit_price, self.asset, prefer_down=is_buy)

    def get_stop_price(self, is_buy: bool) -> float | None:  # noqa: ARG002, FBT001
        """Return None."""
        return None


class StopOrder(ExecutionStyle):
    """Become a market order when `stop_price` trades: at or above it for a buy, at or below it for a sale."""

    def __init__(self, stop_price: float, asset: Asset | None = None, exchange: str | None = None) -> None:
        self.stop_price = check_price(stop_price, "stop")
        self.asset = asset
        self.exchange = exchange

    def get_limit_price(self, is_buy: bool) -> float | None:  # noqa: ARG002, FBT001
        """Return None."""
        return None

    def get_stop_price(self, is_buy: bool) -> float | None:  # noqa: FBT001
        """Return the stop price, rounded to the tick."""
        return _rounded(self.stop_price, self.asset, prefer_down=not is_buy)


class StopLimitOrder(ExecutionStyle):
    """Become a limit order when `stop_price` trades."""

    def __init__(
        self, limit_price: float, stop_price: float, asset: Asset | None = None, exchange: str | None = None
    ) -> None:
        self.limit_price = check_price(limit_price, "limit")
        self.stop_price = check_price(stop_price, "stop")
        self.asset = asset
        self.exchange = exchange

    def get_limit_price(self, is_buy: bool) -> float | None:  # noqa: FBT001
        """Return the limit price, rounded to the tick."""
        return _rounded(self.limit_price, self.asset, prefer_down=is_buy)

    def get_stop_price(self, is_buy: bool) -> float | None:  # noqa: FBT001
        """Return the stop price, rounded to the tick."""
        return _rounded(self.stop_price, self.asset, prefer_down=not is_buy)


def style_of(asset: Asset, limit_price: float | None, stop_price: float | None, style: Any) -> ExecutionStyle:
    """Return the style that the arguments of an order call mean.

    Raises
    ------
    RequestError
        Both a style and a price are given, the style is none, or a price is negative or not finite.
    """
    if style is not None:
        if not isinstance(style, ExecutionStyle):
            hint = (
                f"write {style.__name__}(...) with its prices" if isinstance(style, type) else "style=LimitOrder(10.5)"
            )
            raise RequestError(f"style= takes an order style, not {style!r}", hint=hint)
        if limit_price is not None or stop_price is not None:
            raise RequestError(
                "an order takes a style or prices, not both", hint="leave out limit_price and stop_price"
            )
        return style
    if limit_price is not None and stop_price is not None:
        return StopLimitOrder(limit_price, stop_price, asset=asset)
    if limit_price is not None:
        return LimitOrder(limit_price, asset=asset)
    if stop_price is not None:
        return StopOrder(stop_price, asset=asset)
    return MarketOrder()


def check_price(price: Any, label: str) -> float:
    """Return `price` as a float.

    Raises
    ------
    RequestError
        It is not a number, not finite, or negative.
    """
    try:
        if isinstance(price, (str, bytes, bytearray)):
            # float() would read a number out of it.
            raise TypeError
        value = float(price)
    except OverflowError:
        value = math.inf
    except (TypeError, ValueError):
        raise RequestError(f"the {label} price of an order must be a number, not {reprlib.repr(price)}") from None
    if not 0 <= value < _MOST:
        raise RequestError(
            f"the {label} price of an order must be finite and not negative, below {_MOST:.0e}, not {reprlib.repr(price)}"
        )
    return value


def round_to_tick(price: float, tick: float, *, prefer_down: bool) -> float:
    """Return `price` rounded to a multiple of `tick` in the direction given, unless it is within 5 % of a tick beyond.

    The result is the decimal number of ticks. A limit to buy at 10.0105 becomes 10.01; one at 10.0195 becomes 10.02, for it is within 5 % of that tick.
    """
    shift = (_FAVOUR - 0.5) * tick - _EPSILON
    steps = (price - (shift if prefer_down else -shift)) / tick
    whole = math.ceil(steps) if steps % 1 >= 0.5 else round(steps)
    # Through decimals: 2849 ticks of 0.01 are 28.49, not the 28.490000000000002 that a bar of 28.49 never reaches.
    return float(whole * Decimal(repr(tick)))


def _rounded(price: float, asset: Asset | None, *, prefer_down: bool) -> float:
    """Return `price` as a multiple of the asset's tick, by default a cent."""
    tick: Decimal | None = asset.attributes.tick_size if asset is not None else None
    if not tick and asset is not None and lot_of(asset) is not None:
        # A coin may be worth less than a cent: a limit of 0.000012 must not become 0, at which it would sell for anything.
        return from_nano(to_nano(price))
    return round_to_tick(price, float(tick) if tick else _CENT, prefer_down=prefer_down)

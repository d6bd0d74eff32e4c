"""Amounts: whole shares, or multiples of a fractional lot."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rustybt.market.assets import Asset

#: Whole shares are ints; amounts of assets with a fractional lot are floats.
Amount = int | float

#: Crypto without a stated lot is traded in 1e-8, as most venues do.
_CRYPTO_LOT = Decimal("1e-8")
# Zipline: an amount this near to an integer means that integer.
_NEAR = 0.0001
# A quotient is never rounded up to the next lot, whatever the user's context is.
_EXACT = Context(prec=60, rounding=ROUND_DOWN)


def lot_of(asset: Asset) -> Decimal | None:
    """Return the asset's lot when it is a fraction of one, None when it trades in whole units."""
    lot = asset.attributes.lot_size
    if lot is None:
        return _CRYPTO_LOT if asset.attributes.asset_type == "crypto" else None
    return lot if lot < 1 else None


def exact(amount: Amount | Decimal | Fraction) -> Fraction:
    """Return `amount` as the decimal that it is printed as, for arithmetic without error."""
    if isinstance(amount, (int, Decimal, Fraction)):
        return Fraction(amount)
    return Fraction(repr(float(amount)))


def truncate(amount: Any, asset: Asset, *, near: bool = False) -> Amount:
    """Return `amount` cut towards zero to what the asset trades in.

    Parameters
    ----------
    near
        Round to the nearest lot instead: for sums of floats that are multiples of the lot already.
    """
    if type(amount) is int:
        return amount
    lot = lot_of(asset)
    if lot is None:
        return int(amount)
    lots = _EXACT.divide(_decimal(amount), lot).to_integral_value(ROUND_HALF_EVEN if near else ROUND_DOWN)
    return float(_EXACT.multiply(lots, lot))


def round_order(amount: Any, asset: Asset) -> Amount:
    """Return the amount that an order for `amount` means.

    Whole units: truncated towards zero, unless within 0.0001 of an integer, as in Zipline.
    """
    if type(amount) is int:
        return amount
    if lot_of(asset) is not None:
        return truncate(amount, asset)
    nearest = round(amount)
    return int(nearest if abs(nearest - amount) <= _NEAR else amount)


def _decimal(amount: Any) -> Decimal:
    if isinstance(amount, Decimal):
        return amount
    if isinstance(amount, Fraction):
        return _EXACT.divide(Decimal(amount.numerator), Decimal(amount.denominator))
    return Decimal(repr(float(amount)))

"""Alpaca's list of assets: where each is listed, and whether it still is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rustybt.errors import AuthenticationError, BadResponseError
from rustybt.market.assets import AssetAttributes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

#: ISO 10383 codes of what Alpaca calls exchanges; others are venues that nothing here knows.
VENUES = {
    "NASDAQ": "XNAS",
    "NYSE": "XNYS",
    "ARCA": "ARCX",
    "NYSEARCA": "ARCX",
    "AMEX": "XASE",
    "BATS": "BATS",
    "OTC": "OTCM",
}


@dataclass(frozen=True, slots=True)
class AlpacaAsset:
    """One listing. An active one wins over a former one of the same symbol."""

    attributes: AssetAttributes
    is_active: bool


class AlpacaDirectory:
    """The list of all assets, asked for once; keys that are for data only may not see it."""

    def __init__(self, get: Callable[[], Awaitable[Any]]) -> None:
        self._get = get
        self._lock = asyncio.Lock()
        self._assets: Mapping[str, AlpacaAsset] | None = None
        self._refused: AuthenticationError | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Why nothing is known of venues, as a sentence for the report."""
        if self._refused is None:
            return ()
        return ("alpaca does not show its list of assets to this key: venues are unknown",)

    async def load(self, *, required: bool = False) -> Mapping[str, AlpacaAsset] | None:
        """Return the assets by symbol; None where the key may not see them.

        Raises
        ------
        AuthenticationError
            The key may not see them, and they are `required`.
        SourceError
            They cannot be had now. An asset without a venue would be another asset, so that is no answer.
        """
        async with self._lock:
            if self._assets is None and self._refused is None:
                try:
                    self._assets = _read(await self._get())
                except AuthenticationError as error:
                    self._refused = error
        if required and self._refused is not None:
            raise self._refused
        return self._assets


def _read(answer: Any) -> dict[str, AlpacaAsset]:
    found: dict[str, AlpacaAsset] = {}
    try:
        for item in answer:
            symbol, is_active = item["symbol"], item["status"] == "active"
            if symbol in found and found[symbol].is_active:
                continue
            venue = VENUES.get(item["exchange"])
            found[symbol] = AlpacaAsset(
                AssetAttributes(venue, "equity", "USD", name=str(item.get("name") or "")), is_active
            )
    except (TypeError, KeyError, AttributeError):
        raise BadResponseError("alpaca: the list of assets is malformed") from None
    if not found:
        raise BadResponseError("alpaca: the list of assets is empty")
    return found

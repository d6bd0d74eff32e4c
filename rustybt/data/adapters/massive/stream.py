"""Minute bars of Massive's websocket, as they end."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from rustybt.data.adapters.massive.client import decode, missing, quiet
from rustybt.data.adapters.redaction import redact
from rustybt.data.adapters.series import StreamedBar
from rustybt.errors import AuthenticationError, BadResponseError, RequestError, SourceError, SourceUnavailableError
from rustybt.market.calendars import get_calendar
from rustybt.market.request import to_date

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from rustybt.data.adapters.credentials import Secret
    from rustybt.data.adapters.transport import Transport
    from rustybt.market.frequency import Frequency

LIVE_HOST, DELAYED_HOST = "socket.massive.com", "delayed.massive.com"
_REFUSED = ("auth_failed", "not_authorized", "unauthorized")


class MassiveStream:
    """One connection; it is not opened again when it breaks.

    Parameters
    ----------
    live
        In real time, else 15 minutes late.
    extended_hours
        Also bars before and after the session.
    """

    def __init__(self, transport: Transport, key: Secret, *, live: bool, extended_hours: bool) -> None:
        self._transport = transport
        self._key = key
        self._live = live
        self._extended_hours = extended_hours

    async def bars(self, tickers: Mapping[str, str], frequency: Frequency) -> AsyncIterator[StreamedBar]:
        """Yield a bar at the end of each minute with trades.

        Parameters
        ----------
        tickers
            The canonical symbol of each of the vendor's.

        Raises
        ------
        RequestError
            `frequency` is not 1m.
        AuthenticationError
            The key, or its plan, is refused.
        SourceUnavailableError
            The connection broke, or there was none in time.
        """
        if frequency.name != "1m":
            raise RequestError(f"source polygon streams bars of 1m, not of {frequency}", hint="stream 1m")
        received: asyncio.Queue[str | bytes] = asyncio.Queue()
        client = self._client(tickers)
        # The library writes every frame to its log, and the first one holds the key.
        silent = logging.getLogger("rustybt.polygon.websocket")
        silent.setLevel(logging.CRITICAL)
        running = asyncio.create_task(
            client.connect(received.put, logger=silent, proxy=self._transport.proxy), name="rustybt-polygon-stream"
        )
        try:
            await self._subscribed(client, running, received)
            while True:
                for item in _messages(await _next(received, running)):
                    bar = self._bar(item, tickers)
                    if bar is not None:
                        yield bar
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await running
            if client.websocket is not None:
                await client.websocket.close()

    def _client(self, tickers: Mapping[str, str]) -> Any:
        try:
            from massive import WebSocketClient
        except ImportError as error:
            raise missing() from error
        quiet()
        base = self._transport.base_url
        parts = urlsplit(base or "")
        return WebSocketClient(
            api_key=self._key.reveal(),
            feed=parts.netloc if base else LIVE_HOST if self._live else DELAYED_HOST,
            secure=parts.scheme == "https" if base else True,
            market="stocks",
            raw=True,
            subscriptions=[f"AM.{ticker}" for ticker in sorted(tickers)],
            # It would go on for ever where it never got through; who listens decides.
            max_reconnects=0,
            ca_certs=self._transport.ca_bundle,
        )

    async def _subscribed(self, client: Any, running: asyncio.Task[None], received: asyncio.Queue[str | bytes]) -> None:
        """Wait until the client has asked for its bars: it never gives up on a server that does not answer."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._transport.timeout_seconds
        while not client.subs and received.empty():
            if running.done():
                raise _broken(running)
            if loop.time() > deadline:
                raise SourceUnavailableError(
                    f"the stream of polygon did not open within {self._transport.timeout_seconds:g} seconds"
                )
            await asyncio.wait({running}, timeout=0.01)

    def _bar(self, item: Any, tickers: Mapping[str, str]) -> StreamedBar | None:
        """Return the bar of a message; None for what is none, and for one outside of the session."""
        if not isinstance(item, dict):
            raise BadResponseError("the stream of polygon sent a message that is none")
        if item.get("ev") == "status":
            _check_status(item)
            return None
        if item.get("ev") != "AM" or item.get("sym") not in tickers:
            return None
        try:
            stamp = int(item["s"]) * 1_000
            opened, high, low, close, volume = (Decimal(item[key]) for key in ("o", "h", "l", "c", "v"))
        except (KeyError, TypeError, ValueError, InvalidOperation):
            raise BadResponseError(f"the stream of polygon sent a bar of {item['sym']} that is none") from None
        if not self._extended_hours and not _in_session(stamp):
            return None
        return StreamedBar(tickers[item["sym"]], stamp, opened, high, low, close, volume, is_final=True)


def _messages(text: str | bytes) -> list[Any]:
    found = decode(text)
    return found if isinstance(found, list) else [found]


async def _next(received: asyncio.Queue[str | bytes], running: asyncio.Task[None]) -> str | bytes:
    """Return the next message; what arrived before the connection broke is still delivered."""
    if received.empty():
        getting = asyncio.ensure_future(received.get())
        try:
            await asyncio.wait({getting, running}, return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                return getting.result()
        finally:
            getting.cancel()
        if received.empty():
            raise _broken(running)
    return received.get_nowait()


def _broken(running: asyncio.Task[None]) -> SourceError:
    """Return why the client's task ended."""
    from massive.exceptions import AuthError

    error = None if running.cancelled() else running.exception()
    if isinstance(error, AuthError):
        return AuthenticationError(
            "polygon does not let this key stream", hint="export MASSIVE_API_KEY=... of a plan with websockets"
        )
    if isinstance(error, SourceError):
        return error
    reason = "closed" if error is None else type(error).__name__
    return SourceUnavailableError(f"the stream of polygon broke off: {reason}")


def _check_status(item: Mapping[str, Any]) -> None:
    status, said = str(item.get("status")), redact(str(item.get("message", "")))[:300]
    if status in ("connected", "auth_success", "success"):
        return
    if status in _REFUSED or "not authorized" in said.casefold():
        raise AuthenticationError(f"polygon refuses the stream: {said}", hint="streams need a plan with websockets")
    raise SourceUnavailableError(f"polygon ends the stream: {status} {said}".strip())


def _in_session(stamp: int) -> bool:
    day = to_date(stamp)
    calendar = get_calendar("XNYS", day - timedelta(days=1), day + timedelta(days=1))
    return bool(calendar.session_of_instants(np.array([stamp]))[0] >= 0)

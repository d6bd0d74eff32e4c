"""Alpaca's websocket of minute bars, through alpaca-py: its connection, its login and its frames, but no secret reconnecting.

alpaca-py's own loop reconnects for ever and only logs what goes wrong, so that a gap could not be seen. Here the first break
ends it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

from rustybt.data.adapters.alpaca import client as alpaca_client
from rustybt.data.adapters.new_york import is_within_session
from rustybt.data.adapters.redaction import redact
from rustybt.data.adapters.series import StreamedBar
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    RateLimitedError,
    RequestError,
    SourceError,
    SourceUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from rustybt.data.adapters.credentials import Secret
    from rustybt.data.adapters.transport import Transport

STREAM_URL = "wss://stream.data.alpaca.markets"
#: A connection that answers no ping this long is broken; alpaca-py waits 3 minutes.
PING_SECONDS, PONG_SECONDS = 10.0, 20.0
_CLOSED = object()


async def stream_minutes(
    symbols: Sequence[str], key: Secret, secret: Secret, transport: Transport, feed: str
) -> AsyncIterator[StreamedBar]:
    """Yield bars of one connection, until it breaks.

    Raises
    ------
    RequestError
        A proxy is set: the websocket of alpaca-py goes through none.
    AuthenticationError
        The key is refused, or its plan does not allow so much.
    SourceUnavailableError
        The connection cannot be made, or broke.
    """
    if transport.proxy is not None:
        raise RequestError("alpaca's stream cannot go through a proxy", hint="stream without --proxy")
    items: asyncio.Queue[Any] = asyncio.Queue()
    stream = _open(key, secret, transport, feed, items, frozenset(symbols))
    stream.subscribe_bars(_ignore, *symbols)
    task = asyncio.create_task(stream._run_forever())  # noqa: SLF001  `run` wants a loop of its own
    task.add_done_callback(lambda _: items.put_nowait(_CLOSED))
    try:
        while True:
            item = await items.get()
            if isinstance(item, SourceError):
                raise item
            if item is _CLOSED:
                raise _why(task)
            yield item
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, _BrokenError):
            await task
        await stream.close()


async def only_sessions(bars: AsyncIterator[StreamedBar]) -> AsyncIterator[StreamedBar]:
    """Yield the bars that begin within a session of New York."""
    try:
        async for bar in bars:
            if is_within_session(bar.timestamp):
                yield bar
    finally:
        await bars.aclose()  # type: ignore[attr-defined]


class _BrokenError(Exception):
    """The connection broke, or could not be made."""


async def _ignore(_: Any) -> None:
    """Stand for a subscription; bars are taken before alpaca-py hands them over."""


def _open(
    key: Secret, secret: Secret, transport: Transport, feed: str, items: asyncio.Queue[Any], symbols: frozenset[str]
) -> Any:
    alpaca_client.import_alpaca()
    from alpaca.data.enums import DataFeed
    from alpaca.data.live import StockDataStream

    class OneConnection(StockDataStream):
        """Ends at the first break, and hands over frames as they are."""

        async def _wait_before_reconnect(self, retries: int) -> NoReturn:
            del retries
            raise _BrokenError

        async def _dispatch(self, msg: dict[str, Any]) -> None:
            try:
                found = _read(msg, symbols)
            except SourceError as error:
                found = error
            if found is not None:
                items.put_nowait(found)

    url = transport.base_url or STREAM_URL
    if url.startswith("http"):
        url = f"ws{url.removeprefix('http')}"
    # The client logs what this module raises; the frames, which it would log byte by byte, hold the key.
    logging.getLogger("alpaca.data.live.websocket").addHandler(logging.NullHandler())
    silent = logging.getLogger("rustybt.alpaca.frames")
    silent.setLevel(logging.CRITICAL + 1)
    options: dict[str, Any] = {
        "ping_interval": PING_SECONDS,
        "ping_timeout": PONG_SECONDS,
        "open_timeout": transport.timeout_seconds,
        "close_timeout": 1.0,
        "max_queue": 1024,
        "logger": silent,
    }
    if url.startswith("wss"):
        options["ssl"] = ssl.create_default_context(cafile=transport.ca_bundle)
    return OneConnection(
        key.reveal(),
        secret.reveal(),
        raw_data=True,
        feed=DataFeed(feed),
        websocket_params=options,
        url_override=f"{url}/v2/{feed}",
    )


def _read(message: dict[str, Any], symbols: frozenset[str]) -> StreamedBar | SourceError | None:
    """Return the bar of a frame, the error that it stands for, or None for one that says nothing of interest."""
    kind = message.get("T")
    if kind == "error":
        return _refusal(str(message.get("msg", "")), message.get("code"))
    if kind == "subscription":
        missing = sorted(symbols.difference(message.get("bars") or ()))
        return SourceUnavailableError(f"alpaca does not stream {', '.join(missing)}") if missing else None
    if kind != "b" or message.get("S") not in symbols:
        return None
    try:
        stamp = message["t"]
        return StreamedBar(
            message["S"],
            stamp.seconds * 1_000_000 + stamp.nanoseconds // 1_000,
            open=_exact(message["o"]),
            high=_exact(message["h"]),
            low=_exact(message["l"]),
            close=_exact(message["c"]),
            volume=_exact(message["v"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise BadResponseError(f"alpaca streams a malformed bar of {message.get('S')}") from error


def _exact(value: Any) -> Decimal:
    """Return the shortest decimal that reads back as the same double: what was meant."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError
    return Decimal(repr(value))


def _refusal(text: str, code: Any) -> SourceError:
    """Return the error for one of Alpaca's codes; https://docs.alpaca.markets/docs/streaming-market-data."""
    said = f"alpaca's stream refuses: {redact(text)[:200]}"
    if code == 406 or "connection limit" in text:
        return RateLimitedError(
            said, hint="one connection for each account: close the other one", retry_after_seconds=5.0
        )
    if code in (401, 402, 403, 404, 405, 409) or "auth" in text or "subscription" in text:
        return AuthenticationError(said, hint="set APCA_API_KEY_ID and APCA_API_SECRET_KEY, or choose feed=iex")
    return SourceUnavailableError(said)


def _why(task: asyncio.Task[Any]) -> SourceError:
    """Return what ended the connection; what the client met first is the context of what it ended with."""
    error = None if task.cancelled() else task.exception()
    cause = error.__context__ if isinstance(error, _BrokenError) else error
    if isinstance(cause, ValueError):
        # How alpaca-py says that the login failed.
        return _refusal(str(cause), None)
    return SourceUnavailableError(f"alpaca's stream broke: {type(cause).__name__ if cause else 'closed'}")

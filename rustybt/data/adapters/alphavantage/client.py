"""Requests to Alpha Vantage: one address, and a key in its query that must not be seen anywhere else."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from rustybt.data.adapters.alphavantage.messages import read_message, read_status
from rustybt.data.adapters.redaction import redact
from rustybt.data.adapters.retry_after import asked_seconds
from rustybt.errors import BadResponseError, SourceError, SourceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rustybt.data.adapters.credentials import Secret
    from rustybt.data.adapters.transport import Transport

BASE_URL = "https://www.alphavantage.co"


def open_client(key: Secret, transport: Transport, connections: int) -> Any:
    """Return an `httpx.AsyncClient` that puts the key into the query where nothing logs it any more.

    httpx writes the address of each request into its log and into its exceptions. So the key joins the query one layer
    further down, in the transport; above it, the address has none.
    """
    import httpx

    class KeyedTransport(httpx.AsyncBaseTransport):
        """Adds the key to the query, and hands on."""

        def __init__(self, below: httpx.AsyncBaseTransport) -> None:
            self._below = below

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            keyed = httpx.Request(
                request.method,
                request.url.copy_merge_params({"apikey": key.reveal()}),
                headers=request.headers,
                stream=request.stream,
                extensions=request.extensions,
            )
            return await self._below.handle_async_request(keyed)

        async def aclose(self) -> None:
            await self._below.aclose()

    below = httpx.AsyncHTTPTransport(
        verify=httpx.create_ssl_context(verify=_trusted(transport)),
        proxy=transport.proxy or _proxy_of_environment(transport.base_url or BASE_URL),
        # Some requests a minute are not worth connections that linger, and complain when their owner is forgotten.
        limits=httpx.Limits(max_connections=max(connections, 1), max_keepalive_connections=0),
    )
    return httpx.AsyncClient(
        transport=KeyedTransport(below),
        base_url=transport.base_url or BASE_URL,
        timeout=transport.timeout_seconds,
        headers={"Accept": "text/csv, application/json"},
    )


class KeyedClient:
    """A client of the caller's, given the key with each request.

    Parameters
    ----------
    is_owned
        Whether it is closed with the adapter; one that the caller made is theirs to close.
    """

    def __init__(self, client: Any, key: Secret, base_url: str, *, is_owned: bool) -> None:
        self._client = client
        self._key = key
        self._base_url = base_url
        self._is_owned = is_owned

    async def get(self, path: str, params: dict[str, str]) -> Any:
        """Make the request."""
        return await self._client.get(f"{self._base_url}{path}", params={**params, "apikey": self._key.reveal()})

    async def aclose(self) -> None:
        """Close the client if it is ours."""
        if self._is_owned:
            await self._client.aclose()


def key_client(given: Any, key: Secret, transport: Transport) -> KeyedClient:
    """Return an `httpx.AsyncClient` of the caller's, or what their function makes, with the key; httpx's log masks it."""
    logger = logging.getLogger("httpx")
    if _mask not in logger.filters:
        logger.addFilter(_mask)
    is_owned = not hasattr(given, "get")
    return KeyedClient(given() if is_owned else given, key, transport.base_url or BASE_URL, is_owned=is_owned)


def _mask(record: logging.LogRecord) -> bool:
    record.msg, record.args = redact(record.getMessage()), ()
    return True


def _trusted(transport: Transport) -> Any:
    import ssl

    if transport.ca_bundle is None:
        return True
    return ssl.create_default_context(cafile=transport.ca_bundle)


def _proxy_of_environment(url: str) -> str | None:
    """Return the proxy that HTTPS_PROXY and its kin name for `url`."""
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


async def get_text(client: Any, params: Mapping[str, str], timeout_seconds: float, now: float) -> str:
    """Return the CSV that Alpha Vantage answers a query with; `now` is in Unix seconds.

    Raises
    ------
    SourceError
        The answer is one of its messages, which come as JSON with status 200 whatever was asked for.
    """
    import asyncio

    # Of the whole answer: httpx's own time limits each single read.
    async with asyncio.timeout(timeout_seconds):
        response = await client.get("/query", params=dict(params))
    waits = _asked_to_wait(response.headers, now)
    if response.status_code != 200:
        raise read_status(response.status_code, waits)
    try:
        text = str(response.content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise BadResponseError("alphavantage answers with what is no text") from None
    if text.lstrip()[:1] in ("{", "["):
        raise read_message(text, params.get("symbol", ""), waits)
    return text


def map_client_error(error: Exception) -> SourceError | None:
    """Return what an exception of httpx stands for; None for one that is a bug of ours."""
    import httpx

    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return SourceUnavailableError("alphavantage did not answer in time")
    if isinstance(error, httpx.DecodingError):
        return BadResponseError("alphavantage answers with what cannot be unpacked")
    if isinstance(error, httpx.HTTPError | OSError):
        # Nothing of its text: it may hold the address.
        return SourceUnavailableError(f"alphavantage cannot be reached: {type(error).__name__}")
    return None


def _asked_to_wait(headers: Mapping[str, str], now: float) -> dict[str, Any]:
    asked = asked_seconds(headers.get("retry-after"), now)
    return {} if asked is None else {"retry_after_seconds": asked}

"""The ccxt exchange object: chosen by id, pointed at its server, and made strict about what it takes for an answer.

Three habits of ccxt lose data without a word, and are turned off here: text that is no JSON is taken for a list of rows, one
a character; rows without a time are dropped where a start is asked for, so that such a page is an empty one; and JSON numbers
become binary floats.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from difflib import get_close_matches
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from rustybt.data.adapters.exact_json import read_exactly
from rustybt.data.adapters.reading import is_time
from rustybt.errors import BadResponseError, MissingDependencyError, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from rustybt.data.adapters.connection import Connection
    from rustybt.data.adapters.request_count import RequestCount
    from rustybt.data.adapters.transport import Transport

_CLOSE_SECONDS = 0.5
#: Milliseconds from one request to the next, by ccxt's `rateLimit`, from which on an exchange counts by the second.
_SPREAD_MS = 500
# What is being closed; a task that nobody holds may vanish before it is done.
_closing: set[Future[None]] = set()
_EXAMPLES = "binance, coinbase, kraken, okx, bybit"


def exchange_class(exchange: str) -> type[Any]:
    """Return ccxt's asynchronous class of an exchange, the one with streams where there is one.

    Raises
    ------
    MissingDependencyError
        ccxt is not installed.
    RequestError
        ccxt knows no such exchange (the hint names near ones), or has no bars of it.
    """
    try:
        import ccxt.async_support
        import ccxt.pro
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"source ccxt needs the package {error.name}", hint='pip install "rustybt[ccxt]"', source="ccxt"
        ) from error
    known = list(ccxt.async_support.exchanges)
    if exchange not in known:
        near = get_close_matches(exchange, known, n=3)
        raise RequestError(
            f"ccxt {ccxt.__version__} knows no exchange {exchange!r}",
            hint=f"did you mean {' or '.join(near)}?" if near else f"use one of its {len(known)}, such as {_EXAMPLES}",
            exchange=exchange,
        )
    found: type[Any] = getattr(ccxt.pro if exchange in ccxt.pro.exchanges else ccxt.async_support, exchange)
    return found


def make_client(exchange: str, connection: Connection) -> Any:
    """Return an exchange object that speaks to the exchange over `connection`; makes no request.

    A client of the caller's own is taken as it is, but for the checks of its answers.
    """
    kind = exchange_class(exchange)
    if connection.client is not None:
        client = connection.client() if callable(connection.client) else connection.client
        if getattr(client, "id", None) != exchange or not hasattr(client, "load_markets_helper"):
            raise RequestError(
                f"the client given is no asynchronous ccxt exchange {exchange!r}",
                hint=f"make it with ccxt.async_support.{exchange}() or ccxt.pro.{exchange}()",
            )
    else:
        client = kind(_settings(connection.transport))
        # Waiting is the business of the account's throttle, which knows of all processes, and lets a minute's requests go
        # at once: for an exchange that wants them spread over the minute, ccxt spreads them.
        client.enableRateLimit = connection.requests_per_minute is None and client.rateLimit >= _SPREAD_MS
        # ccxt rounds to whole seconds, down.
        patience = max(1_000, client.timeout)
        client.options["ws"] = {**(client.options.get("ws") or {}), "connectionTimeout": patience}
        _only_spot(client)
        if connection.transport.base_url is not None:
            client.urls["api"] = _moved(client.urls["api"], connection.transport.base_url)
    check_answers(client)
    return client


def _settings(transport: Transport) -> dict[str, Any]:
    """Return ccxt's settings for `transport`."""
    settings: dict[str, Any] = {
        "timeout": max(1, int(transport.timeout_seconds * 1_000)),
        "timeout_on_exit": 0,
        # Proxies of the environment count as they do for every other program, unless all is said here.
        "aiohttp_trust_env": transport.proxy is None and transport.base_url is None,
    }
    if transport.ca_bundle is not None:
        settings["cafile"] = transport.ca_bundle
    if transport.proxy is not None:
        settings["httpsProxy"] = transport.proxy
        settings["wssProxy"] = transport.proxy
    return settings


def _only_spot(client: Any) -> None:
    """Have markets cost one request: no derivatives, no list of coins, where the exchange has spot markets at all."""
    client.has["fetchCurrencies"] = False
    wanted = client.options.get("fetchMarkets")
    types = wanted.get("types") if isinstance(wanted, dict) else wanted
    if isinstance(types, list) and "spot" in types:
        types[:] = ["spot"]
    elif isinstance(types, dict) and types.get("spot"):
        for key, value in types.items():
            types[key] = key == "spot" if not isinstance(value, dict) else dict.fromkeys(value, False)


def _moved(urls: Any, base_url: str) -> Any:
    """Return ccxt's nested addresses with every host replaced and every path kept."""
    if isinstance(urls, dict):
        return {name: _moved(value, base_url) for name, value in urls.items()}
    if not isinstance(urls, str) or "://" not in urls:
        return urls
    base, own = urlsplit(base_url), urlsplit(urls)
    scheme = base.scheme.replace("http", "ws") if own.scheme in ("ws", "wss") else base.scheme
    return urlunsplit((scheme, base.netloc, base.path + own.path, own.query, ""))


def public_host(urls: Any, hostname: str | None) -> str:
    """Return the address of the exchange's public interface, without path; empty where ccxt names none.

    Parameters
    ----------
    hostname
        What ccxt puts in the place of ``{hostname}``.
    """
    if isinstance(urls, dict):
        first = [name for name in ("public", "spot", "rest", "v1") if name in urls]
        found = (public_host(urls[name], hostname) for name in dict.fromkeys([*first, *urls]))
        return next((host for host in found if host.startswith("http")), "")
    if not isinstance(urls, str) or "://" not in urls:
        return ""
    parts = urlsplit(urls.replace("{hostname}", hostname or ""))
    return f"{parts.scheme}://{parts.netloc}"


def close_forgotten(client: Any) -> None:
    """Close the connections of a client whose owner is gone, on the loop that they belong to.

    For a finalizer, which runs when a source was not closed: in a collection of garbage, or at the end of the program.
    ccxt and aiohttp complain there at length, to somebody who never knew of either.
    """
    loop = client.asyncio_loop
    if client.session is None or loop is None or not loop.is_running():
        return
    closing = asyncio.run_coroutine_threadsafe(client.close(), loop)
    _closing.add(closing)
    closing.add_done_callback(_closing.discard)
    try:
        here = asyncio.get_running_loop()
    except RuntimeError:
        here = None
    if here is not loop:
        # At the end of the program nobody else would wait; it takes a millisecond.
        with suppress(TimeoutError):
            closing.exception(_CLOSE_SECONDS)


def count_requests(client: Any, count: RequestCount) -> None:
    """Have `client` count each HTTP request: for one list of markets, some exchanges are asked several times."""
    # Of a client that was counted for another before, what is below that.
    given_fetch = getattr(client.fetch, "rustybt_counted", client.fetch)

    async def fetch(*given: Any, **named: Any) -> Any:
        count.add()
        return await given_fetch(*given, **named)

    fetch.rustybt_counted = given_fetch  # type: ignore[attr-defined]
    client.fetch = fetch


# -- strict answers --------------------------------------------------------------------------------------------------


def check_answers(client: Any) -> None:
    """Have `client` refuse what is no answer, and give its errors what the HTTP answer said."""
    if getattr(client, "_rustybt_checked", False):
        return
    client._rustybt_checked = True  # noqa: SLF001  a client used twice is wrapped once
    given_errors, given_rows = client.handle_errors, client.parse_ohlcvs

    def handle_errors(
        code: int, reason: str, url: str, method: str, headers: Mapping[str, str], body: str, response: Any, *more: Any
    ) -> Any:
        try:
            found = given_errors(code, reason, url, method, headers, body, response, *more)
            client.handle_http_status_code(code, reason, url, method, body)
        except Exception as error:
            error.http_status = code  # type: ignore[attr-defined]
            error.retry_after = _header(headers, "retry-after")  # type: ignore[attr-defined]
            raise
        if response is None or response == {}:
            _check_json(client.id, body)
        return found

    def parse_ohlcvs(rows: Any, market: Any = None, *more: Any, **named: Any) -> list[Any]:
        if isinstance(rows, dict):
            # Columns instead of rows, which the class of such an exchange reads itself.
            parsed = given_rows(rows, market, *more, **named)
        else:
            # All of them: what lies before `since` tells of an exchange that does not heed it.
            parsed = [client.parse_ohlcv(row, market) for row in rows] if isinstance(rows, list) else [rows]
        for bar in parsed:
            check_bar(bar, client.id)
        return sorted(parsed, key=itemgetter(0))

    client.handle_errors = handle_errors
    client.parse_ohlcvs = parse_ohlcvs


def check_bar(bar: Any, exchange: str) -> None:
    """Raise unless `bar` has a time and four prices; ccxt drops one without a time where a start is asked for.

    Raises
    ------
    BadResponseError
        It has not.
    """
    is_bar = isinstance(bar, list) and len(bar) >= 6 and type(bar[0]) is int and is_time(bar[0] * 1_000)
    if not is_bar or None in bar[1:5]:
        text = repr(bar)
        raise BadResponseError(f"{exchange} answered {text[:80]} as a bar", exchange=exchange)


def exact_numbers(client: Any) -> None:
    """Have bars carry every digit that was sent: text, never a binary float.

    For use once the markets are loaded: ccxt compares and adds numbers while it reads those.
    """
    client.number = str
    client.on_json_response = _loads_exactly


def _loads_exactly(body: str) -> Any:
    return read_exactly(body, whole=int)


def _check_json(exchange: str, body: str) -> None:
    """Raise unless `body` is JSON that says something; ccxt reads a broken answer character by character."""
    try:
        empty = read_exactly(body) == {}
    except ValueError:
        raise BadResponseError(
            f"{exchange} answered {len(body)} characters that are no JSON", exchange=exchange
        ) from None
    if empty:
        raise BadResponseError(f"{exchange} answered an empty object", exchange=exchange)


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name), None)

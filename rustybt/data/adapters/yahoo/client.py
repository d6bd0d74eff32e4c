"""The one place that touches yfinance: its cookies, its crumb and its browser's handshake, without its retries and caches."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

from rustybt.data.adapters.exact_json import read_doubles
from rustybt.errors import MissingDependencyError, RequestError

if TYPE_CHECKING:
    from rustybt.data.adapters.connection import Connection
    from rustybt.data.adapters.request_count import RequestCount
    from rustybt.data.adapters.transport import Transport

HOST = "https://query2.finance.yahoo.com"
CHART_PATH = "/v8/finance/chart/"

# Only these may be a matter of a stale cookie, which the client mends by itself.
_COOKIE_STATUS = (401, 403)


class YahooRefusal(Exception):  # noqa: N818  an answer of the vendor, not yet an error of ours
    """Yahoo answered with an HTTP error.

    Parameters
    ----------
    payload
        The body: JSON of a known form, or anything.
    retry_after
        The header of that name, as sent.
    """

    def __init__(self, status: int, payload: bytes, retry_after: str | None = None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.payload = payload
        self.retry_after = retry_after


class YahooUnreachable(Exception):  # noqa: N818  not yet an error of ours
    """The connection failed; the text is the name of what the session raised, which may itself hold a password."""


class YahooClient:
    """yfinance's own client, apart from every other one in the process.

    yfinance keeps one client for the whole process, one proxy for all, cookies in a file of the user's cache folder, and
    answers about the past in memory. Two sources of ours may use two proxies, a test must not leave its cookies to the
    user, and an answer must be as fresh as its provenance says: so each of these has a client of its own, with its cookies
    in memory. The user's settings in ``yfinance.config`` stay as they are, and hold where a source says nothing else.

    Parameters
    ----------
    count
        Told of every request, also of those for cookies; not of those of a session that the connection brings.

    Raises
    ------
    MissingDependencyError
        yfinance is not installed.
    RequestError
        The client that the connection brings is no session of curl_cffi or requests.
    """

    def __init__(self, connection: Connection, count: RequestCount) -> None:
        try:
            from yfinance.data import YfData
        except ImportError as error:
            raise MissingDependencyError(
                "Yahoo Finance needs the package yfinance, which is not installed",
                hint='pip install "rustybt[yfinance]"',
            ) from error
        # Without a handler Python would print its warnings on stderr, beside our own errors that say the same.
        logger = logging.getLogger("yfinance")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        given = connection.client
        if given is not None and not hasattr(given, "get") and callable(given):
            given = given()
        if given is not None and not hasattr(given, "get"):
            raise RequestError("the client of source yfinance is a session, such as curl_cffi.requests.Session()")
        self._is_own = given is None
        self._session = make_session(connection.transport, count) if given is None else given
        self._timeout_seconds = connection.transport.timeout_seconds
        self._client = _apart(YfData, self._session)

    def fetch(self, ticker: str, params: dict[str, Any]) -> Any:
        """Return the parsed JSON of one request for bars.

        Raises
        ------
        YahooRefusal
            The answer is an HTTP error, or carries one.
        ValueError
            The answer is no JSON.
        YahooUnreachable, OSError
            The connection failed; the latter of a session that was given.
        """
        url = f"{HOST}{CHART_PATH}{quote(ticker, safe='=^.')}"
        # Not `cache_get`, which would answer from memory for ranges in the past.
        response = self._client.get(url, params=params, timeout=self._timeout_seconds)
        _raise_refusal(response)
        if b"Will be right back" in response.content[:10_000]:
            raise YahooRefusal(503, b"")
        payload = read_doubles(response.content)
        chart = payload.get("chart") if isinstance(payload, dict) else None
        error = chart.get("error") if isinstance(chart, dict) else None
        if isinstance(error, dict):
            raise YahooRefusal(404 if error.get("code") == "Not Found" else 422, bytes(response.content))
        return payload

    def close(self) -> None:
        """Close the connections of this thread; a session that was given is its owner's to close."""
        if self._is_own:
            self._session.close()


def _apart(base: type, session: Any) -> Any:
    """Return a client of the class that is neither the process's only one nor shares its cookie file."""

    class Client(base):  # type: ignore[misc]
        """Keeps its cookies to itself."""

        def _load_cookie_curlCffi(self) -> bool:  # noqa: N802  yfinance's name
            return False

        def _save_cookie_curlCffi(self) -> bool:  # noqa: N802  yfinance's name
            # Called when there is one; without a word of it the client would ask for another before each request.
            self._cookie = True
            return True

    # The metaclass makes one instance a class; `type` makes one a call.
    return type.__call__(Client, session=session)


def _raise_refusal(response: Any) -> None:
    status = int(response.status_code)
    if status >= 400:
        raise YahooRefusal(status, bytes(response.content), response.headers.get("Retry-After"))


def make_session(transport: Transport, count: RequestCount) -> Any:
    """Return a session that looks like a browser, as yfinance's own, goes where `transport` says, and is counted."""
    more: dict[str, Any] = {} if transport.ca_bundle is None else {"verify": transport.ca_bundle}
    return _session_class()(transport, count, impersonate="chrome", **more)


@lru_cache(maxsize=1)
def _session_class() -> Any:
    from curl_cffi.requests import Session

    class YahooSession(Session):  # type: ignore[type-arg]
        """Applies base address, proxy and patience to each request that the client makes, also for cookies."""

        def __init__(self, transport: Transport, count: RequestCount, **options: Any) -> None:
            super().__init__(**options)
            self._transport = transport
            self._count = count

        def request(self, method: Any, url: str, **options: Any) -> Any:  # type: ignore[override]  # hands all on
            transport = self._transport
            is_chart = urlsplit(url).path.startswith(CHART_PATH)
            if transport.base_url is not None:
                url = rebase(url, transport.base_url)
            if transport.proxy is not None:
                # Of this session alone: yfinance would set the session's from its own setting.
                options["proxies"] = {"http": transport.proxy, "https": transport.proxy}
            options["timeout"] = transport.timeout_seconds
            self._count.add()
            if not is_chart:
                # For cookies: the client goes on without where it cannot have them.
                return super().request(method, url, **options)
            # When to ask again is the adapter's business: the client sees neither a broken connection, which it may be set
            # to try again, nor a refusal, which it would try with other cookies.
            try:
                response = super().request(method, url, **options)
            except OSError as error:
                raise YahooUnreachable(type(error).__name__) from None
            if response.status_code not in _COOKIE_STATUS:
                _raise_refusal(response)
            return response

    return YahooSession


def rebase(url: str, base_url: str) -> str:
    """Return `url` on the host, and below the path, of `base_url`."""
    parts, base = urlsplit(url), urlsplit(base_url)
    path = base.path.rstrip("/") + (parts.path or "/")
    return urlunsplit((base.scheme, base.netloc, path, parts.query, parts.fragment))

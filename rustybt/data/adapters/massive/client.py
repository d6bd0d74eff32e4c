"""The requests to Massive (formerly Polygon.io): its own client opens the connections, the answers are read strictly.

The client by itself ends a series without a word where a page is malformed, hides the status and ``Retry-After`` of an error,
and tries again on its own. Here every answer passes one door that knows its status, and is decoded with digits as text.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from rustybt.data.adapters.exact_json import read_exactly
from rustybt.data.adapters.patience import read_in_time
from rustybt.data.adapters.redaction import redact
from rustybt.data.adapters.retry_after import asked_seconds
from rustybt.errors import BadResponseError, MissingDependencyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from rustybt.data.adapters.connection import Connection
    from rustybt.data.adapters.credentials import Secret

BASE_URL = "https://api.massive.com"
#: Most base aggregates (minutes or days) of one answer, and most rows of reference data.
AGGREGATES_LIMIT, REFERENCE_LIMIT = 50_000, 1_000
_VENDOR_HOSTS = frozenset({"api.massive.com", "api.polygon.io"})
_STATUS_OF_TEXT = {"NOT_AUTHORIZED": 403, "NOT_FOUND": 404}
_LOGGERS = ("RESTClient", "WebSocketClient")

Answer = Mapping[str, Any]


class StatusError(Exception):
    """The vendor answered with an error."""

    def __init__(self, status: int, text: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"status {status}: {text}")
        self.status = status
        self.text = text
        self.retry_after_seconds = retry_after_seconds


class MassiveClient:
    """Makes single requests, each once; methods block and may be called from several threads.

    Every method returns the decoded answer, with all numbers as the text they were printed as.

    Raises
    ------
    StatusError
        The vendor refused.
    BadResponseError
        The answer is no JSON object, or its status is none that is known.
    urllib3.exceptions.HTTPError
        No answer came, or not all of it.
    """

    def __init__(self, connection: Connection, key: Secret) -> None:
        self._connection = connection
        self._key = key
        self._lock = threading.Lock()
        self._opened: Any = None

    def aggregates(self, ticker: str, multiplier: int, span: str, start: str, end: str, *, adjusted: bool) -> Answer:
        """Return the first page of bars from `start` to `end`: dates, or milliseconds as text."""
        return _decoded(
            self._client().list_aggs(
                quote(ticker, safe=""),
                multiplier,
                span,
                start,
                end,
                adjusted=adjusted,
                sort="asc",
                limit=AGGREGATES_LIMIT,
                raw=True,
            )
        )

    def splits(self, ticker: str, start: date, end: date) -> Answer:
        """Return the first page of splits with an ex-date from `start` to `end`, both included."""
        return _decoded(
            self._client().list_splits(
                ticker,
                execution_date_gte=start.isoformat(),
                execution_date_lte=end.isoformat(),
                sort="execution_date",
                order="asc",
                limit=REFERENCE_LIMIT,
                raw=True,
            )
        )

    def dividends(self, ticker: str, start: date, end: date) -> Answer:
        """Return the first page of dividends with an ex-date from `start` to `end`, both included."""
        return _decoded(
            self._client().list_dividends(
                ticker,
                ex_dividend_date_gte=start.isoformat(),
                ex_dividend_date_lte=end.isoformat(),
                sort="ex_dividend_date",
                order="asc",
                limit=REFERENCE_LIMIT,
                raw=True,
            )
        )

    def details(self, ticker: str) -> Answer:
        """Return what the vendor knows of a listing of today; 404 where it has none of that ticker."""
        return _decoded(self._client().get_ticker_details(quote(ticker, safe=""), raw=True))

    def tickers(self, *, ticker: str | None = None, active: bool = True) -> Answer:
        """Return the first page of listed stocks, or of those that left the exchange."""
        return _decoded(
            self._client().list_tickers(
                ticker=ticker,
                market="stocks",
                active=active,
                limit=REFERENCE_LIMIT,
                sort="ticker",
                order="asc",
                raw=True,
            )
        )

    def follow(self, next_url: Any, within: str) -> Answer:
        """Return the page that an answer named as the next one; it is asked for where the first one was.

        Parameters
        ----------
        within
            What the address' path must begin with.

        Raises
        ------
        BadResponseError
            It leads elsewhere; nothing was asked, so that no stranger ever sees the key.
        """
        client = self._client()
        try:
            parts = urlsplit(next_url)
            host, is_web = parts.hostname, parts.scheme in ("http", "https")
        except (AttributeError, TypeError, ValueError):
            raise BadResponseError("polygon names a next page that is no address") from None
        known = _VENDOR_HOSTS | {urlsplit(client.BASE).hostname}
        if not is_web or host not in known or not parts.path.startswith(within):
            raise BadResponseError(f"polygon says that the next page is at {host or 'no address'}, which is not asked")
        # A key belongs into the header, and never into an address.
        query = [(name, value) for name, value in parse_qsl(parts.query) if name.lower() != "apikey"]
        response = client.client.request("GET", f"{client.BASE}{parts.path}?{urlencode(query)}", headers=client.headers)
        return _decoded(response)

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.client.clear()

    def _client(self) -> Any:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> Any:
        given = self._connection.client
        client = self._usual() if given is None else given() if callable(given) else given
        if not isinstance(client.client, _Door):
            client.client = _Door(client.client, self._connection)
        return client

    def _usual(self) -> Any:
        transport = self._connection.transport
        return rest_client()(
            # Named, always: the default was read from the environment when the module was imported.
            api_key=self._key.reveal(),
            base=transport.base_url or BASE_URL,
            connect_timeout=transport.timeout_seconds,
            read_timeout=transport.timeout_seconds,
            retries=0,
            pagination=False,
            maxsize=64,
            ca_certs=transport.ca_bundle,
            proxy=transport.proxy,
        )


class _Door:
    """Stands where the client's connection pool stood: one request is one request, and an error keeps its status."""

    def __init__(self, pool: Any, connection: Connection) -> None:
        self._pool = pool
        self._timeout_seconds = connection.transport.timeout_seconds
        self._clock = connection.clock

    def request(self, method: str, url: str, **more: Any) -> Any:
        """Return the whole answer if its status is 200."""
        # Nor redirects: the key goes to the address that was chosen and to no other.
        options = {**more, "retries": False, "redirect": False, "preload_content": False}
        response = self._pool.request(method, url, **options)
        body = read_in_time(response, self._timeout_seconds)
        if response.status != 200:
            text = body[:10_000].decode("utf-8", "replace")
            raise StatusError(
                response.status, _sentence(text), asked_seconds(response.headers.get("Retry-After"), self._clock())
            )
        return _Whole(body, response.status, response.headers)

    def clear(self) -> None:
        """Close the connections."""
        self._pool.clear()


@dataclass(frozen=True, slots=True)
class _Whole:
    """An answer of status 200 that has arrived."""

    data: bytes
    status: int
    headers: Mapping[str, str]


def rest_client() -> Callable[..., Any]:
    """Return the vendor's class of REST clients.

    Raises
    ------
    MissingDependencyError
        The package is not installed.
    """
    try:
        from massive import RESTClient
    except ImportError as error:
        raise missing() from error
    quiet()
    found: Callable[..., Any] = RESTClient
    return found


def missing() -> MissingDependencyError:
    """Return the error of a machine without the vendor's package."""
    return MissingDependencyError(
        "source polygon needs the package massive, which is not installed", hint="pip install 'rustybt[polygon]'"
    )


def quiet() -> None:
    """Take the client's log off standard output, where it would stand among the answers of a command."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            if type(handler) is logging.StreamHandler:
                logger.removeHandler(handler)


def decode(text: str | bytes) -> Any:
    """Return JSON with each number as its text, so that no digit is lost.

    Raises
    ------
    BadResponseError
        It is no JSON, or holds NaN.
    """
    try:
        return read_exactly(text)
    except ValueError as error:
        raise BadResponseError(f"polygon sent what is no JSON: {redact(str(error))}") from None


def _decoded(response: Any) -> Answer:
    answer = decode(response.data)
    if not isinstance(answer, dict):
        raise BadResponseError("polygon sent what is no JSON object")
    status = answer.get("status")
    if str(status) not in ("OK", "DELAYED"):
        text = redact(str(answer.get("error") or answer.get("message") or ""))[:300]
        known = _STATUS_OF_TEXT.get(str(status))
        if known is not None:
            raise StatusError(known, text)
        if "exceeded the maximum requests" in text:
            raise StatusError(429, text)
        raise BadResponseError(f"polygon sent an answer of status {redact(str(status))[:40]!r} {text}".strip())
    return answer


def _sentence(text: str) -> str:
    """Return the vendor's own words out of the body of an error."""
    try:
        body = json.loads(text)
        found = body.get("error") or body.get("message") or body.get("status")
    except (ValueError, AttributeError, RecursionError):
        found = None
    return redact(str(found if isinstance(found, str) else ""))[:300]

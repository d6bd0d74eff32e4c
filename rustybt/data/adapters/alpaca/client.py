"""The client of alpaca-py, taught patience of our own: a timeout, no sleeping retries, and digits that stay text."""

from __future__ import annotations

import json
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

from rustybt.data.adapters.exact_json import read_exactly
from rustybt.data.adapters.patience import read_in_time
from rustybt.errors import MissingDependencyError

if TYPE_CHECKING:
    from rustybt.data.adapters.transport import Transport

TRADING_LIVE = "https://api.alpaca.markets"
TRADING_PAPER = "https://paper-api.alpaca.markets"


class AlpacaRefusal(Exception):  # noqa: N818  it says what the server did; `AlpacaAdapter.map_error` makes an error of it
    """An answer with an HTTP status other than 200.

    Raised while the response is still in the session's hands, so that alpaca-py's own retries (3 s each, blocking, whatever
    ``Retry-After`` says) never see it.
    """

    def __init__(self, status: int, headers: dict[str, str], body: str) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def message(self) -> str:
        """What the server said, if it said so in JSON."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return ""
        return str(found.get("message", ""))[:200] if isinstance(found, dict) else ""


class AlpacaNonsense(Exception):  # noqa: N818  see above
    """An answer of status 200 that is no JSON."""


def import_alpaca() -> None:
    """Import alpaca-py without the warning that it builds on an old part of websockets: users can do nothing about it.

    Raises
    ------
    MissingDependencyError
        alpaca-py is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import alpaca.data  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "source alpaca needs the package alpaca-py", hint='pip install "rustybt[alpaca]"'
        ) from error


def open_client(key: str, secret: str, transport: Transport, connections: int) -> Any:
    """Return a `StockHistoricalDataClient` that goes through `transport`."""
    import_alpaca()
    from alpaca.data.historical import StockHistoricalDataClient

    client = StockHistoricalDataClient(key, secret, raw_data=True, url_override=transport.base_url)
    return prepare_client(client, transport, connections)


def prepare_client(client: Any, transport: Transport, connections: int) -> Any:
    """Give a client of alpaca-py a timeout, the proxy and the certificates, and answers whose numbers are text.

    Its session is the one private thing that is touched: alpaca-py has no option for any of these.
    """
    from requests.adapters import HTTPAdapter

    session = client._session  # noqa: SLF001  see above
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=max(connections, 1)))
    options: dict[str, Any] = {"timeout": transport.timeout_seconds}
    if transport.proxy is not None:
        options["proxies"] = {"http": transport.proxy, "https": transport.proxy}
    if transport.ca_bundle is not None:
        options["verify"] = transport.ca_bundle
    # By call and not by session: there, requests prefers the environment's proxies and certificates to the caller's.
    session.request = partial(type(session).request, session, **options)
    session.hooks["response"] = [partial(_read, transport.timeout_seconds)]
    return client


def _read(timeout_seconds: float, response: Any, *_: Any, **__: Any) -> Any:
    """Check an answer as soon as it is there, and let it be read as text only."""
    # Here and not by requests, which goes on waiting as long as a byte comes now and then.
    response._content = read_in_time(response.raw, timeout_seconds)  # noqa: SLF001  where requests keeps it
    response._content_consumed = True  # noqa: SLF001
    response.encoding = "utf-8"
    if response.status_code != 200:
        raise AlpacaRefusal(response.status_code, dict(response.headers), response.text)
    response.json = partial(_parse, response)
    return response


def _parse(response: Any) -> Any:
    """Return the answer's JSON with every number as the text that was sent."""
    try:
        return read_exactly(response.text)
    except ValueError:
        raise AlpacaNonsense("the answer is no JSON") from None

"""What every vendor's adapter is: it speaks the vendor's language on one side and answers in series of bars on the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, TypeVar

from rustybt.data.adapters.request_count import RequestCount
from rustybt.data.adapters.retry import call_with_retries
from rustybt.data.adapters.throttle import Throttle
from rustybt.errors import (
    CONCERNS_ALL,
    RequestError,
    SourceError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from rustybt.data.adapters.connection import Connection
    from rustybt.data.adapters.limits import VendorLimits
    from rustybt.data.adapters.series import SeriesAnswer, StreamedBar
    from rustybt.market.frequency import Frequency
    from rustybt.market.provenance import SourceMetadata

T = TypeVar("T")


class BaseDataAdapter(ABC):
    """Talks to one vendor: transport, throttle, retries, error mapping, and the vendor's symbols and labels.

    Every request to the vendor goes through `call`. All methods that touch the network run on one event loop, the bridge's.

    Parameters
    ----------
    limits
        Of this vendor, exchange or plan; `connection` may override them.
    account
        Whose limits these are: the vendor, and a digest of the key where there is one; never the key.

    Attributes
    ----------
    name
        Of the source, such as ``yfinance``.
    asset_type
        Of what it mostly delivers, see `rustybt.market.assets.AssetAttributes`: plans count bars by its calendar.
    price_basis
        How prices are delivered, see `rustybt.market.corporate_actions.PRICE_BASES`.
    sends_every_bar
        Whether its stream has a bar for every step of the clock, also for one without a trade.
    tells_all_events
        Whether an answer names every event that `SeriesAnswer.actions` promises; False where events were not asked for.
    """

    name: ClassVar[str] = ""
    asset_type: ClassVar[str] = "equity"
    price_basis: str = "raw"
    sends_every_bar: bool = False
    tells_all_events: bool = True

    def __init__(self, connection: Connection, limits: VendorLimits, account: str) -> None:
        self.connection = connection
        self.transport = connection.transport
        self.limits = connection.apply(limits)
        self.request_count = RequestCount()
        self.throttle = Throttle(
            account,
            requests_per_minute=self.limits.requests_per_minute,
            requests_per_day=self.limits.requests_per_day,
            parallel_requests=self.limits.parallel_requests,
        )

    # -- symbols -----------------------------------------------------------------------------------------------------

    def canonical_symbol(self, text: str) -> str:
        """Return the canonical symbol for what a user typed or the vendor uses; idempotent."""
        return text

    def vendor_symbol(self, symbol: str) -> str:
        """Return what the vendor calls the canonical `symbol`."""
        return symbol

    # -- the vendor --------------------------------------------------------------------------------------------------

    @abstractmethod
    async def fetch_series(
        self, symbols: Sequence[str], start: int, end: int, frequency: Frequency
    ) -> Mapping[str, SeriesAnswer | SourceError]:
        """Fetch bars and corporate actions of `symbols`, from `start` to `end`, both included.

        Parameters
        ----------
        symbols
            Canonical, at most ``limits.symbols_per_request``.
        start, end
            Microseconds since 1970 UTC. For daily and longer bars they bound the labels (dates at 00:00 UTC).
        frequency
            One of ``limits.frequencies``.

        Returns
        -------
        mapping
            One entry a symbol: what it has, an empty frame where it has nothing in the range, or why it failed.
            What is capped, cut short or malformed is a failure, never a shorter answer.

        Raises
        ------
        SourceError
            Nothing can be said of any of them: the vendor is down, refuses the key or the rate.
        """

    async def one_by_one(
        self, symbols: Sequence[str], fetch: Callable[[str], Awaitable[SeriesAnswer]]
    ) -> Mapping[str, SeriesAnswer | SourceError]:
        """Return what `fetch` answers for each symbol, asked one after the other, or why it failed.

        Raises
        ------
        AuthenticationError, RateLimitedError, SourceUnavailableError
            No other symbol could fare better.
        """
        answers: dict[str, SeriesAnswer | SourceError] = {}
        for symbol in symbols:
            try:
                answers[symbol] = await fetch(symbol)
            except CONCERNS_ALL:
                raise
            except SourceError as error:
                answers[symbol] = error
        return answers

    @abstractmethod
    def map_error(self, error: Exception) -> SourceError | None:
        """Return the error of our tree that a client's exception stands for; None for one that is a bug of ours.

        `SourceUnavailableError` and `RateLimitedError` are tried again, the others are not.
        """

    @abstractmethod
    def metadata(self) -> SourceMetadata:
        """Return what is recorded with every version; never a key."""

    async def list_symbols(self) -> list[str]:
        """Return every canonical symbol of the vendor, sorted.

        Raises
        ------
        RequestError
            The vendor has no such list.
        """
        raise RequestError(f"source {self.name} cannot list its symbols", hint="name them: --symbols AAPL,MSFT")

    def pages(self, start: int, end: int, frequency: Frequency, bars: int, symbols: int = 1) -> int:
        """Return how many requests the `bars` take that are due from `start` to `end`, for a plan.

        Parameters
        ----------
        bars, symbols
            How many bars are due of how many symbols together, at most ``limits.symbols_per_request``.
        """
        del start, end, frequency, symbols
        return max(1, -(-bars // self.limits.bars_per_page))

    def subscribe(self, symbols: Sequence[str], frequency: Frequency) -> AsyncIterator[StreamedBar]:
        """Yield bars as the vendor pushes them, until the connection ends.

        Reconnecting, back-filling and order are the business of `rustybt.data.sources.vendor.stream`.

        Raises
        ------
        RequestError
            The vendor has no stream, or none of this frequency.
        SourceUnavailableError
            The connection broke.
        """
        raise RequestError(f"source {self.name} cannot stream {frequency} bars of {len(symbols)} symbols")

    async def now(self) -> float:
        """Return the vendor's clock where it has one, else this machine's; Unix seconds."""
        return self.connection.clock()

    async def close(self) -> None:  # noqa: B027  most clients need no closing
        """Close connections; the adapter opens new ones when it is used again."""

    # -- one request -------------------------------------------------------------------------------------------------

    @property
    def requests_made(self) -> int:
        """HTTP requests that were sent so far, failed ones and repetitions included; messages of a stream are none.

        One that a client's connection pool sends again by itself, because the kept connection was dead, is not seen.
        """
        return self.request_count.sent

    def count_attempt(self) -> None:
        """Count the request of one attempt of `call`; an adapter whose client sends more, or fewer, counts those instead."""
        self.request_count.add()

    async def call(self, what: str, request: Callable[[], Awaitable[T]]) -> T:
        """Make one request under the account's limits, again where that may help, and return its answer.

        Parameters
        ----------
        what
            Names the request in errors and waits: ``AAPL 1d``; never an address with a key in it.

        Raises
        ------
        SourceError
            What `map_error` made of the last failure.
        """
        return await call_with_retries(self, what, request)

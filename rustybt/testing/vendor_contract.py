# ruff: noqa: S101 - assertions are what a test suite is made of
"""What a vendor's source promises beyond any source: its real client, against a local server that misbehaves on demand.

::

    class TestAcme(VendorContract):
        symbols = ("AAPL", "MSFT")
        start, end = "2024-01-02", "2024-06-28"

        @pytest.fixture
        def server(self):
            with AcmeServer() as running:
                yield running

        def build(self, server, **options):
            return AcmeDataSource(base_url=server.url, **options)

        def expected(self, symbol, start, end, frequency):
            return what_the_server_holds(symbol, start, end, frequency)
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pytest

from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.sources.bridge import iterate
from rustybt.errors import (
    AuthenticationError,
    BadResponseError,
    NotCoveredError,
    RateLimitedError,
    SourceError,
    SourceUnavailableError,
)
from rustybt.market.bars import check_bars
from rustybt.testing.source_contract import SourceContract

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from rustybt.data.sources.vendor.source import VendorDataSource

#: Waits of milliseconds, so that a test of many attempts takes no time.
QUICK = RetryPolicy(max_attempts=3, first_wait_seconds=0.01, max_wait_seconds=1.0)


#: Tests by the attribute without which there is nothing to test.
_TESTS_OF = {
    "two_pages": (
        "test_pages_join_without_a_hole_or_a_repetition",
        "test_a_fault_on_the_second_page_never_shortens_the_answer",
    ),
    "forming": ("test_the_bar_that_is_still_forming_is_not_delivered",),
    "dst": ("test_bars_around_a_change_of_the_clocks_are_right",),
    "refusals": ("test_a_refused_key_is_not_tried_again",),
    "delisted": ("test_a_delisted_symbol_delivers_what_it_had",),
    "too_early": ("test_a_range_beyond_the_vendors_depth_is_refused",),
    "is_asked_one_by_one": ("test_one_failing_symbol_leaves_the_others",),
}


class FaultServer(Protocol):
    """A local stand-in for the vendor's server."""

    def fail(self, kind: str, *, times: int | None = 1, skip: int = 0, **more: Any) -> Any:
        """Let the next requests for bars fail.

        Parameters
        ----------
        kind
            An HTTP status such as ``429``; ``malformed`` (half of the body as if it were all), ``cut`` (the body breaks off),
            ``reset`` (the connection breaks), ``slow`` (`seconds` late).
        times
            None for ever.
        skip
            Requests for bars that are answered well before.
        more
            `retry_after` and `seconds`.
        """

    def data_requests(self) -> Sequence[Any]:
        """Return the requests for bars so far, failed ones included."""
        ...


class VendorContract(SourceContract, ABC):
    """Derive, and give `server`, `build` and `expected`; the attributes say what the server has.

    Attributes
    ----------
    now
        Unix seconds that the server and the test take as now; its newest bar is still forming then.
    two_pages
        Symbol, start, end and frequency of a range whose bars of one symbol come in two pages; None if pages never end.
    page_requests
        Requests for bars that `two_pages` takes.
    delisted
        Symbol, and the ISO date of its last bar, that is not traded any more; None if the vendor has none.
    forming
        Symbol and frequency of a bar that is still forming at `now`.
    dst
        Symbol, start, end of intraday bars around a change of the clocks, with the frequency; None where nothing changes.
    too_early
        Frequency and ISO start before what the vendor keeps; None if it keeps all.
    refusals
        HTTP statuses with which the vendor refuses a key; empty for a vendor without keys.
    is_asked_one_by_one
        Whether a request names one symbol only.

    What a vendor has not, as these say, is not tested: such a test is not collected, rather than passed or skipped.
    """

    now: ClassVar[float] = 0.0
    two_pages: ClassVar[tuple[str, str, str, str] | None] = None
    page_requests: ClassVar[int] = 2
    delisted: ClassVar[tuple[str, str] | None] = None
    forming: ClassVar[tuple[str, str] | None] = None
    dst: ClassVar[tuple[str, str, str, str] | None] = None
    too_early: ClassVar[tuple[str, str] | None] = None
    refusals: ClassVar[tuple[str, ...]] = ("401", "403")
    is_asked_one_by_one: ClassVar[bool] = True
    #: A function as option cannot be written down, so the clock of a source made again is the machine's.
    can_be_rebuilt: ClassVar[bool] = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for attribute, tests in _TESTS_OF.items():
            if not getattr(cls, attribute):
                for name in tests:
                    setattr(cls, name, None)

    @pytest.fixture
    def server(self) -> Iterator[FaultServer]:
        """Give the vendor's stand-in, running."""
        pytest.fail("derive from this class and give the fixture `server`")

    @abstractmethod
    def build(self, server: Any, **options: Any) -> VendorDataSource:
        """Return the source, pointed at `server`."""

    @abstractmethod
    def expected(self, symbol: str, start: str, end: str, frequency: str) -> pl.DataFrame:
        """Return what the server holds of one symbol as contract bars, worked out without the source."""

    @pytest.fixture
    def source(self, server: FaultServer) -> Iterator[VendorDataSource]:
        """Give the source, closed at the end."""
        made = self._make(server)
        yield made
        made.close()

    def _make(self, server: FaultServer, **options: Any) -> VendorDataSource:
        given = {"retry": QUICK, "clock": lambda: self.now, "requests_per_minute": 0, "timeout_seconds": 5.0}
        return self.build(server, **{**given, **options})

    def _ask(self, source: VendorDataSource, symbol: str | None = None) -> pl.DataFrame:
        return source.fetch_sync([symbol or self.symbols[0]], self.start, self.end, self.frequency)

    def _whole(self) -> pl.DataFrame:
        return self.expected(self.symbols[0], str(self.start), str(self.end), self.frequency)

    # -- exact -------------------------------------------------------------------------------------------------------

    def test_every_digit_is_what_the_vendor_holds(self, source: VendorDataSource) -> None:
        """All bars of the range, no other, no digit changed."""
        for symbol in self.symbols:
            assert self._ask(source, symbol).equals(
                self.expected(symbol, str(self.start), str(self.end), self.frequency)
            )

    def test_pages_join_without_a_hole_or_a_repetition(self, source: VendorDataSource, server: FaultServer) -> None:
        """Across the edge of a page, with as many requests as there are pages."""
        assert self.two_pages is not None
        symbol, start, end, frequency = self.two_pages
        bars = source.fetch_sync([symbol], start, end, frequency)
        assert bars.equals(self.expected(symbol, start, end, frequency))
        assert len(server.data_requests()) == self.page_requests

    def test_the_bar_that_is_still_forming_is_not_delivered(self, source: VendorDataSource) -> None:
        """The server shows it; nobody may store it."""
        assert self.forming is not None
        symbol, frequency = self.forming
        bars = source.fetch_sync(
            [symbol], time.strftime("%Y-%m-%d", time.gmtime(self.now - 5 * 86_400)), None, frequency
        )
        today = time.strftime("%Y-%m-%d", time.gmtime(self.now))
        held = self.expected(symbol, today, today, frequency)
        assert held.height, "the server must show a bar that is forming"
        assert bars.height
        assert bars["timestamp"].max() < held["timestamp"].max()  # type: ignore[operator]

    def test_bars_around_a_change_of_the_clocks_are_right(self, source: VendorDataSource) -> None:
        """Labels are instants, or dates of the exchange; neither shifts by an hour or a day."""
        assert self.dst is not None
        symbol, start, end, frequency = self.dst
        bars = source.fetch_sync([symbol], start, end, frequency)
        assert bars.equals(self.expected(symbol, start, end, frequency))

    # -- faults that pass --------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", ["429", "503", "malformed", "cut", "reset"])
    def test_one_fault_is_survived(self, source: VendorDataSource, server: FaultServer, kind: str) -> None:
        """Asked again, and whole."""
        server.fail(kind)
        assert self._ask(source).equals(self._whole())
        assert len(server.data_requests()) >= 2

    def test_retry_after_is_honoured(self, source: VendorDataSource, server: FaultServer) -> None:
        """Not asked again before the vendor allows."""
        server.fail("429", retry_after=1)
        assert self._ask(source).equals(self._whole())
        times = [request.at for request in server.data_requests()]
        assert times[1] - times[0] >= 0.95

    @pytest.mark.parametrize("kind", ["malformed", "cut", "503", "429"])
    def test_a_fault_on_the_second_page_never_shortens_the_answer(
        self, source: VendorDataSource, server: FaultServer, kind: str
    ) -> None:
        """Whole after another attempt, or an error; never the first page alone."""
        assert self.two_pages is not None
        symbol, start, end, frequency = self.two_pages
        server.fail(kind, skip=1)
        assert source.fetch_sync([symbol], start, end, frequency).equals(self.expected(symbol, start, end, frequency))
        server.fail(kind, skip=1, times=None)
        with pytest.raises(SourceError):
            source.fetch_sync([symbol], start, end, frequency)

    # -- faults that stay --------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            ("429", RateLimitedError),
            ("503", SourceUnavailableError),
            ("500", SourceUnavailableError),
            ("reset", SourceUnavailableError),
            ("malformed", BadResponseError),
            ("cut", SourceError),
        ],
    )
    def test_a_fault_that_stays_is_named_for_what_it_is(
        self, source: VendorDataSource, server: FaultServer, kind: str, error: type[SourceError]
    ) -> None:
        """A bounded number of attempts, and an error that says what to do; never an empty answer."""
        server.fail(kind, times=None)
        with pytest.raises(error) as caught:
            self._ask(source)
        assert self.symbols[0] in caught.value.message or source.name in caught.value.message
        assert len(server.data_requests()) <= 8

    def test_a_server_that_is_too_slow_is_given_up(self, server: FaultServer) -> None:
        """After `timeout_seconds`, as unavailable."""
        server.fail("slow", times=None, seconds=3.0)
        source = self._make(server, timeout_seconds=0.3)
        began = time.monotonic()
        try:
            with pytest.raises(SourceUnavailableError):
                self._ask(source)
        finally:
            source.close()
        assert time.monotonic() - began < 8

    def test_a_refused_key_is_not_tried_again(self, source: VendorDataSource, server: FaultServer) -> None:
        """The vendor said no; the error says which variable to set."""
        for count, status in enumerate(self.refusals, 1):
            server.fail(status, times=1)
            with pytest.raises(AuthenticationError):
                self._ask(source)
            assert len(server.data_requests()) == count

    # -- symbols and ranges ------------------------------------------------------------------------------------------

    def test_a_delisted_symbol_delivers_what_it_had(self, source: VendorDataSource) -> None:
        """Up to its last bar; delisted is not unknown."""
        assert self.delisted is not None
        symbol, last = self.delisted
        year = int(last[:4])
        bars = source.fetch_sync([symbol], f"{year}-01-01", f"{year}-12-31", "1d")
        assert bars.equals(self.expected(symbol, f"{year}-01-01", f"{year}-12-31", "1d"))
        assert str(bars["timestamp"][-1].date()) == last

    def test_a_range_beyond_the_vendors_depth_is_refused(self, source: VendorDataSource) -> None:
        """With the first day that it has; never a silently shorter answer."""
        assert self.too_early is not None
        frequency, start = self.too_early
        with pytest.raises(NotCoveredError) as caught:
            source.fetch_sync([self.symbols[0]], start, None, frequency)
        assert caught.value.hint

    def test_one_failing_symbol_leaves_the_others(self, source: VendorDataSource, server: FaultServer) -> None:
        """The vendor breaks off for one symbol: the other arrives."""
        assert source.limits().symbols_per_request == 1, "say is_asked_one_by_one = False"
        source = self._make(server, parallel_requests=1)
        server.fail("503", times=QUICK.max_attempts)
        request = source.request(self.symbols, self.start, self.end, self.frequency)
        try:
            deliveries = list(iterate(source.deliver(request)))
        finally:
            source.close()
        failed = {name: error for delivery in deliveries for name, error in delivery.failures.items()}
        first, *others = sorted(self.symbols)
        assert list(failed) == [first]
        assert isinstance(failed[first], SourceUnavailableError)
        delivered = [delivery.bars for delivery in deliveries if delivery.bars.height]
        assert [check_bars(bars)["symbol"][0] for bars in delivered] == others

    def test_a_finished_symbol_arrives_before_the_last(self, source: VendorDataSource) -> None:
        """`answers` hands over each as soon as it is there, all of them once."""
        request = source.request(self.symbols, self.start, self.end, self.frequency)
        seen = [name for delivery in iterate(source.answers(request)) for name in delivery.bars["symbol"].unique()]
        assert sorted(seen) == sorted(self.symbols)

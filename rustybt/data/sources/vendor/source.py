"""A source that is a vendor: everything that is the same for all of them, over the adapter that speaks the vendor's language."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from rustybt.config import source_settings
from rustybt.data.adapters.connection import Connection
from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.adapters.transport import Transport, without_credentials
from rustybt.data.sources import bridge
from rustybt.data.sources.base import DataSource, Progress, Symbols
from rustybt.data.sources.delivery import join_deliveries
from rustybt.data.sources.vendor.fetch import VendorFetch
from rustybt.data.sources.vendor.range import native_frequency, resolve_range
from rustybt.market.calendars import calendar_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    import polars as pl

    from rustybt.data.adapters.base import BaseDataAdapter
    from rustybt.data.adapters.limits import VendorLimits
    from rustybt.data.adapters.series import StreamedBar
    from rustybt.data.sources.delivery import Delivery
    from rustybt.data.sources.ingest.plan import IngestPlan
    from rustybt.market.frequency import Frequency
    from rustybt.market.provenance import SourceMetadata
    from rustybt.market.request import BarRequest


class VendorDataSource(DataSource):
    """Bars of a vendor: fetched in parallel within its limits, only when final, checked against what was asked.

    A vendor derives from this, names itself, and gives `make_adapter` and its own options. What is not given here is
    taken from the settings, table ``[sources.NAME]``.

    Parameters
    ----------
    base_url
        Replaces the vendor's own address.
    proxy
        HTTP proxy for every request.
    ca_bundle
        PEM file of certificates to trust.
    timeout_seconds
        Longest wait for an answer; 30 when not given.
    requests_per_minute
        Of your plan; 0 is no limit, None the vendor's usual one.
    parallel_requests
        How many requests run at once; None is the vendor's usual number.
    max_attempts
        How often a request is tried in all, when trying again may help.
    retry
        The whole policy of trying again, instead of `max_attempts`.
    client
        The vendor's own client object, or a function without arguments that makes one.
    clock
        Unix seconds; a bar that has not ended then is not delivered.
    """

    #: Whether the vendor pushes bars as they form.
    streams: ClassVar[bool] = False

    def __init__(
        self,
        *,
        base_url: str | None = None,
        proxy: str | None = None,
        ca_bundle: str | None = None,
        timeout_seconds: float | None = None,
        requests_per_minute: float | None = None,
        parallel_requests: int | None = None,
        max_attempts: int | None = None,
        retry: RetryPolicy | None = None,
        client: Any = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        given = _given(
            base_url=None if base_url is None else str(base_url),
            proxy=None if proxy is None else str(proxy),
            ca_bundle=None if ca_bundle is None else str(ca_bundle),
            timeout_seconds=timeout_seconds,
            requests_per_minute=requests_per_minute,
            parallel_requests=parallel_requests,
            max_attempts=max_attempts,
        )
        settings = source_settings(self.name, given)
        self._connection = _connection(settings, retry, client, clock)
        self._given = {key: settings[key] for key in given}
        self._made: BaseDataAdapter | None = None
        self._making = threading.RLock()

    @abstractmethod
    def make_adapter(self, connection: Connection) -> BaseDataAdapter:
        """Return the adapter; no request is made and no key is needed yet."""

    def vendor_options(self) -> dict[str, Any]:
        """Return the vendor's own options that differ from the defaults, as JSON; never a key."""
        return {}

    # -- what it says of itself --------------------------------------------------------------------------------------

    @property
    def adapter(self) -> BaseDataAdapter:
        """What talks to the vendor; made when first needed, once for all threads."""
        with self._making:
            if self._made is None:
                self._made = self.make_adapter(self._connection)
            return self._made

    def get_metadata(self) -> SourceMetadata:
        """Return what the vendor says of itself."""
        return replace(self.adapter.metadata(), supports_live=self.supports_live())

    def supports_live(self) -> bool:
        """Return whether the vendor can stream."""
        return self.streams

    def limits(self) -> VendorLimits:
        """Return what the vendor allows, with what was overridden."""
        return self.adapter.limits

    def options(self) -> dict[str, Any]:
        """Return the options that differ from the defaults; never a key, a proxy without its password."""
        given = dict(self._given)
        if "base_url" in given:
            given["base_url"] = self._connection.transport.base_url
        if "proxy" in given:
            given["proxy"] = without_credentials(given["proxy"])
        return {**self.vendor_options(), **given}

    def list_symbols(self) -> list[str]:
        """Return every canonical symbol that the vendor lists, sorted."""
        return bridge.run(self.adapter.list_symbols())

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value!r}" for key, value in self.options().items())
        return f"{type(self).__name__}({shown})"

    # -- requests ----------------------------------------------------------------------------------------------------

    @property
    def requests_made(self) -> int:
        """HTTP requests that this source has sent so far, failed ones and repetitions included."""
        return 0 if self._made is None else self._made.requests_made

    def requests_for(self, symbols: int, start: int, end: int, frequency: Frequency) -> int:
        """Return about how many requests bars of so many symbols take where nothing of them is cached.

        What comes once in the life of a source, whatever is asked for, is not among them: signing in, lists of markets.

        Raises
        ------
        RequestError
            The vendor has no such bars, and nothing to make them of.
        """
        from rustybt.data.sources.ingest.plan import requests_due

        adapter = self.adapter
        native = native_frequency(frequency, adapter.limits, self.name)
        calendar = calendar_for(None, adapter.asset_type)
        end = max(start, min(end, int(self._connection.clock() * 1_000_000)))
        return requests_due({calendar: symbols}, start, end, frequency, native, adapter.limits, adapter.pages)

    def resolve(self, request: BarRequest) -> BarRequest:
        """Return `request` with canonical symbols and closed sides: the vendor's depth, at most 10 years, up to now."""
        frequency = native_frequency(request.frequency, self.adapter.limits, self.name)
        start, end = resolve_range(request, frequency, self.adapter.limits, self.name, self._connection.clock())
        symbols = tuple(dict.fromkeys(map(self.adapter.canonical_symbol, request.symbols)))
        return replace(request, symbols=symbols, start=start, end=end)

    def plan(
        self, symbols: Symbols | None = None, start: Any = None, end: Any = None, frequency: str | Frequency = "1d"
    ) -> IngestPlan:
        """Return what an ingest would ask for under the vendor's limits, without asking for bars."""
        from rustybt.data.sources.ingest.plan import IngestPlan

        request = self.resolve(self.request(symbols, start, end, frequency))
        native = native_frequency(request.frequency, self.adapter.limits, self.name)
        return IngestPlan.of_vendor(self, request, request.symbols or tuple(self.list_symbols()), native)

    async def fetch(
        self, symbols: Symbols, start: Any = None, end: Any = None, frequency: str | Frequency = "1d"
    ) -> pl.DataFrame:
        """Fetch final bars of `symbols` from `start` to `end`, both included, under their canonical names.

        The first symbol that fails fails the call; `ingest_to_bundle` goes on without it.
        """
        request = self.resolve(self.request(symbols, start, end, frequency))
        return (await bridge.join(self._fetch(request))).bars

    def fetch_with_events(
        self,
        symbols: Symbols,
        start: Any = None,
        end: Any = None,
        frequency: str | Frequency = "1d",
        progress: Progress | None = None,
    ) -> Delivery:
        """Return what `fetch` returns, with corporate actions, price basis and assets beside it."""
        return bridge.run(self._fetch(self.resolve(self.request(symbols, start, end, frequency)), progress))

    async def _fetch(self, request: BarRequest, progress: Progress | None = None) -> Delivery:
        parts = []
        async for delivery in self.answers(request, progress):
            if delivery.failures:
                raise min(delivery.failures.items())[1]
            parts.append(delivery)
        return join_deliveries(parts)

    def deliver(self, request: BarRequest, progress: Progress | None = None) -> AsyncIterator[Delivery]:
        """Yield everything in rising order of symbols; see `DataSource.deliver`."""
        return VendorFetch(self, self.resolve(request), progress=progress).in_order()

    def answers(
        self, request: BarRequest, progress: Progress | None = None, *, starts: Mapping[str, int] | None = None
    ) -> AsyncIterator[Delivery]:
        """Yield each finished symbol as soon as it is there; see `DataSource.answers`."""
        return VendorFetch(self, self.resolve(request), progress=progress, starts=starts).as_completed()

    def stream(self, symbols: Symbols, frequency: str | Frequency = "1m") -> AsyncIterator[StreamedBar]:
        """Yield each bar of `symbols` when it is final; see `DataSource.stream`."""
        from rustybt.data.sources.vendor.stream import BarStream

        if not self.supports_live():
            return super().stream(symbols, frequency)
        request = self.request(symbols, None, None, frequency)
        names = tuple(dict.fromkeys(map(self.adapter.canonical_symbol, request.symbols)))
        return BarStream(self.adapter, names, request.frequency, clock=self._connection.clock).bars()

    @property
    def clock(self) -> Callable[[], float]:
        """Tells the time, Unix seconds."""
        return self._connection.clock

    def close(self) -> None:
        """Close connections; a source can be used again after it."""
        if self._made is not None:
            bridge.run(self._made.close())


def _given(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _connection(
    settings: dict[str, Any], retry: RetryPolicy | None, client: Any, clock: Callable[[], float]
) -> Connection:
    """Return the connection that flags, environment and files add up to."""
    attempts = settings.get("max_attempts")
    return Connection(
        Transport.create(
            settings.get("base_url"),
            settings.get("proxy"),
            settings.get("ca_bundle"),
            settings.get("timeout_seconds"),
        ),
        requests_per_minute=settings.get("requests_per_minute"),
        parallel_requests=settings.get("parallel_requests"),
        retry=retry or (RetryPolicy() if attempts is None else RetryPolicy(attempts)),
        client=client,
        clock=clock,
    )

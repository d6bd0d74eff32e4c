"""What a source says of its requests is what the vendor's server counted."""

import asyncio

import pytest

from rustybt.data.sources import get_source
from rustybt.data.sources.alpaca import AlpacaDataSource
from rustybt.data.sources.alphavantage import AlphaVantageDataSource
from rustybt.data.sources.ccxt import CCXTDataSource
from rustybt.data.sources.frame import FrameDataSource
from rustybt.data.sources.ingest.plan import bars_due
from rustybt.data.sources.polygon import PolygonDataSource
from rustybt.data.sources.yfinance import YFinanceDataSource
from rustybt.errors import SourceError
from rustybt.market.frequency import FREQUENCIES
from rustybt.market.request import parse_range
from rustybt.testing.bars import frame_of_bars
from rustybt.testing.vendor_contract import QUICK
from tests.data.adapters.test_vendor_names import VENDORS
from tests.fakes import alpaca, alphavantage, market, massive
from tests.fakes.alpaca import AlpacaServer
from tests.fakes.alphavantage import AlphaVantageServer
from tests.fakes.binance import BinanceServer
from tests.fakes.massive import MassiveServer
from tests.fakes.yahoo import YahooServer

SPAN = ("2024-11-04", "2024-11-20")
CROWD = market.CROWD


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("MASSIVE_API_KEY", massive.KEY)
    monkeypatch.setenv("ALPHAVANTAGE_API_KEY", alphavantage.KEY)
    monkeypatch.setenv("APCA_API_KEY_ID", alpaca.KEY_ID)
    monkeypatch.setenv("APCA_API_SECRET_KEY", alpaca.SECRET)


@pytest.fixture(params=list(VENDORS))
def place(request):
    """The server, a source, and two symbols."""
    make_server, make_source, _ = VENDORS[request.param]
    with make_server() as server:
        source = make_source(base_url=server.url, retry=QUICK, clock=lambda: market.NOW, requests_per_minute=0)
        yield server, source, ["BTC/USDT", "ETH/USDT"] if isinstance(server, BinanceServer) else ["AAPL", "MSFT"]
        source.close()


class TestRequestsMade:
    def test_it_is_what_the_server_counted_and_asking_asks_nobody(self, place):
        server, source, symbols = place
        assert source.requests_made == 0
        assert server.requests == []
        source.fetch_sync(symbols, *SPAN)
        first = source.requests_made
        assert first == len(server.requests) >= 2
        source.fetch_sync(symbols[:1], *SPAN)
        assert first < source.requests_made == len(server.requests)

    @pytest.mark.parametrize("kind", ["503", "429", "401", "malformed", "cut", "reset"])
    def test_repetitions_count(self, place, kind):
        server, source, symbols = place
        source.fetch_sync(symbols[:1], *SPAN)
        before = len(server.requests)
        server.fail(kind, times=1)
        try:
            source.fetch_sync(symbols[:1], *SPAN)
        except SourceError:
            assert kind == "401"
        assert len(server.requests) > before
        assert server.faults == []
        # Over a kept connection that breaks, these clients' pools ask again before anybody is told.
        unseen = kind == "reset" and isinstance(server, YahooServer | BinanceServer)
        assert source.requests_made == len(server.requests) - unseen

    def test_requests_that_fail_to_the_end_count(self, place):
        server, source, symbols = place
        server.fail("503", times=None)
        with pytest.raises(SourceError):
            source.fetch_sync(symbols[:1], *SPAN)
        tries = len(server.data_requests())
        assert tries >= QUICK.max_attempts
        assert source.requests_made == len(server.requests)

    def test_a_source_that_was_closed_goes_on_counting(self, place):
        server, source, symbols = place
        source.fetch_sync(symbols[:1], *SPAN)
        source.close()
        source.fetch_sync(symbols[:1], *SPAN)
        assert source.requests_made == len(server.requests)

    def test_tasks_and_threads_share_one_count(self, place):
        server, source, symbols = place

        async def both():
            await asyncio.gather(*(asyncio.to_thread(source.fetch_sync, [symbol], *SPAN) for symbol in symbols * 3))

        asyncio.run(both())
        assert source.requests_made == len(server.requests)

    @pytest.mark.parametrize("name", ["alpaca", "alphavantage", "polygon"])
    def test_nothing_is_sent_or_counted_without_a_key(self, name, monkeypatch):
        for variable in ("MASSIVE_API_KEY", "ALPHAVANTAGE_API_KEY", "APCA_API_KEY_ID", "APCA_API_SECRET_KEY"):
            monkeypatch.delenv(variable)
        with MassiveServer() as server:
            source = get_source(name, base_url=server.url, retry=QUICK)
            with pytest.raises(SourceError):
                source.fetch_sync(["AAPL"], *SPAN)
            assert source.requests_made == len(server.requests) == 0
            source.close()

    @pytest.mark.parametrize("vendor", ["yahoo", "binance"])
    def test_the_requests_of_a_client_of_the_callers_count_too(self, vendor):
        make_server, make_source, _ = VENDORS[vendor]
        with make_server() as server:
            lent = make_source(base_url=server.url, clock=lambda: market.NOW)
            source = make_source(client=_client_of(lent, server), retry=QUICK, clock=lambda: market.NOW)
            symbol = "BTC/USDT" if vendor == "binance" else "AAPL"
            source.fetch_sync([symbol], *SPAN)
            # The caller's session gets its cookies unseen.
            unseen = 0 if vendor == "binance" else len(server.requests) - len(server.data_requests())
            assert source.requests_made == len(server.requests) - unseen > 0
            source.close()
            lent.close()

    def test_a_source_without_a_network_makes_none(self):
        source = FrameDataSource(frame_of_bars([("A", "2024-01-02", 1)]))
        source.fetch_sync(["A"])
        assert source.requests_made == 0


def _client_of(source, server):
    """Return the vendor's own client, pointed at the server, as a caller would bring it."""
    if isinstance(server, BinanceServer):
        return source.adapter._open_client()
    from curl_cffi.requests import Session

    class Local(Session):
        def request(self, method, url, **options):
            from rustybt.data.adapters.yahoo.client import rebase

            return super().request(method, rebase(url, server.url), **options)

    return Local(impersonate="chrome")


@pytest.mark.parametrize(
    ("server", "make", "symbols", "start", "end", "frequency", "options"),
    [
        (YahooServer, YFinanceDataSource, CROWD[:4], "2022-01-03", "2024-11-27", "1d", {}),
        (YahooServer, YFinanceDataSource, CROWD[:2], "2023-01-02", "2024-10-31", "1w", {}),
        (YahooServer, YFinanceDataSource, CROWD[:2], "2024-11-05", "2024-11-22", "1m", {}),
        (YahooServer, YFinanceDataSource, CROWD[:2], "2024-11-05", "2024-11-22", "30m", {}),
        (YahooServer, YFinanceDataSource, CROWD[:1], "2024-01-03", "2024-11-29", "1h", {}),
        (MassiveServer, PolygonDataSource, CROWD[:4], "2022-01-03", "2024-11-27", "1d", {}),
        (MassiveServer, PolygonDataSource, CROWD[:2], "2024-11-04", "2024-11-22", "5m", {}),
        (MassiveServer, PolygonDataSource, CROWD[:2], "2024-11-04", "2024-11-22", "1h", {}),
        (MassiveServer, PolygonDataSource, CROWD[:2], "2023-01-02", "2024-10-31", "1M", {"details": False}),
        (AlpacaServer, AlpacaDataSource, CROWD[:4], "2022-01-03", "2024-11-27", "1d", {}),
        (AlpacaServer, AlpacaDataSource, CROWD[:35], "2020-01-02", "2023-12-29", "1d", {}),
        (AlpacaServer, AlpacaDataSource, CROWD[:3], "2024-11-04", "2024-11-22", "5m", {}),
        (AlpacaServer, AlpacaDataSource, CROWD[:2], "2023-01-02", "2024-10-31", "1w", {}),
        (AlphaVantageServer, AlphaVantageDataSource, CROWD[:4], "2022-01-03", "2024-11-27", "1d", {"adjusted": True}),
        (AlphaVantageServer, AlphaVantageDataSource, CROWD[:2], "2024-09-16", "2024-11-20", "5m", {}),
        (AlphaVantageServer, AlphaVantageDataSource, CROWD[:2], "2024-10-01", "2024-11-20", "1h", {}),
        (AlphaVantageServer, AlphaVantageDataSource, CROWD[:2], "2023-01-02", "2024-10-31", "1w", {"adjusted": True}),
        (BinanceServer, CCXTDataSource, ("BTC/USDT", "ETH/USDT"), "2019-01-01", "2024-11-20", "1d", {}),
        (BinanceServer, CCXTDataSource, ("BTC/USDT", "ETH/USDT"), "2024-08-01", "2024-11-20", "1h", {}),
        (BinanceServer, CCXTDataSource, ("BTC/USDT",), "2024-11-28", "2024-11-29", "1m", {}),
        (BinanceServer, CCXTDataSource, ("BTC/USDT",), "2024-11-20", "2025-03-01", "1m", {}),
    ],
)
def test_requests_for_is_what_the_server_counts(server, make, symbols, start, end, frequency, options):
    with server() as running:
        source = make(base_url=running.url, requests_per_minute=0, clock=lambda: market.NOW, **options)
        # Signing in and lists of markets come once in the life of a source.
        source.fetch_sync(symbols[:1], "2024-11-19", "2024-11-20", "1d")
        before = len(running.requests)
        first, last = parse_range(start, end, FREQUENCIES[frequency])
        expected = source.requests_for(len(symbols), first, last, FREQUENCIES[frequency])
        assert len(running.requests) == before
        source.fetch_sync(symbols, start, end, frequency)
        assert len(running.requests) - before == expected
        source.close()


def test_a_source_that_says_nothing_else_is_asked_for_batches_of_symbols():
    source = FrameDataSource(frame_of_bars([("A", "2024-01-02", 1)]))
    first, last = parse_range(*SPAN, FREQUENCIES["1d"])
    batch = source.symbols_per_fetch
    assert [source.requests_for(n, first, last, FREQUENCIES["1d"]) for n in (0, 1, batch, batch + 1)] == [0, 1, 1, 2]


@pytest.mark.parametrize("calendar", ["XNYS", "24/7", "XHKG", "CMES", "XASX"])
@pytest.mark.parametrize("frequency", ["1m", "5m", "30m", "1h"])
def test_bars_are_counted_as_they_are_listed(calendar, frequency):
    from rustybt.market.calendars import get_calendar
    from rustybt.market.request import to_date

    first, last = parse_range("2024-11-27T15:07", "2024-12-03T17:31", FREQUENCIES[frequency])
    labels = get_calendar(calendar, to_date(first), to_date(last)).expected_bar_opens(
        to_date(0), to_date(2 * last), FREQUENCIES[frequency]
    )
    assert bars_due(calendar, first, last, FREQUENCIES[frequency]) == sum(first <= at <= last for at in labels) > 0

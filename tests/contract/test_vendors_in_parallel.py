"""One source used by many at once, left in the middle, closed, and forgotten: with every vendor's real client."""

import asyncio
import gc
import threading
import time
from pathlib import Path

import pytest

from rustybt.errors import SourceError
from rustybt.testing.vendor_contract import QUICK
from tests.data.adapters.test_vendor_names import VENDORS
from tests.fakes import alpaca, alphavantage, binance, market, massive

SPAN = ("2024-11-18", "2024-11-20")


@pytest.fixture(params=list(VENDORS))
def place(request, monkeypatch):
    """The server, a function that makes sources, and a symbol."""
    monkeypatch.setenv("MASSIVE_API_KEY", massive.KEY)
    monkeypatch.setenv("ALPHAVANTAGE_API_KEY", alphavantage.KEY)
    monkeypatch.setenv("APCA_API_KEY_ID", alpaca.KEY_ID)
    monkeypatch.setenv("APCA_API_SECRET_KEY", alpaca.SECRET)
    make_server, make_source, _ = VENDORS[request.param]
    with make_server() as server:
        made = []

        def make(**options):
            given = {"retry": QUICK, "clock": lambda: market.NOW, "requests_per_minute": 0, **options}
            made.append(make_source(base_url=server.url, **given))
            return made[-1]

        yield server, make, "BTC/USDT" if isinstance(server, binance.BinanceServer) else "AAPL"
        for source in made:
            source.close()


def test_threads_and_loops_share_a_source(place):
    _, make, symbol = place
    source, found = make(), []

    def wait():
        found.append(source.fetch_sync([symbol], *SPAN))

    def loop():
        found.append(asyncio.run(source.fetch([symbol], *SPAN)))

    threads = [threading.Thread(target=work) for work in (wait, loop) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(found) == 8
    assert all(bars.equals(found[0]) and bars.height == 3 for bars in found)


def test_a_fetch_that_is_given_up_leaves_its_place_to_the_next(place):
    server, make, symbol = place
    source = make(parallel_requests=1)
    server.latency_seconds = 0.2

    async def give_up():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(source.fetch([symbol], *SPAN), 0.05)

    for _ in range(3):
        asyncio.run(give_up())
    server.latency_seconds = 0.0
    began = time.monotonic()
    assert source.fetch_sync([symbol], *SPAN).height == 3
    assert time.monotonic() - began < 5


def test_a_source_that_is_closed_amid_a_fetch_works_again(place):
    server, make, symbol = place
    source, found = make(), []
    server.latency_seconds = 0.1

    def fetch():
        try:
            found.append(source.fetch_sync([symbol], *SPAN).height)
        except SourceError:
            found.append(3)

    thread = threading.Thread(target=fetch)
    before = len(server.requests)
    thread.start()
    while len(server.requests) == before and thread.is_alive():
        thread.join(timeout=0.005)
    source.close()
    thread.join(timeout=20)
    assert found == [3]
    server.latency_seconds = 0.0
    assert source.fetch_sync([symbol], *SPAN).height == 3


def open_files():
    """Return how many files, sockets among them, this process has open: Linux and macOS list them there."""
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_sources_that_nobody_closes_leave_no_thread_and_no_connection(place):
    _, make, symbol = place
    source = make()
    source.fetch_sync([symbol], *SPAN)
    source.close()
    kind, options = type(source), source.options()
    gc.collect()
    threads, files = threading.active_count(), open_files()
    for _ in range(20):
        forgotten = kind(**options, retry=QUICK, clock=lambda: market.NOW)
        forgotten.fetch_sync([symbol], *SPAN)
    del forgotten
    patience = time.monotonic() + 5
    while time.monotonic() < patience:
        gc.collect()
        if threading.active_count() <= threads and open_files() <= files + 2:
            break
        time.sleep(0.05)
    assert threading.active_count() <= threads
    # The server may not have noticed the end of the last connections yet.
    assert open_files() <= files + 2

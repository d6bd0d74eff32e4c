"""A server that answers byte by byte, and one that never ends: an answer has to be whole within its time."""

import socket
import threading
import time
from contextlib import closing

import pytest

from rustybt.data.adapters.retry import RetryPolicy
from rustybt.errors import SourceUnavailableError
from tests.data.adapters.test_vendor_names import VENDORS
from tests.fakes import alpaca, alphavantage, market, massive

ONCE = RetryPolicy(max_attempts=1)


class DrippingServer:
    """Sends the head of an answer, and then a blank every now and then for ever."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.closed = threading.Event()
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self):
        while not self.closed.is_set():
            try:
                opened, _ = self.listener.accept()
            except OSError:
                return
            self.threads.append(threading.Thread(target=self._drip, args=(opened,)))
            self.threads[-1].start()

    def _drip(self, opened):
        with closing(opened):
            try:
                opened.recv(65_536)
                opened.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{")
                while not self.closed.wait(0.02):
                    opened.sendall(b" ")
            except OSError:
                pass

    def close(self):
        self.closed.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(timeout=5)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("vendor", list(VENDORS))
def test_an_answer_that_comes_byte_by_byte_is_given_up_in_time(vendor, monkeypatch):
    monkeypatch.setenv("MASSIVE_API_KEY", massive.KEY)
    monkeypatch.setenv("ALPHAVANTAGE_API_KEY", alphavantage.KEY)
    monkeypatch.setenv("APCA_API_KEY_ID", alpaca.KEY_ID)
    monkeypatch.setenv("APCA_API_SECRET_KEY", alpaca.SECRET)
    _, make_source, _ = VENDORS[vendor]
    symbol = "BTC/USDT" if vendor == "binance" else "AAPL"
    with closing(DrippingServer()) as server:
        source = make_source(
            base_url=server.url, retry=ONCE, clock=lambda: market.NOW, requests_per_minute=0, timeout_seconds=0.2
        )
        began = time.monotonic()
        with pytest.raises(SourceUnavailableError):
            source.fetch_sync([symbol], "2024-11-18", "2024-11-20")
        # Yahoo's client first asks for two cookies and a crumb, each with a patience of its own.
        assert time.monotonic() - began < 5.0
        source.close()

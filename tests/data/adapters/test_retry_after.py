"""How long vendors ask to wait, in whatever form, and what comes of nonsense."""

from email.utils import formatdate
from itertools import pairwise

import pytest

from rustybt.data.adapters.retry_after import asked_seconds
from rustybt.errors import RateLimitedError
from rustybt.testing.vendor_contract import QUICK
from tests.data.adapters.test_vendor_names import VENDORS
from tests.fakes import alpaca, alphavantage, binance, market, massive

NOW = market.NOW


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("-3", 0.0),
        ("1e9", 1e9),
        (None, None),
        ("", None),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("9" * 400, None),
        ("Fri, 29 Nov 2024 16:00:30 GMT", 30.0),
        ("Fri, 29 Nov 2024 16:00:30", 30.0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", 0.0),
        ("Fri, 99 Nov 2024 16:00:30 GMT", None),
        ("Fri, 29 Nov 99999999 16:00:30 GMT", None),
    ],
)
def test_the_time_to_wait_is_read(header, seconds):
    assert asked_seconds(header, NOW) == seconds


@pytest.fixture(params=list(VENDORS))
def connected(request, monkeypatch):
    monkeypatch.setenv("MASSIVE_API_KEY", massive.KEY)
    monkeypatch.setenv("ALPHAVANTAGE_API_KEY", alphavantage.KEY)
    monkeypatch.setenv("APCA_API_KEY_ID", alpaca.KEY_ID)
    monkeypatch.setenv("APCA_API_SECRET_KEY", alpaca.SECRET)
    make_server, make_source, _ = VENDORS[request.param]
    with make_server() as server:
        symbol = "BTC/USDT" if isinstance(server, binance.BinanceServer) else "AAPL"
        source = make_source(base_url=server.url, retry=QUICK, requests_per_minute=0)
        yield source, server, symbol
        source.close()


def test_every_vendor_may_ask_by_date(connected):
    source, server, symbol = connected
    then = formatdate(4_102_444_800, usegmt=True)  # 2100-01-01
    server.fail("429", times=None, headers={"Retry-After": then})
    with pytest.raises(RateLimitedError) as caught:
        source.fetch_sync([symbol], "2024-11-18", "2024-11-20")
    assert caught.value.retry_after_seconds > 1e9
    assert len(server.data_requests()) == 1


@pytest.mark.parametrize("header", ["0", "-5", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", "nan", "9" * 400])
def test_nothing_to_wait_for_is_not_asked_again_at_once(connected, header):
    source, server, symbol = connected
    server.fail("429", times=None, headers={"Retry-After": header})
    with pytest.raises(RateLimitedError):
        source.fetch_sync([symbol], "2024-11-18", "2024-11-20")
    times = [request.at for request in server.data_requests()]
    assert len(times) == QUICK.max_attempts
    # The policy's own waits, of which the first is 5 ms at least.
    assert all(later - earlier >= 0.004 for earlier, later in pairwise(times))

"""Whatever a vendor's answer looks like: exactly its bars, or an error of ours; never fewer, never others, never a crash.

Each example takes a good answer of a vendor's stand-in, damages it in one way, and asks through the vendor's own client. What
cannot be noticed is allowed, and only that: a row that is gone where the vendor does not count its rows (an ingest lists the
sessions that it misses), a page that is called the last, a row under another time that a bar may have, a volume that is none (marked as missing).
"""

import importlib.util
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.sources.alpaca import AlpacaDataSource
from rustybt.data.sources.alphavantage import AlphaVantageDataSource
from rustybt.data.sources.bridge import iterate
from rustybt.data.sources.ccxt import CCXTDataSource
from rustybt.data.sources.polygon import PolygonDataSource
from rustybt.data.sources.yfinance import YFinanceDataSource
from rustybt.errors import SourceError
from rustybt.market.bars import check_bars
from tests.fakes import alpaca, alphavantage, binance, damage, kraken, market, massive, yahoo

ONCE = RetryPolicy(max_attempts=1, first_wait_seconds=0.001, max_wait_seconds=0.01)
KEYS = (massive.KEY, alpaca.KEY_ID, alpaca.SECRET, alphavantage.KEY)
CONTRACTS = Path(__file__).parents[1] / "contract"
#: Longest that one example may take; none waits for anything.
PATIENCE_SECONDS = 10.0


def market_of(contract):
    """What a contract suite says that its market holds."""
    spec = importlib.util.spec_from_file_location(contract, CONTRACTS / f"{contract}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True, repr=False)
class Vendor:
    """counts: whether an answer says how many rows it has."""

    server: Any
    options: dict[str, Any]
    source: Any
    more: dict[str, Any]
    shape: damage.Shape
    contract: str
    ask: tuple[str, str, str, str]
    exchange: str = ""
    counts: bool = False

    def expected(self):
        module = market_of(self.contract)
        return module.market_bars(self.exchange, *self.ask) if self.exchange else module.held(*self.ask)

    def fetch(self, server):
        source = self.source(
            base_url=server.url,
            retry=ONCE,
            clock=lambda: market.NOW,
            requests_per_minute=0,
            timeout_seconds=3.0,
            **self.more,
        )
        symbol, *span = self.ask
        try:
            # Not joined: what volumes are missing is told with each delivery.
            (delivery,) = iterate(source.deliver(source.request([symbol], *span)))
        finally:
            source.close()
        for failure in delivery.failures.values():
            raise failure
        return delivery

    def __repr__(self):
        return self.contract


DAYS = ("AAPL", "2024-10-01", "2024-11-20", "1d")
VENDORS = {
    "yahoo": Vendor(yahoo.YahooServer, {}, YFinanceDataSource, {}, damage.YAHOO, "test_yahoo_contract", DAYS),
    "yahoo hours": Vendor(
        yahoo.YahooServer,
        {},
        YFinanceDataSource,
        {},
        damage.YAHOO,
        "test_yahoo_contract",
        ("AAPL", "2024-11-01", "2024-11-08", "1h"),
    ),
    "binance": Vendor(
        binance.BinanceServer,
        {},
        CCXTDataSource,
        {"exchange": "binance"},
        damage.BINANCE,
        "test_ccxt_contract",
        ("BTC/USDT", "2024-11-01", "2024-11-02", "1h"),
        exchange="binance",
    ),
    "kraken": Vendor(
        kraken.KrakenServer,
        {},
        CCXTDataSource,
        {"exchange": "kraken"},
        damage.KRAKEN,
        "test_ccxt_contract",
        ("BTC/USD", "2024-11-20", "2024-11-21", "1h"),
        exchange="kraken",
    ),
    "polygon": Vendor(
        massive.MassiveServer,
        {"page_size": 20},
        PolygonDataSource,
        {},
        damage.MASSIVE,
        "test_polygon_contract",
        DAYS,
        counts=True,
    ),
    "alpaca": Vendor(
        alpaca.AlpacaServer, {"page_size": 20}, AlpacaDataSource, {}, damage.ALPACA, "test_alpaca_contract", DAYS
    ),
    "alphavantage": Vendor(
        alphavantage.AlphaVantageServer,
        {},
        AlphaVantageDataSource,
        {"adjusted": True},
        damage.ALPHAVANTAGE,
        "test_alphavantage_contract",
        DAYS,
    ),
    "alphavantage half hours": Vendor(
        alphavantage.AlphaVantageServer,
        {},
        AlphaVantageDataSource,
        {},
        damage.ALPHAVANTAGE,
        "test_alphavantage_contract",
        ("AAPL", "2024-10-28", "2024-11-05", "30m"),
    ),
}


@pytest.fixture(params=list(VENDORS))
def vendor(request, monkeypatch):
    monkeypatch.setenv("MASSIVE_API_KEY", massive.KEY)
    monkeypatch.setenv("ALPHAVANTAGE_API_KEY", alphavantage.KEY)
    for name, value in (("APCA_API_KEY_ID", alpaca.KEY_ID), ("APCA_API_SECRET_KEY", alpaca.SECRET)):
        monkeypatch.setenv(name, value)
    return VENDORS[request.param]


@pytest.fixture
def server(vendor):
    with vendor.server(**vendor.options) as running:
        yield running


@pytest.fixture
def expected(vendor):
    return vendor.expected()


def answer_of(vendor, server):
    """Return the delivery, or None for an error; anything else fails."""
    began = time.monotonic()
    try:
        delivery = vendor.fetch(server)
    except SourceError as error:
        shown = f"{error!r} {error.hint} {error.details} {''.join(traceback.format_exception(error))}"
        assert not any(key in shown for key in KEYS)
        delivery = None
    assert time.monotonic() - began < PATIENCE_SECONDS
    event("an error" if delivery is None else "an answer")
    return delivery


def check(vendor, expected, hurt, delivery):
    """Fail unless `delivery` is what was expected, but for what nobody can notice."""
    bars = check_bars(delivery.bars)
    if bars.equals(expected):
        return
    key = ["timestamp", "symbol"]
    strange = bars.join(expected, on=bars.columns, how="anti")
    gone = expected.join(bars, on=key, how="anti")
    if hurt.kind in ("member", "missing", "emptied"):
        # A volume that is none counts as 0, and is marked.
        unknown = [] if delivery.missing_volume is None else bars.filter(delivery.missing_volume)[key].rows()
        assert set(strange[key].rows()) <= set(unknown)
        prices = [name for name in bars.columns if name != "volume"]
        assert strange.join(expected, on=prices, how="anti").is_empty()
        if vendor.options and strange.is_empty() and bars.equals(expected.head(bars.height)) and bars.height % 20 == 0:
            # The name of the next page became "there is none", which is what the last page says.
            return
        # A row without a price is left out with a note, and nothing at all is "no bars in the range".
        assert gone.is_empty() or delivery.notes or bars.is_empty()
        assert not (vendor.counts and gone.height)
    elif hurt.kind == "shifted":
        assert strange.height <= 1
        assert gone.height <= 1
        # A session's bar under the date of a holiday: an ingest sets it aside.
        assert strange.join(expected, on=["open", "high", "low", "close", "volume"], how="anti").is_empty()
        assert strange.join(expected, on=key, how="semi").is_empty()
    else:
        assert hurt.kind == "dropped"
        assert not vendor.counts
        assert strange.is_empty()


@pytest.mark.timeout(120)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(hurt=damage.damages(*damage.BYTES, *damage.TREE, *damage.ROWS))
def test_damaged_bars_are_the_same_bars_or_an_error(vendor, server, expected, hurt):
    server.mutate = damage.mutation(hurt, vendor.shape, where=server.is_data)
    delivery = answer_of(vendor, server)
    event(hurt.kind)
    if delivery is not None:
        check(vendor, expected, hurt, delivery)


@pytest.mark.timeout(120)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(hurt=damage.damages(*damage.BYTES, *damage.TREE))
def test_damage_to_what_comes_beside_the_bars_changes_no_bar(vendor, server, expected, hurt):
    server.mutate = damage.mutation(hurt, vendor.shape, where=lambda request: not server.is_data(request))
    delivery = answer_of(vendor, server)
    if delivery is not None:
        assert check_bars(delivery.bars).equals(expected)


@pytest.mark.parametrize("vendor", ["polygon", "alpaca", "binance"], indirect=True)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_to_a_later_page_never_leaves_the_first_alone(vendor, server, expected, data):
    server.most = 20
    hurt = data.draw(damage.damages(*damage.BYTES))
    seen = []

    def later(request):
        seen.append(request.path_qs)
        return server.is_data(request) and sum("page" in s or "cursor" in s or "klines" in s for s in seen) > 1

    server.mutate = damage.mutation(hurt, vendor.shape, where=later)
    delivery = answer_of(vendor, server)
    assert delivery is None or delivery.bars.equals(expected)

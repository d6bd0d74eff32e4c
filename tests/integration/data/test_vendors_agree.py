"""One market, four vendors with their real clients: the same prices as traded, the same orders, the same book.

Yahoo delivers prices, volumes and dividends of today's shares, the others those of their day. The range holds Apple's split
4:1 of 2020-08-31 and General Electric's 1:8 of 2021-08-02, and Apple's dividends on both sides of them.
"""

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

import rustybt as rb
from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources import get_source
from rustybt.market.corporate_actions import in_force
from tests.fakes import alpaca, alphavantage, market, massive
from tests.fakes.alpaca import AlpacaServer
from tests.fakes.alphavantage import AlphaVantageServer
from tests.fakes.massive import MassiveServer
from tests.fakes.yahoo import YahooServer

START, END = date(2020, 6, 1), date(2021, 12, 31)
SYMBOLS = ["AAPL", "GE"]
VENDORS = {
    "yfinance": (YahooServer, {}),
    "polygon": (MassiveServer, {}),
    "alpaca": (AlpacaServer, {}),
    "alphavantage": (AlphaVantageServer, {"adjusted": True}),
}


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("MASSIVE_API_KEY", massive.KEY)
    monkeypatch.setenv("APCA_API_KEY_ID", alpaca.KEY_ID)
    monkeypatch.setenv("APCA_API_SECRET_KEY", alpaca.SECRET)
    monkeypatch.setenv("ALPHAVANTAGE_API_KEY", alphavantage.KEY)


@pytest.fixture(params=VENDORS)
def store(request, keys, tmp_path):
    """A store with the bundle ``us``, fetched from one vendor."""
    server_class, options = VENDORS[request.param]
    with server_class() as server, BundleStore(tmp_path / "home") as opened:
        base_url = {"base_url": server.url}
        source = get_source(request.param, requests_per_minute=0, clock=lambda: market.NOW, **base_url, **options)
        report = source.ingest_to_bundle("us", SYMBOLS, START, END, store=opened, clock=lambda: market.NOW)
        source.close()
        assert report.exit_code == 0
        yield opened


def bought_and_sold(store):
    """Trade in whole shares on days between, at, and after the events."""
    from rustybt.api import order, set_commission, set_slippage, symbol
    from rustybt.trading.commission import PerTrade
    from rustybt.trading.slippage import NoSlippage

    plan = {
        date(2020, 7, 1): [("AAPL", 10), ("GE", 800)],
        date(2020, 8, 28): [("AAPL", 5)],  # filled on the day of the split, in its shares
        date(2020, 12, 1): [("AAPL", -13)],
        date(2021, 7, 30): [("GE", 80)],  # filled on the day of the reverse split
        date(2021, 9, 1): [("GE", -100), ("AAPL", -20)],
    }
    seen = {}

    def initialize(context):
        set_commission(PerTrade(0))
        set_slippage(NoSlippage())

    def handle_data(context, data):
        day = data.current_session.date()
        for name, shares in plan.get(day, ()):
            order(symbol(name), shares)
        seen[day] = [data.current(symbol(name), "close") for name in SYMBOLS]
        if day == date(2020, 9, 1):
            seen["history"] = data.history(symbol("AAPL"), "close", 5, "1d").to_numpy()

    result = rb.run_algorithm(
        start=START,
        end=END,
        initialize=initialize,
        handle_data=handle_data,
        capital_base=100_000,
        bundle="us",
        store=store,
    )
    return result, seen


def fills_by_hand():
    """(day, symbol, shares, price): at the close of the session after the order, in the shares of that day."""
    closes = {symbol: {row.start.date(): row.close for row in market.daily(symbol, START, END)} for symbol in SYMBOLS}
    days = sorted(closes["AAPL"])
    orders = [
        (date(2020, 7, 1), "AAPL", 10), (date(2020, 7, 1), "GE", 800), (date(2020, 8, 28), "AAPL", 20),
        (date(2020, 12, 1), "AAPL", -13), (date(2021, 7, 30), "GE", 10), (date(2021, 9, 1), "GE", -100),
        (date(2021, 9, 1), "AAPL", -20),
    ]  # fmt: skip
    after = {day: days[days.index(day) + 1] for day, _, _ in orders}
    return [(after[day], name, shares, closes[name][after[day]]) for day, name, shares in orders]


def test_prices_are_those_that_were_traded_and_the_book_is_the_markets(store):
    result, seen = bought_and_sold(store)

    for symbol, column in (("AAPL", 0), ("GE", 1)):
        rows = market.daily(symbol, START, END)
        np.testing.assert_allclose(
            [seen[row.start.date()][column] for row in rows], [float(row.close) for row in rows], rtol=1e-6
        )
    # Of five days that end the day after the split, three are seen in its shares.
    raw = [row.close for row in market.daily("AAPL", date(2020, 8, 26), date(2020, 9, 1))]
    np.testing.assert_allclose(seen["history"], [float(c) for c in (*(p / 4 for p in raw[:3]), *raw[3:])], rtol=1e-6)

    fills = [fill for day in result.perf["transactions"] for fill in day]
    expected = fills_by_hand()
    found = sorted(
        (f["dt"].date(), f["sid"].symbol if hasattr(f["sid"], "symbol") else str(f["sid"]), f["amount"]) for f in fills
    )
    assert [(d, a) for d, _, a in found] == [(d, a) for d, _, a, _ in sorted(expected)]
    prices = sorted(float(f["price"]) for f in fills)
    np.testing.assert_allclose(prices, sorted(float(p) for *_, p in expected), rtol=1e-6)

    # What is held on the day before each ex-date is paid: 40 shares of the split, 20 more of the order over it.
    paid, held = Decimal(0), Decimal(0)
    events = sorted(
        [(d.ex_date, 0, d.amount) for d in market.EQUITIES["AAPL"].dividends if START <= d.ex_date <= END]
        + [(date(2020, 8, 31), 1, 4)]
        + [(day, 2, shares) for day, name, shares, _ in expected if name == "AAPL"]
    )
    for _, kind, value in events:
        if kind == 0:
            paid += held * value
        elif kind == 1:
            held *= value
        else:
            held += value
    spent = sum(shares * price for _, _, shares, price in expected)
    cash = float(100_000 - spent + paid)
    np.testing.assert_allclose(result.perf["ending_cash"].iloc[-1], cash, rtol=1e-6)
    assert paid > 0


def test_the_same_events_hold_and_an_update_repeats_none(store):
    with store.open("us") as bundle:
        events = in_force(list(bundle.description.actions))
    splits = {(a.symbol, a.ex_date): (a.ratio_new, a.ratio_old) for a in events if a.kind == "split"}
    assert splits == {("AAPL", date(2020, 8, 31)): (4, 1), ("GE", date(2021, 8, 2)): (1, 8)}
    paid = [a.ex_date for a in events if a.kind == "cash_dividend" and a.symbol == "AAPL"]
    assert paid == [d.ex_date for d in market.EQUITIES["AAPL"].dividends if d.ex_date >= START]

"""The books of whole runs: random orders, splits, dividends and coins, against Decimals that are summed here."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from rustybt import api
from rustybt.algorithm import run_algorithm
from rustybt.data.portal import MemoryBars
from rustybt.market.assets import AssetAttributes
from rustybt.market.bars import BAR_SCHEMA
from rustybt.market.calendars import get_calendar
from rustybt.market.corporate_actions import CorporateAction

UNIT = Decimal("1e-9")
SESSIONS = [s.item() for s in get_calendar("XNYS", date(2020, 1, 2), date(2020, 2, 28)).sessions_between(
    date(2020, 1, 2), date(2020, 1, 15)
)]  # fmt: skip

prices = st.integers(1, 10**7).map(lambda n: Decimal(n) / 1000)
#: A session, an asset, an amount.
share_orders = st.lists(
    st.tuples(st.integers(0, len(SESSIONS) - 1), st.sampled_from("AB"), st.integers(-400, 400)), max_size=12
)
fees = st.sampled_from(["0", "0.001", "0.0137", "1.5"])


def booked(value):
    """Return an amount of money as the book keeps it: half-even to 1e-9."""
    return value.quantize(UNIT, rounding=ROUND_HALF_EVEN)


def check_books(result, capital, cash_events=()):
    """Hold each session against cash and holdings that are added up from the result's fills.

    Parameters
    ----------
    cash_events
        (session, cash) of what is not a fill.
    """
    fills, orders, held = result.transactions, result.orders, result.positions
    paid = sum((booked(Decimal(repr(float(fee)))) for fee in orders["commission"]), Decimal(0))
    for _, row in result.books.iterrows():
        assert row["cash"] + row["positions_value"] == row["portfolio_value"]
        mine = held[held["session"] == row["session"]]
        worth = sum(
            (booked(Decimal(repr(n)) * Decimal(repr(p))) for n, p in zip(mine["amount"], mine["last_sale_price"], strict=True)),
            Decimal(0),
        )  # fmt: skip
        assert row["positions_value"] == worth
    spent = sum(
        (booked(Decimal(repr(n)) * Decimal(repr(p))) for n, p in zip(fills["amount"], fills["price"], strict=True)),
        Decimal(0),
    )
    earned = sum((cash for _, cash in cash_events), Decimal(0))
    assert result.books["cash"].iloc[-1] == capital - spent - paid + earned
    # The flows of the sessions are what the cash went through.
    assert abs(float(result.perf["capital_used"].sum()) - float(result.books["cash"].iloc[-1] - capital)) < 1e-3


def frame(rows):
    return pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row").sort("symbol", "timestamp")


def bar(at, symbol, price, volume):
    return (at, symbol, price, price, price, price, Decimal(volume))


@given(
    st.lists(st.tuples(prices, prices), min_size=len(SESSIONS), max_size=len(SESSIONS)),
    share_orders,
    fees,
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, len(SESSIONS) - 1)),
    st.tuples(st.integers(1, 50_000), st.integers(1, len(SESSIONS) - 2)),
)
def test_cash_and_holdings_of_shares_add_up_in_every_session(closes, orders, fee, split, dividend):
    new, old, ex_split = split
    cash_a_share, ex_dividend = Decimal(dividend[0]) / 10_000, dividend[1]
    rows = [
        bar(datetime(day.year, day.month, day.day, tzinfo=UTC), symbol, price, 10**7)
        for day, pair in zip(SESSIONS, closes, strict=True)
        for symbol, price in zip("AB", pair, strict=True)
    ]
    # A is split, B pays: so that what is paid for a fraction of a share and what is paid out can be told apart.
    actions = [
        CorporateAction.cash_dividend(
            "B", SESSIONS[ex_dividend], str(cash_a_share), pay_date=SESSIONS[ex_dividend + 1]
        ),
        *([CorporateAction.split("A", SESSIONS[ex_split], new, old)] if new != old else []),
    ]
    seen = {"amount": 0, "before": 0}

    def handle_data(context, data):
        at = SESSIONS.index(data.current_session.date())
        if at == ex_dividend - 1:
            seen["amount"] = context.portfolio.positions[api.symbol("B")].amount
        if at == ex_split - 1:
            seen["before"] = context.portfolio.positions[api.symbol("A")].amount
        for when, symbol, amount in orders:
            if when == at:
                api.order(api.symbol(symbol), amount)

    result = run_algorithm(
        bundle=MemoryBars(frame(rows), actions=actions),
        handle_data=handle_data,
        commission=api.commission.PerTrade(float(fee)),
        slippage=api.slippage.NoSlippage(),
    )
    events = [(SESSIONS[ex_dividend + 1], seen["amount"] * cash_a_share)]
    whole = seen["before"] * new % old == 0
    if not whole and new != old:
        # What a fraction of a share is paid with follows the cost basis, a float: here it is only known to be under one share.
        book = result.books.set_index("session")
        day = str(SESSIONS[ex_split])
        mine = result.transactions[result.transactions["session"] == day]
        before = book["cash"].shift(1)[day]
        spent = sum(
            (Decimal(repr(n)) * Decimal(repr(p)) for n, p in zip(mine["amount"], mine["price"], strict=True)),
            Decimal(0),
        )
        fills = Decimal(fee) * len(mine)
        dividend_today = events[0][1] if SESSIONS[ex_dividend + 1] == SESSIONS[ex_split] else Decimal(0)
        fraction = book["cash"][day] - before + booked(spent) + fills - dividend_today
        assert fraction == round(fraction, 2)
        events.append((SESSIONS[ex_split], fraction))
    check_books(result, Decimal(10**6), events)


coins = st.integers(-(10**11), 10**11).map(lambda n: Decimal(n).scaleb(-8))
HOURS = 48


@given(
    st.lists(st.integers(1, 10**12).map(lambda n: Decimal(n).scaleb(-8)), min_size=HOURS, max_size=HOURS),
    st.lists(st.tuples(st.integers(0, HOURS - 1), coins), max_size=15),
    st.sampled_from([None, "0.25", "0.0015"]),
    st.integers(0, 3),
)
def test_cash_and_fractions_of_coins_add_up_on_intraday_bars(closes, orders, fee, gap):
    begin = datetime(2024, 3, 2, tzinfo=UTC)
    rows = [
        bar(begin + timedelta(hours=i), "C/USD", price, 0 if gap and i % 4 == gap else 10**9)
        for i, price in enumerate(closes)
    ]
    bars = MemoryBars(
        frame(rows),
        calendar_name="24/7",
        frequency="1h",
        attributes={"C/USD": AssetAttributes(asset_type="crypto", lot_size=Decimal("1e-8"))},
    )
    counted = []

    def handle_data(context, data):
        value = context.portfolio
        assert abs(value.cash + value.positions_value - value.portfolio_value) <= 1e-9 * max(1, abs(value.cash)) * 4
        for when, amount in orders:
            if when == len(counted):
                api.order(api.symbol("C/USD"), amount)
        counted.append(data.current_dt)

    result = run_algorithm(
        bundle=bars,
        data_frequency="1h",
        handle_data=handle_data,
        commission=api.commission.PerTrade(float(fee or 0)),
        slippage=api.slippage.NoSlippage(),
    )
    assert len(counted) == HOURS
    check_books(result, Decimal(10**6))

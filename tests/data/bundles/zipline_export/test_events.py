"""adjustments.sqlite."""

from decimal import Decimal

from rustybt.market.corporate_actions import CorporateAction

NONE = -(2**63)
SECONDS = {
    "2024-01-02": 1_704_153_600,
    "2024-01-03": 1_704_240_000,
    "2024-01-04": 1_704_326_400,
    "2024-01-05": 1_704_412_800,
}
WEEK = [("A", f"2024-01-0{day}", price) for day, price in ((2, "40"), (3, "30"), (4, "20"), (5, "10"))]
split, dividend = CorporateAction.split, CorporateAction.cash_dividend


def table(done, name, columns):
    return done.rows("adjustments.sqlite", f"SELECT {columns} FROM {name} ORDER BY effective_date")


def payouts(done, name="dividend_payouts", more="amount"):
    return done.rows(
        "adjustments.sqlite",
        f"SELECT ex_date, declared_date, record_date, pay_date, {more} FROM {name} ORDER BY ex_date",
    )


def test_a_split_multiplies_what_came_before_by_old_to_new(commit, export):
    commit(WEEK, actions=[split("A", "2024-01-03", 3, 2), split("A", "2024-01-05", 1, 10)])
    done = export()
    assert table(done, "splits", "effective_date, ratio, sid") == [
        (SECONDS["2024-01-03"], 2 / 3, done.sids["A"]),
        (SECONDS["2024-01-05"], 10.0, done.sids["A"]),
    ]


def test_a_dividends_factor_comes_from_the_close_before_and_unknown_days_are_zipline_nothing(commit, export):
    told = dividend(
        "A", "2024-01-04", "1.5", declared_date="2024-01-02", record_date="2024-01-05", pay_date="2024-01-05"
    )
    commit(WEEK, actions=[told, dividend("A", "2024-01-05", "2")])
    done = export()
    assert table(done, "dividends", "effective_date, ratio") == [
        (SECONDS["2024-01-04"], 1 - 1.5 / 30),
        (SECONDS["2024-01-05"], 1 - 2 / 20),
    ]
    second, fourth, fifth = (SECONDS[f"2024-01-0{day}"] for day in (2, 4, 5))
    assert payouts(done) == [(fourth, second, fifth, fifth, 1.5), (fifth, NONE, NONE, fifth, 2.0)]


def test_a_dividend_without_a_close_before_it_or_above_it_is_paid_but_adjusts_nothing(commit, export):
    halted = [row for row in WEEK if row[1] != "2024-01-03"]
    days = {"2024-01-02": "1", "2024-01-04": "1", "2024-01-05": "20"}
    commit(halted, actions=[dividend("A", day, amount) for day, amount in days.items()])
    done = export()
    assert table(done, "dividends", "ratio") == []
    assert len(payouts(done)) == 3
    assert (
        "since the session before has no close or a lower one: A on 2024-01-02, A on 2024-01-04, A on 2024-01-05"
        in (done.notes)
    )


def test_stock_dividends_are_paid_in_the_assets_own_shares_and_spin_offs_are_left_out(commit, export):
    shares = {"ratio_new": Decimal(1), "ratio_old": Decimal(20)}
    actions = [CorporateAction("A", kind, "2024-01-04", **shares) for kind in ("stock_dividend", "spin_off")]
    commit(WEEK, actions=actions)
    done = export()
    fourth = SECONDS["2024-01-04"]
    assert payouts(done, "stock_dividend_payouts", "payment_sid, ratio") == [
        (fourth, NONE, NONE, fourth, done.sids["A"], 0.05)
    ]
    assert "spin-offs of A were left out" in done.notes
    assert "does not adjust earlier prices" in done.notes
    assert table(done, "mergers", "sid") == table(done, "splits", "sid") == []


def test_cancelled_events_and_those_of_assets_that_stay_behind_are_not_written(commit, export):
    wrong = split("A", "2024-01-03", 2)
    cancelled = CorporateAction("A", "cancellation", "2024-01-03", supersedes=wrong.event_id)
    commit([*WEEK, ("B", "1980-01-02", "1")], actions=[wrong, cancelled, split("B", "1980-01-03", 2)])
    assert table(export(), "splits", "ratio") == []


def test_split_adjusted_bars_and_dividends_are_brought_back_to_the_shares_of_their_day(commit, export):
    commit(
        [("A", "2024-01-02", "10", "11", "9", "10.5", 300), ("A", "2024-01-03", "10"), ("A", "2024-01-04", "11")],
        price_basis="split_adjusted",
        actions=[split("A", "2024-01-03", 3, 2), split("A", "2024-01-04", 2, 1), dividend("A", "2024-01-03", "0.5")],
    )
    done = export()
    assert done.days("A") == {
        "2024-01-02": [30000, 33000, 27000, 31500, 100],
        "2024-01-03": [20000, 20000, 20000, 20000, 5],
        "2024-01-04": [11000, 11000, 11000, 11000, 11],
    }
    assert len(table(done, "splits", "ratio")) == 2
    assert payouts(done)[0][-1] == 1.0
    assert table(done, "dividends", "ratio") == [(1 - 1.0 / 31.5,)]
    assert "split-adjusted prices of A were brought back to the shares of their own day" in done.notes


def test_split_adjusted_minutes_are_brought_back_too_and_the_days_that_are_made_of_them(commit, export):
    commit(
        [
            ("A", "2024-01-02T14:30:00", "10", "10", "10", "10", 4),
            ("A", "2024-01-03T14:30:00", "11", "11", "11", "11", 6),
        ],
        "1m",
        price_basis="split_adjusted",
        actions=[split("A", "2024-01-03", 2, 1)],
    )
    done = export()
    assert done.days("A") == {"2024-01-02": [20000] * 4 + [2], "2024-01-03": [11000] * 4 + [6]}
    assert [row for row in done.minutes("A") if row[4]] == [[20000] * 4 + [2], [11000] * 4 + [6]]


def test_events_of_prices_that_hold_them_already_are_left_out_as_in_a_backtest(commit, export):
    commit(
        WEEK,
        price_basis="split_dividend_adjusted",
        actions=[split("A", "2024-01-03", 2), dividend("A", "2024-01-04", 1)],
    )
    done = export()
    assert table(done, "splits", "ratio") == payouts(done) == []
    assert done.days("A")["2024-01-02"][0] == 40000
    assert "corporate actions of A were left out" in done.notes

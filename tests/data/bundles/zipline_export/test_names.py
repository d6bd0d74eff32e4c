"""The assets database: who was called what and when."""

from datetime import UTC, date, datetime

import pytest

from rustybt.data.bundles.records import Alias
from rustybt.errors import RequestError
from rustybt.market.assets import AssetAttributes

WEEK = [("META", f"2024-01-0{day}", "1") for day in (2, 3, 4, 5)]


def day_of(nanoseconds):
    return str(datetime.fromtimestamp(nanoseconds // 10**9, UTC).date())


def names(done):
    rows = done.rows(
        "assets-7.sqlite",
        "SELECT symbol, company_symbol, share_class_symbol, start_date, end_date FROM equity_symbol_mappings ORDER BY id",
    )
    return [(*row[:3], day_of(row[3]), day_of(row[4])) for row in rows]


def test_an_equity_lives_from_its_first_bar_to_its_last_and_is_closed_the_day_after(commit, export):
    attributes = AssetAttributes(venue="XNAS", name="Meta Platforms")
    commit([*WEEK, ("X", "2024-01-03", "1")], assets={"META": attributes})
    done = export()
    rows = done.rows("assets-7.sqlite", "SELECT * FROM equities ORDER BY sid")
    sids = done.sids
    assert [(sid, name, *map(day_of, dates), venue) for sid, name, *dates, venue in rows] == [
        (sids["META"], "Meta Platforms", "2024-01-02", "2024-01-05", "2024-01-02", "2024-01-06", "XNAS"),
        (sids["X"], None, "2024-01-03", "2024-01-03", "2024-01-03", "2024-01-04", "XNYS"),
    ]
    assert done.rows("assets-7.sqlite", "SELECT * FROM exchanges ORDER BY 1") == [
        ("XNAS", "XNAS", "US"),
        ("XNYS", "XNYS", "US"),
    ]
    assert done.rows("assets-7.sqlite", "SELECT * FROM asset_router ORDER BY 1") == [
        (s, "equity") for s in sids.values()
    ]
    assert done.rows("assets-7.sqlite", "SELECT id, version FROM version_info") == [(1, 7)]


@pytest.mark.parametrize(
    ("venue", "calendar", "country"),
    [
        ("XLON", "XLON", "GB"),
        ("binance", "24/7", "??"),
        (None, "XTKS", "JP"),
        ("QUANDL", "XNYS", "US"),
        ("24/7", "XNYS", "??"),
    ],
)
def test_an_exchange_has_the_country_of_its_calendar(commit, export, venue, calendar, country):
    commit([("A", "2024-01-04", "1")], calendar=calendar, assets={"A": AssetAttributes(venue=venue)})
    exchange = venue or calendar
    assert export().rows("assets-7.sqlite", "SELECT * FROM exchanges") == [(exchange, exchange, country)]


def test_a_former_name_ends_before_the_own_symbol_begins(commit, export):
    commit(WEEK, aliases=[Alias("META", "FB", None, date(2024, 1, 3))])
    assert names(export()) == [
        ("FB", "FB", "", "2024-01-02", "2024-01-03"),
        ("META", "META", "", "2024-01-04", "2024-01-05"),
    ]


def test_a_name_that_holds_on_takes_over_from_the_own_symbol(commit, export):
    commit(WEEK, aliases=[Alias("META", "NEW", date(2024, 1, 4), None)])
    assert names(export()) == [
        ("META", "META", "", "2024-01-02", "2024-01-03"),
        ("NEW", "NEW", "", "2024-01-04", "2024-01-05"),
    ]


def test_a_ticker_that_was_given_to_another_belongs_to_each_in_its_time(commit, export):
    rows = [("ABC.1998", "2024-01-02", "1"), ("ABC", "2024-01-04", "2")]
    commit(rows, aliases=[Alias("ABC.1998", "ABC", None, date(2024, 1, 2))])
    done = export()
    assert sorted((name, begin, end) for name, _, _, begin, end in names(done)) == [
        ("ABC", "2024-01-02", "2024-01-02"),
        ("ABC", "2024-01-04", "2024-01-04"),
    ]
    owners = done.rows("assets-7.sqlite", "SELECT count(DISTINCT sid) FROM equity_symbol_mappings")
    assert owners == [(2,)]


def test_names_without_dates_are_left_out_and_told(commit, export):
    commit(WEEK, aliases=[Alias("META", "XX:META")])
    done = export()
    assert [name for name, *_ in names(done)] == ["META"]
    assert "names without dates were left out, for Zipline knows only dated ones: XX:META" in done.notes


def test_symbols_are_written_in_capitals_and_split_into_company_and_share_class(commit, export):
    commit([("brk.b", "2024-01-02", "1"), ("BTC/USDT-X", "2024-01-02", "1")])
    done = export()
    assert [row[:3] for row in sorted(names(done))] == [("BRK.B", "BRK", "B"), ("BTC/USDT-X", "BTC", "USDT-X")]
    assert "Zipline writes symbols in capitals: brk.b" in done.notes


@pytest.mark.parametrize("other", ["BTC-USDT", "btc/usdt", "BTC_USDT"])
def test_symbols_that_zipline_cannot_tell_apart_are_refused(commit, export, tmp_path, other):
    commit([("BTC/USDT", "2024-01-02", "1"), (other, "2024-01-02", "1")])
    with pytest.raises(RequestError, match="Zipline cannot tell") as caught:
        export()
    assert sorted(caught.value.symbols) == sorted(["BTC/USDT", other])
    assert not (tmp_path / "root").exists()


def test_the_same_symbol_at_different_times_is_no_hindrance(commit, export):
    commit([("A/B", "2024-01-02", "1"), ("A-B", "2024-01-04", "1")])
    assert sorted(name for name, *_ in names(export())) == ["A-B", "A/B"]


def test_an_alias_that_another_asset_bears_is_left_out_and_told(commit, export):
    commit(
        [*WEEK, ("FB", "2024-01-02", "1"), ("FB", "2024-01-05", "1")],
        aliases=[Alias("META", "FB", None, date(2024, 1, 3))],
    )
    done = export()
    assert [name for name, *_ in names(done)].count("FB") == 1
    assert "names that another asset bore at the same time, as Zipline reads them, were left out: FB" in done.notes


def test_dates_of_the_own_symbol_are_kept_where_they_are_known(commit, export):
    own = Alias("META", "META", date(2023, 6, 1), date(2024, 1, 4))
    commit(WEEK, aliases=[own, Alias("META", "FB", None, date(2023, 5, 31))])
    assert names(export())[-1] == ("META", "META", "", "2023-06-01", "2024-01-04")


def test_names_of_assets_that_stay_behind_are_no_matter(commit, export):
    commit([*WEEK, ("OLD", "1980-01-02", "1")], aliases=[Alias("OLD", "META", date(2024, 1, 1), None)])
    assert [name for name, *_ in names(export())] == ["META"]

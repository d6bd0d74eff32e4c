"""What 32 bits cannot hold is refused by name, or rounded and told."""

import pytest

from rustybt.errors import RequestError
from rustybt.market.assets import AssetAttributes

COMMODITY = {"A": AssetAttributes(asset_type="commodity")}


@pytest.mark.parametrize(
    ("price", "stored"),
    [
        ("10.0005", 10000),
        ("10.0015", 10002),
        ("10.00050000000000001", 10001),
        ("10.001499999999999999", 10001),
        ("0.000500000000000001", 1),
        ("4294967.294", 4_294_967_294),
        ("4294967.2944", 4_294_967_294),
    ],
)
def test_halves_of_a_thousandth_go_to_the_even_neighbour(commit, export, price, stored):
    commit([("A", "2024-01-02", price, price, price, price, 1)])
    done = export()
    assert done.days("A") == {"2024-01-02": [stored] * 4 + [1]}
    assert done.done.rounded_prices == (len(price.partition(".")[2]) > 3)


def test_rounded_prices_are_counted_by_bars_with_their_symbols_and_an_example(commit, export):
    rows = [(symbol, f"2024-01-0{day}", "1", "2", "1", "1.2345", 5) for symbol in "AB" for day in (2, 3)]
    commit([*rows, ("C", "2024-01-02", "7.125")])
    done = export()
    assert done.done.rounded_prices == 4
    assert (
        "4 daily bars of A, B have more decimals than Zipline keeps and were rounded, e.g. A at 2024-01-02: 1.2345 became 1.234"
        in done.notes
    )


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (("-1", "1", "-1", "1", "5"), "negative prices of A"),
        (("1", "4294967.295", "1", "1", "5"), "prices of 4,294,967.295 or more of A"),
        (("1", "4294967.2945", "1", "1", "5"), "prices of 4,294,967.295 or more of A"),
        (("99999999999999999999",), "prices of 4,294,967.295 or more of A"),
        (("1", "1", "1", "1", "4294967295.5"), "volumes above 4,294,967,295 of A"),
        (("1", "1", "1", "1", "4294967296"), "volumes above 4,294,967,295 of A"),
        (("0.0005", "1", "0.0005", "1", "5"), "prices that would be rounded to 0, which Zipline reads as no bar of A"),
    ],
)
def test_what_has_no_place_is_refused_with_its_symbols_and_nothing_is_written(commit, export, tmp_path, numbers, words):
    commit([("A", "2024-01-02", *numbers), ("B", "2024-01-02", "5")], assets=COMMODITY)
    with pytest.raises(RequestError, match="cannot hold the daily bars of b@1") as caught:
        export()
    assert words in caught.value.message
    assert caught.value.symbols == ["A"]
    assert "parquet" in caught.value.hint
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (("-1", "1", "-1", "1", "5"), "negative prices of A"),
        (("1", "4294967.295", "1", "1", "5"), "prices of 4,294,967.295 or more of A"),
        (("1", "1", "1", "1", "4294967296"), "volumes above 4,294,967,295 of A"),
        (("1", "1", "1e-10", "1", "5"), "prices that would be rounded to 0"),
    ],
)
def test_minutes_are_refused_like_days(commit, export, numbers, words):
    commit([("A", "2024-01-02", "1")], assets=COMMODITY)
    commit([("A", "2024-01-02T14:30:00", *numbers)], "1m", assets=COMMODITY)
    with pytest.raises(RequestError, match=f"cannot hold the minute bars of b@2: {words}"):
        export()


def test_the_largest_volume_fits(commit, export):
    commit([("A", "2024-01-02", "1", "1", "1", "1", "4294967295")])
    assert export().days("A")["2024-01-02"][4] == 4_294_967_295


def test_fractions_of_a_volume_are_rounded_and_those_that_vanish_are_counted(commit, export):
    volumes = ("0.5", "1.5", "2.5", "0.3", "7", "0")
    commit(
        [("BTC", f"2024-01-0{day}", "1", "1", "1", "1", volume) for day, volume in enumerate(volumes, start=1)],
        calendar="24/7",
        assets={"BTC": AssetAttributes(asset_type="crypto", currency="USDT")},
    )
    done = export()
    assert [row[4] for row in done.days("BTC").values()] == [0, 2, 2, 0, 7, 0]
    assert done.done.rounded_volumes == 4
    assert "4 daily bars of BTC have a fractional volume" in done.notes
    assert "2 became 0: Zipline takes these bars for not traded" in done.notes
    assert "BTC (crypto) became equities" in done.notes
    assert "prices of BTC are in USDT; Zipline calls every bundle's currency USD" in done.notes


def test_a_price_of_zero_is_told_for_zipline_takes_it_for_none(commit, export):
    commit([("A", "2024-01-02", "0", "1", "0", "1", "5")])
    assert "1 daily bars of A have a price of 0, which Zipline reads as missing" in export().notes


def test_bars_that_are_left_out_are_not_held_against_the_format(commit, export):
    commit([("A", "2024-01-05", "1"), ("A", "2024-01-06", "99999999")])
    assert list(export().days("A")) == ["2024-01-05"]


def test_daily_bars_made_of_minutes_are_looked_at_too(commit, export):
    commit([("A", f"2024-01-02T14:3{minute}:00", "1", "1", "1", "1", 3_000_000_000) for minute in (0, 1)], "1m")
    with pytest.raises(RequestError, match=r"daily bars of b@1: volumes above 4,294,967,295 of A"):
        export()

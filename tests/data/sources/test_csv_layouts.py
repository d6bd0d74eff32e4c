"""How CSV files hold symbols: one a file, a directory, a glob, or many in one long file."""

import pytest

from rustybt.data.sources import CSVDataSource
from rustybt.errors import NotCoveredError
from tests.data.sources.csv_texts import DAY2, DAY3, HEADER, closes, fetched

# -- one symbol a file ------------------------------------------------------------------------------------------------


def test_a_file_is_the_symbol_it_is_named_after(write):
    assert closes(fetched(write("BRK.B.csv", HEADER + DAY2), ["BRK.B"])) == [("BRK.B", "2020-01-02", "10.5")]


def test_the_symbol_of_a_file_may_be_given(write):
    path = write("download (1).csv", HEADER + DAY2)
    assert closes(fetched(path, ["BTC/USDT"], symbol="BTC/USDT", asset_type="crypto"))[0][0] == "BTC/USDT"


def test_a_directory_holds_one_symbol_a_file(write, tmp_path):
    write("d/B.csv", HEADER + DAY2)
    write("d/A.csv", HEADER + DAY3)
    write("d/.hidden.csv", "")
    write("d/notes.md", "")
    assert closes(fetched(tmp_path / "d", None)) == [("A", "2020-01-03", "10.6"), ("B", "2020-01-02", "10.5")]


def test_a_glob_reaches_below(write, tmp_path):
    write("d/x/A.csv", HEADER + DAY2)
    write("d/y/B.csv", HEADER + DAY2)
    assert CSVDataSource(tmp_path / "d" / "**" / "*.csv").list_symbols() == ["A", "B"]


def test_a_file_whose_name_looks_like_a_glob_is_itself(write):
    assert CSVDataSource(write("A[1].csv")).list_symbols() == ["A[1]"]


def test_only_the_symbols_asked_for_are_delivered(write, tmp_path):
    write("d/A.csv", HEADER + DAY2)
    write("d/B.csv", "broken")
    assert closes(fetched(tmp_path / "d", ["A"])) == [("A", "2020-01-02", "10.5")]


def test_two_files_of_one_symbol_are_joined(write, tmp_path):
    write("2019/A.csv", HEADER + DAY2)
    write("2020/A.csv", HEADER + DAY3)
    assert fetched(tmp_path / "*" / "A.csv", ["A"]).height == 2


# -- long files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order",
    [
        ["A," + DAY2, "A," + DAY3, "B," + DAY2, "B," + DAY3],
        ["A," + DAY2, "B," + DAY2, "A," + DAY3, "B," + DAY3],
        ["B," + DAY3, "A," + DAY3, "B," + DAY2, "A," + DAY2],
    ],
    ids=["by symbol", "by date", "backwards"],
)
def test_a_long_file_may_be_in_any_order(write, order):
    found = fetched(write("all.csv", "Ticker," + HEADER + "".join(order)), None)
    assert [row[:2] for row in closes(found)] == [
        ("A", "2020-01-02"), ("A", "2020-01-03"), ("B", "2020-01-02"), ("B", "2020-01-03"),
    ]  # fmt: skip


def test_long_files_that_are_split_by_date_are_joined(write, tmp_path):
    write("d/2020-01-02.csv", "symbol," + HEADER + "A," + DAY2 + "B," + DAY2)
    write("d/2020-01-03.csv", "symbol," + HEADER + "B," + DAY3 + "A," + DAY3)
    write("d/2020-01-06.csv", "symbol," + HEADER)
    assert fetched(tmp_path / "d", None).height == 4


def test_a_range_of_a_long_file_without_bars_is_not_covered(write, store):
    path = write("all.csv", "symbol," + HEADER + "A," + DAY2)
    with pytest.raises(NotCoveredError):
        CSVDataSource(path).ingest_to_bundle("us", None, "2021-01-01", store=store)


def test_a_long_file_of_other_symbols_names_what_is_not_found(write):
    path = write("all.csv", "symbol," + HEADER + "AAPL," + DAY2)
    with pytest.raises(Exception, match="no symbol 'AAPPL'") as caught:
        fetched(path, ["AAPPL"])
    assert "AAPL" in caught.value.hint


def test_the_twin_of_a_symbol_is_not_read_with_it(write):
    path = write("all.csv", "symbol," + HEADER + f"e\u0301,{DAY2}\u00e9,{DAY3}")
    source = CSVDataSource(path)
    assert source.fetch_sync("\u00e9")["symbol"].to_list() == ["\u00e9"]
    assert source.fetch_sync("e\u0301")["symbol"].to_list() == ["e\u0301"]


# -- both together ----------------------------------------------------------------------------------------------------


def test_a_file_without_symbol_column_among_long_ones_is_its_own_symbol(write, tmp_path):
    write("d/all.csv", "symbol," + HEADER + "A," + DAY2)
    write("d/B.csv", HEADER + DAY2)
    assert [row[0] for row in closes(fetched(tmp_path / "d", None))] == ["A", "B"]


def test_files_of_different_layouts_are_read_together(write, tmp_path):
    write("d/A.csv", HEADER + DAY2)
    write("d/B.csv", "Close;Open;High;Low;Time\n10,5;1;1;1;x\n".replace("10,5", "1").replace(";x", ";1577923200"))
    write("d/C.tsv", "date\topen\thigh\tlow\tclose\tvolume\n20200102\t10\t11\t9\t10.5\t1\n")
    assert [row[:2] for row in closes(fetched(tmp_path / "d", None))] == [(s, "2020-01-02") for s in "ABC"]

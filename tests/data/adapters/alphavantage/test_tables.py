"""Tables that are broken are errors, and never shorter answers."""

from decimal import Decimal

import pytest

from rustybt.errors import BadResponseError
from tests.data.adapters.alphavantage.asking import fetch, rows_of


def lines(change):
    def spoil(text):
        rows = text.splitlines(keepends=True)
        change(rows)
        return "".join(rows)

    return spoil


def swap(rows):
    rows[1], rows[2] = rows[2], rows[1]


def turn(rows):
    rows[1:] = rows[:0:-1]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],  # cut in the middle of a line
        lambda text: text[:-2],  # the last line has no end: cut in the middle of a number
        lambda text: text.rpartition(",")[0] + "\r\n",  # a field is missing
        lambda text: text.replace("open,high", "high,open"),
        lambda text: text.partition("\n")[2],  # no header
        lambda text: "",
        lambda text: "<html>We are down for maintenance</html>\n",
        lines(lambda rows: rows.insert(2, rows[2])),
        lines(turn),
        lines(swap),
        lines(lambda rows: rows.__setitem__(3, rows[3].replace("2024-", "2024/"))),
        lines(lambda rows: rows.__setitem__(3, rows[3].replace("\r\n", ",1\r\n"))),
        lines(lambda rows: rows.__setitem__(3, rows[3].partition(",")[0] + ",a,b,c,d,e\r\n")),
        lines(lambda rows: rows.__setitem__(3, rows[3].partition(",")[0] + ",,,,,\r\n")),
        lines(lambda rows: rows.append("\r\n,,,,,\r\n")),
    ],
)
def test_a_broken_table_is_an_error_and_never_a_shorter_answer(server, make, spoil):
    server.spoil = spoil
    answer = fetch(make(server), "AAPL", "2024-01-02", "2024-01-05")
    assert isinstance(answer, BadResponseError)
    # Asked for again, for it may have come to harm on its way.
    assert len(server.data_requests()) == 3


def test_digits_that_no_double_holds_survive(server, make):
    def change(rows):
        rows[1] = "2024-11-29,1.100000000000000005,1.100000000000000005,1.1,1.1000,9007199254740993\r\n"

    server.spoil = lines(change)
    answer = fetch(make(server), "AAPL", "2024-11-29", "2024-11-29")
    assert rows_of(answer)[0][1] == Decimal("1.100000000000000005")
    assert rows_of(answer)[0][5] == Decimal(9007199254740993)


def test_a_table_without_rows_is_empty(server, make):
    server.spoil = lambda text: text.partition("\n")[0] + "\n"
    assert fetch(make(server), "AAPL", "2024-11-01", "2024-11-27").bars.is_empty()

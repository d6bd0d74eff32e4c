"""Corporate actions beside CSV bars: a file of events, a list, and csvdir's columns."""

from datetime import date
from decimal import Decimal

import pytest

from rustybt.data.sources import CSVDataSource, CSVDirDataSource, get_source
from rustybt.data.sources.csv.actions import read_actions
from rustybt.errors import BadResponseError, RequestError
from rustybt.market.corporate_actions import CorporateAction

BARS = "date,open,high,low,close,volume\n2020-01-02,10,11,9,10.5,100\n2020-01-03,10,11,9,10.6,100\n"
CSVDIR = "date,open,high,low,close,volume,dividend,split\n"


def test_a_file_of_events_is_read_with_all_its_columns(write):
    path = write(
        "actions.csv",
        "symbol,kind,ex_date,ratio,amount,currency,pay_date,record_date,declared_date\n"
        "AAPL,split,2000-06-21,2:1,,,,,\n"
        "MSFT,cash_dividend,2003-02-19,,0.08,EUR,2003-03-07,2003-02-21,2003-01-16\n"
        "\n"
        "XYZ,stock-dividend,2010-01-04,1/20,,,,,\n",
    )
    assert read_actions(path) == (
        CorporateAction("AAPL", "split", date(2000, 6, 21), ratio_new=Decimal(2), ratio_old=Decimal(1), source="csv"),
        CorporateAction(
            "MSFT",
            "cash_dividend",
            date(2003, 2, 19),
            amount=Decimal("0.08"),
            currency="EUR",
            declared_date=date(2003, 1, 16),
            record_date=date(2003, 2, 21),
            pay_date=date(2003, 3, 7),
            source="csv",
        ),
        CorporateAction(
            "XYZ", "stock_dividend", date(2010, 1, 4), ratio_new=Decimal(1), ratio_old=Decimal(20), source="csv"
        ),
    )


@pytest.mark.parametrize(
    ("text", "new", "old"),
    [("2:1", 2, 1), ("2", 2, 1), ("0.1", 1, 10), ("1.5", 3, 2), ("3-for-2", 3, 2), ("1 / 8", 1, 8)],
)
def test_ratios_may_be_written_in_several_ways(write, text, new, old):
    (event,) = read_actions(write("a.csv", f"symbol;kind;ex_date;ratio\nA;split;2020-01-02;{text}\n"))
    assert (event.ratio_new, event.ratio_old) == (new, old)


def test_a_dividend_is_in_dollars_unless_it_says_otherwise(write):
    (event,) = read_actions(write("a.csv", "Symbol,Kind,Ex_Date,Amount\nA,dividend,2020-01-02,0.5\n"))
    assert (event.kind, event.amount, event.currency) == ("cash_dividend", Decimal("0.5"), "USD")


@pytest.mark.parametrize(
    "row",
    [
        "A,split,2020-01-02,,", "A,split,soon,2:1,", "A,merger,2020-01-02,2:1,", ",split,2020-01-02,2:1,",
        "A,split,2020-01-02,two,", "A,split,2020-01-02,0:1,", "A,split,2020-01-02,inf,", "A,dividend,2020-01-02,,-1", "A",
        "A,dividend,2020-01-02,,lots",
    ],
)  # fmt: skip
def test_a_row_that_is_no_event_is_refused_with_its_line(write, row):
    with pytest.raises(BadResponseError, match=r"a.csv line 2 is no corporate action") as caught:
        read_actions(write("a.csv", f"symbol,kind,ex_date,ratio,amount\n{row}\n"))
    assert caught.value.line == 2


@pytest.mark.parametrize("header", ["symbol,ex_date", "symbol,kind,kind,ex_date", ""])
def test_a_file_without_the_needed_columns_is_refused(write, header):
    with pytest.raises(BadResponseError, match="needs the columns symbol, kind, ex_date"):
        read_actions(write("a.csv", header + "\n"))


def test_a_missing_file_of_events_is_a_bad_request(tmp_path):
    with pytest.raises(RequestError, match="no file or directory"):
        CSVDataSource(tmp_path, actions=tmp_path / "actions.csv")


@pytest.mark.parametrize("as_path", [True, False])
def test_events_of_a_file_or_a_list_go_into_the_bundle(write, store, as_path):
    event = CorporateAction.split("A", date(2020, 1, 3), 2, source="csv")
    given = write("actions.csv", "symbol,kind,ex_date,ratio\nA,split,2020-01-03,2:1\n") if as_path else [event]
    CSVDataSource(write("A.csv", BARS), actions=given).ingest_to_bundle("us", store=store)
    with store.open("us") as bundle:
        (stored,) = bundle.corporate_actions()
    assert stored.event_id == event.event_id


# -- csvdir ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def csvdir(write, tmp_path):
    write(
        "z/daily/A.csv",
        CSVDIR
        + "2020-01-02,10,11,9,10.5,100,0.0,1.0\n"
        + "2020-01-03,10,11,9,10.6,100,0.25,1.0\n"
        + "2020-01-06,5,6,4,5.3,200,0.0,2.0\n"
        + "2020-01-07,50,60,40,53,20,0,0.1\n",
    )
    write("z/daily/B.csv", "date,open,high,low,close,volume\n2020-01-02,10,11,9,10.5,100\n")
    write(
        "z/minute/A.csv", CSVDIR + "2020-01-02 14:31:00,10,11,9,10.5,100,0,1\n2020-01-02 14:32:00,10,11,9,10.6,1,0,1\n"
    )
    return tmp_path / "z"


def test_csvdir_reads_daily_bars_with_their_events(csvdir, store):
    report = get_source("csvdir", path=str(csvdir)).ingest_to_bundle("csvdir", store=store)
    assert report.symbols == ("A", "B")
    with store.open("csvdir") as bundle:
        events = bundle.corporate_actions()
    assert [(e.kind, e.ex_date, e.ratio_new, e.ratio_old, e.amount) for e in events] == [
        ("cash_dividend", date(2020, 1, 3), None, None, Decimal("0.25")),
        ("split", date(2020, 1, 6), Decimal(2), Decimal(1), None),
        ("split", date(2020, 1, 7), Decimal(1), Decimal(10), None),
    ]


def test_a_dividend_of_one_is_a_dividend_and_a_split_of_one_is_none(write, store, tmp_path):
    rows = "2020-01-02,10,11,9,10.5,100,1.0,1.0\n2020-01-03,10,11,9,10.5,100,1,1\n2020-01-06,10,11,9,10.5,100,0,0\n"
    write("z/daily/A.csv", CSVDIR + rows)
    CSVDirDataSource(tmp_path / "z").ingest_to_bundle("z", store=store)
    with store.open("z") as bundle:
        found = [(event.kind, event.ex_date.day, event.amount) for event in bundle.corporate_actions()]
    assert found == [("cash_dividend", 2, 1), ("cash_dividend", 3, 1)]


@pytest.mark.parametrize("name", ["", "Day", "Handelstag", "index"])
def test_the_first_column_of_a_csvdir_file_is_the_date_whatever_it_is_called(write, tmp_path, name):
    write("z/daily/A.csv", f"{name},open,high,low,close,volume\n2020-01-02,10,11,9,10.5,100\n")
    assert CSVDirDataSource(tmp_path / "z").fetch_sync("A")["timestamp"][0].date() == date(2020, 1, 2)


def test_a_csvdir_file_is_named_after_its_symbol_whatever_a_column_says(write, tmp_path):
    write("z/daily/BRK.B.csv", "date,symbol,open,high,low,close,volume\n2020-01-02,BRK US,10,11,9,10.5,100\n")
    source = CSVDirDataSource(tmp_path / "z")
    assert source.list_symbols() == ["BRK.B"]
    assert source.fetch_sync("BRK.B")["symbol"].to_list() == ["BRK.B"]


def test_csvdir_minutes_move_from_their_end_to_their_open(csvdir):
    found = CSVDirDataSource(csvdir).fetch_sync("A", frequency="1m")
    assert [stamp.strftime("%H:%M") for stamp in found["timestamp"]] == ["14:30", "14:31"]


def test_csvdir_minutes_that_name_their_open_stay(csvdir):
    found = CSVDirDataSource(csvdir, bar_label="open").fetch_sync("A", frequency="1m")
    assert found["timestamp"][0].strftime("%H:%M") == "14:31"


def test_csvdir_events_outside_the_range_are_left_out(csvdir, store):
    CSVDirDataSource(csvdir).ingest_to_bundle("z", ["A"], "2020-01-02", "2020-01-03", store=store)
    with store.open("z") as bundle:
        assert [event.kind for event in bundle.corporate_actions()] == ["cash_dividend"]


def test_an_event_that_cannot_be_read_is_reported_and_its_bar_kept(write, store, tmp_path):
    write("z/daily/A.csv", CSVDIR + "2020-01-02,10,11,9,10.5,100,0.0,two\n2020-01-03,10,11,9,10.5,100,-1,1\n")
    report = CSVDirDataSource(tmp_path / "z").ingest_to_bundle("z", store=store)
    assert report.rows == 2
    assert report.quarantined == {"split cannot be read": 1, "dividend cannot be read": 1}
    assert report.examples[0].location == "A.csv:2"


def test_a_plain_csv_does_not_take_events_from_columns(write, store):
    path = write("A.csv", CSVDIR + "2020-01-02,10,11,9,10.5,100,0.5,2\n")
    CSVDataSource(path).ingest_to_bundle("us", store=store)
    with store.open("us") as bundle:
        assert bundle.corporate_actions() == []


def test_csvdir_has_daily_and_minute_bars_only(csvdir):
    with pytest.raises(RequestError, match="daily and minute bars, none of 1h"):
        CSVDirDataSource(csvdir).fetch_sync("A", frequency="1h")


def test_a_directory_of_another_layout_is_refused(tmp_path):
    with pytest.raises(RequestError, match="csvdir needs the directory") as caught:
        CSVDirDataSource(tmp_path).fetch_sync("A")
    assert "DIR/daily/SYMBOL.csv" in caught.value.hint


def test_a_directory_with_minutes_only_says_so(tmp_path):
    (tmp_path / "minute").mkdir()
    with pytest.raises(RequestError) as caught:
        CSVDirDataSource(tmp_path).fetch_sync("A")
    assert "--frequency 1m" in caught.value.hint

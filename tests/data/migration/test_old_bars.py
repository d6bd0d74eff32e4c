"""The bars of old Parquet files: every digit, every shape, nothing dropped without a word."""

import os
import tempfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rustybt.data.migration.bars import deliveries, find_files
from rustybt.data.sources.csv.spool import Spool
from rustybt.errors import BadResponseError, SymbolNotFoundError
from rustybt.market.assets import AssetAttributes
from rustybt.market.frequency import Frequency
from rustybt.market.quality import check_quality
from tests.data.migration.old_bundles import FEBRUARY, JANUARY, MINUTES, bar, closes_of, rows_of, utc, write

DAY3, DAY4 = utc("2023-01-03"), utc("2023-01-04")


def read(folder, frequency="1d", recorded=None, names=None, attributes=None, progress=None):
    files = find_files(folder, recorded or {})
    return list(
        deliveries(files, Frequency.parse(frequency), names=names or {}, attributes=attributes or {}, progress=progress)
    )


def test_rows_in_the_wrong_partition_come_with_their_own_dates(tmp_path):
    write(
        tmp_path / JANUARY, [bar("2023-01-03", "A", "10"), bar("2023-06-30", "A", "11"), bar("2019-12-31", "B", "12")]
    )
    write(tmp_path / FEBRUARY, [])
    assert closes_of(read(tmp_path)) == {
        ("A", DAY3): 10,
        ("A", utc("2023-06-30")): 11,
        ("B", utc("2019-12-31")): 12,
    }


def test_columns_of_the_partition_are_not_believed_and_others_are_noted(tmp_path):
    rows = [bar("2023-01-03", "A", "10") | {"year": 1999, "month": 12, "adj_close": 3.5, "dividend": 0.25}]
    write(tmp_path / JANUARY, rows)
    (batch,) = read(tmp_path)
    assert closes_of([batch]) == {("A", DAY3): 10}
    assert batch.notes == ("columns not used: adj_close, dividend",)


@pytest.mark.parametrize(
    ("kind", "written", "expected"),
    [
        (pa.decimal128(18, 8), "1234567890.12345678", "1234567890.12345678"),
        (pa.decimal128(38, 18), "12345678901234567890.123456789012345678", "12345678901234567890.123456789012345678"),
        (pa.decimal128(38, 20), "1.50000000000000000000", "1.5"),
        (pa.decimal256(50, 18), "0.000000000000000001", "0.000000000000000001"),
        (pa.decimal64(18, 8), "0.00000001", "0.00000001"),
        (pa.float64(), 0.1, "0.1"),
        (pa.float64(), 150.1300048828125, "150.13"),
        (pa.float32(), 150.13, "150.13"),
        (pa.int64(), 9_007_199_254_740_993, "9007199254740993"),
        (pa.int32(), 7, "7"),
        (pa.string(), "0.30", "0.3"),
    ],
)
def test_every_type_of_number_keeps_its_digits(tmp_path, kind, written, expected):
    value = Decimal(written) if pa.types.is_decimal(kind) else written
    row = {"date": date(2023, 1, 3), "symbol": "A"} | dict.fromkeys(("open", "high", "low", "close", "volume"), value)
    write(tmp_path / JANUARY, [row], dict.fromkeys(("open", "high", "low", "close", "volume"), kind))
    assert rows_of(read(tmp_path)) == {("A", DAY3): (Decimal(expected),) * 5}


def test_a_value_with_more_decimals_than_are_stored_is_set_aside_not_rounded(tmp_path):
    row = bar("2023-01-03", "A", "10") | {"close": Decimal("10.0000000000000000001")}
    write(tmp_path / JANUARY, [row, bar("2023-01-04", "A", "11")], {"close": pa.decimal128(38, 20)})
    (batch,) = read(tmp_path)
    assert closes_of([batch]) == {("A", DAY4): 11}
    assert batch.quarantined.row(0, named=True) == {
        "symbol": "A",
        "timestamp": "2023-01-03",
        "reason": "close has more than 18 decimals",
        "location": f"{JANUARY}:1",
        "text": "2023-01-03,10.00000000,11.00000000,9.00000000,10.00000000000000000010,100.00000000",
    }


NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("name", "stamps"),
    [
        ("date", pa.array([date(2023, 1, 3)])),
        ("date", pa.array([date(2023, 1, 3)], type=pa.date64())),
        ("timestamp", pa.array([datetime(2023, 1, 3)], type=pa.timestamp("ns"))),
        ("timestamp", pa.array([datetime(2023, 1, 3)], type=pa.timestamp("ms", "UTC"))),
        ("datetime", pa.array([datetime(2023, 1, 3, 21)], type=pa.timestamp("us"))),
        ("datetime", pa.array([datetime(2023, 1, 3, 21)], type=pa.timestamp("us", "UTC"))),
        # 16:00 in New York, and midnight there.
        ("date", pa.array([datetime(2023, 1, 3, 21, tzinfo=UTC)], type=pa.timestamp("us", NEW_YORK))),
        ("date", pa.array([datetime(2023, 1, 3, 5, tzinfo=UTC)], type=pa.timestamp("us", NEW_YORK))),
        # Midnight in Tokyo and in Mumbai lies on the day before by UTC.
        ("date", pa.array([datetime(2023, 1, 2, 15, tzinfo=UTC)], type=pa.timestamp("us", "Asia/Tokyo"))),
        ("date", pa.array([datetime(2023, 1, 2, 18, 30, tzinfo=UTC)], type=pa.timestamp("us", "+05:30"))),
        ("__index_level_0__", pa.array([datetime(2023, 1, 3)], type=pa.timestamp("ns"))),
        ("date", pa.array(["2023-01-03"])),
        ("date", pa.array(["2023-01-03T00:00:00-05:00"])),
    ],
)
def test_a_daily_bar_has_the_date_that_its_stamp_shows(tmp_path, name, stamps):
    row = bar("2023-01-03", "A", "10")
    del row["date"]
    write(tmp_path / JANUARY, [row], **{name: stamps})
    assert closes_of(read(tmp_path)) == {("A", DAY3): 10}


def test_of_a_session_and_the_instant_of_its_close_the_session_is_the_date_of_a_daily_bar(tmp_path):
    late = pa.array([datetime(2023, 1, 4, 1)], type=pa.timestamp("us"))
    write(tmp_path / JANUARY, [bar("2023-01-03", "A", "10")], timestamp=late)
    assert closes_of(read(tmp_path)) == {("A", DAY3): 10}


@pytest.mark.parametrize(
    "stamps",
    [
        pa.array([datetime(2023, 1, 3, 14, 30)], type=pa.timestamp("ns")),
        pa.array([datetime(2023, 1, 3, 14, 30, tzinfo=UTC)], type=pa.timestamp("us", NEW_YORK)),
        pa.array([datetime(2023, 1, 3, 14, 30, tzinfo=UTC)], type=pa.timestamp("ms", "+05:30")),
        pa.array([datetime(2023, 1, 3, 14, 30, tzinfo=UTC)], type=pa.timestamp("us", "-03:30")),
        pa.array([datetime(2023, 1, 3, 14, 30, tzinfo=UTC)], type=pa.timestamp("us", "Nowhere/Known")),
        pa.array(["2023-01-03T09:30:00-05:00"]),
    ],
)
def test_a_minute_bar_has_the_instant_of_its_stamp(tmp_path, stamps):
    write(tmp_path / MINUTES, [bar("2023-01-03", "A", "10")], date=stamps)
    assert closes_of(read(tmp_path, "1m")) == {("A", utc("2023-01-03T14:30")): 10}


def test_a_minute_file_whose_one_bar_is_at_midnight_is_read(tmp_path):
    stamp = pa.array([datetime(2023, 1, 3)], type=pa.timestamp("us"))
    write(tmp_path / MINUTES, [bar("2023-01-03", "BTC/USDT", "10")], date=stamp)
    assert closes_of(read(tmp_path, "1m")) == {("BTC/USDT", DAY3): 10}


def test_minute_bars_in_the_folder_of_daily_ones_are_set_aside(tmp_path):
    stamps = pa.array([datetime(2023, 1, 3, 14, minute) for minute in range(30, 33)], type=pa.timestamp("us"))
    write(tmp_path / JANUARY, [bar("2023-01-03", "A", price) for price in ("10", "11", "12")], date=stamps)
    (batch,) = read(tmp_path)
    assert batch.bars.is_empty()
    assert batch.quarantined["reason"].to_list() == ["several bars a day of one symbol: no daily bar"] * 3


def test_only_files_of_the_frequency_asked_for_are_read(tmp_path):
    write(tmp_path / JANUARY, [bar("2023-01-03", "A", "10")])
    stamp = pa.array([datetime(2023, 1, 3, 14, 30)], type=pa.timestamp("us"))
    write(tmp_path / MINUTES, [bar("2023-01-03", "A", "20")], date=stamp)
    assert closes_of(read(tmp_path, "1d")) == {("A", DAY3): 10}
    assert closes_of(read(tmp_path, "1m")) == {("A", utc("2023-01-03T14:30")): 20}
    (nothing,) = read(tmp_path, "1h")
    assert nothing.bars.is_empty()
    assert not nothing.files


def test_a_changed_file_gives_no_bar(tmp_path):
    write(tmp_path / JANUARY, [bar("2023-01-03", "A", "10")])
    write(tmp_path / FEBRUARY, [bar("2023-02-01", "A", "11")])
    batches = read(tmp_path, recorded={JANUARY: "ab" * 32})
    assert closes_of(batches) == {("A", utc("2023-02-01")): 11}
    assert list(batches[0].files) == [FEBRUARY]


def test_sids_become_their_symbols_and_one_without_a_name_fails_on_its_own(tmp_path):
    rows = [
        bar("2023-01-03", "x", price) | {"sid": sid} for sid, price in ((1, "10"), (17, "11"), (17, "12"), (2, "13"))
    ]
    for row in rows:
        del row["symbol"]
    write(tmp_path / JANUARY, rows)
    (batch,) = read(tmp_path, names={1: "AAPL", 2: " BTC/USDT "})
    assert closes_of([batch]) == {("AAPL", DAY3): 10, ("BTC/USDT", DAY3): 13}
    assert list(batch.failures) == ["sid 17"]
    assert isinstance(batch.failures["sid 17"], SymbolNotFoundError)
    assert batch.failures["sid 17"].message == "the old catalog has no symbol for sid 17: 2 rows left out"


def test_sids_with_nulls_as_pandas_writes_them_are_whole_numbers_still(tmp_path):
    rows = [bar("2023-01-03", "x", "10"), bar("2023-01-03", "x", "11")]
    for row in rows:
        del row["symbol"]
    write(tmp_path / JANUARY, rows, sid=pa.array([1.0, None], type=pa.float64()))
    (batch,) = read(tmp_path, names={1: "AAPL"})
    assert closes_of([batch]) == {("AAPL", DAY3): 10}
    assert batch.quarantined["reason"].to_list() == ["symbol is missing"]


def test_a_symbol_that_cannot_be_one_is_a_failure_and_the_others_are_read(tmp_path):
    long = "L" * 65
    names = ["BTC/USDT", "aapl", " MSFT ", "BRK.B", "日本", "A\u202eB", long]
    write(tmp_path / JANUARY, [bar("2023-01-03", name, "10") for name in names])
    (batch,) = read(tmp_path)
    assert {symbol for symbol, _ in closes_of([batch])} == {"BTC/USDT", "aapl", "MSFT", "BRK.B", "日本"}
    assert sorted(batch.failures) == sorted(["A\u202eB", long])
    assert all(error.message.endswith(": 1 row left out") for error in batch.failures.values())


def test_rows_without_a_symbol_a_date_or_a_price_are_set_aside_with_the_reason(tmp_path):
    rows = [
        bar("2023-01-03", None, "10"),
        bar("2023-01-03", "  ", "10"),
        bar("2023-01-03", "A", "10") | {"date": None},
        bar("2023-01-03", "A", "10") | {"open": None},
        bar("2023-01-03", "A", "10") | {"volume": None},
    ]
    write(tmp_path / JANUARY, rows)
    (batch,) = read(tmp_path)
    assert batch.quarantined.select("reason", "location").rows() == [
        ("symbol is missing", f"{JANUARY}:1"),
        ("symbol is missing", f"{JANUARY}:2"),
        ("timestamp is missing", f"{JANUARY}:3"),
        ("open is missing", f"{JANUARY}:4"),
    ]
    assert rows_of([batch]) == {("A", DAY3): (10, 11, 9, 10, 0)}
    assert batch.missing_volume.to_list() == [True]


def test_nan_and_infinity_are_set_aside(tmp_path):
    rows = [bar("2023-01-03", "A", "10") | {"close": value} for value in (float("nan"), float("inf"), 10.5)]
    write(tmp_path / JANUARY, rows, {"close": pa.float64()})
    (batch,) = read(tmp_path)
    assert batch.quarantined["reason"].to_list() == ["close is not finite"] * 2
    assert closes_of([batch]) == {("A", DAY3): Decimal("10.5")}


def test_a_file_without_volume_has_bars_whose_volume_is_missing(tmp_path):
    row = bar("2023-01-03", "A", "10")
    del row["volume"]
    write(tmp_path / JANUARY, [row])
    write(tmp_path / FEBRUARY, [bar("2023-02-01", "A", "10")])
    (batch,) = read(tmp_path)
    told = dict(zip(batch.bars["timestamp"].to_list(), batch.missing_volume.to_list(), strict=True))
    assert told == {DAY3: True, utc("2023-02-01"): False}


def quality_of(batches):
    bars = pl.concat([batch.bars for batch in batches])
    return check_quality(bars, frequency="1d", calendar_of="24/7")


def test_a_row_in_two_files_is_one_bar(tmp_path):
    write(tmp_path / JANUARY, [bar("2023-01-03", "A", "10"), bar("2023-02-01", "A", "11")])
    write(tmp_path / FEBRUARY, [bar("2023-02-01", "A", "11.00") | {"close": 11.0}], {"close": pa.float64()})
    result = quality_of(read(tmp_path))
    assert result.bars["close"].to_list() == [10, 11]
    assert result.report.duplicates == 1
    assert result.quarantined.is_empty()


@pytest.mark.parametrize("later", [JANUARY, FEBRUARY])
def test_of_contradicting_rows_the_file_written_later_wins_and_the_other_is_reported(tmp_path, later):
    for at, name in enumerate((JANUARY, FEBRUARY)):
        write(tmp_path / name, [bar("2023-01-03", "A", "10" if at == 0 else "20")])
        os.utime(tmp_path / name, ns=(10**18, 10**18 + (name == later)))
    result = quality_of(read(tmp_path))
    expected, other = (10, 20) if later == JANUARY else (20, 10)
    assert result.bars["close"].to_list() == [expected]
    assert result.quarantined["close"].to_list() == [other]


def test_a_file_that_the_catalog_confirms_wins_over_a_later_one_that_it_does_not_know(tmp_path):
    digest = write(tmp_path / JANUARY, [bar("2023-01-03", "A", "10")])
    write(tmp_path / FEBRUARY, [bar("2023-01-03", "A", "20")])
    os.utime(tmp_path / JANUARY, ns=(10**18, 10**18))
    assert quality_of(read(tmp_path, recorded={JANUARY: digest})).bars["close"].to_list() == [10]


def test_the_first_delivery_tells_checksums_basis_and_the_attributes_of_its_symbols(tmp_path):
    digest = write(tmp_path / JANUARY, [bar("2023-01-03", "A", "10"), bar("2023-01-03", "B", "10")])
    known = {"A": AssetAttributes(venue="XNYS")}
    (batch,) = read(tmp_path, attributes=known)
    assert batch.files == {JANUARY: digest}
    assert batch.assets == {"A": AssetAttributes(venue="XNYS"), "B": AssetAttributes()}
    assert (batch.price_basis, batch.number_rule) == ("unknown", "decimal")


def test_a_bundle_without_a_usable_row_still_tells_what_it_found(tmp_path):
    write(tmp_path / JANUARY, [bar("2023-01-03", None, "10")])
    (batch,) = read(tmp_path)
    assert batch.bars.is_empty()
    assert batch.quarantined.height == 1
    assert list(batch.files) == [JANUARY]


def test_progress_is_told_in_bytes(tmp_path):
    told = []
    for name in (JANUARY, FEBRUARY):
        write(tmp_path / name, [bar("2023-01-03", "A", "10")])
    size = sum((tmp_path / name).stat().st_size for name in (JANUARY, FEBRUARY))
    read(tmp_path, progress=lambda *said: told.append(said))
    assert [stage for stage, _, _ in told] == ["read", "read"]
    assert told[-1] == ("read", size, size)


def test_a_file_written_to_since_it_was_judged_stops_the_import(tmp_path):
    write(tmp_path / JANUARY, [bar("2023-01-03", "A", "10")])
    files = find_files(tmp_path, {})
    write(tmp_path / JANUARY, [bar("2023-01-03", "A", "11")])
    with pytest.raises(BadResponseError, match="was written to"):
        list(deliveries(files, Frequency.parse("1d"), names={}, attributes={}))
    (tmp_path / JANUARY).unlink()
    with pytest.raises(BadResponseError, match="cannot be read any more"):
        list(deliveries(files, Frequency.parse("1d"), names={}, attributes={}))


def test_many_rows_come_in_runs_of_whole_symbols_through_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr("rustybt.data.bundles.storage.foreign.PIECE_ROWS", 7)
    monkeypatch.setattr("rustybt.data.migration.bars.delivering.Spool", lambda: _SmallSpool(memory_bytes=1))
    days = [date(2023, 1, 1) + timedelta(days=n) for n in range(20)]
    rows = [bar(day, symbol, str(2 + at)) for at, day in enumerate(days) for symbol in ("C", "A", "B")]
    write(tmp_path / JANUARY, rows[:40])
    write(tmp_path / FEBRUARY, rows[40:])
    inside = sorted(tmp_path.rglob("*"))
    batches = read(tmp_path)
    assert [batch.bars["symbol"].unique().to_list() for batch in batches] == [["A"], ["B"], ["C"]]
    assert [list(batch.assets) for batch in batches] == [["A"], ["B"], ["C"]]
    assert [bool(batch.files) for batch in batches] == [True, False, False]
    assert closes_of(batches) == {(row["symbol"], utc(row["date"].isoformat())): row["close"] for row in rows}
    assert sorted(tmp_path.rglob("*")) == inside


class _SmallSpool(Spool):
    def drain(self, batch_rows=20):
        return super().drain(batch_rows)


def test_the_place_of_a_bad_row_counts_from_the_beginning_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("rustybt.data.bundles.storage.foreign.PIECE_ROWS", 2)
    rows = [bar("2023-01-03", f"S{n}", "10") for n in range(5)]
    rows[4]["close"] = None
    write(tmp_path / JANUARY, rows)
    (batch,) = read(tmp_path)
    assert batch.quarantined["location"].to_list() == [f"{JANUARY}:5"]


# -- any partitioning, any columns, any types ------------------------------------------------------------------------

SYMBOLS = ["A", "BTC/USDT", "brk.b", "日本"]
SIDS = dict(enumerate(SYMBOLS, 1))
# Six digits, which a float32 and a float64 both stand for.
PRICES = st.integers(1, 999_999).map(lambda cents: Decimal(cents).scaleb(-2))
NUMBER_TYPES = [
    pa.decimal128(18, 8),
    pa.decimal128(38, 18),
    pa.decimal256(60, 9),
    pa.float64(),
    pa.float32(),
    pa.string(),
]
STAMP_TYPES = [
    pa.timestamp("ns"),
    pa.timestamp("us"),
    pa.timestamp("ms"),
    pa.timestamp("us", "UTC"),
    pa.timestamp("us", NEW_YORK),
]


@st.composite
def bundles(draw):
    """Return {(symbol, stamp): values}, and files: (relative, keys, how it is written)."""
    minutes = draw(st.integers(0, 1)) == 1
    moments = st.integers(0, 60 * 24 * 400 if minutes else 400).map(
        lambda n: datetime(2023, 1, 1, tzinfo=UTC) + (timedelta(minutes=n) if minutes else timedelta(days=n))
    )
    oracle = draw(st.dictionaries(st.tuples(st.sampled_from(SYMBOLS), moments), st.tuples(*[PRICES] * 5), max_size=30))
    keys = sorted(oracle)
    folder = "minute_bars" if minutes else "daily_bars"
    files = []
    count = draw(st.integers(1, 4))
    homes = [draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=2)) for _ in keys]
    for at in range(count):
        mine = draw(st.permutations([key for key, home in zip(keys, homes, strict=True) if at in home]))
        name = draw(st.sampled_from([f"year=2023/month={at + 1:02}", f"year=2023/month=01/day={at + 1:02}", f"{at}"]))
        style = {
            "stamp": draw(st.sampled_from(["date", "timestamp", "datetime", "Timestamp"])),
            "stamp_type": draw(st.sampled_from(STAMP_TYPES if minutes else [*STAMP_TYPES[:4], pa.date32()])),
            "has_sids": draw(st.booleans()),
            "types": [draw(st.sampled_from(NUMBER_TYPES)) for _ in range(5)],
            "has_years": draw(st.booleans()),
            "group": draw(st.integers(1, 10)),
        }
        files.append((f"{folder}/{name}/data.parquet", mine, style))
    return oracle, files, "1m" if minutes else "1d"


def _cells(values, kind):
    if pa.types.is_floating(kind):
        return pa.array([float(value) for value in values], type=kind)
    return pa.array([str(value) if kind == pa.string() else value for value in values], type=kind)


def _table(oracle, keys, style):
    stamps = [stamp.date() if style["stamp_type"] == pa.date32() else stamp for _, stamp in keys]
    if getattr(style["stamp_type"], "tz", "none") is None:
        stamps = [stamp.replace(tzinfo=None) for stamp in stamps]
    sids = {symbol: sid for sid, symbol in SIDS.items()}
    columns = {"volume": _cells([oracle[key][4] for key in keys], style["types"][4])}
    columns[style["stamp"]] = pa.array(stamps, type=style["stamp_type"])
    for at, name in enumerate(("open", "high", "low", "close")):
        columns[name] = _cells([oracle[key][at] for key in keys], style["types"][at])
    if style["has_sids"]:
        columns["sid"] = pa.array([sids[symbol] for symbol, _ in keys], type=pa.int64())
    else:
        columns["symbol"] = pa.array([symbol for symbol, _ in keys], type=pa.string()).dictionary_encode()
    if style["has_years"]:
        columns |= {"year": pa.array([1999] * len(keys)), "month": pa.array([13] * len(keys))}
    return pa.table(columns)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(bundles())
def test_any_partitioning_of_any_rows_in_any_types_gives_the_same_bars(bundle):
    oracle, files, frequency = bundle
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        recorded = {}
        for relative, keys, style in files:
            path = folder / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(_table(oracle, keys, style), path, row_group_size=style["group"])
            recorded[f"C:\\old\\{folder.name}\\" + relative.replace("/", "\\")] = ""
        batches = read(folder, frequency, recorded, SIDS)
        assert rows_of(batches) == oracle
        assert sum(batch.bars.height for batch in batches) == sum(len(keys) for _, keys, _ in files)
        assert not any(batch.failures or batch.quarantined.height for batch in batches)

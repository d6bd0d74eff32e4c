"""A bundle that Zipline wrote goes in, comes out, and gives the same backtest: here, and in Zipline.

What Zipline itself makes of the bundle lies in `goldens/zipline_backtests.json`. The exported bundle is compared with Zipline's
files by bcolz and sqlite3 alone. Where zipline-reloaded is installed (`make oracle`, or ORACLE_PYTHON names its Python), it
runs the strategies on the exported bundle too.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import warnings
from contextlib import closing
from functools import cache
from pathlib import Path

import bcolz
import numpy as np
import pandas as pd
import pytest

from rustybt.algorithm import run_algorithm
from rustybt.data.bundles.store import BundleStore
from rustybt.data.bundles.zipline_export import export_zipline
from rustybt.data.sources.zipline.source import ZiplineDataSource
from tests.oracle import load_exported, zipline_bundle

HERE = Path(__file__).resolve().parent
_ORACLE = Path(os.environ.get("ORACLE_PYTHON") or HERE.parent.parent / ".venv-oracle" / "bin" / "python")
TOLERANCE = 1e-9
#: Zipline rounds to three decimals the prices that it adjusts; texts keep six.
ROUNDED = 0.00051
FIELDS = ("open", "high", "low", "close", "volume")


@cache
def _golden():
    return json.loads(load_exported.GOLDEN.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Zipline's own ingestion, a home with the imported bundle, and the root of the exported one."""
    folder = tmp_path_factory.mktemp("exported")
    root = zipline_bundle.unpack(folder)
    source = ZiplineDataSource(zipline_bundle.NAME, root=root)
    with BundleStore(folder / "home") as store:
        for frequency in ("1d", "1m"):
            source.ingest_to_bundle("fixture", source.list_symbols(), None, None, frequency, store=store)
        with store.open("fixture") as bundle:
            done = export_zipline(bundle, folder / "out")
    theirs = root / "data" / zipline_bundle.NAME / zipline_bundle.INGESTION
    return theirs, folder / "home", Path(done.written[0]).parent, done


# -- the same backtest ------------------------------------------------------------------------------------------------------

each = pytest.mark.parametrize("backtest", load_exported.BACKTESTS, ids=lambda b: b.name)


@each
def test_the_imported_bundle_gives_ziplines_backtest(exported, backtest):
    with BundleStore(exported[1]) as store, store.open("fixture") as bundle:
        result = run_algorithm(
            start=backtest.start,
            end=backtest.end,
            script=backtest.script,
            bundle=bundle,
            data_frequency=backtest.data_frequency,
            capital_base=backtest.capital,
            benchmark_returns=pd.Series(0.0, index=pd.date_range(backtest.start, backtest.end)),
        )
    ours, theirs = load_exported.described(backtest, result.perf), _golden()[backtest.name]
    assert ours["sessions"] == theirs["sessions"]
    assert len(theirs["transactions"]) > 50
    _assert_same_rows(ours["transactions"], theirs["transactions"])
    for mine, golden in zip(ours["positions"], theirs["positions"], strict=True):
        _assert_same_rows(mine, golden)
    for name in (*load_exported.NUMBERS, *backtest.numbers):
        absolute = TOLERANCE * (backtest.capital if name == "pnl" else 1)
        np.testing.assert_allclose(ours[name], theirs[name], rtol=TOLERANCE, atol=absolute, err_msg=name)
    for name in backtest.texts:
        assert any(theirs[name])
        for mine, golden in zip(ours[name], theirs[name], strict=True):
            left, right = (text.replace("|", ";").split(";") if text else [] for text in (mine, golden))
            np.testing.assert_allclose(list(map(float, left)), list(map(float, right)), rtol=0, atol=ROUNDED)


def _assert_same_rows(ours, theirs):
    words = [[[cell for cell in row if isinstance(cell, str)] for row in rows] for rows in (ours, theirs)]
    assert words[0] == words[1]
    numbers = [[[cell for cell in row if not isinstance(cell, str)] for row in rows] for rows in (ours, theirs)]
    np.testing.assert_allclose(*numbers, rtol=TOLERANCE, atol=TOLERANCE)


if _ORACLE.exists():  # collected only where there is a Zipline to ask

    def test_zipline_runs_the_exported_bundle_to_the_same_last_bit(exported):
        said = subprocess.run(
            [_ORACLE, "-W", "ignore", HERE / "load_exported.py", exported[3].root, exported[3].bundle],
            check=True,
            stdout=subprocess.PIPE,
            env={key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COVERAGE"))},
        ).stdout
        assert json.loads(said) == _golden()


# -- the same files ---------------------------------------------------------------------------------------------------------


def _rows(file, query):
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query).fetchall()


def _assets_file(folder):
    (file,) = folder.glob("assets-*.sqlite")
    return file


def _numbers_of(folder):
    """Return the sid of each asset by its first name and day, which no two share."""
    rows = _rows(
        _assets_file(folder), "SELECT sid, symbol, start_date FROM equity_symbol_mappings ORDER BY start_date DESC"
    )
    return {sid: (symbol, start) for sid, symbol, start in rows}


def _by_asset(folder, table, file=None):
    """Return the rows of a table, with assets instead of sids and without what only numbers rows."""
    path = folder / "adjustments.sqlite" if file is None else file
    named = _numbers_of(folder)
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
    return sorted(
        tuple((key, named[value] if key.endswith("sid") else value) for key, value in sorted(row.items()))
        for row in ({key: value for key, value in row.items() if key not in ("index", "id")} for row in rows)
    )


def _days(folder):
    """Return {asset: {seconds: prices in thousandths and volume}} of the sessions with a bar."""
    table = bcolz.ctable(rootdir=str(folder / "daily_equities.bcolz"), mode="r")
    columns = [table[name][:] for name in (*FIELDS, "day", "id")]
    found = {}
    named = _numbers_of(folder)
    for key, first in table.attrs["first_row"].items():
        part = slice(first, table.attrs["last_row"][key] + 1)
        assert set(columns[6][part]) == {int(key)}
        rows = zip(*(column[part].tolist() for column in columns[:6]), strict=True)
        found[named[int(key)]] = {row[5]: row[:5] for row in rows if row[3]}
    return found


def _minutes(folder):
    """Return {asset: {minute of Zipline: prices and volume}}; the minutes are counted from each session's open."""
    from exchange_calendars import get_calendar

    root = folder / "minute_equities.bcolz"
    said = json.loads((root / "metadata.json").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library does not know yet of a newer pandas
        calendar = get_calendar(said["calendar_name"], start="2010-01-04")
    opens = calendar.opens[said["start_session"] : said["end_session"]]
    found = {}
    for path in root.glob("*/*/*.bcolz"):
        columns = [bcolz.carray(rootdir=str(path / name), mode="r")[:] for name in FIELDS]
        named = _numbers_of(folder)[int(path.stem)]
        ratio = (said["ohlc_ratios_per_sid"] or {}).get(str(int(path.stem)), said["ohlc_ratio"])
        assert ratio == 1000
        traded = np.flatnonzero(columns[3])
        if traded.size:
            found[named] = {
                # Minutes are named by their ends.
                opens.iloc[at // said["minutes_per_day"]] + pd.Timedelta(minutes=1 + at % said["minutes_per_day"]): [
                    int(column[at]) for column in columns
                ]
                for at in traded.tolist()
            }
    return found


def test_every_daily_price_and_volume_comes_out_as_it_went_in(exported):
    theirs, ours = _days(exported[0]), _days(exported[2])
    assert ours == theirs
    assert sum(map(len, theirs.values())) == 3308


def test_every_minutes_price_and_volume_comes_out_as_it_went_in(exported):
    theirs, ours = _minutes(exported[0]), _minutes(exported[2])
    assert ours == theirs
    assert sum(map(len, theirs.values())) == 5521


@pytest.mark.parametrize("table", ["splits", "dividends", "dividend_payouts"])
def test_splits_and_dividends_come_out_to_the_last_bit(exported, table):
    theirs = _by_asset(exported[0], table)
    assert _by_asset(exported[2], table) == theirs
    assert len(theirs) in (3, 4)


def test_of_dividends_in_shares_and_mergers_what_has_a_kind_comes_out_and_the_rest_is_told(exported):
    theirs = _by_asset(exported[0], "stock_dividend_payouts")
    own = [row for row in theirs if dict(row)["sid"] == dict(row)["payment_sid"]]
    assert len(own) == len(theirs) - 1 == 1
    assert _by_asset(exported[2], "stock_dividend_payouts") == own
    assert _by_asset(exported[2], "mergers") == []
    assert any("spin-offs of AAA were left out" in note for note in exported[3].notes)


@pytest.mark.parametrize("table", ["equities", "equity_symbol_mappings", "asset_router"])
def test_assets_and_their_names_come_out_with_their_dates(exported, table):
    theirs, ours = (_by_asset(folder, table, _assets_file(folder)) for folder in (exported[0], exported[2]))
    # Imported venues are MICs.
    venues = {"NYSE": "XNYS", "NASDAQ": "XNAS"}
    assert ours == [tuple((key, venues.get(value, value)) for key, value in row) for row in theirs]
    assert len(theirs) in (8, 9)


def test_countries_come_out_and_the_version_of_the_database_is_ziplines(exported):
    theirs, ours = (
        _rows(_assets_file(folder), "SELECT canonical_name, country_code FROM exchanges ORDER BY 1")
        for folder in (exported[0], exported[2])
    )
    assert ours == theirs == [("XNAS", "US"), ("XNYS", "US")]
    assert _assets_file(exported[2]).name == _assets_file(exported[0]).name
    version = "SELECT * FROM version_info"
    assert _rows(_assets_file(exported[2]), version) == _rows(_assets_file(exported[0]), version)


@pytest.mark.parametrize("pattern", ["adjustments.sqlite", "assets-*.sqlite"])
def test_tables_have_ziplines_columns(exported, pattern):
    def columns(folder):
        (path,) = folder.glob(pattern)
        tables = [name for (name,) in _rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(row[1] for row in _rows(path, f"PRAGMA table_info({name})")) for name in tables}

    assert columns(exported[2]) == columns(exported[0])

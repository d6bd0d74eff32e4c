"""Files that were written for Zipline run as they are, where Zipline is not installed."""

import sys
from types import ModuleType

import pytest

from rustybt.data import bundles
from rustybt.data.bundles import registration
from rustybt.data.sources import get_source
from rustybt.data.sources.registered.source import RegisteredBundleSource
from rustybt.data.sources.registered.zipline_names import zipline_stands_in
from rustybt.errors import RequestError

VENDOR = '''
"""Prices of our vendor, as ingested by Zipline every night."""
import os

import numpy as np
import pandas as pd
from zipline.data.bundles import register
from zipline.utils.cli import maybe_show_progress

QUOTES = os.path.join(os.path.dirname(__file__), "quotes.csv")


def load_prices(path):
    data = pd.read_csv(path, parse_dates=["date"])
    return data.set_index(["symbol", "date"]).sort_index()


def to_metadata(data):
    dates = data.reset_index().groupby("symbol").date.agg(["min", "max"])
    frame = pd.DataFrame({"start_date": dates["min"], "end_date": dates["max"]})
    frame["auto_close_date"] = frame["end_date"] + pd.Timedelta(days=1)
    frame["exchange"] = "NYSE"
    return frame.reset_index()


@register("vendor", calendar_name="NYSE", start_session=pd.Timestamp("2020-01-02"), end_session=pd.Timestamp("2020-01-08"))
def vendor_bundle(environ, asset_db_writer, minute_bar_writer, daily_bar_writer, adjustment_writer, calendar,
                  start_session, end_session, cache, show_progress, output_dir):
    from zipline.utils.calendar_utils import get_calendar

    key = "prices"
    if key not in cache:
        cache[key] = load_prices(QUOTES)
    data = cache[key]
    metadata = to_metadata(data)
    asset_db_writer.write(equities=metadata)
    sessions = get_calendar("XNYS").sessions_in_range(start_session, end_session)

    def pricing():
        with maybe_show_progress(metadata.symbol.items(), show_progress, label="Writing: ") as it:
            for sid, symbol in it:
                yield sid, data.xs(symbol).reindex(sessions).fillna(0.0)

    daily_bar_writer.write(pricing(), show_progress=show_progress)
    splits = data.reset_index().query("ratio != 1.0")[["symbol", "date", "ratio"]]
    splits = splits.assign(sid=splits.symbol.map({s: i for i, s in metadata.symbol.items()})).drop(columns="symbol")
    adjustment_writer.write(splits=splits.rename(columns={"date": "effective_date"}))
'''

QUOTES = """symbol,date,open,high,low,close,volume,ratio
MSFT,2020-01-02,158.78,160.73,158.33,160.62,22622100,1.0
MSFT,2020-01-03,158.32,159.95,158.06,158.62,21116200,1.0
AAPL,2020-01-02,296.24,300.60,295.19,300.35,33911900,1.0
AAPL,2020-01-06,73.45,74.99,73.19,74.95,118578560,0.25
"""


def test_a_vendors_definition_runs_unchanged(extension, store, tmp_path):
    (tmp_path / "quotes.csv").write_text(QUOTES)
    source = get_source("registered", bundle="vendor", extension=extension(VENDOR))
    report = source.ingest_to_bundle("vendor", store=store)
    assert (report.symbols, report.rows, report.failures) == (("AAPL", "MSFT"), 4, {})
    with store.open("vendor") as bundle:
        assert [str(value.normalize()) for value in bundle.read(["MSFT"])["close"]] == ["160.62", "158.62"]
        (event,) = bundle.corporate_actions()
        assert (event.symbol, str(event.ex_date), event.ratio_new, event.ratio_old) == ("AAPL", "2020-01-06", 4, 1)
        assert bundle.provenance.source_url == str(tmp_path / "extension.py")
        # A file to execute is never taken from a bundle.
        assert dict(bundle.provenance.options) == {"bundle": "vendor"}
    assert "zipline" not in sys.modules
    assert "vendor" not in bundles.bundles


CSVDIR = """
import pandas as pd
from zipline.data.bundles import register
from zipline.data.bundles.csvdir import csvdir_equities

register("mine", csvdir_equities(["daily"], {folder!r}), calendar_name="NYSE")
"""


def test_a_csvdir_definition_takes_the_exact_way(extension, store, write, tmp_path):
    write(
        "dir/daily/ABC.csv",
        "date,open,high,low,close,volume,dividend,split\n"
        "2020-01-02,10.10,11,9,10.123456789012345678,100,0.0,1.0\n"
        "2020-01-03,5,6,4,5.5,100,1.0,2.0\n",
    )
    write("dir/minute/ABC.csv", "date,open,high,low,close,volume\n2020-01-02 14:31:00,10,11,9,10.5,100\n")
    path = extension(CSVDIR.format(folder=str(tmp_path / "dir")))
    source = get_source("registered", bundle="mine", extension=path)
    with pytest.warns(DeprecationWarning, match="csvdir_equities is deprecated"):
        report = source.ingest_to_bundle("mine", store=store)
    assert (report.rows, report.version) == (2, 1)
    with store.open("mine") as bundle:
        assert str(bundle.read(["ABC"])["close"][0]) == "10.123456789012345678"
        assert [(event.kind, str(event.ex_date)) for event in bundle.corporate_actions()] == [
            ("cash_dividend", "2020-01-03"),
            ("split", "2020-01-03"),
        ]


def test_both_time_frames_of_a_csvdir_are_taken_where_none_is_named(extension, store, write, tmp_path):
    write("dir/daily/ABC.csv", "date,open,high,low,close,volume\n2020-01-02,10,11,9,10.5,100\n")
    write("dir/minute/ABC.csv", "date,open,high,low,close,volume\n2020-01-02 14:31:00,10,11,9,10.5,100\n")
    path = extension(
        "from zipline.data.bundles import register, csvdir_equities\nregister('mine', csvdir_equities())\n"
    )
    environ = {"CSVDIR": str(tmp_path / "dir")}
    source = get_source("registered", bundle="mine", extension=path, environ=environ)
    with pytest.warns(DeprecationWarning, match="csvdir_equities"):
        report = source.ingest_to_bundle("mine", store=store)
    assert (report.rows, report.version, report.symbols) == (2, 2, ("ABC",))


def test_the_default_file_lies_in_the_root_of_zipline(extension, tmp_path, monkeypatch):
    extension("from rustybt.data.bundles import register\nregister('mine', print)\n")
    plan = RegisteredBundleSource("mine", environ={"ZIPLINE_ROOT": str(tmp_path)}).plan()
    assert plan.source_url == str(tmp_path / "extension.py")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".zipline").mkdir()
    extension("from zipline.data import bundles\nbundles.register('mine', print)\n", ".zipline/extension.py")
    plan = RegisteredBundleSource("mine", environ={}).plan()
    assert plan.source_url == str(tmp_path / ".zipline" / "extension.py")


def test_what_is_registered_in_the_process_needs_no_file(tmp_path):
    with pytest.raises(RequestError, match="no bundle is registered as 'mine', and there is no file"):
        RegisteredBundleSource("mine", environ={"ZIPLINE_ROOT": str(tmp_path)}).plan()
    bundles.register("mine", print)
    try:
        assert RegisteredBundleSource("mine", environ={}).plan().source_url == "python"
    finally:
        bundles.unregister("mine")


def test_an_unknown_name_lists_the_registered_ones(extension):
    path = extension("from zipline.data.bundles import register\nregister('b', print)\nregister('a', print)\n")
    with pytest.raises(RequestError, match=r"no bundle is registered as 'c' in .*; registered: a, b") as caught:
        RegisteredBundleSource("c", extension=path).plan()
    assert caught.value.exit_code == 2


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"cannot read the extension file .*: No such file"):
        RegisteredBundleSource("c", extension=tmp_path / "absent.py").plan()


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("import os\n\n1 / 0\n", 3, "ZeroDivisionError: division by zero"),
        ("import os\ndef broken(:\n", 2, "SyntaxError"),
        ("raise SystemExit(3)\n", 1, "SystemExit: 3"),
        ("from zipline.finance import metrics\n", 1, "ModuleNotFoundError: No module named 'zipline.finance'"),
        ("from zipline.data.bundles import nonsense\n", 1, "ImportError: cannot import name 'nonsense'"),
        ("from zipline.utils.calendar_utils import nonsense\n", 1, "ImportError: cannot import name 'nonsense'"),
    ],
)
def test_an_error_of_the_file_is_told_with_its_line(extension, text, line, told):
    path = extension(text)
    with pytest.raises(RequestError) as caught:
        RegisteredBundleSource("mine", extension=path).plan()
    assert f"the extension file extension.py failed at {path}, line {line}: {told}" in caught.value.message
    assert caught.value.exit_code == 2
    assert "zipline" not in sys.modules


def test_an_error_of_the_function_names_the_line_of_the_file(extension, store):
    path = extension(
        "from zipline.data.bundles import register\n\n@register('mine')\ndef mine(*given):\n    return given[3].nonsense\n"
    )
    with pytest.raises(RequestError) as caught:
        RegisteredBundleSource("mine", extension=path).ingest_to_bundle("mine", store=store)
    assert f"the ingest function of mine failed at {path}, line 5: AttributeError" in caught.value.message


def test_names_that_read_ziplines_own_stores_say_so_when_they_are_called(extension):
    path = extension("from zipline.data.bundles import load, clean\nload('x')\n")
    with pytest.raises(RequestError, match=r"zipline.data.bundles.load reads Zipline's own stores"):
        RegisteredBundleSource("mine", extension=path).plan()


def test_calendar_names_come_from_the_calendar_library():
    import exchange_calendars

    with zipline_stands_in():
        from zipline.utils.calendar_utils import TradingCalendar, days_at_time, get_calendar, register_calendar
        from zipline.utils.calendars import get_calendar as of_older_versions
    assert TradingCalendar is exchange_calendars.ExchangeCalendar
    assert register_calendar is exchange_calendars.register_calendar
    assert callable(days_at_time)
    assert get_calendar is of_older_versions
    assert get_calendar("NYSE").side == "right"


def test_modules_that_were_there_before_come_back_also_after_an_error(monkeypatch):
    before = ModuleType("zipline")
    other = ModuleType("zipline.api")
    monkeypatch.setitem(sys.modules, "zipline", before)
    monkeypatch.setitem(sys.modules, "zipline.api", other)

    def used():
        with zipline_stands_in():
            import zipline

            assert zipline is not before
            with zipline_stands_in():  # an ingest within a definition
                assert sys.modules["zipline"] is zipline
            assert sys.modules["zipline"] is zipline
            assert sys.modules["zipline.api"] is other
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        used()
    assert sys.modules["zipline"] is before
    assert sys.modules["zipline.api"] is other
    assert "zipline.data.bundles" not in sys.modules


def test_other_modules_are_taken_from_an_installed_zipline(tmp_path, monkeypatch, extension):
    for name in ("zipline", "zipline/finance", "zipline/data", "zipline/data/bundles"):
        (tmp_path / "site" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name / "__init__.py").write_text("")
    (tmp_path / "site/zipline/__init__.py").write_text("raise AssertionError('the whole of Zipline is not imported')")
    (tmp_path / "site/zipline/finance/costs.py").write_text("FEE = 5")
    (tmp_path / "site/zipline/data/loader.py").write_text("from zipline.data.bundles import register as used")
    monkeypatch.syspath_prepend(tmp_path / "site")
    path = extension(
        "from zipline.finance.costs import FEE\n"
        "from zipline.data import loader\n"
        "from zipline.data.bundles import register\n"
        "import zipline.utils.cli\n"
        "assert FEE == 5 and loader.used is register and zipline.utils.cli.maybe_show_progress\n"
        "register('mine', print)\n"
    )
    assert RegisteredBundleSource("mine", extension=path).plan().source == "registered"
    assert not [name for name in sys.modules if name.partition(".")[0] == "zipline"]


def test_a_file_may_ingest_by_itself(extension, tmp_path):
    path = extension(
        "import pandas as pd\n"
        "from zipline.data.bundles import register, ingest, bundles\n"
        "@register('inner')\n"
        "def inner(environ, assets, minutes, daily, adjustments, *others):\n"
        "    from zipline.utils.cli import maybe_show_progress\n"
        "    day = pd.DatetimeIndex(['2020-01-02'])\n"
        "    daily.write([(0, pd.DataFrame(dict(open=1.0, high=1.0, low=1.0, close=1.0, volume=1), index=day))])\n"
        "    assets.write(equities=pd.DataFrame(dict(symbol=['A'], exchange=['NYSE'])))\n"
        "    adjustments.write()\n"
        "report = ingest('inner')\n"
        "assert (report.bundle, report.rows) == ('inner', 1), report\n"
    )
    RegisteredBundleSource("inner", extension=path).plan()


# -- the registry ----------------------------------------------------------------------------------------------------


def test_a_second_definition_of_a_name_wins_with_a_warning():
    bundles.register("mine", print)
    try:
        with pytest.warns(UserWarning, match="Overwriting bundle with name 'mine'"):

            @bundles.register("mine", calendar_name="XLON", minutes_per_day=510)
            def mine():
                """Write nothing."""

        found = bundles.bundles["mine"]
        assert (found.ingest, found.calendar_name, found.minutes_per_day) == (mine, "XLON", 510)
    finally:
        bundles.unregister("mine")


def test_the_mapping_is_read_only_and_a_name_can_be_forgotten_once():
    with pytest.raises(TypeError):
        bundles.bundles["mine"] = None
    with pytest.raises(RequestError, match="no bundle is registered as 'mine'; registered: none"):
        bundles.unregister("mine")


def test_the_package_offers_its_names_on_use():
    assert bundles.register is registration.register
    assert {"register", "unregister", "bundles", "ingest"} <= set(dir(bundles))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        bundles.nonsense  # noqa: B018


def test_a_key_in_the_error_of_a_fetch_is_not_told(extension):
    path = extension("raise OSError('404 for https://quotes.example/v1?symbol=A&apikey=s3cr3t-word-of-mine')\n")
    with pytest.raises(RequestError, match=r"OSError: 404 for https://quotes.example") as caught:
        RegisteredBundleSource("mine", extension=path).plan()
    assert "s3cr3t" not in str(caught.value)

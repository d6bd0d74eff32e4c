"""``rustybt ingest registered`` and ``rustybt ingest quandl``."""

import json

import pytest

EXTENSION = """
import pandas as pd
from zipline.data.bundles import register


@register("mine", calendar_name="NYSE")
def mine(environ, asset_db_writer, minute_bar_writer, daily_bar_writer, adjustment_writer, calendar,
         start_session, end_session, cache, show_progress, output_dir):
    print("loading")
    days = pd.DatetimeIndex(["2020-01-02", "2020-01-03"])
    frame = pd.DataFrame({"open": 10.1, "high": 11.0, "low": 9.0, "close": [10.5, 10.6], "volume": 100}, index=days)
    daily_bar_writer.write([(0, frame), (7, frame)], show_progress=show_progress)
    minute_bar_writer.write([(0, frame.iloc[:1].set_axis(pd.DatetimeIndex(["2020-01-02 14:31"])))])
    asset_db_writer.write(equities=pd.DataFrame({"symbol": ["AAA"], "exchange": ["NYSE"]}))
    adjustment_writer.write(splits=pd.DataFrame({"sid": [0], "effective_date": days[1:], "ratio": [0.5]}))


register("broken", lambda *given: given[99])
"""


@pytest.fixture
def definitions(place):
    (place / "definitions.py").write_text(EXTENSION)
    return place / "definitions.py"


def test_a_registered_bundle_is_ingested_and_what_failed_is_listed(rustybt, ask, definitions):
    status, out, err = rustybt("ingest", "registered", "mine", "--extension", definitions)
    assert status == 3
    assert out.startswith("mine@2: 3 rows added")
    assert "loading" in err
    assert "loading" not in out
    assert "failed  sid 7" in err
    info = ask("bundle", "info", "mine")
    assert [asset["symbol"] for asset in info["assets"]] == ["AAA"]
    (split,) = info["corporate_actions"]
    assert (split["ex_date"], split["ratio_new"], split["ratio_old"]) == ("2020-01-03", "2", "1")


def test_the_bundle_can_have_another_name_and_one_frequency(ask, definitions):
    words = ("ingest", "registered", "mine", "--extension", definitions, "--bundle", "ours", "--frequency", "1m")
    report = ask(*words)
    assert (report["reference"], report["rows"], report["failures"]) == ("ours@1", 1, {})


def test_the_default_file_is_taken_where_none_is_named_and_an_update_reads_it_again(
    rustybt, ask, definitions, place, monkeypatch
):
    monkeypatch.setenv("ZIPLINE_ROOT", str(place))
    definitions.rename(place / "extension.py")
    assert rustybt("ingest", "registered", "mine")[0] == 3
    status, out, _ = rustybt("update", "mine")
    assert "unchanged" in out
    assert status in (0, 3)
    (place / "extension.py").unlink()
    status, _, err = rustybt("update", "mine")
    assert status == 2
    assert "no bundle is registered as 'mine'" in err


def test_a_plan_calls_no_function(rustybt, definitions):
    status, out, err = rustybt("ingest", "registered", "mine", "--extension", definitions, "--plan")
    assert status == 0
    assert "source   registered" in out
    assert "a function writes mine" in err
    assert "loading" not in err


def test_failures_of_the_users_code_are_bad_requests(rustybt, definitions):
    status, out, err = rustybt("ingest", "registered", "broken", "--extension", definitions)
    assert (status, out) == (2, "")
    assert f"failed at {definitions}, line 18: IndexError" in err
    assert "Traceback" not in err
    status, _, err = rustybt("ingest", "registered", "absent", "--extension", definitions)
    assert status == 2
    assert "registered: broken, mine" in err


def test_wiki_prices_are_ingested(rustybt, ask, place):
    (place / "WIKI_PRICES.csv").write_text(
        "ticker,date,open,high,low,close,volume,ex-dividend,split_ratio\n2,2014-06-09,92.7,93.88,91.75,93.7,75415000.0,0.47,7.0\n"
    )
    status, out, _ = rustybt("ingest", "quandl", "--path", "WIKI_PRICES.csv")
    assert status == 0
    assert out.startswith("quandl@1: 1 row added")
    assert [item["kind"] for item in ask("bundle", "info", "quandl")["corporate_actions"]] == ["cash_dividend", "split"]


def test_both_sources_are_listed(rustybt):
    _, out, _ = rustybt("sources", "list", "--json")
    found = {item["name"]: item for item in json.loads(out)["sources"]}
    assert found["quandl"]["available"]
    assert "extension" in found["registered"]["options"]

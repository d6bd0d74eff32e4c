"""``rustybt run --source``: a strategy on bars that a source delivers, fetched once."""

import json
import re
import shlex
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from rustybt.data.sources import registry
from tests.cli.desk import DeskDataSource
from tests.cli.vendors_here import reachable
from tests.fakes.binance import BinanceServer
from tests.fakes.yahoo import YahooServer

HOLD = """from rustybt.api import order, symbol

NAME = "AAPL"


def initialize(context):
    context.asset = symbol(NAME)
    context.bought = False


def handle_data(context, data):
    if not context.bought:
        order(context.asset, 10)
        context.bought = True
"""

#: 2023-03-01 to 2023-03-31 has 23 sessions in New York.
MARCH = ("-s", "2023-03-01", "-e", "2023-03-31")
YAHOO = ("run", "-f", "hold.py", "--source", "yfinance", "--symbols", "AAPL", *MARCH)


@pytest.fixture(autouse=True)
def hold(place):
    (place / "hold.py").write_text(HOLD)
    return place / "hold.py"


@pytest.fixture
def yahoo(monkeypatch):
    with reachable(monkeypatch, YahooServer(), "yfinance") as server:
        yield server


def test_the_second_run_makes_no_request_and_says_so(yahoo, rustybt):
    status, first, _ = rustybt(*YAHOO)
    asked = len(yahoo.requests)
    assert status == 0
    assert asked > 0
    assert re.search(rf"^data: 0 bars from the cache, \d+ from yfinance, {asked} requests?$", first, re.MULTILINE)
    status, second, _ = rustybt(*YAHOO)
    assert status == 0
    assert len(yahoo.requests) == asked
    assert re.search(r"^data: \d+ bars from the cache, 0 requests", second, re.MULTILINE)
    shown = [[line for line in text.splitlines() if not line.startswith("data:")] for text in (first, second)]
    assert shown[0] == shown[1]
    assert shown[0][0] == "Performance on bars of yfinance"


def test_the_run_in_json_says_what_came_from_where(yahoo, ask):
    first = ask(*YAHOO)
    assert first["pin"] is None
    assert first["summary"]["sessions"] == 23
    assert first["data"]["source"] == "yfinance"
    assert first["data"]["bars_cached"] == 0
    assert first["data"]["requests"] == len(yahoo.requests)
    again = ask(*YAHOO)
    assert (again["data"]["bars_cached"], again["data"]["bars_fetched"]) == (first["data"]["bars_fetched"], 0)
    assert again["data"]["requests"] == 0
    assert again["summary"] == first["summary"]


def test_another_symbol_costs_only_what_is_new(yahoo, rustybt, ask):
    rustybt(*YAHOO)
    asked = len(yahoo.requests)
    found = ask("run", "-f", "hold.py", "--source", "yfinance", "--symbols", "AAPL,MSFT", *MARCH)
    assert {r.path for r in yahoo.requests[asked:] if "chart" in r.path} == {"/v8/finance/chart/MSFT"}
    assert found["data"]["bars_cached"] == found["data"]["bars_fetched"] > 0


def test_offline_without_the_bars_names_exactly_what_is_missing(yahoo, rustybt, ask):
    status, out, err = rustybt(*YAHOO, "--offline")
    assert (status, out) == (5, "")
    assert "missing: AAPL 2023-03-01 to 2023-03-31" in err
    error = ask(*YAHOO, "--offline", status=5)["error"]
    assert error["code"] == "not-covered"
    assert error["details"]["missing"] == {"AAPL": [["2023-03-01", "2023-03-31"]]}
    names = ("AAPL", "BRK.B", "GE", "MSFT", "NEWCO", "SPY", "VOD.L")
    err = rustybt("run", "-f", "hold.py", "--source", "yfinance", "--symbols", ",".join(names), *MARCH, "--offline")[2]
    lines = [line for line in err.splitlines() if line.startswith("  missing ")]
    assert lines == [f"  missing {name}: 2023-03-01 to 2023-03-31" for name in names]
    assert yahoo.requests == []


def test_offline_with_the_bars_answers_without_the_vendor(yahoo, rustybt, ask):
    online = ask(*YAHOO)
    asked = len(yahoo.requests)
    offline = ask(*YAHOO, "--offline")
    assert offline["summary"] == online["summary"]
    assert len(yahoo.requests) == asked


def test_without_the_cache_every_run_asks_and_nothing_is_kept(yahoo, rustybt, ask):
    status, out, _ = rustybt(*YAHOO, "--no-cache")
    asked = len(yahoo.requests)
    assert status == 0
    assert re.search(rf"^data: \d+ bars from yfinance, {asked} requests?$", out, re.MULTILINE)
    rustybt(*YAHOO, "--no-cache")
    assert len(yahoo.requests) == 2 * asked
    assert ask("cache", "list")["datasets"] == []
    assert ask("cache", "stats")["days"] == []


def test_a_source_run_is_saved_with_its_source_and_says_that_it_cannot_be_replayed(yahoo, place, rustybt):
    status, _, err = rustybt(*YAHOO, "-o", "results/hold")
    assert status == 0
    assert "results/hold cannot be replayed" in err
    facts = json.loads((place / "results" / "hold" / "result.json").read_text())
    assert facts["parameters"]["data_source"]["name"] == "yfinance"
    assert facts["parameters"]["data_source"]["symbols"] == ["AAPL"]
    page = (place / "results" / "hold" / "report.html").read_text(encoding="utf-8")
    assert "hold on bars of yfinance" in page
    assert "rustybt replay" not in page
    assert "its bars are in no bundle" in page
    status, _, err = rustybt("replay", "results/hold")
    assert status == 2
    assert "it was not run on a bundle" in err


def test_the_command_that_makes_it_replayable_costs_no_request(yahoo, rustybt):
    err = rustybt(*YAHOO, "-o", "results/hold")[2]
    asked = len(yahoo.requests)
    (hint,) = [line for line in err.splitlines() if "rustybt ingest" in line]
    words = shlex.split(hint.split("hint: rustybt ", 1)[1].split(", then ")[0])
    status, out, _ = rustybt(*(word.replace("NAME", "us") for word in words))
    assert status == 0
    assert len(yahoo.requests) == asked
    assert re.search(r"^  cache    (\d+) of \1 bars covered, 0 requests", out, re.MULTILINE)
    assert rustybt("run", "-f", "hold.py", "-b", "us", *MARCH, "-o", "results/pinned")[0] == 0
    assert rustybt("replay", "results/pinned")[0] == 0


def test_pairs_trade_on_every_day(monkeypatch, ask):
    with reachable(monkeypatch, BinanceServer(), "ccxt") as exchange:
        words = ("run", "-f", "hold.py", "--set", "NAME='BTC/USDT'", "--source", "ccxt", "--exchange", "binance")
        words = (*words, "--symbols", "BTC/USDT", *MARCH)
        first = ask(*words)
        assert first["summary"]["sessions"] == 31
        assert first["data"]["requests"] > 0
        asked = len(exchange.requests)
        assert ask(*words)["data"]["requests"] == 0
        assert len(exchange.requests) == asked


def test_a_failing_vendor_is_told_as_such(yahoo, ask):
    yahoo.fail("503", times=None)
    monkey = ask(*YAHOO, status=5)["error"]
    assert monkey["code"] == "source-unavailable"


def test_processes_share_what_was_fetched_and_their_statistics_add_up(yahoo, place):
    """Real processes, each of which writes its statistics when it ends."""

    def run(*words):
        line = [sys.executable, "-m", "rustybt", *words, "--json"]
        done = subprocess.run(line, cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    first = run(*YAHOO)
    asked = len(yahoo.requests)
    second = run(*YAHOO)
    assert (first["data"]["requests"], second["data"]["requests"]) == (asked, 0)
    assert len(yahoo.requests) == asked
    total = run("cache", "stats")["total"]
    assert (total["misses"], total["hits"], total["requests_made"]) == (1, 1, asked)
    assert total["rows_fetched"] == total["rows_cached"] == second["data"]["bars_cached"]
    assert total["requests_saved"] == second["data"]["requests_saved"] > 0


def test_csv_files_are_run_on_directly(prices, rustybt, ask):
    status, out, _ = rustybt("run", "-f", "hold.py", "--source", "csv", "--path", prices)
    assert status == 0
    assert "data: 8 bars from csv\n" in out  # four of each of two files
    found = ask("run", "-f", "hold.py", "--source", "csv", "--path", prices, "--symbols", "AAPL", "-o", "own")
    assert found["data"]["bars_fetched"] == 4
    assert found["summary"]["sessions"] == 4
    assert ask("cache", "list")["datasets"] == []


def test_csv_options_reach_the_source(place, ask):
    (place / "odd.csv").write_text("Datum;Letzter\n02.01.2024;1,5\n03.01.2024;1,6\n")
    words = ("run", "-f", "hold.py", "--set", "NAME='odd'", "--source", "csv", "--path", "odd.csv", "--decimal", ",")
    words = (*words, "--column-map", "timestamp=Datum,open=Letzter,high=Letzter,low=Letzter,close=Letzter")
    found = ask(*words, "--delimiter", ";", "--date-format", "%d.%m.%Y", "--currency", "EUR", "--calendar", "XFRA")
    assert found["summary"]["sessions"] == 2


@pytest.fixture
def desk(monkeypatch):
    """Bring the source `desk`, as a package would."""
    point = EntryPoint("desk", "tests.cli.desk:DeskDataSource", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    DeskDataSource.asked.clear()
    return DeskDataSource


def test_a_source_of_another_package_has_its_own_options_and_is_asked_once(desk, ask):
    words = ("run", "-f", "hold.py", "--source", "desk", "--symbols", "AAPL", "-s", "2024-01-02", "-e", "2024-01-05")
    first = ask(*words, "--level", "12.25")
    assert first["data"]["bars_fetched"] == 4
    assert ask(*words, "--level=12.25")["data"]["bars_cached"] == 4
    assert len(desk.asked) == 1
    assert ask(*words, "--level", "99")["data"]["bars_cached"] == 0  # other prices
    error = ask(*words, "--levle", "12", status=2)["error"]
    assert (error["message"], error["hint"]) == ("source desk has no option --levle", "did you mean --level?")


def test_a_source_of_another_package_is_warmed_and_ingested_through_the_cache(desk, ask, rustybt):
    dates = ("--start", "2024-01-02", "--end", "2024-01-05")
    assert rustybt("cache", "warm", "desk", "--symbols", "AAPL,MSFT", "--level", "12.25", *dates)[0] == 0
    assert len(desk.asked) == 1
    words = ("run", "-f", "hold.py", "--source", "desk", "--symbols", "MSFT,AAPL", "--level", "12.25", "--offline")
    assert ask(*words, "-s", "2024-01-02", "-e", "2024-01-05")["data"]["bars_fetched"] == 0
    assert len(desk.asked) == 1
    (listed,) = ask("cache", "list", "--source", "desk")["datasets"]
    assert (listed["symbols"], listed["rows"]) == (2, 8)
    assert "level=12.25" in rustybt("cache", "list")[1]


def test_the_hint_for_own_files_keeps_their_options(prices, rustybt):
    words = ("run", "-f", "hold.py", "--source", "csv", "--path", prices, "--venue", "XNAS", "-o", "own")
    err = rustybt(*words, "--column-map", "close=close,volume=volume")[2]
    (hint,) = [line for line in err.splitlines() if "rustybt ingest" in line]
    assert f"--path {prices}" in hint
    assert "--venue XNAS" in hint
    assert "--column-map close=close,volume=volume" in hint
    words = shlex.split(hint.split("hint: rustybt ", 1)[1].split(", then ")[0])
    assert rustybt(*(word.replace("NAME", "own") for word in words))[0] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-b", "us", "--source", "yfinance"), "--bundle and --source exclude each other"),
        ((), "a run needs bars: --bundle or --source"),
        (("--source", "yfinance", "--offline", "--no-cache"), "--no-cache and --offline exclude each other"),
        (("--source", "yfinance", "--max-stale", "2d", "--offline"), "--offline and --max-stale exclude each other"),
        (("--source", "yfinance", "--max-stale", "long"), "--max-stale: 'long' is not a duration"),
        (("-b", "us", "--offline"), "--offline says nothing here: a bundle is read from this machine"),
        (("-b", "us", "--symbols", "AAPL"), "--symbols goes with --source"),
        (("-b", "us", "--proxy", "http://127.0.0.1:1"), "--proxy goes with --source"),
        (("--source", "csv", "--path", "prices", "--offline"), "--offline says nothing here: csv reads files"),
        (("--source", "csv", "--path", "prices", "--timeout", "5"), "source csv has no option --timeout"),
        (("--source", "csv"), "source csv needs the option path"),
        (("--source", "yfinance", "--feed", "sip"), "source yfinance has no option --feed"),
        (("--source", "yfinanc"), "unknown source 'yfinanc'"),
        (("--source", "bundle"), "a bundle is read as it is"),
        (("--source", "frame"), "a DataFrame comes in from Python"),
        (("-b", "us", "--offlin"), "no such option: --offlin"),
        (("--source", "yfinance", "--no-cash"), "source yfinance has no option --no-cash"),
    ],
)
def test_a_line_that_does_not_go_together_is_refused(us, ask, words, said):
    assert said in ask("run", "-f", "hold.py", *words, status=2)["error"]["message"]


def test_a_mistyped_option_is_answered_with_the_one_that_was_meant(us, ask):
    assert ask("run", "-f", "hold.py", "-b", "us", "--ofline", status=2)["error"]["hint"] == "did you mean --offline?"
    mistyped = ask("run", "-f", "hold.py", "--source", "ccxt", "--exchnage", "kraken", status=2)
    assert mistyped["error"]["hint"] == "did you mean --exchange?"

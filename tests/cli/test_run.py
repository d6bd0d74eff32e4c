"""``rustybt run``, ``replay`` and ``report``."""

import json

import pytest

from rustybt.trading.results.result import Result

HOLD = """from rustybt.api import order, record, symbol

SHARES = 10


def initialize(context):
    context.asset = symbol("AAPL")
    context.bought = False


def handle_data(context, data):
    record(price=data.current(context.asset, "close"))
    if not context.bought:
        order(context.asset, SHARES)
        context.bought = True
"""


@pytest.fixture
def hold(place):
    (place / "hold.py").write_text(HOLD)
    return place / "hold.py"


@pytest.fixture
def saved(us, hold, rustybt):
    assert rustybt("run", "-f", hold, "-b", us, "-o", "results/hold", "--capital-base", "10000")[0] == 0
    return "results/hold"


def test_a_run_prints_its_performance_and_the_version_it_read(us, hold, rustybt):
    status, out, _ = rustybt("run", "-f", hold, "-b", us)
    assert status == 0
    assert out.splitlines()[0] == "Performance on us@1"
    assert "transactions" in out


def test_money_names_its_currency(us, hold, rustybt):
    out = rustybt("run", "-f", hold, "-b", us, "--capital-base", "10000")[1]
    assert "starting cash      10,000.00 USD" in out


@pytest.mark.filterwarnings("default::UserWarning")
def test_a_warning_of_ours_is_a_line_like_any_other(us, place, rustybt):
    (place / "day.py").write_text(
        "from rustybt.api import EODCancel, order, set_cancel_policy, symbol\n"
        "def initialize(context): set_cancel_policy(EODCancel())\n"
        "def handle_data(context, data): order(symbol('AAPL'), 1, limit_price=1)\n"
    )
    status, _, err = rustybt("run", "-f", place / "day.py", "-b", us)
    assert status == 0
    assert "warning: order for 1 AAPL ended with the session, 0 filled" in err.splitlines()
    assert "UserWarning" not in err


def test_what_a_script_prints_does_not_spoil_json(us, hold, rustybt, place):
    (place / "chatty.py").write_text(
        "print('loaded')\n" + HOLD + "\ndef analyze(context, perf):\n    print('analyzed')\n"
    )
    status, out, err = rustybt("run", "-f", "chatty.py", "-b", us, "-o", "results/chatty", "--json")
    assert status == 0
    assert json.loads(out)["currency"] == "USD"
    assert "loaded" in err
    assert "analyzed" in err
    status, out, _ = rustybt("replay", "results/chatty", "--json")
    assert status == 0
    assert json.loads(out)["is_same"] is True


def test_an_output_that_cannot_be_one_is_refused_before_the_run(us, hold, rustybt, place):
    status, out, err = rustybt("run", "-f", hold, "-b", us, "-o", hold)
    assert (status, out) == (2, "")
    assert "is no directory" in err


def test_a_result_of_other_data_that_is_replaced_is_named(saved, hold, rustybt, prices):
    again = ("run", "-f", hold, "-b", "us", "-o", saved, "--capital-base", "10000")
    assert "replaced" not in rustybt(*again)[2]
    with (prices / "MSFT.csv").open("a") as stream:
        stream.write("2024-01-08,369.3,375.2,369.01,374.69,23134000\n")
    assert rustybt("update", "us")[0] == 0
    assert "held a result of us@1, which is replaced" in rustybt(*again)[2]


def test_a_run_in_json_has_figures_and_the_pin(us, hold, ask):
    found = ask("run", "-f", hold, "-b", us, "-s", "2024-01-03", "-e", "2024-01-05", "--capital-base", "10000")
    assert found["pin"]["bundle"] == "us"
    assert found["pin"]["version"] == 1
    assert (found["summary"]["start"], found["summary"]["end"]) == ("2024-01-03", "2024-01-05")
    assert found["summary"]["transactions"] == 1
    assert found["files"] == []


def test_names_of_the_script_can_be_set(us, hold, place, ask):
    ask("run", "-f", hold, "-b", us, "--set", "SHARES=3", "-o", "three")
    fills = (place / "three" / "transactions.csv").read_text()
    assert ",3," in fills or ",3.0," in fills
    error = ask("run", "-f", hold, "-b", us, "--set", "SHARE=3", status=2)["error"]
    assert "SHARES" in error["hint"]
    ask("run", "-f", hold, "-b", us, "--set", "SHARES", status=2)


def test_a_saved_result_has_a_report_beside_it(saved, place):
    page = (place / saved / "report.html").read_text(encoding="utf-8")
    assert "hold on us@1" in page
    assert "rustybt replay results/hold" in page
    assert "AAPL.csv" in page  # the provenance
    assert (place / saved / "equity.png").read_bytes().startswith(b"\x89PNG")


def test_the_report_is_in_the_currency_of_the_assets(prices, hold, place, rustybt):
    rustybt("ingest", "csv", "--path", prices, "--bundle", "eu", "--currency", "EUR")
    rustybt("run", "-f", hold, "-b", "eu", "-o", "in-euro")
    assert "portfolio value (EUR)" in (place / "in-euro" / "report.html").read_text(encoding="utf-8")


def test_a_replay_proves_the_same_result(saved, rustybt, ask):
    status, out, _ = rustybt("replay", saved)
    assert status == 0
    assert out.startswith("same result on us@1")
    assert ask("replay", saved)["is_same"] is True


def test_a_replay_holds_after_the_bundle_changed(saved, prices, rustybt):
    path = prices / "AAPL.csv"
    path.write_text(path.read_text().replace("181.18", "181.19"))
    assert rustybt("ingest", "csv", "--path", prices, "--bundle", "us")[1].startswith("us@2")
    assert rustybt("replay", saved)[1].startswith("same result on us@1")


def test_a_replay_says_what_is_different(saved, place, rustybt, ask):
    perf = place / saved / "perf.csv"
    first, *rows = perf.read_text().splitlines()
    columns = first.split(",")
    at = columns.index("portfolio_value")
    cells = rows[-1].split(",")
    cells[at] = "1.0"
    perf.write_text("\n".join([first, *rows[:-1], ",".join(cells)]) + "\n")
    status, out, _ = rustybt("replay", saved)
    assert status == 1
    assert "portfolio_value" in out
    assert ask("replay", saved, status=1)["differences"]


def test_a_replay_without_its_data_says_which_is_missing(saved, rustybt, ask):
    rustybt("bundle", "rm", "us")
    error = ask("replay", saved, status=6)["error"]
    assert "us@1" in error["message"]


def test_a_replay_of_nothing_is_refused(ask):
    ask("replay", "nowhere", status=2)


def test_gc_knows_the_saved_result(saved, prices, rustybt, ask):
    path = prices / "AAPL.csv"
    path.write_text(path.read_text().replace("181.18", "181.19"))
    rustybt("ingest", "csv", "--path", prices, "--bundle", "us")
    (orphan,) = ask("bundle", "gc", "us", "--keep-last", "1", "--dry-run")["orphaned_results"]
    assert orphan.endswith("hold")


def test_two_results_are_drawn_beside_each_other(saved, us, hold, place, rustybt, ask):
    rustybt("run", "-f", hold, "-b", us, "--set", "SHARES=1", "-o", "one-share", "--capital-base", "10000")
    status, out, _ = rustybt("report", saved, "--against", "one-share", "--output", "pages", "--title", "Both")
    assert status == 0
    assert out.split() == ["pages/report.html", "pages/equity.png"]
    page = (place / "pages" / "report.html").read_text(encoding="utf-8")
    assert "Both" in page
    assert "one share" in page
    assert ask("report", saved, "--notice", "look here")["files"][0].endswith("report.html")
    assert "look here" in (place / saved / "report.html").read_text(encoding="utf-8")


def test_without_matplotlib_the_page_is_written_and_the_extra_named(saved, rustybt, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    status, out, err = rustybt("report", saved, "--output", "plain")
    assert (status, out) == (0, "plain/report.html\n")
    assert "rustybt[plot]" in err


def test_the_report_of_a_result_whose_data_is_gone_shows_what_the_result_kept(saved, place, rustybt):
    rustybt("bundle", "rm", "us")
    assert rustybt("report", saved, "--output", "late")[0] == 0
    page = (place / "late" / "report.html").read_text(encoding="utf-8")
    assert "Data: the pin" in page
    assert "AAPL.csv" in page  # the provenance
    assert "AAPL: price and trades" in page
    assert "portfolio value (USD)" in page
    assert "Data: quality of what was read" in page
    assert "validation passed" not in page  # the report of the whole bundle


BROKEN = HOLD.replace(
    "    if not context.bought:",
    """    for asset in [context.asset]:
        if data.current_session.day == 4:
            raise KeyError("gone")
    if not context.bought:""",
)


def test_what_ran_before_an_error_is_saved_and_said_to_be_incomplete(us, place, rustybt, ask):
    (place / "broken.py").write_text(BROKEN)
    status, out, err = rustybt("run", "-f", "broken.py", "-b", us, "-o", "results/broken", "--capital-base", "10000")
    assert (status, out) == (1, "")
    assert "note: 2 sessions saved in results/broken, marked as incomplete" in err
    facts = json.loads((place / "results" / "broken" / "result.json").read_text())
    assert facts["complete"] is False
    for word in ("broken.py, line 15", "in bar 3", "2024-01-04", "asset = AAPL", "KeyError"):
        assert word in facts["error"], word
    page = (place / "results" / "broken" / "report.html").read_text(encoding="utf-8")
    assert "<b>Incomplete:</b> the run stopped at an error, only the 2 before it are shown." in page
    assert "rustybt replay" not in page
    assert "no chart" not in rustybt("report", "results/broken")[2]
    error = ask("run", "-f", "broken.py", "-b", us, "-o", "again", status=1)["error"]
    assert error["details"]["assets"] == {"asset": "AAPL"}
    ask("replay", "results/broken", status=2)


def test_a_strategy_that_fails_at_once_leaves_a_page_that_says_so(us, place, rustybt):
    (place / "dead.py").write_text("def initialize(context):\n    return 1 / 0\n")
    status, _, err = rustybt("run", "-f", "dead.py", "-b", us, "-o", "dead")
    assert status == 1
    assert "note: 0 sessions saved in dead, marked as incomplete" in err
    status, out, err = rustybt("report", "dead")
    assert (status, out, err) == (0, "dead/report.html\n", "")
    page = (place / "dead" / "report.html").read_text(encoding="utf-8")
    assert "no session was finished" in page
    assert "nothing to draw" in page


def test_an_earlier_result_is_replaced_by_sessions_only_and_that_is_said(us, saved, place, rustybt):
    before = (place / saved / "result.json").read_bytes()
    (place / "dead.py").write_text("def initialize(context):\n    return 1 / 0\n")
    err = rustybt("run", "-f", "dead.py", "-b", us, "-o", saved)[2]
    assert "no session was finished, so the earlier result in results/hold is left as it was" in err
    assert (place / saved / "result.json").read_bytes() == before
    (place / "broken.py").write_text(BROKEN)
    err = rustybt("run", "-f", "broken.py", "-b", us, "-o", saved)[2]
    assert "2 sessions saved in results/hold, marked as incomplete, in place of the result that was there" in err


def test_an_error_that_cannot_be_saved_beside_is_still_the_error(us, place, rustybt, monkeypatch):
    from rustybt.errors import StorageError
    from rustybt.trading.results.result import Result

    def refuse(self, directory):
        raise StorageError("the disk is full")

    monkeypatch.setattr(Result, "save", refuse)
    (place / "dead.py").write_text("def initialize(context):\n    return 1 / 0\n")
    status, _, err = rustybt("run", "-f", "dead.py", "-b", us, "-o", "dead")
    assert status == 1
    assert "could not be saved: the disk is full" in err
    assert "ZeroDivisionError" in err


def test_a_run_says_in_one_line_whether_bars_it_read_were_flagged(us, hold, rustybt, ask):
    out = rustybt("run", "-f", hold, "-b", us)[1]
    said = next(line for line in out.splitlines() if line.startswith("quality "))
    assert said.split(maxsplit=1)[1].startswith("no bar flagged")
    assert ask("run", "-f", hold, "-b", us)["quality"]["findings"] == []


def test_a_failing_strategy_names_its_line(us, place, rustybt, ask):
    (place / "bad.py").write_text("def handle_data(context, data):\n    return 1 / 0\n")
    status, _, err = rustybt("run", "-f", "bad.py", "-b", us)
    assert status == 1
    assert "bad.py, line 2" in err
    assert "ZeroDivisionError" in err
    assert "Traceback" not in err
    assert "Traceback" in rustybt("run", "-f", "bad.py", "-b", us, "--debug")[2]
    assert ask("run", "-f", "bad.py", "-b", us, status=1)["error"]["code"] == "strategy"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-f", "nowhere.py", "-b", "us"), "nowhere.py"),
        (("-f", "hold.py", "-b", "uss"), "uss"),
        (("-f", "hold.py", "-b", "us", "-s", "2024-01-05", "-e", "2024-01-02"), "2024-01-02"),
        (("-f", "hold.py", "-b", "us", "-s", "someday"), "someday"),
        (("-f", "hold.py"), "--bundle"),
        (("-f", "hold.py", "-b", "us", "--capital-base", "-5"), "capital"),
    ],
)
def test_a_request_that_cannot_be_answered_says_why(us, hold, ask, words, said):
    assert said in ask("run", *words, status=2)["error"]["message"]


def test_a_result_of_bars_in_memory_can_be_reported(us, hold, place, rustybt, monkeypatch):
    """Results of other sources carry no pin; the page leaves the data out."""
    from types import SimpleNamespace

    from rustybt.cli.options import open_store
    from rustybt.cli.results import save_result, show_result
    from rustybt.cli.terminal import Terminal
    from rustybt.trading.results.result import Result

    rustybt("run", "-f", hold, "-b", us, "-o", "full")
    bare = Result.load("full")
    bare.pin, bare.script, bare.notes = None, None, ("n",)
    with open_store(Terminal()) as store:
        written = save_result(bare, place / "bare", store, title="bare")
    assert "Data: the pin" not in written[0].read_text(encoding="utf-8")
    terminal = SimpleNamespace(json=False, facts=lambda pairs, title: titles.append(title), note=titles_note)
    titles = []
    show_result(terminal, bare, [])
    assert titles == ["Performance on bars in memory"]


def titles_note(text):
    assert text == "note: n"


def test_the_environment_is_left_alone_by_a_run(us, hold, place, rustybt):
    other = place / "other"
    rustybt("run", "-f", hold, "-b", us, "--home", other)
    assert json.dumps(dict(__import__("os").environ)).count(str(other)) == 0


BOTH = """from rustybt.api import order, symbols


def initialize(context):
    context.assets = symbols("AAPL", "BTC-USD")
    context.bought = False


def handle_data(context, data):
    if not context.bought:
        for asset in context.assets:
            order(asset, 1)
        context.bought = True
"""


@pytest.fixture
def crypto(place, rustybt):
    """The bundle crypto@1: BTC-USD from Tuesday the 2nd to Saturday the 6th of January 2024."""
    rows = [f"2024-01-0{day},BTC-USD,100,110,90,10{day},1000" for day in range(2, 7)]
    (place / "coins.csv").write_text("\n".join(["date,symbol,open,high,low,close,volume", *rows]) + "\n")
    found = rustybt("ingest", "csv", "--path", "coins.csv", "--bundle", "crypto", "--calendar", "24/7")
    assert found[0] == 0, found
    return "crypto"


@pytest.fixture
def both(place):
    (place / "both.py").write_text(BOTH)
    return place / "both.py"


def test_a_run_on_two_bundles_is_saved_replayed_and_reported(us, crypto, both, place, rustybt, ask):
    line = ("run", "-f", both, "-b", us, "-b", crypto, "--capital-base", "10000")
    status, out, _ = rustybt(*line, "--calendar", "XNYS", "-o", "results/both")
    assert status == 0
    assert out.splitlines()[0] == "Performance on us@1+crypto@1"
    assert "10,000.00 USD" in out
    status, out, _ = rustybt("replay", "results/both")
    assert status == 0
    assert out.startswith("same result on us@1+crypto@1: 4 sessions and 2 transactions")
    found = ask(*line, "--calendar", "24/7")
    assert found["pin"]["calendar"] == "24/7"
    assert [part["bundle"] for part in found["pin"]["parts"]] == ["us", "crypto"]
    assert found["summary"]["sessions"] == 5
    assert rustybt("report", "results/both")[0] == 0
    page = (place / "results" / "both" / "report.html").read_text(encoding="utf-8")
    for part in found["pin"]["parts"]:
        assert f'<th scope="row">{part["bundle"]}@1</th><td>sha256:{part["content_hash"]}, calendar ' in page
    assert '<th scope="row">version</th>' not in page


def test_two_calendars_need_a_word_which_drives_the_run(us, crypto, both, rustybt):
    status, out, err = rustybt("run", "-f", both, "-b", us, "-b", crypto)
    assert (status, out) == (2, "")
    assert "several calendars: XNYS, 24/7" in err
    assert "--calendar XNYS" in err


def test_a_sweep_on_two_bundles_is_refused(us, crypto, both, rustybt):
    status, _, err = rustybt("run", "-f", both, "-b", us, "-b", crypto, "--sweep", "X=1,2")
    assert status == 2
    assert "a sweep runs on one bundle, not on 2: us, crypto" in err


LEAVES = """import os, sys
from rustybt.api import order, symbol

os.makedirs("elsewhere", exist_ok=True)
os.chdir("elsewhere")

def initialize(context):
    context.t = 0

def handle_data(context, data):
    context.t += 1
    order(symbol("AAPL"), 1)
    if context.t == 3:
        END
"""


@pytest.mark.parametrize(
    ("end", "status", "said"),
    [
        ("sys.exit(0)", 1, "in the session 2024-01-04: SystemExit: 0"),
        ("raise KeyboardInterrupt", 130, "error: interrupted"),
        ("pass", 0, "wrote"),
    ],
)
def test_however_a_script_ends_its_sessions_are_kept_where_it_was_asked(us, place, rustybt, end, status, said):
    (place / "leaves.py").write_text(LEAVES.replace("END", end))
    got, _, err = rustybt("run", "-f", "leaves.py", "-b", us, "-o", "kept")
    assert got == status, err
    assert said in err
    assert "Traceback" not in err
    kept = Result.load(place / "kept")
    assert kept.is_complete == (status == 0)
    assert len(kept.perf) == (4 if status == 0 else 2)
    assert list((place / "elsewhere").iterdir()) == []

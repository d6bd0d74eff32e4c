"""The commands of the vendors: their options reach the source, their failures are told with the command that helps."""

import shlex
import subprocess
import sys

import pytest

from rustybt.cli.ingest import retry_command
from rustybt.cli.vendors import PROFILING, TRANSPORT, VENDORS
from rustybt.data.sources import source_info
from rustybt.data.sources.profiling import PROFILES
from rustybt.errors import AuthenticationError, RateLimitedError
from tests.data.sources.slow_vendor import NOW, SlowVendor, daily

DAYS = {"2024-03-14": 13, "2024-03-15": 14}


@pytest.fixture
def vendor(monkeypatch):
    """Stand in for every source, and note how it was asked for."""
    made = SlowVendor({"1d": {symbol: daily(symbol, DAYS) for symbol in ("AAPL", "MSFT", "A B")}})
    made.made = []

    def get_source(name, **options):
        made.made.append((name, options))
        return made

    monkeypatch.setattr("rustybt.data.sources.get_source", get_source)
    monkeypatch.setattr("time.time", lambda: NOW)
    return made


@pytest.mark.parametrize("name", [*VENDORS, *PROFILING])
def test_every_command_has_a_help_page(rustybt, name):
    status, out, _ = rustybt("ingest", name, "--help")
    assert status == 0
    assert "--plan" in out
    assert ("--proxy" in out) == (name != "csv-profiling")


def test_help_imports_no_vendors_library():
    code = (
        "import sys; from rustybt.cli.main import invoke; invoke(['ingest', 'yfinance', '--help']); "
        "print([m for m in ('yfinance', 'ccxt', 'massive', 'alpaca', 'httpx', 'polars', 'pandas') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_what_is_given_reaches_the_source_and_nothing_else(vendor, rustybt):
    line = "ingest ccxt --exchange kraken --symbols AAPL --bundle us --start 2024-03-01 --proxy http://127.0.0.1:1"
    assert rustybt(*line.split(), "--timeout", "5", "--requests-per-minute", "0", "--parallel", "3")[0] == 0
    assert vendor.made == [
        (
            "ccxt",
            {
                "exchange": "kraken",
                "proxy": "http://127.0.0.1:1",
                "timeout_seconds": "5",
                "requests_per_minute": 0.0,
                "parallel_requests": 3,
            },
        )
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("massive", ("polygon", {})),
        ("polygon --adjusted", ("polygon", {"adjusted": True})),
        (
            "polygon --no-details --live --history-years 2",
            ("polygon", {"details": False, "live": True, "history_years": 2}),
        ),
        ("alpaca --feed sip --adjustment split", ("alpaca", {"feed": "sip", "adjustment": "split"})),
        ("alphavantage --extended-hours", ("alphavantage", {"extended_hours": True})),
    ],
)
def test_vendors_have_their_own_options(vendor, rustybt, words, expected):
    rustybt("ingest", *words.split(), "--symbols", "AAPL", "--bundle", "us", "--start", "2024-03-01")
    assert vendor.made == [expected]


def test_failures_end_in_a_table_and_the_command_that_fetches_only_them(vendor, rustybt, ask):
    vendor.errors = {
        "A B": RateLimitedError("slow down", retry_after_seconds=40),
        "MSFT": AuthenticationError("not in your plan", hint="another plan"),
    }
    words = ["ingest", "yfinance", "--symbols", "AAPL,A B,MSFT,NONE", "--bundle", "us", "--start", "2024-03-01"]
    status, _, err = rustybt(*words, "--proxy", "http://me:invented-password@127.0.0.1:1")
    assert status == 3
    lines = [line.strip() for line in err.splitlines()]
    assert "3 of 4 symbols failed, the others are stored:" in lines
    assert [" ".join(line.split()) for line in lines if line.startswith("failed")] == [
        "failed A B rate-limited, try again in 40 s slow down",
        "failed MSFT refused: key or plan not in your plan",
        "failed NONE unknown symbol slow does not know NONE",
    ]
    assert "hint: another plan" in lines
    assert "invented-password" not in err
    retry = shlex.split(lines[-1].removeprefix("again: "))
    assert retry[:7] == ["rustybt", "ingest", "yfinance", "--bundle", "us", "--symbols", "A B,MSFT"]
    assert retry[7:9] == ["--start", "2024-03-01"]
    vendor.errors = {}
    assert "retry" not in ask(*words, status=3)  # asking again for a symbol that is unknown helps nobody


def test_the_retry_line_spells_options_as_they_are_typed():
    line = retry_command(
        "polygon",
        {"details": False, "live": True, "history_years": 2, "timeout_seconds": "30", "proxy": None},
        {"bundle": "us", "start": "2024-03-01", "frequency": "1h"},
        ["AAPL"],
    )
    assert line == (
        "rustybt ingest polygon --bundle us --symbols AAPL --start 2024-03-01 --frequency 1h "
        "--no-details --live --history-years 2 --timeout 30"
    )


@pytest.mark.parametrize("name", ["yfinance", "ccxt", "polygon", "alpaca", "alphavantage"])
def test_the_command_of_a_vendor_has_every_option_of_its_source(name):
    own = set(source_info(name).options) - {"max_attempts", "retry", "client", "clock"}
    assert own == {*VENDORS[name].options, *TRANSPORT}


def test_leaving_the_symbols_out_is_said(vendor, rustybt):
    _, _, err = rustybt("ingest", "yfinance", "--bundle", "us", "--start", "2024-03-01")
    assert "no --symbols given: asking for all that slow lists; --plan says what that costs" in err


def test_sources_show_limits_in_short_and_whether_the_key_is_there(rustybt, monkeypatch):
    for name in ("MASSIVE_API_KEY", "POLYGON_API_KEY", "ALPHAVANTAGE_API_KEY", "ALPHA_VANTAGE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("APCA_API_KEY_ID", "invented-id")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "invented-secret")
    rows = {line.split()[0]: line for line in rustybt("sources", "list")[1].splitlines()}
    assert rows["polygon"].split()[1:3] == ["yes", "needed"]
    assert rows["alpaca"].split()[1:3] == ["yes", "set"]
    assert rows["yfinance"].split()[1:3] == ["yes", "-"]
    assert "60/min, 1m 30 d, 5m 15m 60 d, 1h 730 d" in rows["yfinance"]
    assert max(map(len, rows.values())) < 200
    shown = rustybt("sources", "info", "yfinance")[1]
    assert "1m 30 days, 5m 15m 60 days, 1h 730 days" in shown
    assert "30 min after the close of a bar" in shown
    assert "4 h 15 min after the close" in rustybt("sources", "info", "alphavantage")[1]
    assert "needed" in rustybt("sources", "info", "polygon")[1]


def test_ctrl_c_ends_with_what_was_kept(vendor, rustybt):
    vendor.interrupt_after = 1
    status, _, err = rustybt("ingest", "yfinance", "--symbols", "AAPL,MSFT", "--bundle", "us", "--start", "2024-03-01")
    assert status == 130
    assert "interrupted; kept 1 finished symbol, the same command goes on from there" in err


def test_revisions_are_shown_and_kept_with_the_version(vendor, rustybt, ask):
    words = ["ingest", "yfinance", "--symbols", "AAPL", "--bundle", "us", "--start", "2024-03-01"]
    rustybt(*words)
    vendor.bars["1d"]["AAPL"] = daily("AAPL", {**DAYS, "2024-03-14": 99})
    assert "revised AAPL: correction, 1 bar of 2024-03-14" in rustybt(*words)[1]
    versions = ask("bundle", "versions", "us")["versions"]
    assert [len(version["provenance"]["revisions"]) for version in versions].count(1) == 1


def test_a_bundle_of_a_vendor_is_updated_with_other_transport(vendor, rustybt, monkeypatch):
    from rustybt.data.sources.ingest import update

    rustybt("ingest", "yfinance", "--symbols", "AAPL", "--bundle", "us", "--start", "2024-03-01")
    monkeypatch.setattr(update, "source_from_provenance", lambda provenance: vendor)
    monkeypatch.setattr(update, "get_source", lambda name, **options: vendor.made.append((name, options)) or vendor)
    status, out, _ = rustybt("update", "us", "--proxy", "http://127.0.0.1:1", "--refresh-window", "1d")
    assert (status, vendor.made[-1][1]) == (0, {"proxy": "http://127.0.0.1:1"})
    assert "unchanged" in out
    assert rustybt("update", "us", "--refresh-window", "soon")[0] == 2


def test_the_table_and_the_profiles_name_the_same():
    assert list(PROFILING) == list(PROFILES)
    assert {name: source or "csv" for name, (source, _) in PROFILING.items()} == {
        name: profile.source for name, profile in PROFILES.items()
    }
    assert [(len(set(p.symbols)), p.days, p.frequency) for p in PROFILES.values()] == [
        (50, 730, "1d"),
        (20, 183, "1h"),
        (10, 30, "1m"),
        (50, 730, "1d"),
    ]


def test_a_profiling_bundle_is_asked_for_as_a_whole(vendor, rustybt):
    status, _, _ = rustybt("ingest", "yfinance-profiling", "--proxy", "http://127.0.0.1:1")
    assert status == 3  # the small vendor knows but two of the fifty
    assert vendor.made == [("yfinance", {"proxy": "http://127.0.0.1:1"})]
    assert len(vendor.asked) == 50


def test_the_generated_profiling_bundle_says_that_no_market_made_it(place, rustybt, ask):
    status, out, err = rustybt("ingest", "csv-profiling", "--output", "generated")
    assert status == 0
    assert "no market made them" in err
    assert "symbols  50: GEN01" in out
    assert ask("bundle", "info", "csv-profiling")["quality"]["validation_passed"]
    assert (place / "generated" / "csv-profiling.csv").is_file()

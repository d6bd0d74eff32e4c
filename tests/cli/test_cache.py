"""``rustybt cache``, and the flags that say how ``ingest`` and ``update`` use it."""

import re
import time
from datetime import UTC, datetime

import pytest

from rustybt.data.sources import registry
from tests.cli.vendors_here import reachable
from tests.fakes.binance import BinanceServer
from tests.fakes.yahoo import YahooServer

RANGE = ("--start", "2023-01-03", "--end", "2023-12-29")  # 250 sessions in New York
BOTH = ("ingest", "yfinance", "--symbols", "AAPL,MSFT", "--bundle", "us", *RANGE)


@pytest.fixture
def yahoo(monkeypatch):
    with reachable(monkeypatch, YahooServer(), "yfinance") as server:
        yield server


@pytest.fixture
def filled(yahoo, rustybt):
    assert rustybt(*BOTH)[0] == 0
    return yahoo


def today():
    return datetime.fromtimestamp(time.time(), UTC).date().isoformat()


# -- ingest, update --------------------------------------------------------------------------------------------------


def test_an_ingest_says_how_it_was_answered(yahoo, rustybt, ask):
    first = rustybt(*BOTH)[1]
    asked = len(yahoo.requests)
    assert f"  cache    0 of 500 bars covered, {asked} requests\n" in first
    again = rustybt(*BOTH)[1]
    assert "us@1: unchanged" in again
    assert "  cache    500 of 500 bars covered, 0 requests" in again
    assert len(yahoo.requests) == asked
    other = ask("ingest", "yfinance", "--symbols", "MSFT,AAPL", "--bundle", "copy", *RANGE)
    assert (other["cache"]["rows_cached"], other["cache"]["requests_made"]) == (500, 0)
    assert len(yahoo.requests) == asked


def test_a_plan_says_what_the_cache_has_already(yahoo, place, rustybt, ask):
    words = ("ingest", "yfinance", "--symbols", "AAPL,SPY", "--bundle", "us", *RANGE, "--plan")
    assert "\ncache " not in rustybt(*words)[1]
    assert not (place / "home").exists()
    rustybt("cache", "warm", "yfinance", "--symbols", "AAPL", *RANGE)
    asked = len(yahoo.requests)
    assert re.search(r"^cache +has 1 of 2 symbols$", rustybt(*words)[1], re.MULTILINE)
    assert ask(*words)["covered"] == ["AAPL"]
    assert "covered" not in ask(*words, "--no-cache")
    assert [ask(*words, *more)["plan"]["requests"] for more in ((), ("--no-cache",))] == [1, 2]
    rustybt("cache", "warm", "yfinance", "--symbols", "SPY", *RANGE)
    asked = len(yahoo.requests)
    assert re.search(r"^requests +about 0$", rustybt(*words)[1], re.MULTILINE)
    assert len(yahoo.requests) == asked


def test_an_ingest_without_the_cache_leaves_nothing_in_it(yahoo, rustybt, ask):
    out = rustybt(*BOTH, "--no-cache")[1]
    assert "  cache " not in out
    asked = len(yahoo.requests)
    rustybt(*BOTH, "--no-cache")
    assert len(yahoo.requests) == 2 * asked
    assert ask("cache", "list")["datasets"] == []


def test_an_offline_ingest_takes_what_is_there_and_names_what_is_not(filled, rustybt, ask):
    asked = len(filled.requests)
    status, out, _ = rustybt(*BOTH, "--offline")
    assert status == 0
    assert "500 of 500 bars covered, 0 requests" in out
    found = ask("ingest", "yfinance", "--symbols", "AAPL,SPY", "--bundle", "part", *RANGE, "--offline", status=3)
    assert found["symbols"] == ["AAPL"]
    assert found["failures"]["SPY"]["code"] == "not-covered"
    assert "retry" not in found  # asking again without a network helps nobody
    error = ask("ingest", "yfinance", "--symbols", "SPY", "--bundle", "none", *RANGE, "--offline", status=5)["error"]
    assert error["code"] == "not-covered"
    assert "SPY" in error["message"]
    assert len(filled.requests) == asked


def test_an_update_takes_the_flags_too(filled, rustybt, ask):
    asked = len(filled.requests)
    rustybt("update", "us", "--offline")
    assert len(filled.requests) == asked
    assert rustybt("update", "us")[0] == 0
    asked = len(filled.requests)
    assert rustybt("update", "us")[0] == 0
    assert len(filled.requests) == asked
    assert rustybt("update", "us", "--no-cache")[0] == 0
    assert len(filled.requests) > asked


def test_flags_that_exclude_each_other_are_refused_before_anything_is_asked(yahoo, ask):
    error = ask(*BOTH, "--offline", "--no-cache", status=2)["error"]
    assert error["message"] == "--no-cache and --offline exclude each other"
    assert "exclude each other" in ask("update", "us", "--max-stale", "2d", "--no-cache", status=2)["error"]["message"]
    assert yahoo.requests == []


def test_files_have_no_such_flags(prices, ask):
    error = ask("ingest", "csv", "--path", prices, "--bundle", "us", "--offline", status=2)["error"]
    assert error["code"] == "usage"


@pytest.fixture
def clock(yahoo, monkeypatch):
    """Set the clock of the source and of its vendor."""
    real = registry.get_source
    now = [0.0]

    def turn_to(text):
        now[0] = yahoo.now = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()

    made = lambda name, **options: real(name, clock=lambda: now[0], **options)  # noqa: E731
    monkeypatch.setattr("rustybt.data.sources.get_source", made)
    return turn_to


def test_what_is_out_of_date_is_served_only_when_asked_for_and_marked(yahoo, clock, rustybt):
    words = ("ingest", "yfinance", "--symbols", "AAPL", "--bundle", "us", "--start", "2024-11-01")
    clock("2024-11-27T22:00")  # a Wednesday, after the close
    rustybt(*words)
    clock("2024-12-02T12:00")  # Thanksgiving and a half day later, Monday before the open
    asked = len(yahoo.requests)
    status, out, err = rustybt(*words, "--max-stale", "7d")
    assert status == 0
    assert len(yahoo.requests) == asked
    assert "19 of 19 bars covered, 0 requests" in out
    assert "AAPL: stale, as of 2024-11-27 22:00 UTC" in err
    rustybt(*words, "--max-stale", "4d")  # older than that
    assert len(yahoo.requests) > asked
    asked = len(yahoo.requests)
    status, out, err = rustybt(*words)
    assert "0 requests" in out  # the half day came; nothing is due before Monday's close
    assert "stale" not in err
    assert len(yahoo.requests) == asked


def test_a_run_on_what_is_out_of_date_says_so(yahoo, clock, place, rustybt):
    (place / "hold.py").write_text("def initialize(context):\n    pass\n")
    words = ("run", "-f", "hold.py", "--source", "yfinance", "--symbols", "AAPL", "-s", "2024-11-01")
    clock("2024-11-27T22:00")
    assert rustybt(*words)[0] == 0
    clock("2024-12-02T12:00")
    asked = len(yahoo.requests)
    status, out, err = rustybt(*words, "--max-stale", "7d")
    assert status == 0
    assert len(yahoo.requests) == asked
    assert "0 requests" in out
    assert "; some are out of date, as was allowed\n" in out
    assert "warning: AAPL: stale, as of 2024-11-27 22:00 UTC" in err
    assert "StaleDataWarning" not in err


# -- stats -----------------------------------------------------------------------------------------------------------


def test_the_statistics_agree_with_the_vendors_own_count(yahoo, rustybt, ask):
    rustybt(*BOTH)  # a miss
    rustybt(*BOTH)  # a hit
    rustybt("ingest", "yfinance", "--symbols", "AAPL,MSFT,SPY", "--bundle", "more", *RANGE)  # partial
    rustybt(
        "ingest", "yfinance", "--symbols", "AAPL", "--bundle", "less", "--start", "2023-03-01", "--end", "2023-03-31"
    )
    found = ask("cache", "stats")
    (row,) = found["days"]
    assert (row["day"], row["source"]) == (today(), "yfinance")
    assert (row["hits"], row["partial_hits"], row["misses"]) == (2, 1, 1)
    assert row["hit_rate"] == 0.5
    assert row["requests_made"] == len(yahoo.requests)
    assert row["rows_fetched"] == 750
    assert row["rows_cached"] == 500 + 500 + 23
    assert row["bytes_cached"] == row["rows_cached"] * 48
    assert row["requests_saved"] > 0
    assert row["mean_fetch_ms"] > 0
    assert found["total"]["hits"] == 2
    assert found["warning"] is None
    assert 0 <= found["size_bytes"] < found["max_size_bytes"]


def test_the_statistics_are_a_table_by_day_and_source(filled, monkeypatch, rustybt):
    with reachable(monkeypatch, BinanceServer(), "ccxt"):
        rustybt("ingest", "ccxt", "--symbols", "BTC/USDT", "--bundle", "coins", *RANGE)
    rustybt(*BOTH)
    status, out, err = rustybt("cache", "stats", "--days", "1")
    assert (status, err) == (0, "")
    head, coins, stocks, total, size = out.splitlines()
    assert head.split()[:6] == ["day", "source", "hits", "partial", "misses", "hit"]
    assert coins.split()[:6] == [today(), "ccxt", "0", "0", "1", "0.0%"]
    assert stocks.split()[:6] == [today(), "yfinance", "1", "0", "1", "50.0%"]
    assert total.split()[:5] == ["all", "1", "0", "2", "33.3%"]
    assert re.match(r"size [\d.]+ k?B of 10\.7 GB \(0%\)", size)
    only = rustybt("cache", "stats", "--source", "ccxt")[1]
    assert "yfinance" not in only
    assert "ccxt" in only


def test_an_unused_cache_says_so(rustybt, ask):
    assert rustybt("cache", "stats", "--days", "7")[1].splitlines() == [
        "nothing was asked of the cache in the last 7 days",
        "size 0 B of 10.7 GB (0%)",
    ]
    found = ask("cache", "stats")
    assert found["days"] == []
    assert found["total"]["hit_rate"] is None
    assert rustybt("cache", "list")[1] == ""
    assert ask("cache", "list", "--symbols", "AAPL") == {"series": [], "absent": ["AAPL"]}
    assert "nothing to drop" in rustybt("cache", "clean", "--all")[1]


def test_a_nearly_full_cache_is_a_warning(yahoo, rustybt, ask, monkeypatch):
    rustybt("cache", "warm", "yfinance", "--symbols", "AAPL", *RANGE)
    held = ask("cache", "stats")["size_bytes"]
    assert held > 0
    monkeypatch.setenv("RUSTYBT_CACHE_MAX_SIZE_BYTES", str(held * 100 // 95))
    status, out, err = rustybt("cache", "stats")
    assert status == 0
    assert "(95%)" in out
    assert "warning: the cache is 95% full" in err
    assert "rustybt cache clean --max-size" in err
    monkeypatch.setenv("RUSTYBT_CACHE_MAX_SIZE_BYTES", str(held * 100 // 85))
    assert rustybt("cache", "stats")[2] == ""
    assert ask("cache", "stats")["warning"] is None


# -- list ------------------------------------------------------------------------------------------------------------


def test_the_list_shows_each_dataset(filled, monkeypatch, rustybt, ask):
    with reachable(monkeypatch, BinanceServer(), "ccxt"):
        rustybt("ingest", "ccxt", "--symbols", "BTC/USDT", "--bundle", "coins", "--frequency", "1h", *RANGE)
    coins, stocks = ask("cache", "list")["datasets"]
    assert (stocks["source"], stocks["frequency"], stocks["symbols"], stocks["rows"]) == ("yfinance", "1d", 2, 500)
    assert (coins["source"], coins["frequency"], coins["symbols"]) == ("ccxt", "1h", 1)
    out = rustybt("cache", "list")[1].splitlines()
    assert len(out) == 3
    assert "exchange=binance" in out[1]
    assert re.search(r" 2023-01-03 +2023-12-29 ", out[2])
    assert [d["source"] for d in ask("cache", "list", "--source", "yahoo")["datasets"]] == ["yfinance"]
    assert "nothing of alpaca is cached" in rustybt("cache", "list", "--source", "alpaca")[2]


def test_the_list_of_a_symbol_shows_what_is_known_of_each_time(yahoo, rustybt, ask):
    rustybt(
        "ingest", "yfinance", "--symbols", "NEWCO", "--bundle", "new", "--start", "2024-02-01", "--end", "2024-03-28"
    )
    found = ask("cache", "list", "--symbols", "NEWCO,SPY")
    assert found["absent"] == ["SPY"]
    (series,) = found["series"]
    assert (series["source"], series["frequency"], series["symbol"]) == ("yfinance", "1d", "NEWCO")
    present = [i for i in series["intervals"] if i["reason"] == "present"]
    assert present[0]["start"] <= "2024-03-04T00:00:00+00:00"  # its first session
    assert present[-1]["end"] >= "2024-03-28T00:00:00+00:00"
    before = [i for i in series["intervals"] if i["end"] < "2024-03-04"]
    assert before
    assert all(i["reason"] in ("before_listing", "confirmed_empty") for i in before)
    status, out, err = rustybt("cache", "list", "--symbols", "NEWCO,SPY")
    assert status == 0
    assert out.splitlines()[0].split() == ["symbol", "source", "frequency", "from", "to", "what", "fetched", "dataset"]
    assert " present " in out
    assert err == "nothing is cached of SPY\n"


# -- clean -----------------------------------------------------------------------------------------------------------


def test_some_symbols_are_dropped_and_the_others_stay(yahoo, rustybt, ask):
    rustybt("cache", "warm", "yfinance", "--symbols", "AAPL,MSFT", *RANGE)
    assert ask("cache", "clean", "--symbols", "AAPL")["clean"]["series"] == 1
    assert ask("cache", "list", "--symbols", "AAPL,MSFT")["absent"] == ["AAPL"]
    asked = len(yahoo.requests)
    rustybt("cache", "warm", "yfinance", "--symbols", "MSFT", *RANGE)
    assert len(yahoo.requests) == asked


def test_all_of_a_source_is_dropped_and_bundles_stay(filled, monkeypatch, rustybt, ask):
    with reachable(monkeypatch, BinanceServer(), "ccxt"):
        rustybt("ingest", "ccxt", "--symbols", "BTC/USDT", "--bundle", "coins", *RANGE)
    status, out, _ = rustybt("cache", "clean", "--all", "--source", "yfinance")
    assert status == 0
    assert re.match(r"dropped \d+ files?( and \d+ series)?, .* freed; .* are left\n", out)
    assert ask("cache", "list", "--symbols", "AAPL,MSFT")["series"] == []
    assert ask("cache", "list", "--symbols", "BTC/USDT")["absent"] == []
    assert rustybt("bundle", "verify", "us")[0] == 0
    assert rustybt(*BOTH, "--offline")[0] == 5


def test_a_size_is_kept_to(yahoo, rustybt, ask):
    rustybt("cache", "warm", "yfinance", "--symbols", "AAPL,MSFT", *RANGE)
    held = ask("cache", "stats")["size_bytes"]
    assert ask("cache", "clean", "--max-size", "1GB")["clean"]["files"] == 0
    found = ask("cache", "clean", "--max-size", "0")
    assert found["size_bytes_before"] == held
    assert found["clean"]["bytes_freed"] == held
    assert found["clean"]["size_bytes"] == ask("cache", "stats")["size_bytes"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say what to drop"),
        (("--source", "yfinance"), "say what to drop"),
        (("--all", "--symbols", "AAPL"), "--symbols and --all exclude each other"),
        (("--max-size", "5GB", "--all"), "--max-size and --all exclude each other"),
        (("--max-size", "big"), "--max-size: 'big' is not a size"),
        (("--symbols", ","), "no symbol given"),
    ],
)
def test_exactly_one_way_of_cleaning_is_named(ask, words, said):
    assert said in ask("cache", "clean", *words, status=2)["error"]["message"]


def test_symbols_may_be_typed_as_for_a_vendor(yahoo, rustybt, ask):
    rustybt("cache", "warm", "yfinance", "--symbols", "AAPL,BRK.B", *RANGE)
    found = ask("cache", "list", "--symbols", "aapl,brk-b,nosuch")
    assert ([one["symbol"] for one in found["series"]], found["absent"]) == (["AAPL", "BRK.B"], ["nosuch"])
    assert ask("cache", "clean", "--symbols", "brk-b")["clean"]["series"] == 1
    assert ask("cache", "list", "--symbols", "BRK.B")["absent"] == ["BRK.B"]


def test_what_was_cleaned_is_not_listed(filled, ask):
    assert ask("cache", "clean", "--all")["clean"]["series"] == 2
    assert ask("cache", "list")["datasets"] == []


def test_an_answer_that_lacks_something_offline_is_no_hit(filled, rustybt, ask):
    before = ask("cache", "stats")["total"]
    assert rustybt("ingest", "yfinance", "--symbols", "GE", "--bundle", "none", *RANGE, "--offline")[0] == 5
    assert rustybt("ingest", "yfinance", "--symbols", "AAPL,GE", "--bundle", "some", *RANGE, "--offline")[0] == 3
    after = ask("cache", "stats")["total"]
    assert [after[name] - before[name] for name in ("hits", "partial_hits", "misses")] == [0, 1, 1]


def test_an_update_offline_does_not_advise_itself(filled, rustybt):
    status, _, err = rustybt("update", "us", "--offline")
    assert status == 5 or "again:" not in err
    assert re.search(r"missing: AAPL \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?", err)


# -- warm ------------------------------------------------------------------------------------------------------------


def test_what_was_warmed_is_there_when_it_is_needed(yahoo, rustybt, ask):
    words = ("cache", "warm", "yfinance", "--symbols", "AAPL,MSFT", "--frequency", "1d", *RANGE)
    status, out, _ = rustybt(*words)
    asked = len(yahoo.requests)
    assert status == 0
    assert out == f"2 symbols warm: 500 bars fetched, {asked} requests\n"
    assert rustybt(*words)[1] == "2 symbols warm: nothing was missing, 0 requests\n"
    assert rustybt(*BOTH)[0] == 0
    assert len(yahoo.requests) == asked
    ask(*words)


def test_a_symbol_that_cannot_be_warmed_fails_no_other(yahoo, rustybt, ask):
    words = ("cache", "warm", "yfinance", "--symbols", "AAPL,NOSUCHCO", *RANGE)
    status, _, err = rustybt(*words)
    assert status == 3
    assert "NOSUCHCO" in err
    assert ask("cache", "list", "--symbols", "AAPL")["absent"] == []


def test_when_no_symbol_arrives_none_is_called_warm(yahoo, rustybt):
    status, out, _ = rustybt("cache", "warm", "yfinance", "--symbols", "NOSUCHCO", *RANGE)
    assert (status, out) == (5, f"no symbol is warm: {len(yahoo.requests)} requests\n")


def test_warming_a_cache_that_cannot_be_written_says_that_nothing_was_kept(yahoo, place, monkeypatch, rustybt, ask):
    (place / "occupied").write_text("a file where the folder would be")
    monkeypatch.setenv("RUSTYBT_CACHE_DIR", str(place / "occupied"))
    words = ("cache", "warm", "yfinance", "--symbols", "AAPL", *RANGE)
    status, out, err = rustybt(*words)
    assert status == 1
    assert out.startswith("nothing is warm: 250 bars fetched and not kept, ")
    assert "the cache could not be written" in err
    assert ask(*words, status=1)["warm"]["is_kept"] is False


def test_options_of_the_vendor_reach_it(monkeypatch, rustybt, ask):
    with reachable(monkeypatch, BinanceServer(), "ccxt"):
        words = ("cache", "warm", "ccxt", "--exchange", "binance", "--symbols", "BTC/USDT", "--frequency", "1h")
        assert rustybt(*words, "--start", "2024-03-01", "--end", "2024-03-02")[0] == 0
    (found,) = ask("cache", "list")["datasets"]
    assert (found["source"], found["frequency"], found["rows"]) == ("ccxt", "1h", 48)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("csv", "--path", "prices", "--symbols", "AAPL"), "csv reads files of this machine"),
        (("csv", "--symbols", "AAPL"), "csv reads files of this machine"),
        (("yfinance",), "no symbol given"),
        (("yfinance", "--symbols", "AAPL", "--feed", "iex"), "source yfinance has no option --feed"),
        (("nowhere", "--symbols", "AAPL"), "unknown source 'nowhere'"),
    ],
)
def test_what_cannot_be_warmed_says_why(prices, ask, words, said):
    assert said in ask("cache", "warm", *words, status=2)["error"]["message"]

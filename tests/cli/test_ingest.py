"""``rustybt ingest``, ``update`` and ``sources``."""

import json

import pytest

from rustybt.errors import RateLimitedError


def test_the_issues_own_line_works(prices, ask):
    report = ask(
        *("ingest", "csv", "--path", prices, "--bundle", "us", "--symbols", "AAPL,MSFT"),
        *("--start", "2024-01-03", "--end", "2024-01-04"),
    )
    assert (report["bundle"], report["version"], report["rows"], report["rows_added"]) == ("us", 1, 4, 4)
    assert report["symbols"] == ["AAPL", "MSFT"]
    assert report["quality"]["missing_days_count"] == 0
    assert report["exit_code"] == 0


def test_digits_come_back_as_printed(place, ask):
    (place / "x.csv").write_text(
        "symbol,date,open,high,low,close,volume\n"
        "A,2024-01-02,0.00000712,0.00000712,0.00000712,0.00000712,12345678901234\n"
        "A,2024-01-03,123456789.123456789,123456789.123456789,1,1,0.00000001\n"
    )
    ask("ingest", "csv", "--path", "x.csv", "--bundle", "x")
    ask("ingest", "csv", "--path", "x.csv", "--bundle", "y", "--start", "2024-01-03")
    added = ask("bundle", "diff", "y", "x")["added"]
    assert [(row["open"], row["volume"]) for row in added] == [("0.00000712", "12345678901234")]
    import rustybt as rb

    with rb.bundle("x") as found:
        bars = found.read()
    assert [f"{value.normalize():f}" for value in bars["open"]] == ["0.00000712", "123456789.123456789"]
    assert [f"{value.normalize():f}" for value in bars["volume"]] == ["12345678901234", "0.00000001"]


def test_a_second_run_says_that_nothing_changed(us, prices, rustybt):
    status, out, _ = rustybt("ingest", "csv", "--path", prices, "--bundle", us)
    assert status == 0
    assert out.startswith("us@1: unchanged, 8 rows read")


def test_symbols_come_from_commas_repetition_and_a_file(prices, place, ask):
    (place / "list.txt").write_text("# mine\nMSFT # the second\n\n")
    report = ask("ingest", "csv", "--path", prices, "--bundle", "us", "--symbols", "AAPL", "--symbols-file", "list.txt")
    assert report["symbols"] == ["AAPL", "MSFT"]


@pytest.mark.parametrize("words", [("--symbols", ","), ("--symbols-file", "none.txt")])
def test_an_empty_or_absent_list_of_symbols_is_refused(prices, ask, words):
    error = ask("ingest", "csv", "--path", prices, "--bundle", "us", *words, status=2)["error"]
    assert error["code"] == "bad-request"


def test_a_plan_writes_nothing(prices, place, rustybt, ask):
    status, out, _ = rustybt("ingest", "csv", "--path", prices, "--bundle", "us", "--plan")
    assert status == 0
    assert "2: AAPL, MSFT" in out
    assert ask("ingest", "csv", "--path", prices, "--bundle", "us", "--plan")["plan"]["symbols"] == ["AAPL", "MSFT"]
    assert ask("bundle", "list")["bundles"] == []


def test_options_of_the_file_are_passed_on(place, ask):
    (place / "dax.csv").write_text(
        "Tag;Auf;Hoch;Tief;Zu;Menge\n02.01.2024;10;12;9;11;5\n03.01.2024;11;12;10;12;6\n", encoding="utf-8"
    )
    ask(
        *("ingest", "csv", "--path", "dax.csv", "--bundle", "dax", "--symbol", "DAX", "--delimiter", ";"),
        *("--column-map", "timestamp=Tag,open=Auf,high=Hoch", "--column-map", "low=Tief,close=Zu,volume=Menge"),
        *("--date-format", "%d.%m.%Y", "--calendar", "XETR", "--asset-type", "index", "--currency", "EUR"),
        *("--venue", "XETR", "--price-basis", "split_adjusted", "--timezone", "Europe/Berlin", "--encoding", "utf-8"),
        *("--skip-lines", "0", "--bar-label", "open"),
    )
    found = ask("bundle", "info", "dax")
    assert found["calendar"] == "XETR"
    (asset,) = found["assets"]
    assert (asset["symbol"], asset["asset_type"], asset["currency"], asset["venue"]) == ("DAX", "index", "EUR", "XETR")
    assert (asset["first"], asset["last"], asset["price_basis"]) == ("2024-01-02", "2024-01-03", "split_adjusted")


def test_splits_are_handed_in_beside_the_bars(prices, place, ask):
    (place / "events.csv").write_text("symbol,kind,ex_date,ratio\nAAPL,split,2024-01-04,4:1\n")
    ask("ingest", "csv", "--path", prices, "--bundle", "us", "--actions", "events.csv")
    (action,) = ask("bundle", "info", "us")["corporate_actions"]
    assert (action["kind"], action["ex_date"], action["ratio_new"], action["ratio_old"]) == (
        "split",
        "2024-01-04",
        "4",
        "1",
    )


def test_bad_rows_are_listed_with_their_reason(place, rustybt, ask):
    (place / "bad.csv").write_text(
        "symbol,date,open,high,low,close,volume\nA,2024-01-02,1,2,0.5,1,1\nA,2024-01-03,1,0.5,0.4,1,1\n"
    )
    status, out, err = rustybt("ingest", "csv", "--path", "bad.csv", "--bundle", "bad")
    assert status == 0
    assert "1 row quarantined" in out
    assert "quarantined 1: " in out
    assert "A 2024-01-03" in err
    error = ask("ingest", "csv", "--path", "bad.csv", "--bundle", "never", "--strict", status=4)["error"]
    assert error["code"] == "data-quality"
    assert [b["name"] for b in ask("bundle", "list")["bundles"]] == ["bad"]


def test_a_symbol_that_fails_does_not_fail_the_others(prices, rustybt, ask):
    (prices / "ZERO.csv").write_text("")
    status, out, err = rustybt("ingest", "csv", "--path", prices, "--bundle", "us")
    assert status == 3
    assert "us@1: 8 rows added" in out
    assert "failed  ZERO  " in err
    assert ask("ingest", "csv", "--path", prices, "--bundle", "us", status=3)["failures"].keys() == {"ZERO"}


def test_a_file_that_is_not_there_is_a_bad_request(ask):
    error = ask("ingest", "csv", "--path", "nowhere", "--bundle", "us", status=2)["error"]
    assert "nowhere" in error["message"]


@pytest.mark.parametrize("name", ["../../x", "CON", "a.", "", "x" * 200])
def test_unusable_bundle_names_are_refused_and_nothing_is_written(prices, place, ask, name):
    error = ask("ingest", "csv", "--path", prices, "--bundle", name, status=2)["error"]
    assert error["exit_code"] == 2
    assert not (place / "home").exists() or not list((place / "home").rglob("*.parquet"))


def test_the_seeds_csvdir_line_runs_literally(place, rustybt, ask):
    (place / "DIR" / "daily").mkdir(parents=True)
    (place / "DIR" / "daily" / "IBM.csv").write_text(
        "date,open,high,low,close,volume,dividend,split\n"
        "2024-01-02,162.83,163.29,160.46,161.5,3825044,0.0,1.0\n"
        "2024-01-03,161,161.73,160.08,160.1,4086069,0.0,2.0\n"
    )
    status, out, _ = rustybt("ingest", "csvdir", "--csvdir", "DIR")
    assert status == 0
    assert out.startswith("csvdir@1: 2 rows added")
    (action,) = ask("bundle", "info", "csvdir")["corporate_actions"]
    assert (action["symbol"], action["kind"], action["ratio_new"]) == ("IBM", "split", "2")


def test_an_unknown_source_says_which_there_are(ask):
    error = ask("ingest", "yfinanc", "--symbols", "AAPL,MSFT", "--bundle", "my-data", status=2)["error"]
    assert "yfinanc" in error["message"]
    assert "yfinance" in error["hint"]


def test_a_registered_source_takes_its_own_options_by_name(ask, monkeypatch):
    asked = {}

    class Source:
        is_local = False

        def ingest_to_bundle(self, bundle, **request):
            asked.update(request, bundle=bundle)
            raise RateLimitedError("slow down", retry_after_seconds=7)

        def close(self):
            asked["closed"] = True

    def get_source(name, **options):
        asked["source"] = name
        asked["options"] = options
        return Source()

    monkeypatch.setattr("rustybt.data.sources.get_source", get_source)
    line = ("ingest", "weather", "--exchange", "binance", "--symbols", "BTC/USDT", "--bundle", "crypto")
    error = ask(*line, "--base-url=http://x", "--verbose-feed", status=5)["error"]
    assert error["details"] == {"retry_after_seconds": 7}
    assert (asked["source"], asked["bundle"], asked["symbols"]) == ("weather", "crypto", ["BTC/USDT"])
    assert asked["options"] == {"exchange": "binance", "base_url": "http://x", "verbose_feed": True}
    assert asked["closed"]


def test_a_registered_source_without_bundle_is_refused(ask, monkeypatch):
    monkeypatch.setattr("rustybt.data.sources.get_source", lambda name, **options: object())
    assert "no bundle named" in ask("ingest", "weather", status=2)["error"]["message"]


def test_a_stray_word_is_no_option(ask):
    error = ask("ingest", "ccxt", "--bundle", "x", "--exchange", "binance", "stray", status=2)["error"]
    assert "stray" in error["message"]


@pytest.mark.parametrize("pairs", ["close", "=Last", "close=A,close=B"])
def test_a_column_map_that_is_none_is_refused(prices, ask, pairs):
    ask("ingest", "csv", "--path", prices, "--bundle", "us", "--column-map", pairs, status=2)


def test_update_reads_the_recorded_files_again(us, prices, rustybt, ask):
    with (prices / "AAPL.csv").open("a") as stream:
        stream.write("2024-01-08,182.085,185.6,181.5,185.56,59144500\n")
    status, out, _ = rustybt("update", us)
    assert status == 0
    assert out.startswith("us@2: 1 row added, 0 changed, 0 removed")
    (report,) = ask("update", us)["updates"]
    assert report["unchanged"]


def test_a_bundle_of_a_frame_cannot_be_updated(ask):
    import polars as pl

    import rustybt as rb

    frame = pl.DataFrame(
        {"date": ["2024-01-02"], "open": [1.0], "high": [1.0], "low": [1.0], "close": [1.0], "volume": [1]}
    )
    rb.ingest_frame(frame, bundle="mine", symbol="A")
    error = ask("update", "mine", status=2)["error"]
    assert "frame" in error["message"]


def test_sources_are_listed_with_what_they_need(rustybt, ask, monkeypatch):
    names = {source["name"] for source in ask("sources", "list")["sources"]}
    assert {"csv", "csvdir"} <= names
    assert "csv" in rustybt("sources", "list")[1]


def test_one_source_shows_its_options(rustybt, ask):
    found = ask("sources", "info", "csv")
    assert found["available"] is True
    assert "column_map" in found["options"]
    _, out, err = rustybt("sources", "info", "csv")
    assert "column_map" in out
    assert "rustybt ingest csv --help" in err


def test_a_frame_comes_in_from_python(rustybt):
    status, _, err = rustybt("ingest", "frame", "--bundle", "us")
    assert status == 2
    assert "rb.ingest_frame" in err


def test_a_bundle_is_copied_in_part_and_the_copy_follows_it(us, prices, rustybt, ask):
    report = ask("ingest", "bundle", "--from", us, "--bundle", "copy", "--symbols", "AAPL")
    assert (report["symbols"], report["version"]) == (["AAPL"], 1)
    found = ask("bundle", "info", "copy")
    assert found["provenance"]["source_type"] == "bundle"
    assert found["provenance"]["source_url"] == "us@1"
    assert {row["symbol"] for row in ask("bundle", "diff", "copy", us)["added"]} == {"MSFT"}
    status, out, _ = rustybt("update", "copy")
    assert (status, out.split(",")[0]) == (0, "copy@1: unchanged")
    status, _, err = rustybt("ingest", "bundle", "--from", "none", "--bundle", "copy")
    assert status == 2
    assert "none" in err


def test_decimal_commas_are_read_when_named_and_recognised_when_not(place, rustybt, ask):
    (place / "SAP.csv").write_text(
        "Date;Open;High;Low;Close;Volume\n31.01.2024;1.168,70;1.169,11;1.166,37;1.167,36;58.220\n"
    )
    asked = ("ingest", "csv", "--path", "SAP.csv", "--bundle", "de", "--calendar", "XETR")
    error = ask(*asked, status=4)["error"]
    assert "1.168,70" in error["hint"]
    assert "--decimal ," in error["hint"]
    assert ask(*asked, "--decimal", ",")["rows_added"] == 1
    assert "unknown decimal mark" in ask(*asked, "--decimal", ";", status=2)["error"]["message"]


def test_csvdir_takes_what_the_assets_are(place, rustybt, ask):
    (place / "dir" / "daily").mkdir(parents=True)
    row = "date,open,high,low,close,volume,dividend,split\n2024-01-06,1,2,0.5,1,1,0,1\n"
    (place / "dir" / "daily" / "BTC.csv").write_text(row)
    asked = ("ingest", "csvdir", "--csvdir", "dir", "--asset-type", "crypto", "--currency", "EUR", "--venue", "KRAKEN")
    assert rustybt(*asked)[0] == 0
    (asset,) = ask("bundle", "info", "csvdir")["assets"]
    assert (asset["asset_type"], asset["currency"], asset["venue"]) == ("crypto", "EUR", "KRAKEN")


def test_a_weekend_bar_asks_whether_another_calendar_is_meant(place, rustybt):
    (place / "BTC.csv").write_text(
        "date,open,high,low,close,volume\n2024-01-05,1,2,0.5,1,1\n2024-01-06,1,2,0.5,1,1\n2024-01-08,1,2,0.5,1,1\n"
    )
    err = rustybt("ingest", "csv", "--path", "BTC.csv", "--bundle", "a")[2]
    assert "1 row on days when XNYS is closed" in err
    assert "--asset-type crypto" in err
    assert "closed" not in rustybt("ingest", "csv", "--path", "BTC.csv", "--bundle", "b", "--calendar", "XNYS")[2]
    assert "closed" not in rustybt("ingest", "csv", "--path", "BTC.csv", "--bundle", "c", "--asset-type", "crypto")[2]


def test_bars_mostly_outside_trading_hours_ask_for_the_zone(place, rustybt):
    rows = [f"2024-01-05 0{hour}:30,1,2,0.5,1,1\n" for hour in range(8)] + ["2024-01-05 15:30,1,2,0.5,1,1\n"]
    (place / "AAPL.csv").write_text("date,open,high,low,close,volume\n" + "".join(rows))
    _, out, err = rustybt("ingest", "csv", "--path", "AAPL.csv", "--bundle", "a", "--frequency", "1h")
    assert "8 bars outside trading hours" in out
    assert "8 of 9 bars lie outside the trading hours of XNYS: --timezone" in err


def test_a_version_without_a_new_row_says_what_made_it(us, prices, place, rustybt):
    (place / "events.csv").write_text("symbol,kind,ex_date,ratio\nAAPL,split,2024-01-04,2:1\n")
    status, out, _ = rustybt("ingest", "csv", "--path", prices, "--bundle", us, "--actions", "events.csv")
    assert status == 0
    assert out.startswith("us@2: 0 rows added")
    assert "  changed  1 action" in out


def test_a_failure_is_told_once(prices, rustybt):
    status, _, err = rustybt("ingest", "csv", "--path", prices, "--bundle", "us", "--symbols", "AAPL,MFST")
    assert status == 3
    assert err.count("MFST") == 2  # the name, and why


def test_a_plan_says_how_the_columns_are_read(place, rustybt):
    (place / "A.csv").write_text("Date,Open,High,Low,Last,Extra\n2024-01-02,1,2,0.5,1,1\n")
    _, out, err = rustybt("ingest", "csv", "--path", "A.csv", "--bundle", "us", "--plan")
    assert "timestamp=Date, open=Open, high=High, low=Low, close=Last" in out
    assert "columns not used: Extra" in err
    assert "no volume column" in err


def test_a_version_cannot_be_updated(us, rustybt):
    status, _, err = rustybt("update", "us@1")
    assert status == 2
    assert "rustybt update us makes" in err


def test_an_unavailable_source_shows_the_pip_command(rustybt, monkeypatch):
    from rustybt.data.sources import SourceInfo

    absent = SourceInfo(
        "vendor", available=False, reason="needs vendorlib", pip_command='pip install "rustybt[vendor]"'
    )
    monkeypatch.setattr("rustybt.data.sources.source_info", lambda name: absent)
    monkeypatch.setattr("rustybt.data.sources.list_sources", lambda: [absent])
    assert 'pip install "rustybt[vendor]"' in rustybt("sources", "info", "vendor")[1]
    assert 'pip install "rustybt[vendor]"' in rustybt("sources", "list")[1]


def test_skipped_symbols_and_notes_are_told_on_stderr(capsys):
    from types import SimpleNamespace

    from rustybt.cli.reports import show_ingest
    from rustybt.cli.terminal import Terminal
    from rustybt.market.quality import QualityReport

    report = SimpleNamespace(
        reference="us@1", unchanged=False, rows=1, rows_added=1, rows_changed=0, rows_removed=0, seconds=0.0,
        content_hash="3f9c" * 16, symbols=tuple(f"S{n}" for n in range(12)), quality=QualityReport(), quarantined={},
        examples=(), notes=("a column was not used",), skipped={"XYZ": "no bar in the range"}, failures={}, revisions=(), exit_code=0,
    )  # fmt: skip
    assert show_ingest(Terminal(), report, None) == 0
    captured = capsys.readouterr()
    assert "S9 and 2 more" in captured.out
    assert "note: a column was not used" in captured.err
    assert "skipped XYZ: no bar in the range" in captured.err


def test_json_output_is_json_only(us, prices, rustybt):
    _, out, _ = rustybt("ingest", "csv", "--path", prices, "--bundle", us, "--json")
    json.loads(out)

"""``rustybt bundle``: list, inspect, check, compare, move, tidy."""

import json
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def two(us, prices, rustybt):
    """us@2, in which one close is another and one bar is new."""
    path = prices / "AAPL.csv"
    path.write_text(path.read_text().replace("184.25", "184.26") + "2024-01-08,182.085,185.6,181.5,185.56,59144500\n")
    assert rustybt("ingest", "csv", "--path", prices, "--bundle", us)[0] == 0
    return us


def data_files(place):
    return sorted((place / "home").rglob("daily_bars/*.parquet"))


def test_an_empty_home_says_how_to_fill_it(rustybt, ask):
    status, out, err = rustybt("bundle", "list")
    assert (status, out) == (0, "")
    assert "rustybt ingest csv" in err
    assert ask("bundle", "list")["bundles"] == []


def test_the_list_shows_version_range_and_quality(two, rustybt, ask):
    _, out, _ = rustybt("bundle", "list")
    assert out.splitlines()[1].split() == ["us@2", "1d", "2", "9", "2024-01-02", "2024-01-08", "csv", "passed"]
    (found,) = ask("bundle", "list")["bundles"]
    assert (found["name"], found["version"], found["row_count"]) == ("us", 2, 9)
    assert (found["first_session"], found["last_session"]) == ("2024-01-02", "2024-01-08")


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("--source-type", "csv"), 1),
        (("--source-type", "ccxt"), 0),
        (("--start", "2025-01-01"), 0),
        (("--end", "2024-01-02"), 1),
    ],
)
def test_the_list_can_be_narrowed(us, ask, words, count):
    assert len(ask("bundle", "list", *words)["bundles"]) == count


def test_info_shows_provenance_quality_and_assets(us, rustybt, ask):
    _, out, _ = rustybt("bundle", "info", us)
    for expected in ("us@1", "sha256:", "source type", "csv", "AAPL", "XNYS", "passed", "2024-01-05"):
        assert expected in out
    found = ask("bundle", "info", us)
    assert found["reference"] == "us@1"
    assert found["provenance"]["source_type"] == "csv"
    assert set(found["provenance"]["files"]) == {"AAPL.csv", "MSFT.csv"}
    assert found["quality"]["validation_passed"] is True
    assert found["pin"]["content_hash"] == found["content_hash"]
    assert [asset["symbol"] for asset in found["assets"]] == ["AAPL", "MSFT"]


def test_info_shows_dividends_with_their_amount(prices, place, rustybt):
    (place / "events.csv").write_text("symbol,kind,ex_date,amount,currency\nAAPL,cash_dividend,2024-01-04,0.24,USD\n")
    rustybt("ingest", "csv", "--path", prices, "--bundle", "us", "--actions", "events.csv")
    assert "0.24 USD" in rustybt("bundle", "info", "us")[1]


def test_info_of_many_assets_counts_the_rest(place, rustybt, ask):
    lines = [f"S{n:02d},2024-01-02,1,1,1,1,1" for n in range(25)]
    (place / "many.csv").write_text("\n".join(["symbol,date,open,high,low,close,volume", *lines]))
    rustybt("ingest", "csv", "--path", "many.csv", "--bundle", "many")
    _, out, err = rustybt("bundle", "info", "many")
    assert "S19" in out
    assert "S20" not in out
    assert "5 more; --json lists them" in err
    assert len(ask("bundle", "info", "many")["assets"]) == 25


def test_every_kind_of_reference_opens_the_version(two, ask):
    first = ask("bundle", "info", "us@1")
    ask("bundle", "tag", "us@1", "paper")
    for reference in ("us@paper", f"us@sha256:{first['content_hash'][:8]}"):
        assert ask("bundle", "info", reference)["version"] == 1
    for reference in ("us", "us@latest", "us@2"):
        assert ask("bundle", "info", reference)["version"] == 2


@pytest.mark.parametrize(
    ("reference", "status", "code"),
    [
        ("nothing", 2, "bundle-not-found"),
        ("us@9", 2, "version-not-found"),
        ("us@nope", 2, "version-not-found"),
        ("us@0", 2, None),
    ],
)
def test_what_is_not_there_says_what_is(us, ask, reference, status, code):
    error = ask("bundle", "info", reference, status=status)["error"]
    assert code in (None, error["code"])
    assert error["hint"]


def test_a_near_name_is_suggested(us, rustybt):
    assert "did you mean us?" in rustybt("bundle", "info", "uss")[2]


def test_versions_are_listed_with_their_tags(two, rustybt, ask):
    rustybt("bundle", "tag", "us@1", "paper")
    _, out, _ = rustybt("bundle", "versions", "us")
    lines = out.splitlines()
    assert lines[1].startswith("us@1")
    assert lines[1].endswith("paper")
    assert lines[2].startswith("us@2")
    assert [v["version"] for v in ask("bundle", "versions", "us")["versions"]] == [1, 2]


def test_diff_shows_both_values(two, rustybt, ask):
    status, out, _ = rustybt("bundle", "diff", "us@1", "us@2")
    assert status == 0
    assert out.splitlines()[0] == "us@1 -> us@2: 1 bar added, 0 removed, 1 changed"
    assert "AAPL    2024-01-03  close  184.25  184.26" in out
    found = ask("bundle", "diff", "us@1", "us@2")
    assert found["changed"] == [
        {
            "frequency": "1d", "symbol": "AAPL", "timestamp": "2024-01-03T00:00:00+00:00",
            "field": "close", "before": "184.25", "after": "184.26",
        }
    ]  # fmt: skip
    assert found["added"][0]["close"] == "185.56"


def test_diff_backwards_shows_what_was_removed(two, rustybt):
    assert "0 bars added, 1 removed, 1 changed" in rustybt("bundle", "diff", "us@2", "us@1")[1]


@pytest.mark.parametrize("reference", ["us@999", "us@1", "us@latest", "us@"])
def test_versions_of_one_version_are_refused(two, rustybt, reference):
    status, out, err = rustybt("bundle", "versions", reference)
    assert (status, out) == (2, "")
    assert f"'{reference}' names one version, and this lists all of a bundle" in err
    assert "hint: rustybt bundle versions us" in err


def test_equal_versions_say_the_same(us, rustybt):
    assert rustybt("bundle", "diff", "us@1", "us")[1] == "us@1 and us@1 say the same\n"


def test_diff_shows_as_many_rows_as_asked_for(us, prices, rustybt, ask):
    for name in ("AAPL", "MSFT"):
        path = prices / f"{name}.csv"
        path.write_text(path.read_text() + "2024-01-08,5,5,5,5,5\n2024-01-09,5,5,5,5,5\n")
    rustybt("ingest", "csv", "--path", prices, "--bundle", us)
    _, out, err = rustybt("bundle", "diff", "us@1", "us@2", "--limit", "1")
    assert out.count("2024-01-0") == 1
    assert "3 more; --limit 0 shows all" in err
    assert len(ask("bundle", "diff", "us@1", "us@2", "--limit", "0")["added"]) == 4


def test_diff_shows_events_and_assets(us, prices, place, rustybt):
    (place / "events.csv").write_text("symbol,kind,ex_date,ratio\nAAPL,split,2024-01-04,4:1\n")
    rustybt("ingest", "csv", "--path", prices, "--bundle", us, "--actions", "events.csv", "--venue", "XNAS")
    _, out, _ = rustybt("bundle", "diff", "us@1", "us@2")
    assert "corporate action added: split of AAPL, ex-date 2024-01-04" in out
    assert "assets changed: AAPL, MSFT" in out
    assert "corporate action removed" in rustybt("bundle", "diff", "us@2", "us@1")[1]


def test_validate_passes_a_good_bundle(us, rustybt, ask):
    status, out, _ = rustybt("bundle", "validate", us)
    assert status == 0
    assert "passed" in out
    assert ask("bundle", "validate", us)["quality"]["row_count"] == 8


def test_validate_is_a_gate_and_lists_what_is_missing(prices, rustybt, ask):
    path = prices / "AAPL.csv"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "2024-01-04" not in line))
    rustybt("ingest", "csv", "--path", prices, "--bundle", "us")
    status, out, _ = rustybt("bundle", "validate", "us")
    assert status == 4
    assert "AAPL    2024-01-04" in out
    found = ask("bundle", "validate", "us", status=4)
    assert found["quality"]["missing_days_list"] == [{"symbol": "AAPL", "date": "2024-01-04"}]


def test_a_weekend_and_a_holiday_are_not_missing(place, ask):
    # 15 January 2024 was Martin Luther King's Day.
    (place / "a.csv").write_text(
        "date,open,high,low,close,volume\n2024-01-12,1,1,1,1,1\n2024-01-16,1,1,1,1,1\n2024-01-17,1,1,1,1,1\n"
    )
    assert ask("ingest", "csv", "--path", "a.csv", "--bundle", "a")["quality"]["missing_days_count"] == 0


def test_long_lists_are_cut_with_their_count(capsys):
    from rustybt.cli.reports import show_quality
    from rustybt.cli.terminal import Terminal
    from rustybt.market.quality import QualityReport

    days = tuple({"symbol": "A", "date": f"2024-01-{day:02d}"} for day in range(1, 31))
    jump = {"symbol": "A", "timestamp": "2024-01-02", "kind": "jump", "change": -0.5187}
    report = QualityReport(
        missing_days_count=30, missing_days_list=days, outlier_count=1, outliers=(jump,), validation_passed=False,
        quarantined={"high below low": 2}, quarantined_count=2, notes=("a note",),
    )  # fmt: skip
    show_quality(Terminal(), "us@1", report)
    captured = capsys.readouterr()
    assert "2024-01-10" in captured.out
    assert "2024-01-11" not in captured.out
    assert "20 more" in captured.err
    assert "-51.87%" in captured.out
    assert "high below low" in captured.out
    assert "note: a note" in captured.out


def test_a_version_without_report_says_so(capsys):
    from rustybt.cli.bundle_facts import quality_facts, quality_sentence
    from rustybt.cli.reports import show_quality
    from rustybt.cli.terminal import Terminal

    show_quality(Terminal(), "us@1", None)
    assert "no quality report" in capsys.readouterr().out
    assert quality_sentence(None) == "not checked"
    assert quality_facts(None) is None


def test_verify_reads_everything(us, rustybt, ask):
    status, out, _ = rustybt("bundle", "verify", us)
    assert status == 0
    assert "us@1 is whole" in out
    assert ask("bundle", "verify", us)["rows_checked"] == 8


def test_a_flipped_bit_is_found_and_never_read(us, place, rustybt, ask):
    victim = data_files(place)[0]
    victim.chmod(0o644)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(bytes(content))
    status, out, err = rustybt("bundle", "verify", us)
    assert status == 6
    assert victim.name in out
    assert "hint" in err
    found = ask("bundle", "verify", us, status=6)
    assert not found["is_whole"]
    assert ask("bundle", "export", us, "--to", "csv", "--output", "out", status=6)["error"]["code"] == "corrupt-bundle"


def test_a_deleted_file_is_a_clear_error(us, place, ask):
    for victim in data_files(place):
        victim.unlink()
    error = ask("bundle", "export", us, "--to", "csv", "--output", "out", status=6)["error"]
    assert error["code"] == "corrupt-bundle"


@pytest.mark.parametrize("form", ["csv", "parquet", "arrow"])
def test_what_is_exported_comes_back_with_the_same_content(us, rustybt, ask, form):
    written = ask("bundle", "export", us, "--to", form, "--output", "out")["written"]
    assert all(Path(path).exists() for path in written)
    back = ask("bundle", "import", "out", "--as", "copy")
    assert back["content_hash"] == ask("bundle", "info", us)["content_hash"]
    assert rustybt("bundle", "diff", us, "copy")[1] == "us@1 and copy@1 say the same\n"


def test_export_and_import_print_what_they_wrote(us, rustybt):
    assert "bundle.json" in rustybt("bundle", "export", us, "--to", "csv", "--output", "out")[1]
    assert rustybt("bundle", "import", "out", "--as", "copy")[2] == "copy@1: 8 rows\n"
    assert rustybt("bundle", "import", "out", "--as", "copy")[2] == "copy@1: unchanged\n"


def test_export_to_what_nobody_knows_names_the_formats(us, ask):
    error = ask("bundle", "export", us, "--to", "excel", "--output", "out", status=2)["error"]
    assert error["code"] == "bad-request"
    assert "zipline" in error["hint"]


def test_tags_are_given_and_taken(us, rustybt, ask):
    assert ask("bundle", "tag", "us@1", "paper")["tags"] == {"paper": 1}
    assert rustybt("bundle", "tag", "us@1", "book")[2] == "book -> version 1\npaper -> version 1\n"
    assert ask("bundle", "untag", "us", "paper")["tags"] == {"book": 1}
    ask("bundle", "untag", "us", "paper", status=2)


def test_gc_tells_before_it_does_and_keeps_what_is_tagged(two, prices, rustybt, ask):
    rustybt("bundle", "tag", "us@1", "paper")
    status, out, _ = rustybt("bundle", "gc", "us", "--keep-last", "1", "--dry-run")
    assert status == 0
    assert "0 versions would be collected: none" in out
    assert "kept us@1: " in out
    rustybt("bundle", "untag", "us", "paper")
    assert ask("bundle", "gc", "us", "--keep-last", "1")["collected"] == ["us@1"]
    assert ask("bundle", "info", "us@1", status=2)["error"]["code"] == "version-not-found"
    assert "collected by gc" in rustybt("bundle", "versions", "us")[1]


def test_gc_names_results_that_lose_their_data(capsys):
    from types import SimpleNamespace

    from rustybt.cli.reports import show_gc
    from rustybt.cli.terminal import Terminal

    report = SimpleNamespace(
        dry_run=True, collected=["us@1"], files_deleted=3, bytes_freed=2048, files_waiting=2,
        kept={"us@2": "tagged paper"}, orphaned_results={"results/ma": "us@1"},
    )  # fmt: skip
    show_gc(Terminal(), report)
    captured = capsys.readouterr()
    assert "1 version would be collected: us@1" in captured.out
    assert "2.0 kB" in captured.out
    assert "2 files wait" in captured.out
    assert captured.err == "result without data: results/ma needs us@1\n"


def test_a_removed_bundle_is_gone(us, rustybt, ask):
    assert "removed us" in rustybt("bundle", "rm", us)[2]
    assert ask("bundle", "list")["bundles"] == []
    ask("bundle", "rm", us, status=2)


def test_rm_answers_in_json(us, ask):
    assert ask("bundle", "rm", us) == {"removed": "us", "versions": 1, "orphaned_results": {}}


def test_rm_names_the_results_that_lose_their_data(us, place, rustybt, ask):
    (place / "idle.py").write_text("def handle_data(context, data): pass\n")
    assert rustybt("run", "-f", "idle.py", "-b", us, "-o", "results/idle")[0] == 0
    status, _, err = rustybt("bundle", "rm", us)
    assert status == 0
    assert "removed us with 1 version;" in err
    assert f"result without data: {place / 'results' / 'idle'} needs us@1" in err


def test_a_tag_that_moves_says_from_where(two, rustybt):
    assert rustybt("bundle", "tag", "us@1", "golden")[2] == "golden -> version 1\n"
    assert "golden was version 1" in rustybt("bundle", "tag", "us@2", "golden")[2]
    assert rustybt("bundle", "tag", "us@2", "golden")[2] == "golden -> version 2\n"
    assert rustybt("bundle", "untag", "us", "golden")[2] == "golden no longer names version 2\n"


def test_a_filter_that_matches_nothing_does_not_say_that_there_is_nothing(us, rustybt, ask):
    status, out, err = rustybt("bundle", "list", "--source-type", "cvs")
    assert (status, out) == (0, "")
    assert "no bundle" in err
    assert "matches; there are 1, from csv" in err
    assert ask("bundle", "list", "--source-type", "cvs")["bundles"] == []


def test_a_report_says_which_part_of_the_version_it_covers(us, place, rustybt, ask):
    (place / "more.csv").write_text("symbol,date,open,high,low,close,volume\nIBM,2024-01-02,1,2,0.5,1,1\n")
    assert rustybt("ingest", "csv", "--path", "more.csv", "--bundle", "us")[0] == 0
    out = rustybt("bundle", "validate", "us")[1]
    assert "note: us@2 holds 9 rows; this report is of the 1 that its own ingest delivered" in out
    assert "of the 1 rows in the last ingest" in rustybt("bundle", "info", "us")[1]
    assert ask("bundle", "validate", "us")["row_count"] == 9
    assert "note:" not in rustybt("bundle", "validate", "us@1")[1]


def test_recover_brings_every_version_back(two, place, rustybt, ask):
    before = ask("bundle", "versions", "us")["versions"]
    for path in (place / "home" / ".rustybt").glob("metadata.sqlite*"):
        path.unlink()
    assert "rustybt bundle recover" in ask("bundle", "list", status=6)["error"]["hint"]
    status, out, _ = rustybt("bundle", "recover")
    assert status == 0
    assert "recovered us: 2 versions" in out
    after = ask("bundle", "versions", "us")["versions"]
    assert [v["content_hash"] for v in after] == [v["content_hash"] for v in before]
    assert ask("bundle", "recover")["recovered"] == {}


def test_recover_says_what_it_could_not(capsys):
    from types import SimpleNamespace

    from rustybt.cli.reports import show_recover
    from rustybt.cli.terminal import Terminal

    report = SimpleNamespace(
        recovered={}, already_known=["us"], problems={"eu": "a manifest is torn"}, damaged_database="metadata.damaged"
    )
    assert show_recover(Terminal(), report) == 6
    captured = capsys.readouterr()
    assert captured.out == "nothing to recover\n"
    for expected in ("left alone: us", "metadata.damaged", "problem with eu: a manifest is torn"):
        assert expected in captured.err


def test_a_home_can_be_moved(us, place, rustybt):
    shutil.move(place / "home", place / "elsewhere")
    assert rustybt("bundle", "verify", us, "--home", place / "elsewhere")[0] == 0


def test_shell_completion_knows_the_bundles(us, monkeypatch):
    from rustybt.cli.options import complete_bundles

    assert complete_bundles("u") == ["us"]
    assert complete_bundles("x") == []
    monkeypatch.setenv("RUSTYBT_LOG_LEVEL", "nonsense")
    assert complete_bundles("u") == []


def test_json_is_one_document_for_every_command(two, rustybt):
    for words in (
        ("list",), ("info", "us"), ("validate", "us"), ("verify", "us"), ("versions", "us"), ("diff", "us@1", "us@2"),
        ("gc", "--dry-run"), ("recover",), ("tag", "us@1", "t"), ("untag", "us", "t"),
    ):  # fmt: skip
        status, out, _ = rustybt("bundle", *words, "--json")
        assert status == 0, words
        json.loads(out)


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (31_200_000, "31.2 MB"), (5 * 10**12, "5.0 TB")]
)
def test_sizes_are_read_by_people(count, text):
    from rustybt.cli.bundle_facts import size

    assert size(count) == text


def test_an_unknown_instant_is_a_dash():
    from rustybt.cli.bundle_facts import instant

    assert instant(None) == "-"
    assert instant(0) == "-"
    assert instant(1_704_153_600) == "2024-01-02 00:00:00Z"

"""``rustybt import zipline``: what is printed, and the exit status of each outcome."""

import pytest

from tests.oracle import zipline_bundle


@pytest.fixture
def root(place, monkeypatch):
    found = zipline_bundle.unpack(place / "unpacked")
    monkeypatch.setenv("ZIPLINE_ROOT", str(found))
    return found


def test_without_a_name_it_lists_what_is_there(root, rustybt, ask):
    status, out, _ = rustybt("import", "zipline")
    assert status == 0
    assert "fixture" in out
    assert "2018-01-02T03;04;05.678901" in out
    assert ask("import", "zipline") == {"root": str(root), "bundles": {"fixture": ["2018-01-02T03;04;05.678901"]}}


def test_a_root_without_bundles_says_so(place, rustybt):
    status, out, err = rustybt("import", "zipline", "--root", place / "none")
    assert (status, out) == (0, "")
    assert "no Zipline bundles in" in err


def test_it_imports_and_proves(root, rustybt, ask):
    status, out, err = rustybt("import", "zipline", "fixture", "--no-progress")
    assert status == 0
    assert "fixture@1: 3,308 rows added" in out
    assert "proof    1d: 3,308 rows, 13,232 prices and 3,308 volumes compared, all equal" in out
    assert "fixture@2: 5,521 rows added" in out
    assert "proof    1m: 5,521 rows, 22,084 prices and 5,521 volumes compared, all equal" in out
    assert err.count("REU was the ticker of several assets") == 1
    assert "mergers not imported" in err
    again = ask("import", "zipline", "fixture")
    assert [report["unchanged"] for report in again["imports"]] == [True, True]
    assert again["all_equal"] is True
    assert [proof["rows"] for proof in again["proofs"]] == [3308, 5521]
    assert again["proofs"][0]["series"]["BIG"] == {
        "sid": 6,
        "zipline_rows": 503,
        "stored_rows": 503,
        "set_aside": 0,
        "first": "2016-01-04",
        "last": "2017-12-29",
    }
    assert len(ask("bundle", "versions", "fixture")["versions"]) == 2


def test_a_part_comes_into_a_bundle_of_another_name(root, ask):
    words = (
        "--bundle",
        "us",
        "--symbols",
        "AAA,SPL",
        "--frequency",
        "1d",
        "--start",
        "2017-01-03",
        "--end",
        "2017-01-06",
    )
    done = ask("import", "zipline", "fixture", "--root", root, *words)
    assert [report["reference"] for report in done["imports"]] == ["us@1"]
    assert done["proofs"][0]["rows"] == 8


def test_a_difference_is_exit_status_6_and_replace_mends_it(root, place, rustybt):
    csv = place / "SPL.csv"
    csv.write_text("date,open,high,low,close,volume\n2016-03-01,1,1,1,1,1\n")
    rustybt("ingest", "csv", "--path", csv, "--bundle", "us")
    status, out, err = rustybt("import", "zipline", "fixture", "--bundle", "us", "--frequency", "1d")
    assert status == 6
    assert "3,308 prices" not in out
    assert "SPL 2016-03-01 bar: none in Zipline, a bar stored" in out
    assert "--replace" in err
    assert rustybt("import", "zipline", "fixture", "--bundle", "us", "--frequency", "1d", "--replace")[0] == 0


def test_some_failed_symbols_are_exit_status_3(root, rustybt):
    path = root / "data/fixture/2018-01-02T03;04;05.678901/minute_equities.bcolz/00/00/000001.bcolz/close/data/__0.blp"
    path.unlink()
    status, out, err = rustybt("import", "zipline", "fixture", "--frequency", "1m")
    assert status == 3
    assert "all equal" in out
    assert "__0.blp is missing" in err
    assert "not compared: AAA" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("absent",), "there: fixture"),
        (("../fixture",), "no name of a Zipline bundle"),
        (("fixture", "--timestamp", "2017-01-01"), "2018-01-02T03;04;05.678901"),
        (("fixture", "--frequency", "1h"), "daily and minute bars"),
    ],
)
def test_a_request_that_cannot_be_met_is_exit_status_2(root, rustybt, words, told):
    status, out, err = rustybt("import", "zipline", *words)
    assert (status, out) == (2, "")
    assert told in err


def test_the_same_bars_come_by_ingest_as_from_any_source(root, ask):
    done = ask("ingest", "zipline", "--name", "fixture", "--bundle", "us")
    assert done["rows_added"] == 3308
    ask("update", "us")
    assert len(ask("bundle", "versions", "us")["versions"]) == 1

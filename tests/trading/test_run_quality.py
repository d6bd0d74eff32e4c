"""Which bars of a run were flagged: by symbol, rule and date, of those that it read."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pytest

from rustybt import api
from rustybt.algorithm import run_algorithm
from rustybt.data.bundles.store import BundleStore
from rustybt.market.provenance import Provenance
from rustybt.market.quality import check_quality
from rustybt.market.quality_report import QualityReport
from rustybt.trading.results.result import Result
from rustybt.trading.results.run_quality import MOST_DATES, QualityFinding, RunQuality, quality_of


def facts(first="2020-01-02", last="2020-01-31", missing=0, quarantined=0, outliers=0, rows=21):
    return {
        "rows": rows,
        "first": first,
        "last": last,
        "missing": missing,
        "quarantined": quarantined,
        "outliers": outliers,
    }


def outlier(symbol, day, kind="spike"):
    return {"symbol": symbol, "timestamp": day, "kind": kind, "change": 1.0}


REPORT = QualityReport(
    row_count=42,
    outlier_count=3,
    outliers=(outlier("A", "2020-01-08"), outlier("A", "2020-01-20", "wick"), outlier("B", "2020-01-08", "jump")),
    missing_days_count=1,
    missing_days_list=({"symbol": "A", "date": "2020-01-09"},),
    quarantined={"zero price": 2},
    quarantined_count=2,
    symbols={"A": facts(missing=1, outliers=2, quarantined=2), "B": facts(outliers=1)},
)


def bundle(*reports, at=None):
    """Return what is asked of a bundle whose versions have these reports; `at` is the one that is open."""
    versions = [SimpleNamespace(version=n, quality=r, row_count=1_000) for n, r in enumerate(reports, 1)]
    info = versions[(at or len(versions)) - 1]
    return SimpleNamespace(info=info, quality=lambda: info.quality, versions=lambda: versions)


def test_only_what_was_read_counts():
    found = quality_of(bundle(REPORT), ["A"], "2020-01-02", "2020-01-10")
    assert found.findings == (
        QualityFinding("A", "row set aside", "set aside", 2),
        QualityFinding("A", "session without bar", "missing", 1, ("2020-01-09",)),
        QualityFinding("A", "spike", "suspicious", 1, ("2020-01-08",)),
    )
    assert (found.symbols, found.unchecked) == (1, ())
    assert [found.count(s) for s in ("suspicious", "missing", "set aside")] == [1, 1, 0]
    assert found.sentence() == (
        "1 symbol of 1 symbol read, 2020-01-02 to 2020-01-10, flagged: session without bar 1, spike 1; 2 more without a date"
    )


def test_both_ends_are_included():
    assert quality_of(bundle(REPORT), ["B"], "2020-01-08", "2020-01-08").by_rule == {"jump": 1}
    assert quality_of(bundle(REPORT), ["B"], "2020-01-09", "2020-01-31").findings == ()


def test_a_clean_read_says_so():
    found = quality_of(bundle(REPORT), ["B"], "2020-01-09", "2020-01-31")
    assert found.sentence() == "no bar flagged of 1 symbol read, 2020-01-09 to 2020-01-31"


def test_days_before_the_first_bar_were_not_read():
    first = REPORT.symbols["B"]["first"][:10]
    assert quality_of(bundle(REPORT), ["B"], "1999-05-18", "2020-01-31").start == first
    assert quality_of(bundle(REPORT), ["B"], "1999-05-18", "1999-06-01").start == "1999-06-01"
    assert quality_of(bundle(REPORT), ["B", "UNKNOWN"], "1999-05-18", "2020-01-31").start == "1999-05-18"


def test_without_a_report_nothing_is_known():
    assert quality_of(bundle(None), ["A"], "2020-01-02", "2020-01-10") is None
    assert quality_of(SimpleNamespace(), ["A"], "2020-01-02", "2020-01-10") is None


def test_symbols_that_no_report_is_about_are_named():
    found = quality_of(bundle(REPORT), ["B", "NEW"], "2020-01-09", "2020-01-31")
    assert found.unchecked == ("NEW",)
    assert found.sentence().endswith("; 1 symbol never checked")


UPDATE = QualityReport(row_count=5, symbols={"A": facts("2020-01-20", "2020-02-10")})


def test_an_updated_version_keeps_what_earlier_ingests_found_and_later_ones_did_not_look_at_again():
    found = quality_of(bundle(REPORT, UPDATE), ["A", "B"], "2020-01-02", "2020-02-10")
    # The wick of 20 January was delivered again, and is none any more.
    assert found.by_rule == {"jump": 1, "session without bar": 1, "spike": 1}
    assert QualityFinding("A", "row set aside", "set aside", 2) in found.findings


def test_reports_of_later_versions_are_not_asked():
    later = replace(UPDATE, outliers=(outlier("A", "2020-01-10"),))
    assert "2020-01-10" not in str(quality_of(bundle(REPORT, later, at=1), ["A"], "2020-01-02", "2020-01-31"))


def test_a_whole_ingest_again_replaces_what_was_found():
    again = QualityReport(row_count=42, symbols={"A": facts("2020-01-01", "2020-02-10")})
    assert quality_of(bundle(REPORT, again), ["A"], "2020-01-02", "2020-02-10").findings == ()


def test_outliers_beyond_the_list_of_a_report_are_counted_without_a_date():
    report = replace(REPORT, symbols={"A": facts(missing=4, outliers=7)})
    found = quality_of(bundle(report), ["A"], "2020-01-02", "2020-01-31")
    assert QualityFinding("A", "outlier", "suspicious", 5) in found.findings
    assert QualityFinding("A", "bar missing", "missing", 3) in found.findings


def test_bars_that_are_not_final_yet_are_no_finding():
    report = replace(REPORT, quarantined={"not final": 1}, symbols={"A": facts(quarantined=1)}, outliers=())
    found = quality_of(bundle(report), ["A"], "2020-01-02", "2020-01-08")
    assert found.findings == ()


def test_missing_minutes_count_as_often_as_they_are_missing():
    report = QualityReport(
        frequency="1m",
        missing_days_list=({"symbol": "A", "date": "2020-01-06"},),
        missing_bars_list=(
            {"symbol": "A", "timestamp": "2020-01-06T14:30:00+00:00", "count": 390},
            {"symbol": "A", "timestamp": "2020-01-08T15:00:00+00:00", "count": 2},
        ),
        symbols={"A": facts("2020-01-02T14:30:00+00:00", "2020-01-31T20:59:00+00:00", missing=392)},
    )
    found = quality_of(bundle(report), ["A"], "2020-01-07", "2020-01-31", "1m")
    assert found.findings == (QualityFinding("A", "bar missing", "missing", 2, ("2020-01-08",)),)


def test_dates_are_kept_up_to_a_limit_and_counted_beyond():
    days = [f"2020-{month:02}-{day:02}" for month in (1, 2, 3) for day in range(1, 29)]
    report = replace(REPORT, outliers=tuple(outlier("A", day) for day in days), symbols={"A": facts(outliers=84)})
    finding = quality_of(bundle(report), ["A"], "2020-01-01", "2020-12-31").findings[-1]
    assert (finding.count, len(finding.dates), finding.dates[0]) == (84, MOST_DATES, "2020-01-01")


@pytest.fixture
def store(tmp_path):
    with BundleStore(tmp_path / "home") as opened:
        yield opened


def test_a_result_says_which_bars_of_its_run_were_flagged_and_keeps_it(store, make_bars, tmp_path):
    closes = [10.0] * 30
    closes[7] = 40.0  # jumps and comes back: a spike, on the eighth session of 2020
    checked = check_quality(make_bars({"A": closes, "B": [1.0] * 30})._bars)
    store.commit("us", checked.bars, Provenance("frame"), quality=checked.report)

    def initialize(context):
        api.symbol("A")

    def handle_data(context, data):
        data.current(api.symbol("A"), "price")

    result = run_algorithm(bundle="us", store=store, initialize=initialize, handle_data=handle_data)
    assert result.quality.findings == (QualityFinding("A", "spike", "suspicious", 1, ("2020-01-13",)),)
    with pytest.warns(UserWarning, match="cannot be replayed"):
        directory = result.save(tmp_path / "result")
    assert Result.load(directory).quality == result.quality
    before = run_algorithm(
        bundle="us", store=store, initialize=initialize, handle_data=handle_data, end=date(2020, 1, 10)
    )
    assert before.quality.findings == ()


def test_bars_in_memory_have_no_report(make_bars):
    assert run_algorithm(bundle=make_bars({"A": [1, 2]}), handle_data=lambda context, data: None).quality is None


def test_what_was_found_survives_json():
    found = RunQuality(
        "2020-01-02", "2020-01-10", 3, (QualityFinding("A", "spike", "suspicious", 1, ("2020-01-08",)),), ("C",)
    )
    assert RunQuality.from_json(found.to_json()) == found

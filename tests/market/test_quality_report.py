import json

from rustybt.market.quality_report import MAX_LISTED, QualityReport, merge_reports


def report(symbol="A", **changes):
    values = {
        "calendar": "XNYS",
        "row_count": 10,
        "quarantined_count": 2,
        "quarantined": {"zero price": 2},
        "ohlcv_violations": 2,
        "missing_days_count": 1,
        "missing_days_list": ({"symbol": symbol, "date": "2020-01-06"},),
        "outliers": ({"symbol": symbol, "timestamp": "2020-01-07", "kind": "jump", "change": -0.5},),
        "outlier_count": 1,
        "symbols": {
            symbol: {
                "rows": 10,
                "first": "2020-01-02",
                "last": "2020-01-16",
                "missing": 1,
                "quarantined": 2,
                "outliers": 1,
            }
        },
        "validation_passed": False,
        "notes": ("a note",),
        **changes,
    }
    return QualityReport(**values)


def test_a_report_survives_json():
    original = report()
    assert QualityReport.from_json(json.loads(json.dumps(original.to_json()))) == original


def test_unknown_keys_of_a_newer_version_are_ignored():
    assert QualityReport.from_json({"row_count": 3, "from_the_future": 1}).row_count == 3


def test_a_report_reads_as_a_mapping():
    assert report()["missing_days_count"] == 1
    assert dict(report())["validation_passed"] is False


def test_no_reports_merge_to_an_empty_one():
    assert merge_reports([]) == QualityReport()


def test_reports_of_disjoint_symbols_add_up():
    merged = merge_reports(
        [report("B"), report("A", calendar="XLON,XNYS", quarantined={"zero price": 1, "not final": 1})]
    )
    assert merged.row_count == 20
    assert merged.quarantined == {"zero price": 3, "not final": 1}
    assert list(merged.symbols) == ["A", "B"]
    assert merged.calendar == "XNYS,XLON"
    assert merged.missing_days_count == 2
    assert [item["symbol"] for item in merged.missing_days_list] == ["B", "A"]
    assert merged.notes == ("a note",)
    assert not merged.validation_passed


def test_a_symbol_in_two_batches_has_its_counts_added():
    empty = {"rows": 0, "first": None, "last": None, "missing": 0, "quarantined": 1, "outliers": 0}
    later = {"rows": 5, "first": "2020-01-20", "last": "2020-01-24", "missing": 0, "quarantined": 0, "outliers": 0}
    merged = merge_reports([report(), report(symbols={"A": later}), report(symbols={"A": empty})])
    assert merged.symbols["A"] == {
        "rows": 15,
        "first": "2020-01-02",
        "last": "2020-01-24",
        "missing": 1,
        "quarantined": 3,
        "outliers": 1,
    }


def test_lists_stay_short_and_counts_exact():
    many = tuple({"symbol": "A", "date": str(n)} for n in range(MAX_LISTED))
    merged = merge_reports([report(missing_days_list=many, missing_days_count=MAX_LISTED), report()])
    assert len(merged.missing_days_list) == MAX_LISTED
    assert merged.missing_days_count == MAX_LISTED + 1


def test_rows_that_never_became_bars_are_added():
    clean = QualityReport()
    assert clean.with_quarantined({}).validation_passed
    worse = clean.with_quarantined({"ragged row": 3}, ["a.csv: 3 rows have too few fields"])
    assert (worse.quarantined_count, worse.quarantined, worse.validation_passed) == (3, {"ragged row": 3}, False)
    assert worse.notes == ("a.csv: 3 rows have too few fields",)
    assert clean.with_quarantined({"not final": 1}).validation_passed


def test_reasons_stand_by_count_and_then_by_name_whatever_came_first():
    expected = ["zero price", "low above open", "negative volume", "missing close"]
    counts = {"missing close": 1, "negative volume": 2, "zero price": 3, "low above open": 2}
    found = report(quarantined=counts)
    assert list(found.quarantined) == expected
    assert (
        list(QualityReport.from_json(json.loads(json.dumps(found.to_json(), sort_keys=True))).quarantined) == expected
    )
    parts = [report(quarantined={name: count}) for name, count in counts.items()]
    assert list(merge_reports(parts).quarantined) == list(merge_reports(parts[::-1]).quarantined) == expected
    # 1 + 2 of "missing close" draw level with "zero price" and stand before it by name.
    assert list(found.with_quarantined({"missing close": 2}).quarantined)[:2] == ["missing close", "zero price"]

"""The proof of an import: equal where all is equal, and a changed number found on either side."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest

from rustybt.data.sources.zipline.bundle_import import import_bundle
from rustybt.data.sources.zipline.proof import prove
from rustybt.errors import NotCoveredError, SymbolNotFoundError

AT = datetime(2016, 5, 26, tzinfo=UTC)


def rows_of(oracle, part):
    return sum(said["rows"] for said in oracle.said[part].values())


def test_days_and_minutes_come_into_one_bundle_and_are_proved(source, oracle, store):
    done = import_bundle(source, "us", store)
    assert [(r.reference, r.rows_added) for r in done.reports] == [
        ("us@1", rows_of(oracle, "daily")),
        ("us@2", rows_of(oracle, "minutes")),
    ]
    days, minutes = done.proofs
    assert (days.rows, days.prices, days.volumes) == (3308, 4 * 3308, 3308)
    assert (minutes.rows, minutes.prices) == (5521, 4 * 5521)
    assert all(proof.is_equal and not proof.set_aside and not proof.unread for proof in done.proofs)
    for part, proof in (("daily", days), ("minutes", minutes)):
        for series in proof.series.values():
            assert series.stored_rows == series.zipline_rows == oracle.said[part][str(series.sid)]["rows"]
    assert (days.series["SPL"].first, days.series["SPL"].last) == ("2016-01-04", "2017-12-29")
    assert minutes.series["AAA"].first == "2016-11-23T14:30:00Z"
    assert done.exit_code == 0


def test_a_second_import_makes_no_version(source, store):
    import_bundle(source, "us", store)
    again = import_bundle(source, "us", store)
    assert all(report.unchanged for report in again.reports)
    assert len(store.versions("us")) == 2


def test_a_part_of_it_is_proved_over_the_same_part(source, store):
    done = import_bundle(source, "us", store, symbols=["AAA", "OLDN"], start="2016-11-22", end="2016-11-25")
    days, minutes = done.proofs
    assert sorted(days.series) == ["AAA", "NEWN"]
    assert days.rows == 2 * 3
    assert minutes.rows == 2 * (390 + 210)
    assert days.is_equal
    assert minutes.is_equal


def test_minutes_that_a_range_lacks_are_no_failure_of_its_days(source, store):
    done = import_bundle(source, "us", store, start="2017-01-03", end="2017-01-31")
    assert [proof.frequency for proof in done.proofs] == ["1d"]
    with pytest.raises(NotCoveredError):
        import_bundle(source, "us", store, start="2017-01-03", end="2017-01-31", frequency="1m")


def test_an_unknown_symbol_alone_is_an_error(source, store):
    with pytest.raises(SymbolNotFoundError):
        import_bundle(source, "us", store, symbols=["NONE"])


def commit(store, source, bars):
    """Store bars over those of the import, as someone might who edits a bundle."""
    with store.open("us") as bundle:
        provenance = replace(bundle.provenance, frequency="1d")
    store.commit("us", bars, provenance, frequency="1d")
    with store.open("us") as bundle:
        return prove(source, bundle, source.request(None, None, None, "1d"))


def bar(source, symbol, **changes):
    found = source.fetch_sync([symbol], "2016-05-26", "2016-05-26")
    return found.with_columns(pl.lit(value).cast(found[name].dtype).alias(name) for name, value in changes.items())


def test_a_changed_price_and_volume_are_found(source, store):
    import_bundle(source, "us", store, frequency="1d")
    old = bar(source, "AAA")
    proof = commit(store, source, bar(source, "AAA", close=Decimal("97.9140001"), volume=Decimal(1)))
    assert not proof.is_equal
    assert proof.difference_count == 2
    close, volume = proof.differences
    assert (close.symbol, close.timestamp, close.column) == ("AAA", "2016-05-26", "close")
    assert (close.zipline, close.stored) == (f"{int(old['close'][0] * 1000)}/1000", "97.9140001")
    assert (volume.column, volume.zipline, volume.stored) == ("volume", str(int(old["volume"][0])), "1")


def test_a_bar_that_zipline_has_not_is_found(source, store):
    import_bundle(source, "us", store, frequency="1d")
    halted = bar(source, "SPL").with_columns(
        timestamp=pl.lit(datetime(2016, 3, 1, tzinfo=UTC)).cast(pl.Datetime("us", "UTC"))
    )
    proof = commit(store, source, halted)
    assert [str(found) for found in proof.differences] == ["SPL 2016-03-01 bar: none in Zipline, a bar stored"]
    # With `replace` it goes again.
    done = import_bundle(source, "us", store, frequency="1d", replace=True)
    assert done.exit_code == 0


def test_a_bar_that_the_bundle_lacks_is_found(source, store):
    import_bundle(source, "us", store, frequency="1d", end="2017-12-28")
    with store.open("us") as bundle:
        proof = prove(source, bundle, source.request(None, None, None, "1d"))
    # On the last day all trade but REU.2016 and DLS.
    assert proof.difference_count == 6
    assert {(found.timestamp, found.column, found.stored) for found in proof.differences} == {("2017-12-29", "bar", "")}
    assert proof.series["AAA"].zipline_rows == proof.series["AAA"].stored_rows + 1


def test_rows_that_break_a_rule_are_set_aside_and_are_no_difference(folder, source, store):
    import bcolz

    # As some vendors have it: the high of one day of AAA below its low.
    column = bcolz.carray(rootdir=str(folder / "daily_equities.bcolz" / "high"), mode="a")
    column[100] = 1
    column.flush()
    done = import_bundle(source, "us", store, frequency="1d")
    (proof,) = done.proofs
    assert done.exit_code == 0
    assert proof.rows == 3307
    assert proof.set_aside["high below low"] == 1
    assert proof.series["AAA"].set_aside == 1
    assert done.reports[0].rows_quarantined == 1


def test_files_that_became_unreadable_prove_nothing(folder, source, store):
    import_bundle(source, "us", store, frequency="1m")
    path = folder / "minute_equities.bcolz/00/00/000001.bcolz/close/data/__1.blp"
    path.write_bytes(path.read_bytes()[:40])
    with store.open("us") as bundle:
        proof = prove(source, bundle, source.request(None, None, None, "1m"))
    assert list(proof.unread) == ["AAA"]
    assert "is cut off" in proof.unread["AAA"]
    assert proof.rows == 5521 - 990


def test_minutes_after_an_early_close_are_left_out_and_told(folder, source, store):
    import bcolz

    # 2016-11-25 is session 227 of the bundle; its minute 300 lies after the close at 18:00 UTC.
    for name in ("open", "high", "low", "close", "volume"):
        path = folder / "minute_equities.bcolz/00/00/000001.bcolz" / name
        column = bcolz.carray(rootdir=str(path), mode="a")
        column[227 * 390 + 300] = 96_000
        column.flush()
    done = import_bundle(source, "us", store, frequency="1m")
    assert done.exit_code == 0
    assert done.proofs[0].rows == 5521
    assert any(note.startswith("1 minutes lie outside of trading hours") for note in done.reports[0].notes)


def test_the_proof_reads_symbols_in_batches(source, store, monkeypatch):
    import_bundle(source, "us", store, frequency="1d")
    monkeypatch.setattr("rustybt.data.sources.zipline.proof._BATCH_ROWS", 600)
    monkeypatch.setattr("rustybt.data.sources.zipline.source._BATCH_ROWS", 600)
    told = []
    with store.open("us") as bundle:
        request = source.request(None, None, None, "1d")
        proof = prove(source, bundle, request, lambda *said: told.append(said))
    assert proof.is_equal
    assert proof.rows == 3308
    assert told[-1] == ("compare", 8, 8)
    deliveries = [delivery.bars["symbol"].unique().sort().to_list() for delivery in source.deliver(request)]
    assert deliveries == [["AAA", "BIG"], ["DLS", "NEWN"], ["PNY", "REU"], ["REU.2016", "SPL"]]

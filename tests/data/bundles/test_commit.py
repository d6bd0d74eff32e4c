import sqlite3
from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from rustybt.data.bundles.records import Alias
from rustybt.errors import (
    BundleNameError,
    BundleNotFoundError,
    DataQualityError,
    RequestError,
    SourceError,
    VersionNotFoundError,
)
from rustybt.market.assets import AssetAttributes
from rustybt.market.bars import BAR_SCHEMA
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.provenance import Provenance
from rustybt.market.quality_report import QualityReport
from rustybt.testing.bars import frame_of_bars

SAID = Provenance("test", fetch_timestamp=1_700_000_000)
US = 86_400_000_000
DAY = 19_723 * US  # 2024-01-01
A = [("A", "2024-01-01", "1"), ("A", "2024-01-02", "2"), ("A", "2024-01-03", "3")]
B = [("B", "2024-01-01", "10"), ("B", "2024-01-03", "30")]


def rows_of(bundle, **options):
    """(symbol, day of January 2024, close) of every bar."""
    return [(row[1], row[0].day, str(row[5].normalize())) for row in bundle.read(**options).rows()]


def files_of(home):
    return sorted(
        path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file() and ".rustybt" not in path.parts
    )


class TestUpsert:
    def test_new_rows_replace_old_ones_and_all_else_stays(self, store):
        store.commit("us", frame_of_bars(A + B), SAID)
        result = store.commit(
            "us", frame_of_bars([("A", "2024-01-02", "2.5"), ("A", "2024-01-04", "4"), ("C", "2024-01-01", "7")]), SAID
        )
        assert (result.version, result.rows_added, result.rows_changed, result.rows_removed, result.rows_unchanged) == (
            2,
            2,
            1,
            0,
            0,
        )
        assert result.row_count == 7
        with store.open("us") as bundle:
            assert rows_of(bundle) == [
                ("A", 1, "1"), ("A", 2, "2.5"), ("A", 3, "3"), ("A", 4, "4"), ("B", 1, "1E+1"), ("B", 3, "3E+1"), ("C", 1, "7"),
            ]  # fmt: skip

    def test_equal_content_makes_no_version_and_leaves_no_file(self, store, home):
        first = store.commit("us", frame_of_bars(A), SAID)
        before = files_of(home)
        again = store.commit(
            "us", frame_of_bars(A[:2]), replace(SAID, source_type="other", fetch_timestamp=1_800_000_000)
        )
        assert again.unchanged
        assert (again.version, again.content_hash, again.rows_unchanged) == (1, first.content_hash, 2)
        assert (again.files_written, again.bytes_written) == (0, 0)
        assert files_of(home) == before
        assert [info.version for info in store.versions("us")] == [1]

    def test_what_was_asked_again_is_covered_although_nothing_changed(self, store):
        store.commit("us", frame_of_bars(A), SAID, start=DAY, end=DAY + 3 * US)
        store.commit("us", frame_of_bars(A), SAID, start=DAY, end=DAY + 9 * US)
        with store.open("us") as bundle:
            covered = bundle.coverage()
        assert covered.select("symbol", pl.col("start").dt.date(), pl.col("end").dt.date(), "reason").rows() == [
            ("A", date(2024, 1, 1), date(2024, 1, 10), "present")
        ]
        assert covered["fetched_at"].dt.epoch("s").to_list() == [1_700_000_000]

    def test_old_versions_stay_as_they_were(self, store):
        store.commit("us", frame_of_bars(A), SAID)
        store.commit("us", frame_of_bars([("A", "2024-01-02", "9")]), SAID)
        store.commit("us", frame_of_bars(B), SAID)
        with store.open("us@1") as one, store.open("us@2") as two, store.open("us@latest") as three:
            assert rows_of(one) == [("A", 1, "1"), ("A", 2, "2"), ("A", 3, "3")]
            assert rows_of(two) == [("A", 1, "1"), ("A", 2, "9"), ("A", 3, "3")]
            assert (one.symbols, three.symbols, three.version) == (("A",), ("A", "B"), 3)

    def test_a_row_may_come_back_to_an_old_value_and_the_hash_with_it(self, store):
        first = store.commit("us", frame_of_bars(A), SAID)
        store.commit("us", frame_of_bars([("A", "2024-01-02", "9")]), SAID)
        third = store.commit("us", frame_of_bars([("A", "2024-01-02", "2")]), SAID)
        assert (third.version, third.content_hash) == (3, first.content_hash)
        with store.open(f"us@sha256:{first.content_hash[:8]}") as bundle:
            assert bundle.version == 3

    def test_frequencies_never_meet(self, store):
        store.commit("us", frame_of_bars([("A", "2024-01-02T10:00", "1")]), SAID, frequency="1m")
        store.commit("us", frame_of_bars([("A", "2024-01-02T10:00", "2")]), SAID, frequency="1h")
        store.commit("us", frame_of_bars([("A", "2024-01-02", "3")]), SAID)
        with store.open("us") as bundle:
            assert bundle.frequencies == ("1m", "1h", "1d")
            assert [rows_of(bundle, frequency=f) for f in ("1m", "1h", "1d", None)] == [
                [("A", 2, "1")], [("A", 2, "2")], [("A", 2, "3")], [("A", 2, "3")],
            ]  # fmt: skip
            with pytest.raises(RequestError, match="has no 5m bars"):
                bundle.read(frequency="5m")
        assert store.list_bundles()[0].frequencies == ("1m", "1h", "1d")

    def test_a_version_remembers_where_it_came_from_and_how_good_it_is(self, store):
        report = QualityReport(
            row_count=3,
            outlier_count=1,
            missing_days_count=1,
            missing_days_list=({"symbol": "A", "date": "2024-01-04"},),
        )
        store.commit("us", frame_of_bars(A), SAID, quality=lambda: report)
        info = store.versions("us")[0]
        assert info.provenance == SAID
        assert info.quality == report
        assert (info.parent, info.reference, info.summary) == (None, "us@1", "3 added")
        with store.open("us") as bundle:
            assert (bundle.provenance, bundle.quality()) == (SAID, report)
            assert [v.version for v in bundle.versions()] == [1]


class TestReplace:
    def test_removes_what_the_source_no_longer_sends(self, store):
        store.commit("us", frame_of_bars(A + B), SAID)
        result = store.commit("us", frame_of_bars([A[0], A[2]]), SAID, replace=True)
        assert (result.rows_removed, result.rows_unchanged, result.row_count) == (1, 2, 4)
        with store.open("us") as bundle:
            assert rows_of(bundle) == [("A", 1, "1"), ("A", 3, "3"), ("B", 1, "1E+1"), ("B", 3, "3E+1")]

    def test_is_bounded_by_the_range_that_was_asked_for(self, store):
        store.commit("us", frame_of_bars(A), SAID)
        store.commit("us", frame_of_bars([]), SAID, symbols=["A"], start=DAY + US, end=DAY + US, replace=True)
        with store.open("us") as bundle:
            assert rows_of(bundle) == [("A", 1, "1"), ("A", 3, "3")]

    def test_a_symbol_that_was_asked_for_and_is_gone_loses_its_rows(self, store):
        store.commit("us", frame_of_bars(A + B), SAID)
        result = store.commit("us", frame_of_bars(A), SAID, symbols=["A", "B"], replace=True)
        assert (result.rows_removed, result.rows_unchanged) == (2, 3)
        with store.open("us") as bundle:
            assert rows_of(bundle, symbols="B") == []
            assert bundle.asset("B").first_session is None

    def test_a_symbols_bars_may_come_in_several_frames(self, store):
        """The second frame must not remove what the first one brought."""
        store.commit("us", frame_of_bars([*A, ("A", "2024-01-08", "8"), ("A", "2024-01-09", "9")]), SAID)
        frames = [frame_of_bars(A[:1]), frame_of_bars([A[2], ("A", "2024-01-05", "5")])]
        result = store.commit("us", iter(frames), SAID, replace=True)
        with store.open("us") as bundle:
            assert rows_of(bundle) == [("A", 1, "1"), ("A", 3, "3"), ("A", 5, "5")]
        assert (result.rows_added, result.rows_removed, result.rows_unchanged) == (1, 3, 2)

    def test_everything_may_go_and_come_back(self, store):
        """A base that was removed whole leaves its tail behind: what comes next must not be stored twice."""
        store.commit("us", frame_of_bars(A), SAID)
        store.commit("us", frame_of_bars([("A", "2024-01-04", "4"), ("A", "2024-01-05", "5")]), SAID)
        store.commit("us", frame_of_bars([]), SAID, symbols=["A"], end=DAY + 2 * US, replace=True)
        store.commit(
            "us", frame_of_bars([("A", "2024-01-02", "2"), ("A", "2024-01-05", "55"), ("A", "2024-01-08", "8")]), SAID
        )
        with store.open("us") as bundle:
            assert rows_of(bundle) == [("A", 2, "2"), ("A", 4, "4"), ("A", 5, "55"), ("A", 8, "8")]
        store.commit("us", frame_of_bars([]), SAID, symbols=["A"], replace=True)
        with store.open("us") as bundle:
            assert (bundle.read().height, bundle.frequencies, bundle.info.row_count) == (0, (), 0)
            assert (bundle.first_session, len(bundle.sessions), bundle.pin.start) == (None, 0, "")
            assert bundle.read_arrays().timestamps.size == 0
        assert store.list_bundles()[0].first_session is None
        assert store.commit("us", frame_of_bars(A), SAID).row_count == 3

    def test_without_it_rows_are_only_added_and_changed(self, store):
        store.commit("us", frame_of_bars(A), SAID)
        assert store.commit("us", frame_of_bars(A[:1]), SAID, symbols=["A"]).unchanged


class TestFeed:
    def said(self, feed, symbols=("A",), source="vendor"):
        return Provenance(source, feed=feed, symbols=symbols, frequency="1d")

    def test_a_series_never_mixes_two_of_one_vendor(self, store):
        store.commit("us", frame_of_bars(A), self.said("sip"))
        store.commit("us", frame_of_bars(B), self.said("iex", ("B",)))
        with pytest.raises(
            RequestError, match="A in bundle us comes from the feed sip of vendor; bars of the feed iex"
        ):
            store.commit("us", frame_of_bars(A), self.said("iex", ("A", "B")))
        assert len(store.versions("us")) == 2
        store.commit("us", frame_of_bars([("A", "2024-01-09", "1")]), self.said("sip"))

    def test_a_series_that_is_replaced_as_a_whole_may_change_it(self, store):
        store.commit("us", frame_of_bars(A), self.said("sip"))
        store.commit("us", frame_of_bars(A[:1]), self.said("iex"), symbols=["A"], replace=True)
        store.commit("us", frame_of_bars([("A", "2024-01-09", "1")]), self.said("iex"))


class TestPriceBasis:
    def test_a_series_never_mixes_two(self, store):
        store.commit("us", frame_of_bars(A), SAID)
        with pytest.raises(RequestError, match="A in bundle us is raw; split_adjusted prices cannot be mixed in"):
            store.commit("us", frame_of_bars(A), SAID, price_basis="split_adjusted")
        assert [v.version for v in store.versions("us")] == [1]
        store.commit("us", frame_of_bars(B), SAID, price_basis="split_adjusted")
        store.commit("us", frame_of_bars([("A", "2024-01-02T10:00", "1")]), SAID, price_basis="unknown", frequency="1m")
        with store.open("us") as bundle:
            assert (bundle.price_basis("A"), bundle.price_basis("B"), bundle.price_basis("A", "1m")) == (
                "raw",
                "split_adjusted",
                "unknown",
            )
            assert bundle.price_basis("B", "1m") == "unknown"

    def test_a_whole_series_may_be_replaced_by_another_basis(self, store):
        store.commit("us", frame_of_bars(A), SAID)
        with pytest.raises(RequestError, match="without dates"):
            store.commit("us", frame_of_bars(A), SAID, price_basis="split_adjusted", replace=True, start=DAY)
        store.commit("us", frame_of_bars(A[1:]), SAID, price_basis="split_adjusted", replace=True)
        with store.open("us") as bundle:
            assert (bundle.price_basis("A"), bundle.read().height) == ("split_adjusted", 2)

    def test_an_unknown_one_is_refused(self, store):
        with pytest.raises(RequestError, match="unknown price basis 'adj'"):
            store.commit("us", frame_of_bars(A), SAID, price_basis="adj")
        assert not store.home.exists()


class TestBesideTheBars:
    def test_an_event_is_known_once_and_dated_by_its_first_sight(self, home):
        from rustybt.data.bundles.store import BundleStore

        split = CorporateAction.split("A", "2024-01-03", 2, 1)
        with BundleStore(home, clock=lambda: 1_000.5) as store:
            store.commit("us", frame_of_bars(A), SAID, actions=lambda: [split, split])
        with BundleStore(home, clock=lambda: 2_000.5) as store:
            again = store.commit("us", frame_of_bars(A), SAID, actions=[replace(split, source="vendor")])
            assert again.unchanged
            added = store.commit(
                "us", frame_of_bars([]), SAID, actions=[CorporateAction.cash_dividend("A", "2024-01-02", "0.25")]
            )
            assert (added.version, store.versions("us")[1].summary) == (2, "1 actions")
            with store.open("us") as bundle, store.open("us@1") as before:
                assert [(a.kind, a.first_seen, a.source) for a in bundle.corporate_actions()] == [
                    ("cash_dividend", 2_000, "user"), ("split", 1_000, "user"),
                ]  # fmt: skip
                assert [a.kind for a in bundle.corporate_actions("A", known_at=1_500)] == ["split"]
                assert bundle.corporate_actions(["B"]) == []
                assert [a.kind for a in before.corporate_actions()] == ["split"]

    def test_a_cancelled_event_is_kept_and_no_longer_in_force(self, store):
        split = CorporateAction.split("A", "2024-01-03", 2, 1)
        end = CorporateAction("A", "cancellation", date(2024, 1, 3), supersedes=split.event_id)
        store.commit("us", frame_of_bars(A), SAID, actions=[split])
        store.commit("us", frame_of_bars([]), SAID, actions=[end])
        with store.open("us") as bundle:
            assert bundle.corporate_actions() == []
            assert len(bundle.description.actions) == 2

    @pytest.mark.parametrize(
        "options", [{"actions": [CorporateAction.split("AAP", "2024-01-03", 2, 1)]}, {"aliases": [Alias("AAP", "FB")]}]
    )
    def test_what_belongs_to_no_symbol_is_refused(self, store, options):
        rows = [("AAPL", "2024-01-02", "1")]
        with pytest.raises(RequestError, match="has no such symbol; did you mean AAPL"):
            store.commit("us", frame_of_bars(rows), SAID, **options)
        assert files_of(store.home) == []

    def test_attributes_change_by_a_version_and_keep_what_is_not_named(self, store):
        store.commit("us", frame_of_bars(A + B), SAID, assets={"A": AssetAttributes(venue="XNYS", name="Alpha")})
        result = store.commit("us", frame_of_bars([]), SAID, assets=lambda: {"A": AssetAttributes(name="Alpha Inc.")})
        assert (result.version, store.versions("us")[1].summary) == (2, "attributes")
        with store.open("us") as new, store.open("us@1") as old:
            assert (new.asset("A").asset_name, new.asset("A").exchange) == ("Alpha Inc.", "XNYS")
            assert (old.asset("A").asset_name, new.asset("B").exchange) == ("Alpha", "")
            assert new.asset("A").sid == old.asset("A").sid

    def test_another_venue_is_another_asset(self, store):
        store.commit("us", frame_of_bars(A), SAID, assets={"A": AssetAttributes(venue="XNYS")})
        with pytest.raises(RequestError, match="listed on XNYS; bars of XLON are another asset"):
            store.commit("us", frame_of_bars(A), SAID, assets={"A": AssetAttributes(venue="XLON")})

    def test_a_bundle_keeps_its_calendar(self, store):
        store.commit("jp", frame_of_bars(A), SAID, calendar="XTKS")
        assert store.commit("jp", frame_of_bars(B), SAID).version == 2
        with store.open("jp") as bundle:
            assert bundle.calendar_name == "XTKS"
        with pytest.raises(RequestError, match="has the calendar XTKS, not XNYS"):
            store.commit("jp", frame_of_bars(B), SAID, calendar="XNYS")


class TestOperations:
    def test_an_operation_is_done_once(self, store):
        first = store.commit("us", frame_of_bars(A), SAID, op_id="ingest-1")
        store.commit("us", frame_of_bars(B), SAID)
        again = store.commit("us", frame_of_bars([("Z", "2024-01-01", "1")]), SAID, op_id="ingest-1")
        assert (again.version, again.unchanged, again.content_hash) == (1, True, first.content_hash)
        assert [v.op_id == "ingest-1" for v in store.versions("us")] == [True, False]

    @pytest.mark.parametrize("op_id", ["", "../../x", "a/b", ".hidden", "x" * 65, "new\nline"])
    def test_an_id_that_cannot_be_a_file_name_is_refused(self, store, op_id):
        with pytest.raises(RequestError, match="operation's id"):
            store.commit("us", frame_of_bars(A), SAID, op_id=op_id)
        assert not store.home.exists()

    def test_an_error_of_the_source_passes_unchanged_and_leaves_nothing(self, store):
        store.commit("us", frame_of_bars(A), SAID)
        before = files_of(store.home)

        def delivery():
            yield frame_of_bars(B)
            raise SourceError("the vendor hung up")

        with pytest.raises(SourceError, match="hung up"):
            store.commit("us", delivery(), SAID)
        assert files_of(store.home) == before
        assert store.versions("us")[-1].version == 1

    def test_an_empty_bundle_is_not_made(self, store):
        with pytest.raises(RequestError, match="no bars to store in bundle us"):
            store.commit("us", frame_of_bars([]), SAID)
        assert store.list_bundles() == []

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda f: f.drop("volume"), "bars need the columns"),
            (lambda f: f.with_columns(pl.col("open").cast(pl.Float64)), "differing"),
            (lambda f: f.reverse(), "out of order"),
            (lambda f: pl.concat([f[:1], f[:1]]), "twice"),
            (lambda f: f.with_columns(pl.when(pl.col("close") > 1).then("close").alias("close")), "nulls"),
        ],
    )
    def test_a_frame_that_breaks_the_contract_is_refused(self, store, spoil, message):
        frame = frame_of_bars(A)
        assert frame.schema == BAR_SCHEMA
        with pytest.raises(DataQualityError, match=message):
            store.commit("us", spoil(frame), SAID)
        assert files_of(store.home) == []

    def test_a_symbol_that_cannot_be_printed_is_refused(self, store):
        with pytest.raises(RequestError, match="control character"):
            store.commit("us", frame_of_bars([("A\n", "2024-01-01", "1"), ("A\x00B", "2024-01-01", "1")]), SAID)


class TestNotThere:
    def test_an_unknown_bundle_names_near_ones_and_the_home(self, store):
        with pytest.raises(BundleNotFoundError, match="there is no bundle 'us'"):
            store.open("us")
        store.commit("us-equities", frame_of_bars(A), SAID)
        with pytest.raises(BundleNotFoundError, match="did you mean us-equities") as caught:
            store.open("us-equites")
        assert caught.value.exit_code == 2
        assert str(store.home) in caught.value.message

    @pytest.mark.parametrize("reference", ["us@2", "us@golden", "us@sha256:0000"])
    def test_an_unknown_version_is_said_so(self, store, reference):
        store.commit("us", frame_of_bars(A), SAID)
        with pytest.raises(VersionNotFoundError, match=f"version {reference} does not exist"):
            store.open(reference)

    def test_a_bundle_that_only_the_catalog_knows_has_no_version(self, store):
        from rustybt.data.bundles.metadata import BundleMetadata

        BundleMetadata.use(store)
        try:
            BundleMetadata.update("us", calendar_name="XTKS")
        finally:
            BundleMetadata.use(None)
        with pytest.raises(VersionNotFoundError):
            store.open("us")
        assert (store.versions("us"), store.list_bundles()) == ([], [])
        store.gc("us", keep_last=1)
        store.commit("us", frame_of_bars(A), SAID)
        with store.open("us") as bundle:
            assert bundle.calendar_name == "XTKS"
        store.remove("us")

    def test_an_ambiguous_hash_asks_for_more_digits(self, store):
        for number in (1, 2):
            store.commit("us", frame_of_bars([("A", "2024-01-01", number)]), SAID)
        one, two = "abcd" + "1" * 60, "abcd" + "2" * 60
        with sqlite3.connect(store.database.path) as connection:
            connection.execute("UPDATE bundle_versions SET content_hash = ? WHERE version = 1", [one])
            connection.execute("UPDATE bundle_versions SET content_hash = ? WHERE version = 2", [two])
        connection.close()
        with pytest.raises(RequestError, match="us@sha256:abcd names 2 versions"):
            store.open("us@sha256:abcd")

    def test_a_name_in_another_case_is_the_same_bundle(self, store):
        store.commit("Us", frame_of_bars(A), SAID)
        with store.open("US") as bundle:
            assert bundle.name == "Us"
        with pytest.raises(BundleNameError, match="only in upper and lower case"):
            store.commit("us", frame_of_bars(A), SAID)

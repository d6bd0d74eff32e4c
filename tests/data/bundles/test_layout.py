"""Where bars lie: what a commit writes, and that the content hash does not care."""

from datetime import UTC, date, datetime, timedelta

import pytest

from rustybt.data.bundles import file_reader, layout
from rustybt.data.bundles.records import Alias
from rustybt.data.bundles.store import BundleStore
from rustybt.market.assets import AssetAttributes
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

SAID = Provenance("test")


def days(symbol, first, count, price="1.5"):
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return [(symbol, start + timedelta(days=first + n), price) for n in range(count)]


def minutes(symbol, day, count):
    start = datetime.fromisoformat(day).replace(tzinfo=UTC, hour=14, minute=30)
    return [(symbol, start + timedelta(minutes=n), "1.5") for n in range(count)]


def bar_files(store, reference="us"):
    with store.open(reference) as bundle:
        return {record.file_key: record for record in bundle.files if record.kind == "bars"}


def partitions(store):
    return sorted((record.partition, record.row_count) for record in bar_files(store).values())


class TestDaily:
    def test_days_behind_the_base_go_to_a_small_tail(self, store):
        store.commit("us", frame_of_bars(days("A", 0, 100) + days("B", 0, 100)), SAID)
        (base,) = bar_files(store)
        for n in range(100, 103):
            store.commit("us", frame_of_bars(days("A", n, 1) + days("B", n, 1)), SAID)
        assert partitions(store) == [("base", 200), ("tail", 6)]
        assert base in bar_files(store)

    def test_the_tail_is_folded_when_it_holds_more_than_20_sessions(self, store):
        store.commit("us", frame_of_bars(days("A", 0, 30)), SAID)
        store.commit("us", frame_of_bars(days("A", 30, 20)), SAID)
        assert partitions(store) == [("base", 30), ("tail", 20)]
        result = store.commit("us", frame_of_bars(days("A", 50, 1)), SAID)
        assert partitions(store) == [("base", 51)]
        assert (result.rows_added, result.row_count) == (1, 51)
        with store.open("us@2") as old:
            assert old.read().height == 50
        assert store.diff("us@2", "us@3").added.height == 1

    def test_an_old_row_that_changes_rewrites_the_base_alone(self, store):
        store.commit("us", frame_of_bars(days("A", 0, 30)), SAID)
        store.commit("us", frame_of_bars(days("A", 30, 3)), SAID)
        tail = [key for key, record in bar_files(store).items() if record.partition == "tail"]
        store.commit("us", frame_of_bars(days("A", 5, 1, "9")), SAID)
        assert tail[0] in bar_files(store)
        assert partitions(store) == [("base", 30), ("tail", 3)]

    def test_a_month_in_base_and_tail_is_hashed_whole(self, store):
        """Only A changes in both months; the others' February lies in base and tail, and must not be hashed by halves."""
        store.commit("us", frame_of_bars([row for s in "ABCD" for row in days(s, 0, 40)]), SAID)
        store.commit("us", frame_of_bars([row for s in "ABCD" for row in days(s, 40, 3)]), SAID)
        result = store.commit("us", frame_of_bars(days("A", 3, 1, "7") + days("A", 41, 1, "7")), SAID)
        assert result.row_count == 172
        assert store.verify("us").is_whole
        other = {3: "7", 41: "7"}
        rows = [
            (s, t, other.get((t - datetime(2024, 1, 1, tzinfo=UTC)).days, p) if s == "A" else p)
            for s in "ABCD"
            for _, t, p in days(s, 0, 43)
        ]
        assert store.commit("once", frame_of_bars(rows), SAID).content_hash == result.content_hash


class TestSplitting:
    @pytest.fixture(autouse=True)
    def small_files(self, monkeypatch):
        monkeypatch.setattr(layout, "MAX_FILE_ROWS", 10)

    def test_files_are_cut_between_symbols(self, store):
        store.commit("us", frame_of_bars([row for s in "ABCDE" for row in days(s, 0, 4)]), SAID)
        spans = sorted((r.first_symbol, r.last_symbol, r.row_count) for r in bar_files(store).values())
        assert spans == [("A", "B", 8), ("C", "D", 8), ("E", "E", 4)]

    def test_a_symbol_longer_than_a_file_is_cut_by_time(self, store):
        store.commit("us", frame_of_bars(days("A", 0, 25)), SAID)
        assert sorted(r.row_count for r in bar_files(store).values()) == [5, 10, 10]
        store.commit("us", frame_of_bars(days("A", 12, 1, "9") + days("0", 0, 2) + days("Z", 0, 1)), SAID)
        with store.open("us") as bundle:
            assert bundle.read("A").height == 25
            assert sum(frame.height for frame in bundle.batches()) == 28
            assert [frame["symbol"].unique().sort().to_list() for frame in bundle.batches()]
        assert store.verify("us").is_whole

    def test_a_new_symbol_joins_a_file_with_room(self, store):
        store.commit("us", frame_of_bars([row for s in "BDF" for row in days(s, 0, 8)]), SAID)
        before = set(bar_files(store))
        store.commit("us", frame_of_bars(days("E", 0, 2)), SAID)
        assert len(before - set(bar_files(store))) <= 1
        with store.open("us") as bundle:
            assert bundle.symbols == ("B", "D", "E", "F")
            assert bundle.read(["E", "F"]).height == 10

    def test_reading_one_symbol_opens_one_file(self, store, monkeypatch):
        store.commit("us", frame_of_bars([row for s in "ABCDE" for row in days(s, 0, 9)]), SAID)
        file_reader._verified.clear()
        opened = []
        real = store.storage.open
        monkeypatch.setattr(store.storage, "open", lambda key: opened.append(key) or real(key))
        with store.open("us") as bundle:
            assert bundle.read("C").height == 9
        assert len(opened) == 1
        assert "daily_bars" in opened[0]


class TestMinutes:
    def test_files_are_by_month(self, store):
        store.commit(
            "us", frame_of_bars(minutes("A", "2024-01-31", 10) + minutes("A", "2024-02-01", 5)), SAID, frequency="1m"
        )
        assert partitions(store) == [("2024-01", 10), ("2024-02", 5)]
        assert all(key.startswith("us/minute_bars/") for key in bar_files(store))

    def test_a_day_more_rewrites_only_its_month(self, store):
        store.commit(
            "us",
            frame_of_bars([row for s in "AB" for d in ("2024-01-02", "2024-02-01") for row in minutes(s, d, 5)]),
            SAID,
            frequency="1m",
        )
        january = {key for key, record in bar_files(store).items() if record.partition == "2024-01"}
        february = {key for key, record in bar_files(store).items() if record.partition == "2024-02"}
        result = store.commit(
            "us", frame_of_bars(minutes("A", "2024-02-02", 5) + minutes("B", "2024-02-02", 5)), SAID, frequency="1m"
        )
        assert january <= set(bar_files(store))
        assert not february & set(bar_files(store))
        assert result.files_written == 2  # one of bars, one of digests
        assert store.verify("us").is_whole

    def test_hours_are_by_year_in_a_folder_of_their_own(self, store):
        hours = [("A", f"{year}-06-03T15:00", "1") for year in (2023, 2024)]
        store.commit("us", frame_of_bars(hours), SAID, frequency="1h")
        assert partitions(store) == [("2023", 1), ("2024", 1)]
        assert all(key.startswith("us/bars_1h/") for key in bar_files(store))

    def test_no_file_reaches_64_megabytes(self):
        widest = 8 + 5 * 16  # a timestamp and five 128-bit decimals; symbols are dictionary-encoded
        assert layout.MAX_FILE_ROWS * 8 * 6 <= layout.MAX_FILE_BYTES == 64 * 2**20
        assert layout.MAX_FILE_ROWS * widest / 2 <= layout.MAX_FILE_BYTES

    def test_a_symbol_bucket_is_split_when_full(self, store, monkeypatch):
        monkeypatch.setattr(layout, "MAX_FILE_ROWS", 20)
        store.commit(
            "us", frame_of_bars([row for s in "ABC" for row in minutes(s, "2024-01-02", 15)]), SAID, frequency="1m"
        )
        assert partitions(store) == [("2024-01", 15)] * 3
        batches = [
            (frame["symbol"].unique().to_list(), frame.height) for frame in next(iter([store.open("us")])).batches()
        ]
        assert batches == [(["A"], 15), (["B"], 15), (["C"], 15)]

    def test_the_sessions_of_minutes_are_those_of_the_calendar(self, store):
        late = [("A", "2024-01-03T00:30", "1")]  # still the evening of the 2nd in New York, after hours: its UTC day
        store.commit("us", frame_of_bars(minutes("A", "2024-01-02", 3) + late), SAID, frequency="1m")
        with store.open("us") as bundle:
            assert (bundle.first_session, bundle.last_session) == (date(2024, 1, 2), date(2024, 1, 3))
            assert bundle.pin.frequency == "1m"


class TestContentHash:
    ROWS = tuple(row for s in ("A", "B", "C") for row in days(s, 0, 45, f"{ord(s)}.25"))

    def hash_of(self, tmp_path, name, commits, **options):
        with BundleStore(tmp_path / name) as store:
            for rows in commits:
                result = store.commit("us", rows, SAID, **options)
            assert store.verify("us").is_whole
            return result.content_hash

    def test_does_not_depend_on_how_the_bars_arrived(self, tmp_path, monkeypatch):
        rows = self.ROWS
        once = self.hash_of(tmp_path, "once", [frame_of_bars(rows)])
        by_symbol = [[frame_of_bars([r for r in rows if r[0] == s]) for s in "CAB"]]
        assert self.hash_of(tmp_path, "batches", by_symbol) == once
        by_time = [frame_of_bars([r for r in rows if r[1].day % 3 == n]) for n in (2, 0, 1)]
        assert self.hash_of(tmp_path, "commits", by_time) == once
        detour = [frame_of_bars([(*r[:2], "99") for r in rows[::7]]), frame_of_bars(rows)]
        assert self.hash_of(tmp_path, "detour", detour) == once
        monkeypatch.setattr(layout, "MAX_FILE_ROWS", 11)
        assert self.hash_of(tmp_path, "small files", by_time) == once

    def test_does_not_depend_on_sids_provenance_time_or_name(self, tmp_path):
        once = self.hash_of(tmp_path, "once", [frame_of_bars(self.ROWS)])
        with BundleStore(tmp_path / "other", clock=lambda: 5e9) as store:
            store.commit(
                "before",
                frame_of_bars(days("Z", 0, 1) + days("B", 0, 1)),
                SAID,
                assets={"B": AssetAttributes(venue="XNYS")},
            )
            said = Provenance("yfinance", fetch_timestamp=99, options={"a": 1})
            result = store.commit("us", frame_of_bars(self.ROWS), said, start=0, end=4 * 10**15)
            assert result.content_hash == once

    @pytest.mark.parametrize(
        "options",
        [
            {"price_basis": "unknown"},
            {"frequency": "1w"},
            {"assets": {"A": AssetAttributes(currency="EUR")}},
            {"assets": {"A": AssetAttributes(venue="XNYS")}},
            {"actions": [CorporateAction.split("A", "2024-01-05", 2)]},
            {"aliases": [Alias("A", "OLD")]},
        ],
    )
    def test_changes_with_everything_that_a_version_says(self, tmp_path, options):
        once = self.hash_of(tmp_path, "once", [frame_of_bars(self.ROWS)])
        assert self.hash_of(tmp_path, "other", [frame_of_bars(self.ROWS)], **options) != once

    def test_actions_hash_in_any_order_and_without_their_source(self, tmp_path):
        one, two = CorporateAction.split("A", "2024-01-05", 2), CorporateAction.cash_dividend("B", "2024-01-08", "0.1")
        rows = frame_of_bars(self.ROWS)
        first = self.hash_of(tmp_path, "first", [rows], actions=[one, two])
        again = CorporateAction.split("A", "2024-01-05", 2, source="vendor", first_seen=77)
        assert self.hash_of(tmp_path, "second", [rows], actions=[two, again]) == first

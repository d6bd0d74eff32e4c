"""An ingest from a vendor: kept while it runs, resumed by the same command, one version at the end."""

import shutil
import threading
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from filelock import FileLock

from rustybt.data.sources.ingest import job as jobs
from rustybt.data.sources.ingest import journal as journals
from rustybt.data.sources.ingest.job import IngestJob
from rustybt.data.sources.ingest.journal import Journal
from rustybt.errors import (
    AuthenticationError,
    DataQualityError,
    NotCoveredError,
    RateLimitedError,
    SourceUnavailableError,
    StorageError,
)
from rustybt.market.request import BarRequest
from tests.data.sources.slow_vendor import NOW, SlowVendor, daily

DAYS = {"2024-03-11": 10, "2024-03-12": 11, "2024-03-13": 12, "2024-03-14": 13, "2024-03-15": 14}


@pytest.fixture
def vendor():
    return SlowVendor({"1d": {symbol: daily(symbol, DAYS) for symbol in "ABCD"}})


@pytest.fixture
def ingest(store, vendor):
    def run(symbols="ABCD", start="2024-03-01", end=None, source=vendor, now=NOW, **more):
        return source.ingest_to_bundle("us", list(symbols), start, end, store=store, clock=lambda: now, **more)

    return run


def jobs_of(store):
    folder = store.home / jobs.FOLDER
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def asked(vendor):
    return [symbol for symbol, *_ in vendor.asked]


def test_all_symbols_become_one_version(ingest, store):
    report = ingest()
    assert (report.version, report.rows_added, report.symbols, report.exit_code) == (1, 20, ("A", "B", "C", "D"), 0)
    assert jobs_of(store) == []


def test_the_same_ingest_again_changes_nothing(ingest):
    ingest()
    assert ingest().unchanged


def test_ctrl_c_keeps_what_was_finished_and_the_same_command_goes_on(ingest, vendor, store):
    vendor.interrupt_after = 3
    with pytest.raises(KeyboardInterrupt, match="kept 3 finished symbols, the same command goes on from there"):
        ingest()
    assert store.list_bundles() == []
    vendor.interrupt_after, vendor.asked = None, []
    report = ingest()
    assert asked(vendor) == ["A"]
    assert (report.resumed, report.rows_added) == (3, 20)
    assert report.notes[0] == "resumed an interrupted ingest: 3 of 4 symbols were there already"
    assert jobs_of(store) == []


def test_ctrl_c_before_anything_was_finished_says_so(ingest, vendor):
    vendor.interrupt_after = 0
    with pytest.raises(KeyboardInterrupt, match="before any symbol was finished"):
        ingest()


def test_a_resumed_job_keeps_the_end_that_it_began_with(ingest, vendor):
    vendor.interrupt_after = 1
    with pytest.raises(KeyboardInterrupt):
        ingest()
    vendor.interrupt_after, vendor.asked = None, []
    vendor.now = NOW + 3600
    ingest(now=NOW + 3600)
    assert {end for *_, end in vendor.asked} == {int(NOW * 1_000_000)}


def test_a_job_of_the_day_before_starts_over(ingest, vendor):
    vendor.interrupt_after = 3
    with pytest.raises(KeyboardInterrupt):
        ingest()
    vendor.interrupt_after, vendor.asked = None, []
    vendor.now = NOW + 25 * 3600
    report = ingest(now=NOW + 25 * 3600)
    assert (report.resumed, asked(vendor)) == (0, ["D", "C", "B", "A"])


@pytest.mark.parametrize("change", [{"symbols": "ABC"}, {"start": "2024-03-04"}, {"end": "2024-03-15"}])
def test_another_command_is_another_job(ingest, vendor, change):
    vendor.interrupt_after = 2
    with pytest.raises(KeyboardInterrupt):
        ingest()
    vendor.interrupt_after, vendor.asked = None, []
    assert ingest(**change).resumed == 0


def test_the_order_of_the_symbols_makes_no_other_command(ingest, vendor):
    vendor.interrupt_after = 2
    with pytest.raises(KeyboardInterrupt):
        ingest("ABCD")
    vendor.interrupt_after = None
    assert ingest("DCBA").resumed == 2


def test_one_bad_symbol_does_not_fail_the_others(ingest, vendor):
    vendor.errors = {
        "B": RateLimitedError("slow down", retry_after_seconds=40),
        "C": AuthenticationError("not in your plan"),
    }
    report = ingest("ABCDX")
    assert (report.symbols, report.exit_code) == (("A", "D"), 3)
    assert {symbol: failure["kind"] for symbol, failure in report.to_json()["failures"].items()} == {
        "B": "rate-limited, try again in 40 s",
        "C": "refused: key or plan",
        "X": "unknown symbol",
    }


def test_failures_are_tried_again(ingest, vendor):
    vendor.errors = {"B": SourceUnavailableError("down")}
    ingest()
    vendor.errors = {}
    assert ingest().rows_added == 5


def test_a_vendor_that_goes_down_on_the_way_fails_the_rest(ingest, vendor):
    vendor.down_after, vendor.down = 2, SourceUnavailableError("down", hint="later")
    report = ingest()
    assert (report.symbols, sorted(report.failures)) == (("C", "D"), ["A", "B"])


def test_a_vendor_that_is_down_fails_the_ingest(ingest, vendor, store):
    vendor.down_after, vendor.down = 0, SourceUnavailableError("down")
    with pytest.raises(SourceUnavailableError):
        ingest()
    assert store.list_bundles() == []


def test_a_symbol_without_bars_in_the_range_is_skipped_with_its_reason(ingest, vendor):
    vendor.bars["1d"]["D"] = daily("D", {"2024-02-01": 3})
    report = ingest()
    assert (report.skipped, report.exit_code) == ({"D": "no bars in the range"}, 0)


def test_no_bars_at_all_is_an_error(ingest):
    with pytest.raises(NotCoveredError):
        ingest("A", "2024-03-16", None)


def test_a_strict_ingest_that_is_refused_does_not_fetch_again(ingest, vendor, store):
    vendor.errors = {"B": SourceUnavailableError("down")}
    with pytest.raises(DataQualityError):
        ingest(strict=True)
    assert store.list_bundles() == []
    vendor.errors, vendor.asked = {}, []
    assert ingest(strict=True).rows_added == 20
    assert asked(vendor) == ["B"]


def test_the_vendors_ticker_is_an_alias(ingest, vendor, store):
    vendor.bars["1d"]["BRK.B"] = daily("BRK.B", DAYS)
    vendor.aliases = {"BRK.B": "BRK-B", "X": "never delivered"}
    ingest(["BRK.B"])
    with store.open("us") as bundle:
        assert bundle.asset("BRK-B").symbol == "BRK.B"
        assert [alias.source for alias in bundle.description.aliases] == ["slow"]


def test_what_was_resolved_is_recorded(ingest, store):
    ingest("A", None, None)
    with store.open("us") as bundle:
        assert bundle.provenance.start == "2014-03-15"
        # The open end is not covered: its newest bar is still to come.
        assert bundle.coverage()["end"].to_list() == [datetime(2024, 3, 15, 23, 59, 59, 999999, tzinfo=UTC)]


def test_progress_counts_what_was_there_already(ingest, vendor):
    vendor.interrupt_after = 3
    with pytest.raises(KeyboardInterrupt):
        ingest()
    vendor.interrupt_after = None
    said = []
    ingest(progress=lambda *words: said.append(words))
    assert said == [("fetch A 2024-03-15", 4, 4)]


def test_a_second_process_waits_for_the_first(vendor, store):
    request = BarRequest.create(list("AB"), "2024-03-01", None, "1d")
    said, done = [], threading.Event()

    def second():
        with IngestJob(vendor, request, "us", store.home, now=NOW, progress=lambda *words: said.append(words)) as job:
            done.job = job
        done.set()

    with IngestJob(vendor, request, "us", store.home, now=NOW) as first:
        thread = threading.Thread(target=second)
        thread.start()
        while not said:
            thread.join(0.01)
        assert said == [("fetch waiting: another process runs the same ingest", 0, 0)]
        first.fetch()
    assert done.wait(10)
    thread.join()
    assert done.job.journal.symbols == {"A", "B"}


def test_what_nobody_came_back_for_is_swept(ingest, vendor, store):
    vendor.interrupt_after = 1
    with pytest.raises(KeyboardInterrupt):
        ingest()
    (left,) = jobs_of(store)
    vendor.interrupt_after = None
    changed = left.stat().st_mtime
    ingest("AB", now=changed + 6 * 86_400)
    assert jobs_of(store) == [left]
    lock = left.with_name(f"{left.name}.lock")
    with FileLock(lock):
        late = lock.stat().st_mtime + 8 * 86_400
        ingest("AB", now=late)
        assert jobs_of(store) == [left]  # somebody works on it
    ingest("AB", now=late + 60)
    assert jobs_of(store) == []
    assert not lock.exists()


def test_a_damaged_note_of_the_job_starts_over(ingest, vendor, store):
    vendor.interrupt_after = 1
    with pytest.raises(KeyboardInterrupt):
        ingest()
    (left,) = jobs_of(store)
    (left / "job.json").write_bytes(b"{")
    vendor.interrupt_after = None
    assert ingest().resumed == 0


def test_a_correction_is_recorded_with_the_version(ingest, vendor, store):
    ingest()
    vendor.bars["1d"]["B"] = daily("B", {**DAYS, "2024-03-13": 99})
    report = ingest()
    assert [str(revision) for revision in report.revisions] == ["B: correction, 1 bar of 2024-03-13"]
    kept = store.versions("us")[1].to_json()["provenance"]["revisions"]
    assert kept == [{"symbol": "B", "kind": "correction", "rows": 1, "first": "2024-03-13", "last": "2024-03-13"}]
    assert report.to_json()["revisions"] == kept


def test_a_row_that_the_vendor_has_no_more_stays_unless_it_is_replaced(ingest, vendor):
    ingest()
    vendor.bars["1d"]["B"] = daily("B", {day: close for day, close in DAYS.items() if day != "2024-03-13"})
    assert ingest().unchanged
    report = ingest(replace=True)
    assert [str(revision) for revision in report.revisions] == ["B: deletion, 1 bar of 2024-03-13"]
    assert report.rows_removed == 1


def test_replacing_a_symbol_that_has_no_bars_any_more_is_a_deletion(ingest, vendor):
    ingest()
    vendor.bars["1d"]["B"] = daily("B", {"2024-02-01": 3})
    report = ingest(replace=True)
    assert [(r.kind, r.rows) for r in report.revisions] == [("deletion", 5)]
    assert report.rows_removed == 5


def test_numbers_stay_exact_on_the_way_through_the_journal(ingest, vendor, store):
    vendor.bars["1d"]["A"] = daily("A", {"2024-03-15": Decimal("1.000000000000000001")})
    ingest("A")
    with store.open("us") as bundle:
        assert bundle.read()["close"].to_list() == [Decimal("1.000000000000000001")]


@pytest.fixture
def left(ingest, vendor, store):
    """The folder that an interrupted ingest of four symbols leaves, three of them finished."""
    vendor.interrupt_after = 3
    with pytest.raises(KeyboardInterrupt):
        ingest()
    vendor.interrupt_after, vendor.asked = None, []
    (folder,) = jobs_of(store)
    return folder


def flipped(path):
    """Turn the last digit of a file into another one."""
    data = bytearray(path.read_bytes())
    at = max(n for n, byte in enumerate(data) if chr(byte).isdigit())
    data[at] = ord("0") + (data[at] - ord("0") + 1) % 10
    path.write_bytes(bytes(data))


def linked(path, to):
    """Put a symbolic link in the place of a folder, which moves to `to`."""
    path.rename(to)
    path.symlink_to(to, target_is_directory=True)


@pytest.mark.parametrize(
    ("damage", "resumed"),
    [
        pytest.param(lambda f: flipped(f / "job.json"), 0, id="a digit of the note flipped"),
        pytest.param(lambda f: (f / "job.json").write_text('{"began": 1, "end": 2}'), 0, id="a note of another kind"),
        pytest.param(lambda f: (f / "job.json").write_text("[]"), 0, id="a note that is a list"),
        pytest.param(lambda f: ((f / "job.json").unlink(), (f / "job.json").mkdir()), 0, id="the note is a folder"),
        pytest.param(lambda f: (f / "job.json").chmod(0), None, id="the note is not readable"),
        pytest.param(lambda f: (f / "notes.group").write_bytes(b"mine"), 3, id="a foreign file"),
        pytest.param(lambda f: (f / "000007.group").write_bytes(b"rustybt-journal-9\n"), 3, id="a later version"),
        pytest.param(lambda f: (f / "000007.group").mkdir(), 3, id="a folder with a file's name"),
        pytest.param(lambda f: (f / "000007.group").symlink_to("/nowhere"), 3, id="a link to nowhere"),
        pytest.param(lambda f: (f / "000000.group").write_bytes(b""), 0, id="an empty file"),
        pytest.param(lambda f: (shutil.rmtree(f), f.write_text("a file")), 0, id="the folder is a file"),
        pytest.param(lambda f: linked(f, f.with_name("elsewhere")), 0, id="the folder is a link"),
    ],
)
def test_what_stands_in_a_journals_place_costs_at_most_its_symbols(left, ingest, vendor, store, damage, resumed):
    damage(left)
    report = ingest()
    assert report.rows_added == 20
    assert report.resumed == resumed or resumed is None
    assert "could not be kept" not in " ".join(report.notes)
    assert left not in jobs_of(store)
    with store.open("us") as bundle:
        assert bundle.read("A")["close"].to_list() == [10, 11, 12, 13, 14]


def test_what_a_link_points_to_is_left_alone(left, ingest, tmp_path):
    linked(left, tmp_path / "precious")
    ingest()
    assert (tmp_path / "precious" / "000000.group").exists()


def test_a_file_that_vanishes_between_is_an_error_that_says_so(left):
    journal = Journal(left.parents[2], f"{jobs.FOLDER}/{left.name}")
    for path in left.glob("*.group"):
        path.unlink()
    with pytest.raises(StorageError, match="cannot be read back") as caught:
        journal.load("B")
    assert "the same" in caught.value.hint or "run the command again" in caught.value.hint


def test_a_journal_that_cannot_even_be_encoded_stops_nothing(ingest, monkeypatch):
    def fails(*words, **more):
        raise MemoryError("too large")

    monkeypatch.setattr(journals, "encode_entry", fails)
    report = ingest([f"S{n:03}" for n in range(200)] + list("ABCD"))  # more than the queue holds
    assert report.rows_added == 20
    assert any("MemoryError: too large" in note for note in report.notes)


def test_an_old_journal_does_not_undo_what_another_ingest_brought_since(left, ingest, vendor, store):
    late = {**DAYS, "2024-03-12": 99}
    vendor.bars["1d"]["C"] = daily("C", late)
    ingest("C", now=NOW + 600)
    vendor.asked = []
    report = ingest(now=NOW + 1200)
    assert asked(vendor) == ["C", "A"]
    assert report.resumed == 2
    with store.open("us") as bundle:
        assert bundle.read("C")["close"].to_list() == list(late.values())


def test_bars_of_a_resumed_job_are_as_old_as_the_job(left, ingest, store):
    ingest(now=NOW + 3600)
    with store.open("us") as bundle:
        assert {int(at.timestamp()) for at in bundle.coverage()["fetched_at"]} == {int(NOW)}


def test_a_clock_that_was_set_back_does_not_hide_a_job(left, ingest, vendor):
    report = ingest(now=NOW - 20 * 3600)
    assert (report.resumed, asked(vendor)) == (3, ["A"])


def test_a_home_that_became_read_only_is_an_error_before_anything_is_asked(ingest, vendor, store, monkeypatch):
    def refused(*words, **more):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(jobs.FileLock, "acquire", refused)
    with pytest.raises(StorageError, match="not writable"):
        ingest()
    assert vendor.asked == []

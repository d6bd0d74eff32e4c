"""The Parquet files of old bundles: found wherever they lie, compared with the catalog's checksums, judged."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rustybt.data.migration.bars import find_files
from tests.data.migration.old_bundles import FEBRUARY, JANUARY, MINUTES, bar, sha256, write

ROWS = [bar("2023-01-03", "AAPL", "125.07")]


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "root" / "data" / "my bundle"
    made.mkdir(parents=True)
    return made


def only(files):
    assert len(files) == 1, files
    return files[0]


def test_a_file_with_the_recorded_checksum_is_sound(folder):
    digest = write(folder / JANUARY, ROWS)
    file = only(find_files(folder, {JANUARY: digest}))
    assert (file.verdict, file.reason, file.is_usable) == ("sound", "", True)
    assert (file.path, file.relative, file.sha256, file.recorded) == (folder / JANUARY, JANUARY, digest, digest)
    assert file.size_bytes == (folder / JANUARY).stat().st_size
    assert file.frequency.name == "1d"


def test_a_checksum_in_capitals_is_the_same_checksum(folder):
    digest = write(folder / JANUARY, ROWS)
    assert only(find_files(folder, {JANUARY: digest.upper()})).verdict == "sound"


@pytest.mark.parametrize("recorded", ["", "d41d8cd98f00b204e9800998ecf8427e", "not a checksum", "g" * 64])
def test_what_cannot_be_compared_is_unrecorded_and_used(folder, recorded):
    write(folder / JANUARY, ROWS)
    file = only(find_files(folder, {JANUARY: recorded}))
    assert (file.verdict, file.is_usable, file.recorded) == ("unrecorded", True, recorded)
    assert "cannot be compared" in file.reason


def test_a_file_that_nobody_recorded_is_unrecorded(folder):
    write(folder / JANUARY, ROWS)
    assert only(find_files(folder, {})).verdict == "unrecorded"


def test_a_changed_file_is_not_used(folder):
    digest = write(folder / JANUARY, ROWS)
    write(folder / JANUARY, [bar("2023-01-03", "AAPL", "999")])
    file = only(find_files(folder, {JANUARY: digest}))
    assert (file.verdict, file.is_usable, file.recorded) == ("changed", False, digest)
    assert file.sha256 == sha256(folder / JANUARY)


def test_one_changed_bit_is_a_change(folder):
    digest = write(folder / JANUARY, ROWS)
    data = bytearray((folder / JANUARY).read_bytes())
    data[10] ^= 1
    (folder / JANUARY).write_bytes(data)
    assert only(find_files(folder, {JANUARY: digest})).verdict == "changed"


def test_a_truncated_file_with_a_checksum_is_changed_and_said_to_be_damaged(folder):
    digest = write(folder / JANUARY, ROWS)
    (folder / JANUARY).write_bytes((folder / JANUARY).read_bytes()[:-20])
    file = only(find_files(folder, {JANUARY: digest}))
    assert file.verdict == "changed"
    assert "cannot be read as Parquet" in file.reason


@pytest.mark.parametrize("data", [b"", b"PAR1", b"date,open\n2023-01-03,1\n", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_what_is_no_parquet_is_unreadable(folder, data):
    (folder / "x.parquet").write_bytes(data)
    file = only(find_files(folder, {}))
    assert (file.verdict, file.is_usable, file.size_bytes) == ("unreadable", False, len(data))
    assert "x.parquet" in file.reason


def test_a_truncated_file_nobody_recorded_is_unreadable(folder):
    write(folder / JANUARY, ROWS)
    (folder / JANUARY).write_bytes((folder / JANUARY).read_bytes()[:-20])
    assert only(find_files(folder, {})).verdict == "unreadable"


def test_damage_in_the_middle_is_found_although_the_footer_is_whole(folder):
    many = [bar("2023-01-03", f"S{i}", str(i + 2)) for i in range(2_000)]
    write(folder / JANUARY, many)
    data = bytearray((folder / JANUARY).read_bytes())
    data[4:200] = b"\xff" * 196
    (folder / JANUARY).write_bytes(data)
    file = only(find_files(folder, {JANUARY: sha256(folder / JANUARY)}))
    assert (file.verdict, file.is_usable) == ("unreadable", False)


@pytest.mark.parametrize(
    "table",
    [
        {"sid": [1], "ratio": [0.5]},
        {"date": ["2023-01-03"], "symbol": ["A"], "open": [1.0], "high": [1.0], "low": [1.0]},
        {"date": ["2023-01-03"], "open": [1.0], "high": [1.0], "low": [1.0], "close": [1.0]},
        {"date": [True], "symbol": ["A"], "open": [1.0], "high": [1.0], "low": [1.0], "close": [1.0]},
        {"date": ["2023-01-03"], "symbol": ["A"], "open": [True], "high": [1.0], "low": [1.0], "close": [1.0]},
        {"date": ["2023-01-03"], "symbol": [["A"]], "open": [1.0], "high": [1.0], "low": [1.0], "close": [1.0]},
    ],
    ids=["adjustments", "no close", "no symbol", "time is a bool", "open is a bool", "symbols are lists"],
)
def test_parquet_of_something_else_is_not_bars(folder, table):
    pq.write_table(pa.table(table), folder / "x.parquet")
    file = only(find_files(folder, {"x.parquet": sha256(folder / "x.parquet")}))
    assert (file.verdict, file.is_usable) == ("not_bars", False)
    assert "x.parquet" in file.reason


def test_dates_cannot_be_minute_bars(folder):
    write(folder / MINUTES, ROWS)
    file = only(find_files(folder, {}))
    assert file.verdict == "not_bars"
    assert "dates without a time" in file.reason


def test_a_recorded_file_that_is_gone_is_missing_under_the_name_it_was_recorded_by(folder):
    file = only(find_files(folder, {f"/old/root/data/my bundle/{FEBRUARY}": "ab" * 32}, {}))
    assert (file.verdict, file.is_usable, file.sha256, file.size_bytes) == ("missing", False, "", 0)
    assert file.relative == f"/old/root/data/my bundle/{FEBRUARY}"
    assert file.path == folder / FEBRUARY
    assert file.frequency.name == "1d"


def test_a_bundle_without_a_folder_misses_its_files(tmp_path):
    file = only(find_files(tmp_path / "gone", {JANUARY: ""}))
    assert file.verdict == "missing"
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize(
    "recorded",
    [
        JANUARY,
        f"./{JANUARY}",
        "daily_bars//year=2023/../year=2023/month=01/data.parquet",
        f"my bundle/{JANUARY}",
        f"data/my bundle/{JANUARY}",
        f"data/bundles/my bundle/{JANUARY}",
        f"/home/someone/.zipline/data/my bundle/{JANUARY}",
        "C:\\Users\\someone\\.zipline\\data\\my bundle\\" + JANUARY.replace("/", "\\"),
        "data\\my bundle\\" + JANUARY.replace("/", "\\"),
        f"/home/someone/.zipline/data/renamed since/{JANUARY}",
    ],
)
def test_a_path_of_another_place_means_the_file_with_the_same_end(folder, recorded):
    digest = write(folder / JANUARY, ROWS)
    write(folder / MINUTES, [bar("2023-01-03", "AAPL", "1") | {"date": None}])
    files = {file.relative: file for file in find_files(folder, {recorded: digest})}
    assert files[JANUARY].verdict == "sound"
    assert recorded not in files or recorded == JANUARY


def test_an_absolute_path_of_this_machine_means_the_file_itself(folder):
    digest = write(folder / JANUARY, ROWS)
    assert only(find_files(folder, {str(folder / JANUARY): digest})).verdict == "sound"


def test_a_path_of_the_old_root_means_the_copy_in_the_folder_though_the_old_one_is_there_still(folder, tmp_path):
    old = tmp_path / "old" / "data" / "my bundle" / JANUARY
    write(old, [bar("2023-01-03", "AAPL", "1")])
    digest = write(folder / JANUARY, ROWS)
    assert only(find_files(folder, {str(old): digest})).verdict == "sound"


def test_a_missing_daily_file_is_not_mistaken_for_a_minute_file_of_the_same_partition(folder):
    write(folder / "minute_bars/year=2023/month=01/data.parquet", [bar("2023-01-03", "A", "2")])
    files = find_files(folder, {f"/old/data/my bundle/{JANUARY}": "ab" * 32})
    assert {file.relative: file.verdict for file in files} == {
        f"/old/data/my bundle/{JANUARY}": "missing",
        "minute_bars/year=2023/month=01/data.parquet": "not_bars",
    }


def test_two_paths_that_mean_one_file_agree_if_one_checksum_does(folder):
    digest = write(folder / JANUARY, ROWS)
    file = only(find_files(folder, {JANUARY: "ab" * 32, f"/old/data/my bundle/{JANUARY}": digest}))
    assert (file.verdict, file.recorded) == ("sound", digest)


def test_names_are_the_same_composed_and_decomposed(folder):
    digest = write(folder / "daily_bars/u\u0308ber.parquet", ROWS)
    assert only(find_files(folder, {"daily_bars/\u00fcber.parquet": digest})).verdict == "sound"


@pytest.mark.parametrize("recorded", ["../other/x.parquet", "daily_bars/../../other/x.parquet", "..\\other\\x.parquet"])
def test_a_path_that_climbs_out_of_the_folder_is_outside_and_not_read(folder, recorded):
    digest = write(folder.parent / "other" / "x.parquet", ROWS)
    file = only(find_files(folder, {recorded: digest}))
    assert (file.verdict, file.sha256, file.is_usable, file.relative) == ("outside", "", False, recorded)


def test_an_absolute_path_elsewhere_on_this_machine_is_outside(folder, tmp_path):
    digest = write(tmp_path / "elsewhere" / "x.parquet", ROWS)
    file = only(find_files(folder, {str(tmp_path / "elsewhere" / "x.parquet"): digest}))
    assert (file.verdict, file.sha256) == ("outside", "")


def test_a_link_out_of_the_folder_is_outside_and_not_read(folder, tmp_path):
    digest = write(tmp_path / "elsewhere.parquet", ROWS)
    (folder / "x.parquet").symlink_to(tmp_path / "elsewhere.parquet")
    file = only(find_files(folder, {"x.parquet": digest}))
    assert (file.verdict, file.sha256, file.relative) == ("outside", "", "x.parquet")


def test_a_link_to_a_folder_elsewhere_is_outside(folder, tmp_path):
    write(tmp_path / "disk two" / "year=2023" / "data.parquet", ROWS)
    (folder / "daily_bars").symlink_to(tmp_path / "disk two")
    file = only(find_files(folder, {}))
    assert (file.verdict, file.relative) == ("outside", "daily_bars")


def test_a_link_within_the_folder_is_a_file_of_it(folder):
    write(folder / JANUARY, ROWS)
    (folder / "daily_bars" / "latest.parquet").symlink_to(folder / JANUARY)
    assert [file.verdict for file in find_files(folder, {})] == ["unrecorded", "unrecorded"]


def test_links_in_a_circle_end(folder):
    (folder / "x.parquet").symlink_to(folder / "y.parquet")
    (folder / "y.parquet").symlink_to(folder / "x.parquet")
    (folder / "loop").symlink_to(folder)
    assert [file.verdict for file in find_files(folder, {})] == ["unreadable", "unreadable"]


def test_a_bundle_folder_may_itself_be_a_link(folder, tmp_path):
    digest = write(folder / JANUARY, ROWS)
    (tmp_path / "link").symlink_to(folder)
    assert only(find_files(tmp_path / "link", {str(folder / JANUARY): digest})).verdict == "sound"
    assert only(find_files(tmp_path / "link", {str(tmp_path / "link" / JANUARY): digest})).verdict == "sound"


def test_a_folder_named_like_a_file_is_unreadable_and_its_files_are_found(folder):
    (folder / "empty.parquet").mkdir()
    write(folder / "daily_bars" / "full.parquet" / "part-0.parquet", ROWS)
    files = {file.relative: file.verdict for file in find_files(folder, {"daily_bars/full.parquet": "ab" * 32})}
    assert files == {
        "daily_bars/full.parquet": "unreadable",
        "daily_bars/full.parquet/part-0.parquet": "unrecorded",
        "empty.parquet": "unreadable",
    }


def test_a_pipe_is_not_waited_for(folder):
    os.mkfifo(folder / "x.parquet")
    assert only(find_files(folder, {})).verdict == "unreadable"


def test_a_folder_that_may_not_be_entered_is_unreadable(folder, monkeypatch):
    write(folder / JANUARY, ROWS)
    (folder / "secret").mkdir()
    scan = os.scandir

    def scandir(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr("os.scandir", scandir)
    files = {file.relative: (file.verdict, file.reason) for file in find_files(folder, {})}
    assert files["secret"] == ("unreadable", "secret cannot be read: Permission denied")
    assert files[JANUARY][0] == "unrecorded"


def test_an_empty_path_is_missing(folder):
    assert only(find_files(folder, {"": "ab" * 32})).verdict == "missing"


@pytest.mark.parametrize(
    ("relative", "resolution", "frequency"),
    [
        ("daily_bars/x.parquet", "", "1d"),
        ("hourly_bars/year=2023/x.parquet", "", "1h"),
        ("bars_1h/x.parquet", "", "1h"),
        ("bars_1M/x.parquet", "", "1M"),
        ("5m_bars/x.parquet", "", "5m"),
        ("resolution=1h/x.parquet", "", "1h"),
        ("daily_bars/x.parquet", "1m", "1d"),
        ("month=01/day=02/x.parquet", "minute", "1m"),
        ("x.parquet", "daily", "1d"),
        ("x.parquet", "1h", "1h"),
        ("x.parquet", "fortnight", None),
        ("x.parquet", "", None),
    ],
)
def test_the_frequency_is_told_by_the_folder_then_by_the_dataset(folder, relative, resolution, frequency):
    write(folder / relative, ROWS, date=pa.array(["2023-01-03T14:30:00"]))
    file = only(find_files(folder, {relative: ""}, {relative: resolution} if resolution else {}))
    assert (file.frequency.name if file.frequency else None) == frequency


def test_bars_with_dates_alone_are_daily_where_nothing_else_says(folder):
    write(folder / "x.parquet", ROWS)
    assert only(find_files(folder, {})).frequency.name == "1d"


def test_files_come_in_the_order_of_their_names_and_nothing_is_written(folder):
    for name in (MINUTES, FEBRUARY, JANUARY):
        write(folder / name, ROWS)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert [file.relative for file in find_files(folder, {})] == [JANUARY, FEBRUARY, MINUTES]
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before

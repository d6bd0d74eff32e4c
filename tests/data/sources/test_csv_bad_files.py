"""CSV files that are broken as files: a typed error that names file and line; never a half-written version."""

import gzip
import os
import socket
import sys

import pytest

from rustybt.data.sources import CSVDataSource
from rustybt.errors import (
    BadResponseError,
    RequestError,
    SourceUnavailableError,
)

HEADER = "date,open,high,low,close,volume\n"
GOOD = "2020-01-02,10,11,9,10.5,100\n"
NEXT = "2020-01-03,10,11,9,10.5,100\n"


# -- the shape of the file -------------------------------------------------------------------------------------------


def test_a_column_that_occurs_twice_is_refused(refused):
    error = refused("date,open,high,low,close,close,volume\n2020-01-02,10,11,9,10,10,100\n")
    assert "A.csv has the column 'close' twice, at positions 5 and 6" in error.message


def test_two_spellings_of_one_column_are_refused(refused):
    assert "twice" in refused("date,open,high,low,close,Close,volume\n2020-01-02,10,11,9,10,10,100\n").message


def test_a_missing_column_is_named_with_the_columns_there_are(refused):
    error = refused("date,open,high,low,volume\n2020-01-02,10,11,9,100\n")
    assert "no column for close" in error.message
    assert "'volume'" in error.message
    assert "--column-map close=COLUMN" in error.hint


def test_a_missing_volume_column_is_zero_and_flagged(ingested):
    report = ingested("date,open,high,low,close\n2020-01-02,10,11,9,10.5\n")
    assert report.quality.missing_volume_count == 1
    assert any("no volume column in A.csv" in note for note in report.notes)


def test_ragged_rows_are_set_aside_with_their_line(ingested):
    report = ingested(HEADER + GOOD + "2020-01-03,10,11,9\n" + "2020-01-06,10,11,9,10.5,100,7,8\n")
    assert report.rows == 1
    assert report.quarantined == {"too few fields": 1, "too many fields": 1}
    assert [row.location for row in report.examples] == ["A.csv:3", "A.csv:4"]
    assert report.examples[0].symbol == "A"


def test_a_file_cut_in_the_middle_of_a_row_does_not_give_a_wrong_price(ingested):
    report = ingested(HEADER + GOOD + "2020-01-03,10,11,9,10")
    assert report.quarantined == {"too few fields": 1}


def test_ragged_rows_among_quoted_ones_are_set_aside(ingested):
    report = ingested(HEADER + '"2020-01-02","10","11","9","10.5","1"\n' + '"2020-01-03","10","11"\n')
    assert report.rows == 1
    assert report.quarantined == {"too few fields": 1}


def test_ragged_rows_of_a_long_file_are_set_aside(ingested):
    report = ingested("symbol," + HEADER + "A," + GOOD + "B,2020-01-02\nB," + NEXT, name="all.csv")
    assert report.symbols == ("A", "B")
    assert report.quarantined == {"too few fields": 1}
    assert report.examples[0].location == "all.csv:3"


def test_an_unclosed_quote_is_refused_at_its_line(refused):
    error = refused(HEADER + GOOD + '2020-01-03,"10,11,9,10.5,100\n' + GOOD)
    assert error.message == "A.csv line 3 has a quote that is never closed"


def test_an_unclosed_quote_before_a_long_rest_is_refused_without_reading_it_all(refused):
    error = refused(HEADER + '2020-01-02,"10\n' + GOOD * 60_000, max_field_bytes=100_000)
    assert "quote" in error.message


def test_latin_1_text_is_refused_with_the_line_and_the_way_out(refused):
    error = refused((HEADER + GOOD).encode() + "2020-01-03,10,11,9,10.5,1 é\n".encode("latin-1"))
    assert error.message == "A.csv line 3 is not UTF-8: byte 0xe9"
    assert "--encoding cp1252" in error.hint


def test_latin_1_text_is_read_when_it_is_named(ingested):
    content = ("note," + HEADER + "café," + GOOD).encode("latin-1")
    assert ingested(content, encoding="latin-1").rows == 1


def test_text_that_is_not_in_the_named_encoding_is_refused(refused):
    assert "is not ascii" in refused((HEADER + "2020-01-02,é").encode(), encoding="ascii").message


def test_utf_16_is_refused_with_the_way_out(refused):
    assert "--encoding utf-16" in refused((HEADER + GOOD).encode("utf-16")).hint


def test_utf_16_is_read_when_it_is_named(ingested):
    assert ingested((HEADER + GOOD).encode("utf-16"), encoding="utf-16").rows == 1


def test_nul_bytes_are_refused_at_their_line(refused):
    error = refused(HEADER.encode() + GOOD.encode() + b"2020-01-03,10,11\x00,9,10.5,100\n")
    assert error.message == "A.csv line 3 holds a NUL byte"
    assert error.line == 3


def test_an_empty_file_is_refused(refused):
    assert "A.csv is empty" in refused("").message


def test_a_file_of_blank_lines_is_refused(refused):
    assert "A.csv is empty" in refused("\n\n  \n").message


def test_a_header_without_rows_is_refused(refused):
    assert "a header and no rows" in refused(HEADER).message


def test_a_file_without_header_is_refused(refused):
    error = refused(GOOD)
    assert "row of data, not the names of the columns" in error.message


def test_a_file_that_is_no_csv_at_all_is_refused(refused):
    assert "no column for timestamp" in refused("<html><body>Not found</body></html>\n").message


# -- size ------------------------------------------------------------------------------------------------------------


def test_a_field_of_50_megabytes_is_refused(refused):
    error = refused(HEADER.encode() + b"2020-01-02,10,11,9," + b"1" * 50_000_000 + b",100\n")
    assert "longer than 1,048,576 bytes" in error.message
    assert "line 2" in error.message


def test_a_long_field_inside_a_block_is_refused_too(refused):
    row = b"2020-01-02,10,11,9," + b"1" * 3_000 + b",100\n"
    assert (
        "line 3" in refused(HEADER.encode() + GOOD.encode() + row + GOOD.encode() * 50, max_field_bytes=1_000).message
    )


def test_a_long_quoted_field_is_refused_by_the_record_reader(refused):
    error = refused(HEADER + GOOD + '2020-01-03,10,11,9,10.5,"' + "1\n" * 100_000 + '"\n')
    assert "is no CSV" in error.message


def test_a_gzip_bomb_ends_at_the_cap(refused):
    bomb = gzip.compress(HEADER.encode() + GOOD.encode() * 200_000)
    error = refused(bomb, name="A.csv.gz", max_decompressed_bytes=1_000_000)
    assert "unpacks to more than 1,000,000 bytes" in error.message
    assert "csv.max_decompressed_bytes" in error.hint


def test_a_cut_archive_is_refused(refused):
    whole = gzip.compress((HEADER + GOOD * 1_000).encode())
    assert "no whole .gz file" in refused(whole[:-20], name="A.csv.gz").message


@pytest.mark.parametrize("packed", ["gz", "bz2", "xz", "zst"])
def test_a_file_that_is_no_archive_is_refused(refused, packed):
    assert f"no whole .{packed} file" in refused(HEADER + GOOD, name=f"A.csv.{packed}").message


# -- what is not a file ----------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
def test_a_named_pipe_is_refused_and_never_waited_for(tmp_path, store):
    os.mkfifo(tmp_path / "A.csv")
    with pytest.raises(BadResponseError, match="is a named pipe, not a file"):
        CSVDataSource(tmp_path / "A.csv").ingest_to_bundle("us", store=store)
    with pytest.raises(BadResponseError, match="is a named pipe"):
        CSVDataSource(tmp_path).ingest_to_bundle("us", store=store)


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path, write, store, monkeypatch):
    path = write("A.csv")
    from rustybt.data.sources.csv import delivery as csv_delivery

    real = csv_delivery.read_heads

    def swap(files, form, symbol):
        path.unlink()
        os.mkfifo(path)
        return real(files, form, symbol)

    monkeypatch.setattr(csv_delivery, "read_heads", swap)
    with pytest.raises(BadResponseError, match="is a named pipe"):
        CSVDataSource(path).ingest_to_bundle("us", store=store)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs sockets in the file system")
def test_a_device_is_refused():
    with pytest.raises(BadResponseError, match="is a device, not a file"):
        CSVDataSource("/dev/zero").fetch_sync(["A"])


def test_a_directory_without_csv_is_refused(tmp_path, store):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "readme.md").write_text("no bars")
    with pytest.raises(RequestError, match="no CSV file in the directory"):
        CSVDataSource(tmp_path / "empty").ingest_to_bundle("us", store=store)


def test_a_directory_in_csvdir_layout_points_to_the_other_source(tmp_path, store):
    (tmp_path / "daily").mkdir()
    with pytest.raises(RequestError) as caught:
        CSVDataSource(tmp_path).ingest_to_bundle("us", store=store)
    assert "rustybt ingest csvdir --csvdir" in caught.value.hint


def test_a_path_that_does_not_exist_names_its_neighbours(write, tmp_path, store):
    write("prices.csv")
    with pytest.raises(RequestError, match="no file or directory") as caught:
        CSVDataSource(tmp_path / "price.csv").ingest_to_bundle("us", store=store)
    assert "did you mean prices.csv?" in caught.value.hint


def test_a_path_below_a_missing_directory_says_so(tmp_path):
    with pytest.raises(RequestError) as caught:
        CSVDataSource(tmp_path / "no" / "A.csv").list_symbols()
    assert "no directory" in caught.value.hint


def test_a_glob_without_matches_is_refused(tmp_path):
    with pytest.raises(RequestError, match="no file matches"):
        CSVDataSource(tmp_path / "*.csv").list_symbols()


def test_an_empty_path_is_refused():
    with pytest.raises(RequestError, match="the path is empty"):
        CSVDataSource("")


def test_a_path_with_a_nul_byte_is_refused():
    with pytest.raises(SourceUnavailableError, match="cannot read"):
        CSVDataSource("a\0b").list_symbols()


def test_a_file_we_may_not_read_is_unavailable(write, store, monkeypatch):
    path = write("A.csv")
    real = os.open

    def refuse(name, *arguments, **more):
        if str(name) == str(path):
            raise PermissionError(13, "Permission denied", str(name))
        return real(name, *arguments, **more)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SourceUnavailableError, match=r"cannot read A.csv: Permission denied"):
        CSVDataSource(path).ingest_to_bundle("us", store=store)


def test_a_directory_we_may_not_list_is_unavailable(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(SourceUnavailableError, match="Permission denied"):
        CSVDataSource(tmp_path).list_symbols()


def test_a_loop_of_links_is_a_failure_of_its_own_symbol(write, store, tmp_path):
    write("d/A.csv", HEADER + GOOD)
    (tmp_path / "d" / "B.csv").symlink_to(tmp_path / "d" / "B.csv")
    report = CSVDataSource(tmp_path / "d").ingest_to_bundle("us", store=store)
    assert report.symbols == ("A",)
    assert isinstance(report.failures["B"], SourceUnavailableError)


def test_a_recursive_glob_ends_in_a_loop_of_directories(write, store, tmp_path):
    write("d/x/A.csv", HEADER + GOOD)
    (tmp_path / "d" / "x" / "up").symlink_to(tmp_path / "d", target_is_directory=True)
    assert CSVDataSource(tmp_path / "d" / "**" / "*.csv").ingest_to_bundle("us", store=store).rows == 1


def test_broken_files_in_a_directory_fail_alone(write, store, tmp_path):
    write("d/GOOD.csv", HEADER + GOOD)
    write("d/EMPTY.csv", "")
    write("d/HEADER.csv", HEADER)
    write("d/NUL.csv", HEADER.encode() + b"\0")
    write("d/QUOTE.csv", HEADER + '2020-01-02,"10\n')
    write("d/MISSING.csv", "date,close\n2020-01-02,1\n")
    write("d/LATIN.csv", (HEADER + GOOD).encode() + b"\xe9\n")
    write("d/DIRTY.csv", HEADER + "2020-01-02,x,11,9,10.5,100\n")
    report = CSVDataSource(tmp_path / "d").ingest_to_bundle("us", store=store)
    assert report.symbols == ("GOOD",)
    assert set(report.failures) == {"EMPTY", "HEADER", "NUL", "QUOTE", "MISSING", "LATIN"}
    assert report.quarantined == {"open is not a number": 1}
    assert report.exit_code == 3


def test_a_broken_file_after_its_first_rows_fails_alone(write, store, tmp_path):
    """The beginning looks well; the rest is only read later."""
    write("d/A.csv", HEADER + GOOD)
    write("d/B.csv", (HEADER + GOOD * 1_000).encode() + b"\0")
    report = CSVDataSource(tmp_path / "d").ingest_to_bundle("us", store=store)
    assert report.symbols == ("A",)
    assert "NUL" in report.failures["B"].message


def test_a_file_whose_records_cannot_be_read_fails_alone_among_files_of_its_layout(write, store, tmp_path):
    write("d/A.csv", HEADER + GOOD)
    write("d/B.csv", HEADER + '2020-01-02,"1' + "\n1" * 100_000 + '",11,9,10.5,100\n')
    report = CSVDataSource(tmp_path / "d").ingest_to_bundle("us", store=store)
    assert report.symbols == ("A",)
    assert "is no CSV" in report.failures["B"].message


@pytest.mark.parametrize("broken", ["", HEADER + GOOD * 1_000 + "\0"], ids=["at its beginning", "later"])
def test_a_symbol_with_one_broken_file_of_two_fails_whole(write, store, tmp_path, broken):
    write("2019/A.csv", broken)
    write("2020/A.csv", HEADER + GOOD)
    write("2020/B.csv", HEADER + GOOD)
    report = CSVDataSource(tmp_path / "*" / "*.csv").ingest_to_bundle("us", store=store)
    assert report.symbols == ("B",)
    assert list(report.failures) == ["A"]


def test_a_broken_file_among_long_ones_stops_the_ingest(write, store, tmp_path):
    write("d/2019.csv", "symbol," + HEADER + "A," + GOOD)
    write("d/2020.csv", b"\0")
    with pytest.raises(BadResponseError, match=r"2020.csv line 1 holds a NUL byte"):
        CSVDataSource(tmp_path / "d").ingest_to_bundle("us", store=store)

"""Which folder of Zipline's is meant."""

from pathlib import Path

import pytest

from rustybt.data.sources.zipline.ingestions import find_ingestion, ingestions_of, list_bundles
from rustybt.errors import RequestError, SourceUnavailableError

OLD, NEW = "2018-01-02T03;04;05.678901", "2019-06-01T00;00;00.000000123"


@pytest.fixture
def two(tmp_path):
    """Two ingestions of a bundle, a hidden folder, a file and a folder whose name is no moment."""
    for name in (OLD, NEW, ".cache", "notes"):
        (tmp_path / "data" / "quandl" / name).mkdir(parents=True)
    (tmp_path / "data" / "quandl" / "2020-01-01T00;00;00").write_text("a file")
    (tmp_path / "data" / "empty").mkdir()
    return tmp_path


def test_the_newest_ingestion_is_taken_and_what_is_none_is_passed_over(two):
    assert [found.timestamp for found in ingestions_of(two, "quandl")] == [OLD, NEW]
    assert find_ingestion(two, "quandl").timestamp == NEW
    assert list(list_bundles(two)) == ["quandl"]


def test_a_folder_that_no_bundle_of_zipline_can_have_does_not_hide_the_others(two):
    (two / "data" / "stocks: 2023").mkdir()
    assert list(list_bundles(two)) == ["quandl"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (OLD, OLD),
        (NEW, NEW),
        ("2018-01-02T03:04:05.678901", OLD),
        ("2018-01-02T03:04:05.678901Z", OLD),
        ("2018-01-02T04:04:05.678901+01:00", OLD),
        ("2018-01-03", OLD),
        ("2019-05-31T23:59:59", OLD),
        ("2019-06-01", NEW),
        ("2030-01-01", NEW),
    ],
)
def test_a_timestamp_means_the_newest_ingestion_at_or_before_it(two, asked, found):
    assert find_ingestion(two, "quandl", asked).timestamp == found


@pytest.mark.parametrize("asked", ["2018-01-02", "2018-01-02T03:04:05.678900", "yesterday", ""])
def test_a_timestamp_before_all_ingestions_lists_what_is_there(two, asked):
    with pytest.raises(RequestError) as caught:
        find_ingestion(two, "quandl", asked)
    assert OLD in caught.value.hint
    assert NEW in caught.value.hint


@pytest.mark.parametrize("name", ["", ".", "..", "../quandl", "a/b", "a\\b", "/etc", ".cache", "C:", "a\0b", None, 7])
def test_a_name_never_leaves_the_folder_of_bundles(two, name):
    with pytest.raises(RequestError, match="no name of a Zipline bundle"):
        find_ingestion(two, name)


def test_a_bundle_behind_a_link_is_read(two):
    (two / "data" / "linked").symlink_to(two / "data" / "quandl")
    assert find_ingestion(two, "linked").timestamp == NEW


@pytest.mark.parametrize("name", ["empty", "absent"])
def test_an_unknown_bundle_lists_those_that_are_there(two, name):
    with pytest.raises(RequestError) as caught:
        find_ingestion(two, name)
    assert caught.value.hint == "there: quandl"


def test_a_root_without_anything_says_where_to_look(tmp_path):
    with pytest.raises(RequestError) as caught:
        find_ingestion(tmp_path / "nowhere", "quandl")
    assert "ZIPLINE_ROOT" in caught.value.hint


def test_a_folder_that_cannot_be_looked_into_is_told(two, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(SourceUnavailableError, match="Permission denied"):
        list_bundles(two)

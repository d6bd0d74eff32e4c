import unicodedata

import pytest

from rustybt.data.bundles.names import BundleReference, bundle_of_path, check_bundle_name, check_tag
from rustybt.errors import BundleNameError, RequestError
from rustybt.market.provenance import Provenance
from rustybt.testing.bars import frame_of_bars

SAID = Provenance("test")
BARS = frame_of_bars([("A", "2024-01-02", "1")])

BAD_NAMES = [
    "", "../../x", "..", ".", "a/b", "a\\b", "/etc/passwd", "~/x", "C:x", "a:b", "CON", "con", "Con.txt", "nul", "COM1", "lpt9.csv",
    "COM\u00b9", "a.", "a ", " a", "a\n", "a\x00b", "a\tb", "-rf", ".hidden", ".rustybt", "a*b", "a?b", 'a"b', "a<b", "a>b", "a|b",
    "us@3", "a#b", "a%2e", "x" * 101, "x" * 200, "\N{GREEK SMALL LETTER IOTA WITH DIALYTIKA AND TONOS}" * 100, "\ud800",
    "a\u202eb", "a\u200bb", "\N{PILE OF POO}", "$HOME", "`id`", "a;b", "a'b\"",
]  # fmt: skip
GOOD_NAMES = [
    "us",
    "us-equities",
    "US_2024.v2",
    "crypto 1m",
    "_x",
    "2024",
    "größe",
    "日本株",
    "x" * 100,
    "o'neil",
    "conx",
    "com10",
    "café",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_not_safe_everywhere_is_refused_and_nothing_is_written(store, name):
    with pytest.raises(BundleNameError) as caught:
        store.commit(name, BARS, SAID)
    assert caught.value.exit_code == 2
    assert isinstance(caught.value, ValueError)
    assert caught.value.hint
    assert not store.home.exists()
    assert list(store.home.parent.iterdir()) == []


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_letters_of_any_script_digits_and_a_few_marks_make_a_name(store, name):
    store.commit(name, BARS, SAID)
    with store.open(name) as bundle:
        assert bundle.name == name
        assert bundle.read().equals(BARS)
    assert (store.home / name).is_dir()


def test_none_is_no_name():
    with pytest.raises(BundleNameError):
        check_bundle_name(None)


def test_a_name_is_kept_in_nfc(store):
    decomposed = unicodedata.normalize("NFD", "café")
    assert decomposed != "café"
    store.commit(decomposed, BARS, SAID)
    assert [info.name for info in store.list_bundles()] == ["café"]
    assert store.commit("café", BARS, SAID).unchanged


@pytest.mark.parametrize(("first", "second"), [("Us", "us"), ("STRASSE", "straße"), ("ΣΑΣ", "σας")])
def test_names_are_unique_by_casefold(store, first, second):
    store.commit(first, BARS, SAID)
    with pytest.raises(BundleNameError, match="only in upper and lower case"):
        store.commit(second, BARS, SAID)
    assert [info.name for info in store.list_bundles()] == [first]
    with store.open(second) as bundle:
        assert bundle.name == first


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("us", BundleReference("us")),
        ("us@latest", BundleReference("us")),
        ("us@3", BundleReference("us", version=3)),
        ("us@golden", BundleReference("us", tag="golden")),
        ("us@2024-run", None),
        ("us@sha256:3f9c", BundleReference("us", hash_prefix="3f9c")),
        ("us@sha256:" + "AB" * 32, BundleReference("us", hash_prefix="ab" * 32)),
        ("us@sha256:3f9", None),
        ("us@sha256:xyz1", None),
        ("us@0", None),
        ("us@-1", None),
        ("us@" + "9" * 30, None),
        ("us@", None),
        ("us@a@b", None),
        ("us@\u0663", None),
        ("us@../../x", None),
    ],
)
def test_a_reference_names_a_version_a_tag_or_a_hash(text, expected):
    if expected is None:
        with pytest.raises(RequestError) as caught:
            BundleReference.parse(text)
        assert caught.value.exit_code == 2
    else:
        parsed = BundleReference.parse(text)
        assert parsed == expected
        assert BundleReference.parse(str(parsed)) == parsed
        assert BundleReference.parse(parsed) is parsed


@pytest.mark.parametrize(
    "tag", ["latest", "Latest", "LATEST", "3", "3rd", "", "a b", "a/b", "..", "a@b", "é", "x" * 65]
)
def test_a_tag_cannot_be_taken_for_something_else(tag):
    with pytest.raises(RequestError, match="cannot be a tag"):
        check_tag(tag)


def test_a_bundles_folder_says_its_home_and_its_name(tmp_path):
    assert bundle_of_path(tmp_path / "data" / "us") == (tmp_path / "data", "us")
    with pytest.raises(BundleNameError):
        bundle_of_path(tmp_path / "CON")

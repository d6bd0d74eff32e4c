"""Where keys come from, and that they never show."""

import base64
import copy
import json
import logging
import os
import pickle
import stat
import sys
import time
import traceback
import types
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustybt.data.adapters import credentials, key_file, key_storage
from rustybt.data.adapters.credentials import KEY_VARIABLES, Secret, digest, load_key
from rustybt.data.adapters.redaction import mask_error, redact
from rustybt.errors import AuthenticationError, MissingDependencyError, RequestError, StorageError

KEY = "INVENTED-canary/key+0123456789=="
NAMES = ("MASSIVE_API_KEY", "POLYGON_API_KEY")


@pytest.fixture(autouse=True)
def empty_places(monkeypatch):
    """No key anywhere, and a keyring that is not installed."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(credentials.importlib.util, "find_spec", lambda name: None)


@pytest.fixture
def keyring(monkeypatch):
    """Install a keyring that holds what the test puts into it."""

    def install(get, put=None):
        module = types.ModuleType("keyring")
        module.get_password = get
        module.set_password = put
        errors = types.ModuleType("keyring.errors")
        errors.KeyringError = type("KeyringError", (Exception,), {})
        monkeypatch.setitem(sys.modules, "keyring", module)
        monkeypatch.setitem(sys.modules, "keyring.errors", errors)
        monkeypatch.setattr(credentials.importlib.util, "find_spec", lambda name: object())
        return errors

    return install


def write_file(text, mode=0o600):
    key_file.path().parent.mkdir(parents=True, exist_ok=True)
    key_file.path().write_text(text)
    key_file.path().chmod(mode)


# -- a secret ----------------------------------------------------------------------------------------------------------


def test_a_secret_shows_itself_only_when_asked(caplog):
    secret = Secret(f"  {KEY}\n")

    assert secret.reveal() == KEY
    with caplog.at_level("DEBUG"):
        logging.getLogger("any").warning("key %s %r", secret, {"key": secret})
    shown = [
        *(str(secret), repr(secret), f"{secret}", f"{secret:>40}", f"{secret!r}", "{}".format(secret), "%s" % secret),  # noqa: UP031, UP032
        *(repr([secret]), json.dumps({"key": secret}, default=str), caplog.text, str(dir(secret))),
    ]
    assert not any(KEY[:10] in text for text in shown)
    assert str(secret) == "***"
    assert not hasattr(secret, "__dict__")


def test_a_secret_does_not_leave_its_process_and_is_no_copy_of_itself():
    secret = Secret(KEY)

    with pytest.raises(TypeError, match="a key does not leave its process"):
        pickle.dumps(secret)
    assert copy.deepcopy({"key": secret})["key"] is secret
    assert copy.copy(secret) is secret


def test_secrets_are_equal_when_their_keys_are():
    assert Secret(KEY) == Secret(KEY + "\n")
    assert Secret(KEY) != Secret(KEY[:-1])
    assert Secret(KEY) != KEY
    assert len({Secret(KEY), Secret(KEY), Secret("another-invented-key")}) == 2


@pytest.mark.parametrize("text", ["", "  ", "a b", "schlüssel", "tab\there", "zero\0", "a\nb", "\u200bkey", "\x7f"])
def test_what_no_key_has_in_it_is_refused_without_being_repeated(text):
    with pytest.raises(ValueError, match="a key is printable ASCII without spaces inside") as caught:
        Secret(text)

    assert not text.strip() or text not in str(caught.value)


def test_the_digest_is_twelve_digits_and_differs_with_the_keys():
    first, second = Secret(KEY), Secret("another-invented-key")

    assert digest(first) == digest(Secret(KEY))
    assert len({digest(first), digest(second), digest(first, second), digest(second, first)}) == 4
    assert all(len(d) == 12 and set(d) <= set("0123456789abcdef") for d in (digest(first), digest(second)))


# -- where keys come from ----------------------------------------------------------------------------------------------


def test_the_environment_comes_first_then_the_keyring_then_the_file_and_in_each_the_names_in_their_order(
    monkeypatch, keyring
):
    stored = {("rustybt", "POLYGON_API_KEY"): "of-keyring-2"}
    write_file('[polygon]\nMASSIVE_API_KEY = "of-file-1"\nPOLYGON_API_KEY = "of-file-2"\n')
    keyring(lambda service, user: stored.get((service, user)))

    stored.clear()
    assert load_key("polygon", *NAMES) == Secret("of-file-1")
    stored["rustybt", "POLYGON_API_KEY"] = "of-keyring-2"
    assert load_key("polygon", *NAMES) == Secret("of-keyring-2")
    stored["rustybt", "MASSIVE_API_KEY"] = "of-keyring-1"
    assert load_key("polygon", *NAMES) == Secret("of-keyring-1")
    monkeypatch.setenv("POLYGON_API_KEY", " of-environment-2\n")
    assert load_key("polygon", *NAMES) == Secret("of-environment-2")
    monkeypatch.setenv("MASSIVE_API_KEY", "of-environment-1")
    assert load_key("polygon", *NAMES) == Secret("of-environment-1")


def test_a_missing_key_is_an_error_that_names_the_variable_and_the_ways():
    with pytest.raises(AuthenticationError) as caught:
        load_key("polygon", *NAMES)

    text = str(caught.value)
    assert "polygon needs a key, and MASSIVE_API_KEY or POLYGON_API_KEY is set neither in the environment" in text
    assert str(key_file.path()) in text
    assert "rustybt config set-key polygon" in text


@pytest.mark.parametrize("vendor", sorted(KEY_VARIABLES))
def test_the_words_of_a_missing_key_survive_the_masking_of_keys(vendor):
    for names in KEY_VARIABLES[vendor]:
        with pytest.raises(AuthenticationError) as caught:
            load_key(vendor, *names)
        shown = mask_error(caught.value)
        assert "***" not in str(shown)
        assert f"export {names[0]}=..." in (shown.hint or "")


def test_a_key_is_at_hand_when_all_parts_of_it_are(monkeypatch):
    assert not key_storage.is_at_hand("alpaca")
    monkeypatch.setenv("ALPACA_API_KEY", "invented-id")
    assert not key_storage.is_at_hand("alpaca")
    key_file.write("alpaca", {"APCA_API_SECRET_KEY": "invented-secret"})
    assert key_storage.is_at_hand("alpaca")
    key_file.path().chmod(0o644)
    assert not key_storage.is_at_hand("alpaca")


def test_a_key_that_is_not_required_may_be_missing(monkeypatch):
    monkeypatch.setenv("POLYGON_API_KEY", "  ")

    assert load_key("polygon", *NAMES, required=False) is None


def test_an_unusable_key_is_refused_with_its_place_and_without_itself(monkeypatch):
    monkeypatch.setenv("POLYGON_API_KEY", "CANARY with spaces")

    with pytest.raises(AuthenticationError, match="the environment variable POLYGON_API_KEY cannot be one") as caught:
        load_key("polygon", *NAMES)

    assert "CANARY" not in "".join(traceback.format_exception(caught.value))


# -- the keyring -------------------------------------------------------------------------------------------------------


def test_a_broken_keyring_is_no_error(keyring, caplog):
    def broken(service, user):
        raise RuntimeError(f"no backend for {KEY}")

    keyring(broken)
    write_file(f'[polygon]\nPOLYGON_API_KEY = "{KEY}"\n')

    with caplog.at_level("DEBUG", logger="rustybt"):
        assert load_key("polygon", *NAMES) == Secret(KEY)

    assert {record.getMessage() for record in caplog.records} == {"keyring_unusable"}
    assert KEY not in str([record.__dict__ for record in caplog.records])


def test_a_keyring_that_waits_for_somebody_is_not_waited_for(keyring, monkeypatch):
    monkeypatch.setattr(credentials, "KEYRING_TIMEOUT_SECONDS", 0.02)
    keyring(lambda service, user: time.sleep(0.3))
    began = time.monotonic()

    assert load_key("polygon", *NAMES, required=False) is None

    assert time.monotonic() - began < 0.25


# -- the file ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o644, 0o610])
def test_a_file_that_others_can_read_or_change_is_refused_with_the_command_that_helps(mode):
    write_file(f'[polygon]\nPOLYGON_API_KEY = "{KEY}"\n', mode)

    with pytest.raises(AuthenticationError, match="others can read or change the file") as caught:
        load_key("polygon", *NAMES)

    assert caught.value.hint == f"chmod 600 {key_file.path()}"
    assert KEY not in str(caught.value)


def test_a_file_of_another_user_is_refused(monkeypatch):
    write_file(f'[polygon]\nPOLYGON_API_KEY = "{KEY}"\n')
    monkeypatch.setattr(os, "geteuid", lambda: key_file.path().stat().st_uid + 1)

    with pytest.raises(AuthenticationError, match="belongs to another user"):
        load_key("polygon", *NAMES)


def test_a_pipe_in_place_of_the_file_neither_hangs_nor_is_read():
    key_file.path().parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(key_file.path(), 0o600)

    with pytest.raises(AuthenticationError, match="it is no file"):
        load_key("polygon", *NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "[polygon]\nPOLYGON_API_KEY = CANARY\n",
        'CANARY = "1"\nCANARY = "2"\n',
        "[polygon\nCANARY",
        'polygon = "CANARY"',
        "[polygon]\nPOLYGON_API_KEY = 123\nX='CANARY'",
        '[polygon]\nPOLYGON_API_KEY = "CANARY\x01"',
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_an_error_that_repeats_nothing_of_it(text):
    write_file(text)

    with pytest.raises(AuthenticationError) as caught:
        load_key("polygon", *NAMES)

    assert str(key_file.path()) in str(caught.value)
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))


def test_a_broken_file_does_not_matter_where_the_environment_has_the_key(monkeypatch):
    write_file("broken", 0o666)
    monkeypatch.setenv("POLYGON_API_KEY", KEY)

    assert load_key("polygon", *NAMES) == Secret(KEY)


# -- storing -----------------------------------------------------------------------------------------------------------


def test_a_stored_key_is_found_and_its_file_is_its_owners_alone(monkeypatch):
    before = os.umask(0)
    try:
        place = key_storage.store("polygon", {"POLYGON_API_KEY": KEY})
        key_storage.store("alpaca", {"APCA_API_KEY_ID": 'quo"te\\', "APCA_API_SECRET_KEY": "s3"})
    finally:
        os.umask(before)

    assert place == str(key_file.path())
    assert stat.S_IMODE(key_file.path().stat().st_mode) == 0o600
    assert list(key_file.path().parent.glob(".credentials*")) == []
    assert load_key("polygon", *NAMES) == Secret(KEY)
    assert load_key("alpaca", "APCA_API_KEY_ID") == Secret('quo"te\\')


def test_storing_keeps_other_keys_and_replaces_its_own():
    key_storage.store("polygon", {"POLYGON_API_KEY": "first", "MASSIVE_API_KEY": "kept"})
    key_storage.store("polygon", {"POLYGON_API_KEY": "second"})

    assert key_file.read("polygon") == {"POLYGON_API_KEY": "second", "MASSIVE_API_KEY": "kept"}


def test_nothing_is_written_into_a_file_that_others_can_read():
    write_file('[polygon]\nPOLYGON_API_KEY = "x"\n', 0o644)

    with pytest.raises(AuthenticationError, match="others can read"):
        key_storage.store("alpaca", {"APCA_API_KEY_ID": KEY})

    assert KEY not in key_file.path().read_text()


def test_of_two_keys_both_are_stored_or_none():
    with pytest.raises(RequestError, match="APCA_API_SECRET_KEY: this cannot be a key") as caught:
        key_storage.store("alpaca", {"APCA_API_KEY_ID": "good", "APCA_API_SECRET_KEY": "CANARY bad"})

    assert "CANARY" not in str(caught.value)
    assert not key_file.path().exists()


def test_names_that_would_break_the_file_are_refused():
    with pytest.raises(RequestError, match="cannot name a key"):
        key_file.write("polygon", {"a.b = 1\n": "x"})


def test_a_keyring_takes_the_key_or_says_why_not(keyring):
    stored = {}
    errors = keyring(None, lambda service, user, key: stored.update({(service, user): key}))

    assert key_storage.store("polygon", {"POLYGON_API_KEY": KEY}, in_keyring=True) == "the keyring"
    assert stored == {("rustybt", "POLYGON_API_KEY"): KEY}

    def refuse(service, user, key):
        raise errors.KeyringError(f"cannot store {key}")

    keyring(None, refuse)
    sys.modules["keyring.errors"].KeyringError = errors.KeyringError
    with pytest.raises(StorageError, match="the keyring does not take the key: KeyringError") as caught:
        key_storage.store("polygon", {"POLYGON_API_KEY": KEY}, in_keyring=True)
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_without_a_keyring_package_the_hint_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(MissingDependencyError) as caught:
        key_storage.store("polygon", {"POLYGON_API_KEY": KEY}, in_keyring=True)

    assert caught.value.hint == "pip install keyring"


def test_a_source_whose_keys_are_not_known_needs_the_name_of_its_variable():
    assert key_storage.variables_of("alpaca") == ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY"]
    assert key_storage.variables_of("acme", "ACME_KEY") == ["ACME_KEY"]
    with pytest.raises(RequestError, match="source acme needs no key, or it is not known which"):
        key_storage.variables_of("acme")


# -- redaction ---------------------------------------------------------------------------------------------------------

SHAPES = {
    "as it is": KEY,
    "URL-encoded": quote(KEY, safe=""),
    "URL-encoded in small letters": quote(KEY, safe="").lower().replace("invented", "INVENTED"),
    "URL-encoded, slash kept": quote(KEY),
    "form-encoded": quote_plus(KEY),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "URL-safe base64": base64.urlsafe_b64encode(KEY.encode()).decode(),
    "JSON": json.dumps(KEY),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_key_is_masked_in_every_shape(shape):
    text = redact(f"your key {shape} is not valid for AAPL", Secret(KEY))

    assert text.replace('"', "").replace("***=", "***") == "your key *** is not valid for AAPL"


def test_a_key_that_was_loaded_is_masked_without_being_named():
    Secret("loaded-invented-key-42")

    assert redact("have detected your API key as loaded-invented-key-42.") == "have detected your API key as ***."


def test_a_key_cut_off_in_the_middle_is_masked():
    assert redact(f"...{KEY[:13]}... is wrong", KEY) == "...*** is wrong"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /v2?symbol=A&apikey=abcdef&x=1", "GET /v2?symbol=A&apikey=***&x=1"),
        ("url: /query?apiKey=zzz (Caused by", "url: /query?apiKey=*** (Caused by"),
        ("https://a.test/?api_key=1%2F2&b", "https://a.test/?api_key=***&b"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("{'APCA-API-SECRET-KEY': 'abcdefgh1'}", "{'APCA-API-SECRET-KEY': '***'}"),
        ("proxy http://me:pass@proxy.test:80/x", "proxy http://***@proxy.test:80/x"),
        ("crumb=aB1/2 failed", "crumb=*** failed"),
    ],
)
def test_what_stands_where_a_key_stands_is_masked_also_when_the_key_is_not_known(text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "AAPL 1d: no data from 2024-01-02 to 2024-06-28",
        "key: the symbol is unknown",
        "set MASSIVE_API_KEY or POLYGON_API_KEY",
        "keyring=none monkey=banana-is-long",
        "https://api.test/v8/chart/AAPL?interval=1d&period1=1",
    ],
)
def test_ordinary_text_stays_as_it_is(text):
    assert redact(text) == text


def test_a_short_key_is_masked_as_a_word_only():
    assert redact("demo is the key of the demonstration", "demo") == "*** is the key of the demonstration"


@given(st.text("abcXYZ019-_+/=%&#?", min_size=8, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_no_text_holds_a_key_after_it_was_redacted(key, before, after):
    assert key not in redact(before + key + after, key)

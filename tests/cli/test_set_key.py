"""``rustybt config set-key``, and settings that hold a password."""

import io
import stat
import sys

import pytest

KEY = "INVENTED-canary-key-0123456789"


@pytest.fixture
def pipe(monkeypatch):
    """Write into the command's stdin."""

    def write(text):
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    return write


def test_a_key_is_read_from_a_pipe_and_stored_for_its_owner_alone(place, rustybt, pipe):
    pipe(f"{KEY}\n")

    status, out, err = rustybt("config", "set-key", "polygon")

    assert (status, out) == (0, "")
    assert err == f"stored MASSIVE_API_KEY in {place / 'credentials.toml'}\n"
    assert (place / "credentials.toml").read_text() == f'[polygon]\nMASSIVE_API_KEY = "{KEY}"\n'
    assert stat.S_IMODE((place / "credentials.toml").stat().st_mode) == 0o600


def test_a_source_with_two_keys_reads_two_lines(place, ask, pipe):
    pipe(f"the-id\r\n{KEY}")

    found = ask("config", "set-key", "alpaca")

    assert found["variables"] == ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY"]
    assert KEY not in str(found)
    assert f'APCA_API_KEY_ID = "the-id"\nAPCA_API_SECRET_KEY = "{KEY}"' in (place / "credentials.toml").read_text()


def test_at_a_terminal_it_is_asked_for_without_echo(place, rustybt, monkeypatch):
    import getpass

    asked = []
    monkeypatch.setattr(sys, "stdin", type("Screen", (io.StringIO,), {"isatty": lambda self: True})())
    monkeypatch.setattr(getpass, "getpass", lambda prompt: asked.append(prompt) or KEY)

    assert rustybt("config", "set-key", "acme", "--variable", "ACME_KEY")[0] == 0

    assert asked == ["ACME_KEY: "]
    assert f'ACME_KEY = "{KEY}"' in (place / "credentials.toml").read_text()


def test_massive_is_another_name_of_polygon(place, rustybt, pipe):
    pipe(KEY)

    assert rustybt("config", "set-key", "massive")[0] == 0
    assert (place / "credentials.toml").read_text().startswith("[polygon]\n")


def test_a_source_without_a_key_says_so(ask, pipe):
    pipe(KEY)

    error = ask("config", "set-key", "yfinance", status=2)["error"]
    assert error["message"].startswith("source yfinance needs no key")
    assert "polygon, alpaca, alphavantage" in error["hint"]


def test_nothing_in_the_pipe_stores_nothing(place, ask, pipe):
    pipe("")

    error = ask("config", "set-key", "alpaca", status=2)["error"]
    assert error["message"] == "no APCA_API_KEY_ID and no APCA_API_SECRET_KEY was given, nothing was stored"
    assert "one line a key, in this order: APCA_API_KEY_ID, APCA_API_SECRET_KEY" in error["hint"]
    assert not (place / "credentials.toml").exists()


def test_a_key_on_the_command_line_is_refused_and_not_repeated(place, rustybt):
    status, out, err = rustybt("config", "set-key", "polygon", KEY)

    assert status == 2
    assert KEY not in out + err
    assert "asks for it" in err
    assert not (place / "credentials.toml").exists()


def test_an_environment_variable_that_wins_is_told(rustybt, pipe, monkeypatch):
    monkeypatch.setenv("MASSIVE_API_KEY", "another-invented-key")
    pipe(f"{KEY}\n")

    err = rustybt("config", "set-key", "polygon")[2]

    assert "the environment variable MASSIVE_API_KEY is set, and wins" in err
    assert "another-invented-key" not in err


def test_a_source_nobody_knows_needs_the_name_of_its_variable(ask, pipe):
    pipe(f"{KEY}\n")

    assert "--variable" in ask("config", "set-key", "acme", status=2)["error"]["hint"]


def test_a_password_in_a_proxy_is_not_printed(rustybt, ask):
    _, out, err = rustybt("config", "set", "sources.polygon.proxy", f"http://me:{KEY}@proxy.test:1")
    assert "sources.polygon.proxy = http://proxy.test:1" in err
    assert "another value is in force" not in err
    shown = ask("config", "show", "--origin")["sources.polygon.proxy"]["value"]
    assert shown == "http://proxy.test:1"
    assert KEY not in out + err + rustybt("config", "show")[1] + rustybt("doctor")[1]


def test_a_key_is_no_setting(rustybt):
    status, out, err = rustybt("config", "set", "sources.polygon.api_key", KEY)

    assert status == 2
    assert "rustybt config set-key" in err
    assert KEY not in out + err

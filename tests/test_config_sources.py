"""Settings of single sources, ``sources.NAME.SETTING``."""

import stat
import tomllib
from pathlib import Path

import pytest

from rustybt.config import (
    Config,
    describe_setting,
    environment_variable,
    load_settings,
    set_value,
    source_settings,
    user_file,
)
from rustybt.errors import RequestError

PASSWORD = "INVENTED-canary-password"


@pytest.fixture(autouse=True)
def in_empty_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_nothing_is_set_at_first():
    assert source_settings("polygon") == {}
    assert not [key for key, _, _ in load_settings().items() if key.startswith("sources.")]


def test_values_are_typed_wherever_they_come_from(tmp_path, monkeypatch):
    Path("rustybt.toml").write_text(
        "[sources.polygon]\nrequests_per_minute = 100\nca_bundle = 'certificates/ca.pem'\ntimeout_seconds = '500ms'\n"
        "[sources.alpaca]\nmax_attempts = 2\n"
    )
    monkeypatch.setenv("RUSTYBT_SOURCES_POLYGON_PARALLEL_REQUESTS", "7")

    assert source_settings("polygon") == {
        "requests_per_minute": 100.0,
        "parallel_requests": 7,
        "timeout_seconds": 0.5,
        "ca_bundle": str(tmp_path / "certificates/ca.pem"),
    }
    assert source_settings("alpaca") == {"max_attempts": 2}


def test_a_flag_beats_the_environment_which_beats_the_project_which_beats_the_user(monkeypatch):
    set_value("sources.polygon.max_attempts", "1")
    assert source_settings("polygon")["max_attempts"] == 1
    Path("rustybt.toml").write_text("[sources.polygon]\nmax_attempts = 2\n")
    assert source_settings("polygon")["max_attempts"] == 2
    monkeypatch.setenv("RUSTYBT_SOURCES_POLYGON_MAX_ATTEMPTS", "3")
    assert source_settings("polygon", {"max_attempts": None})["max_attempts"] == 3
    assert source_settings("polygon", {"max_attempts": "4"})["max_attempts"] == 4
    assert load_settings().origin("sources.polygon.max_attempts") == (
        "environment RUSTYBT_SOURCES_POLYGON_MAX_ATTEMPTS"
    )


def test_hyphens_and_capitals_in_a_source_s_name_make_no_difference(monkeypatch):
    Path("rustybt.toml").write_text("[sources.My-Source]\nmax_attempts = 2\n")
    monkeypatch.setenv("RUSTYBT_SOURCES_MY_SOURCE_TIMEOUT_SECONDS", "3")

    assert source_settings("my-source") == source_settings("MY_SOURCE") == {"max_attempts": 2, "timeout_seconds": 3.0}
    assert environment_variable("sources.my-source.proxy") == "RUSTYBT_SOURCES_MY_SOURCE_PROXY"


def test_zero_requests_a_minute_is_no_limit():
    assert source_settings("polygon", {"requests_per_minute": "0"}) == {"requests_per_minute": 0.0}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("requests_per_minute", "many"),
        ("requests_per_minute", -1),
        ("requests_per_minute", True),
        ("requests_per_minute", "nan"),
        ("parallel_requests", 0),
        ("parallel_requests", "1.5"),
        ("max_attempts", True),
        ("timeout_seconds", 0),
        ("timeout_seconds", "soon"),
        ("proxy", f"{PASSWORD}@proxy"),
        ("proxy", f"ftp://me:{PASSWORD}@proxy"),
        ("base_url", 5),
        ("ca_bundle", ""),
    ],
)
def test_a_value_that_is_not_of_its_kind_is_refused_with_its_origin(name, value):
    with pytest.raises(RequestError, match=f"flag: sources.polygon.{name}: ") as caught:
        source_settings("polygon", {name: value})

    assert PASSWORD not in str(caught.value)


def test_an_unknown_setting_is_refused_with_a_near_one_wherever_it_stands(monkeypatch):
    Path("rustybt.toml").write_text("[sources.polygon]\nrequest_per_minute = 100\n")
    with pytest.raises(
        RequestError, match=r"project file .*unknown setting 'sources.polygon.request_per_minute'"
    ) as caught:
        load_settings()
    assert caught.value.hint == "did you mean requests_per_minute?"

    Path("rustybt.toml").unlink()
    monkeypatch.setenv("RUSTYBT_SOURCES_POLYGON_PROXI", "x")
    with pytest.raises(RequestError, match="environment RUSTYBT_SOURCES_POLYGON_PROXI") as caught:
        load_settings()
    assert caught.value.hint == "did you mean proxy?"

    for key in ("sources.polygon", "sources.polygon.a.b", "sources..proxy", "sources.po lygon.proxy"):
        with pytest.raises(RequestError, match="unknown setting"):
            set_value(key, "1")


@pytest.mark.parametrize(
    "name", ["api_key", "apikey", "key", "secret", "api_secret", "token", "password", "secret_key"]
)
def test_a_key_among_the_settings_is_refused_with_where_it_belongs_and_without_itself(name, monkeypatch):
    Path("rustybt.toml").write_text(f"[sources.polygon]\n{name} = '{PASSWORD}'\n")
    with pytest.raises(RequestError, match="a key does not belong into the settings") as caught:
        load_settings()
    assert PASSWORD not in str(caught.value)
    assert "rustybt config set-key" in caught.value.hint

    Path("rustybt.toml").write_text(f"{name} = '{PASSWORD}'\n")
    with pytest.raises(RequestError, match="a key does not belong into the settings"):
        load_settings()

    Path("rustybt.toml").unlink()
    monkeypatch.setenv(f"RUSTYBT_SOURCES_POLYGON_{name.upper()}", PASSWORD)
    with pytest.raises(RequestError, match="a key does not belong into the settings") as caught:
        load_settings()
    assert PASSWORD not in str(caught.value)


def test_a_proxy_is_stored_with_its_password_for_its_owner_alone_and_shown_without():
    set_value("sources.polygon.proxy", f"http://me:{PASSWORD}@proxy.test:3128")

    assert source_settings("polygon")["proxy"] == f"http://me:{PASSWORD}@proxy.test:3128"
    assert stat.S_IMODE(user_file().stat().st_mode) == 0o600
    shown = {key: value for key, value, _ in load_settings().items()}
    assert shown["sources.polygon.proxy"] == "http://proxy.test:3128"


def test_setting_one_keeps_the_others_and_none_removes_it():
    set_value("home", "/data")
    set_value("sources.polygon.max_attempts", "3")
    set_value("sources.Polygon.parallel_requests", 2)
    set_value("sources.alpaca.timeout_seconds", "5s")
    set_value("sources.polygon.max_attempts", None)

    assert tomllib.loads(user_file().read_text()) == {
        "home": "/data",
        "sources": {"polygon": {"parallel_requests": 2}, "alpaca": {"timeout_seconds": "5s"}},
    }
    assert Config.get("sources.polygon.parallel_requests") == 2
    assert Config.get("sources.polygon.max_attempts", 9) == 9
    assert load_settings()["sources.polygon.max_attempts"] is None


def test_every_setting_of_a_source_says_what_it_does():
    assert describe_setting("sources.polygon.requests_per_minute").startswith("requests in a minute")


def test_freshness_is_set_for_a_source_and_for_one_of_its_frequencies(monkeypatch):
    set_value("sources.polygon.freshness", " Hybrid:5m ")
    set_value("sources.polygon.freshness_1M", "market_close")
    monkeypatch.setenv("RUSTYBT_SOURCES_POLYGON_FRESHNESS_1M", "ttl:1s")
    assert source_settings("polygon") == {
        "freshness": "hybrid:5m",
        "freshness_1M": "market_close",
        "freshness_1m": "ttl:1s",
    }
    monkeypatch.setenv("RUSTYBT_SOURCES_POLYGON_FRESHNESS_1MONTH", "always")
    monkeypatch.setenv("RUSTYBT_SOURCES_MY_OWN_FRESHNESS", "never")
    assert source_settings("polygon")["freshness_1M"] == "always"
    assert source_settings("my-own") == {"freshness": "never"}
    for key, variable in (("freshness_1M", "FRESHNESS_1MONTH"), ("freshness_15m", "FRESHNESS_15M")):
        assert environment_variable(f"sources.polygon.{key}") == f"RUSTYBT_SOURCES_POLYGON_{variable}"
        assert describe_setting(f"sources.polygon.{key}")


def test_a_freshness_that_is_none_is_refused():
    with pytest.raises(RequestError, match="soon") as caught:
        set_value("sources.polygon.freshness_1d", "soon")
    assert "market_close" in caught.value.hint
    with pytest.raises(RequestError, match="freshness_2h"):
        set_value("sources.polygon.freshness_2h", "never")

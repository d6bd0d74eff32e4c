"""``rustybt config`` and ``rustybt doctor``."""

import importlib.metadata
import shutil
from types import SimpleNamespace

import pytest

from rustybt.cli import doctor
from rustybt.errors import BundleError


def test_settings_are_shown_with_their_origin(place, rustybt, ask):
    (place / "rustybt.toml").write_text('[cache]\nmax_size_bytes = "5GB"\n')
    _, out, _ = rustybt("config", "show", "--origin")
    line = next(line for line in out.splitlines() if line.startswith("cache.max_size_bytes"))
    assert line.split()[1:4] == ["5000000000", "project", "file"]
    found = ask("config", "show", "--origin")
    assert found["home"] == {"value": str(place / "home"), "origin": "environment RUSTYBT_HOME"}
    assert ask("config", "show")["cache.max_size_bytes"] == 5_000_000_000
    assert "cache.max_size_bytes" in rustybt("config", "show")[1]


def test_a_home_given_as_a_flag_is_a_flag(place, ask):
    assert ask("config", "show", "--origin", "--home", "x")["home"] == {"value": str(place / "x"), "origin": "flag"}


def test_a_setting_is_written_and_read_again(place, rustybt, ask):
    status, out, err = rustybt("config", "set", "bundle.lock_timeout_seconds", "2m")
    assert (status, out) == (0, "")
    assert "bundle.lock_timeout_seconds = 2m" in err
    assert ask("config", "show")["bundle.lock_timeout_seconds"] == 120.0
    assert ask("config", "set", "log_level", "info")["file"] == str(place / "config.toml")


@pytest.mark.parametrize(("key", "value"), [("cache.max_size", "5GB"), ("log_level", "loud")])
def test_a_setting_that_is_none_is_refused(ask, key, value):
    assert ask("config", "set", key, value, status=2)["error"]["hint"]


def test_a_value_that_is_refused_names_its_setting(ask):
    assert "log_level: 'LOUD'" in ask("config", "set", "log_level", "LOUD", status=2)["error"]["message"]


def test_a_setting_that_another_origin_overrides_says_so(rustybt, monkeypatch):
    monkeypatch.setenv("RUSTYBT_LOG_LEVEL", "INFO")
    assert "another value is in force, from environment" in rustybt("config", "set", "log_level", "ERROR")[2]


def test_a_home_that_is_a_file_is_refused(place, rustybt):
    (place / "file").write_text("x")
    status, _, err = rustybt("--home", place / "file", "bundle", "list")
    assert status == 2
    assert "is no directory" in err


def test_verbose_logs_go_to_stderr_in_the_configured_form(place, rustybt, monkeypatch):
    import json
    import logging

    monkeypatch.setenv("RUSTYBT_LOG_FORMAT", "json")
    rustybt("config", "show", "-v")
    root = logging.getLogger("rustybt")
    assert root.level == logging.INFO
    record = logging.LogRecord("rustybt.x", logging.INFO, "x.py", 1, "hello", None, None)
    assert json.loads(root.handlers[-1].format(record))["event"] == "hello"
    rustybt("config", "show", "-vv")
    assert root.level == logging.DEBUG
    rustybt("config", "show", "--quiet")
    assert root.level == logging.ERROR


def states(document):
    return {finding["what"]: finding["state"] for finding in document["findings"]}


def test_a_healthy_installation_has_no_problem(us, rustybt, ask):
    found = ask("doctor")
    assert found["healthy"] is True
    assert "problem" not in states(found).values()
    assert {"python", "sqlite", "home", "polars", "source csv"} <= set(states(found))
    status, out, _ = rustybt("doctor")
    assert status == 0
    assert "1: us" in out


def test_an_empty_home_is_healthy(ask):
    bundles = [finding for finding in ask("doctor")["findings"] if finding["what"] == "bundles"]
    assert bundles[0]["detail"] == "none yet"


def test_a_broken_database_is_a_problem_with_its_help(us, ask, monkeypatch):
    def open_store(terminal):
        raise BundleError("the database is damaged", hint="rustybt bundle recover")

    monkeypatch.setattr(doctor, "open_store", open_store)
    found = ask("doctor", status=1)
    (problem,) = [finding for finding in found["findings"] if finding["state"] == "problem"]
    assert (problem["detail"], problem["hint"]) == ("the database is damaged", "rustybt bundle recover")


def test_whatever_breaks_is_a_finding_and_the_rest_is_still_checked(ask, monkeypatch):
    def usage(path):
        raise ValueError("odd")

    monkeypatch.setattr(shutil, "disk_usage", usage)
    found = ask("doctor", status=1)
    assert states(found)["home"] == "problem" or "ValueError: odd" in str(found)
    assert "source csv" in states(found)


def test_a_full_disk_and_missing_packages_are_told(ask, monkeypatch):
    real = importlib.metadata.version

    def version(name):
        if name in ("polars", "matplotlib"):
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000_000))
    found = ask("doctor", status=1)
    assert states(found)["packages missing"] == "problem"
    assert states(found)["matplotlib"] == "note"
    assert states(found)["free space"] == "note"


def test_a_read_only_home_is_a_note(ask, monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: False)
    assert states(ask("doctor"))["home is read-only"] == "note"


def test_an_unavailable_source_is_a_note(ask, monkeypatch):
    from rustybt.data.sources import SourceInfo

    absent = SourceInfo("vendor", available=False, reason="needs vendorlib", pip_command="pip install vendorlib")
    monkeypatch.setattr("rustybt.data.sources.list_sources", lambda: [absent])
    found = ask("doctor")
    assert states(found)["source vendor"] == "note"

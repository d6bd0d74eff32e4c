import os
import stat
import tomllib
from pathlib import Path

import platformdirs
import pytest

from rustybt.config import (
    Config,
    Settings,
    default_home,
    describe_setting,
    environment_variable,
    load_settings,
    parse_duration,
    parse_size,
    set_value,
    setting_keys,
    user_file,
)
from rustybt.errors import RequestError, StorageError
from rustybt.market.frequency import FREQUENCIES


@pytest.fixture(autouse=True)
def nothing_set(tmp_path, monkeypatch):
    """No settings from outside; the project is an empty folder and the user's file does not exist yet."""
    for name in list(os.environ):
        if name.startswith("RUSTYBT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RUSTYBT_CONFIG_FILE", str(tmp_path / "user" / "config.toml"))
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)


def write_user(text):
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text(text)


def test_without_any_file_the_defaults_hold():
    settings = load_settings()
    assert settings.home == default_home() == Path(platformdirs.user_data_dir("rustybt", appauthor=False))
    assert settings.log_level == "WARNING"
    assert settings.cache_max_size_bytes == 10 * 1024**3
    assert settings.bundle_lock_timeout_seconds == 60
    assert settings.csv_max_decompressed_bytes == 8 * 1024**3
    assert {origin for _, _, origin in settings.items()} == {"default"}


def test_the_stronger_origin_wins_and_is_named(monkeypatch, tmp_path):
    key = "cache.max_size_bytes"
    write_user('[cache]\nmax_size_bytes = "1GB"\n')
    assert load_settings()[key] == 10**9
    assert load_settings().origin(key) == f"user file {user_file()}"
    project = tmp_path / "project" / "rustybt.toml"
    project.write_text("[cache]\nmax_size_bytes = 2_000\n")
    assert load_settings()[key] == 2_000
    assert load_settings().origin(key) == f"project file {project}"
    monkeypatch.setenv("RUSTYBT_CACHE_MAX_SIZE_BYTES", "3MiB")
    assert load_settings()[key] == 3 * 1024**2
    assert load_settings().origin(key) == "environment RUSTYBT_CACHE_MAX_SIZE_BYTES"
    flagged = load_settings({key: "4kB"})
    assert flagged.cache_max_size_bytes == 4_000
    assert flagged.origin("cache_max_size_bytes") == "flag"


def test_a_flag_that_was_not_given_and_an_empty_variable_set_nothing(monkeypatch):
    monkeypatch.setenv("RUSTYBT_LOG_LEVEL", "")
    settings = load_settings({"log_format": None})
    assert settings.origin("log_level") == settings.origin("log_format") == "default"


def test_settings_are_read_afresh():
    assert load_settings().log_level == "WARNING"
    set_value("log_level", "debug")
    assert load_settings().log_level == "DEBUG"


def test_a_home_in_a_file_is_meant_from_the_files_folder(monkeypatch, tmp_path):
    (tmp_path / "project" / "rustybt.toml").write_text('home = "data"\n')
    assert load_settings().home == tmp_path / "project" / "data"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "project" / "rustybt.toml").write_text('home = "~/mine"\n')
    assert load_settings().home == tmp_path / "mine"
    monkeypatch.setenv("RUSTYBT_HOME", str(tmp_path / "env"))
    assert load_settings().home == tmp_path / "env"


def test_an_unknown_key_is_refused_with_a_near_one():
    write_user("[cache]\nmax_size = 5\n")
    with pytest.raises(RequestError, match=r"cache\.max_size_bytes") as caught:
        load_settings()
    assert str(user_file()) in caught.value.message


def test_a_wrong_value_names_its_origin(monkeypatch):
    monkeypatch.setenv("RUSTYBT_LOG_LEVEL", "loud")
    with pytest.raises(RequestError, match=r"environment RUSTYBT_LOG_LEVEL: log_level: 'loud'.*\n.*DEBUG"):
        load_settings()


@pytest.mark.parametrize("content", [b"home = [", b"\xff\xfe", b"home = 5", b'home = ""'])
def test_a_broken_file_is_refused(content):
    user_file().parent.mkdir(parents=True)
    user_file().write_bytes(content)
    with pytest.raises(RequestError, match=r"config\.toml"):
        load_settings()


def test_a_file_that_cannot_be_read_is_refused():
    user_file().mkdir(parents=True)
    with pytest.raises(RequestError, match="cannot read the settings"):
        load_settings()


def test_a_path_through_a_file_has_no_settings(monkeypatch, tmp_path):
    (tmp_path / "plain").write_text("")
    monkeypatch.setenv("RUSTYBT_CONFIG_FILE", str(tmp_path / "plain" / "config.toml"))
    assert load_settings().log_level == "WARNING"


def test_a_setting_is_written_for_its_owner_alone_and_others_stay():
    set_value("cache.max_size_bytes", "5GB")
    set_value("log_level", "info")
    path = set_value("bundle.gc_grace_seconds", 30)
    assert path == user_file()
    assert tomllib.loads(path.read_text()) == {
        "log_level": "info",
        "bundle": {"gc_grace_seconds": 30},
        "cache": {"max_size_bytes": "5GB"},
    }
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["config.toml"]


@pytest.mark.parametrize(
    "name", ['a "quoted" \\ name', "tab\there", "caf\u00e9 \U0001f680", "del\x7fete", "[table]\n# no comment"]
)
def test_any_path_survives_the_file(tmp_path, name):
    set_value("home", tmp_path / name)
    assert load_settings().home == tmp_path / name


def test_none_removes_a_setting():
    set_value("log_level", "info")
    path = set_value("log_level", None)
    assert path.read_text() == ""
    assert load_settings().origin("log_level") == "default"


@pytest.mark.parametrize(("key", "value"), [("log_level", "loud"), ("nothing.here", 1), ("cache.max_size_bytes", -1)])
def test_a_wrong_value_is_not_written(key, value):
    with pytest.raises(RequestError):
        set_value(key, value)
    assert not user_file().exists()


def test_a_file_that_cannot_be_understood_is_not_rewritten():
    write_user('future_setting = "x"\n')
    with pytest.raises(RequestError, match="future_setting"):
        set_value("log_level", "info")
    assert user_file().read_text() == 'future_setting = "x"\n'


def test_a_wrong_value_can_be_replaced():
    write_user('log_level = "loud"\n')
    set_value("log_level", "info")
    assert load_settings().log_level == "INFO"


def test_a_failed_write_leaves_the_file_as_it_was(monkeypatch):
    set_value("log_level", "info")
    before = user_file().read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="No space left"):
        set_value("log_level", "debug")
    assert user_file().read_bytes() == before
    assert [entry.name for entry in user_file().parent.iterdir()] == ["config.toml"]


def test_a_link_to_the_file_stays_a_link(tmp_path, monkeypatch):
    real = tmp_path / "dotfiles.toml"
    real.write_text("")
    link = tmp_path / "link.toml"
    try:
        link.symlink_to(real)
    except OSError:
        pytest.skip("this system makes no links")
    monkeypatch.setenv("RUSTYBT_CONFIG_FILE", str(link))
    set_value("log_level", "info")
    assert link.is_symlink()
    assert real.read_text() == 'log_level = "info"\n'


def test_the_users_file_lies_in_the_platforms_folder(monkeypatch):
    monkeypatch.delenv("RUSTYBT_CONFIG_FILE")
    assert user_file() == Path(platformdirs.user_config_dir("rustybt", appauthor=False)) / "config.toml"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (5, 5),
        ("5", 5),
        ("5B", 5),
        ("5kB", 5_000),
        ("5 GB", 5 * 10**9),
        ("1.5GiB", 3 * 2**29),
        ("2tb", 2 * 10**12),
        ("1_000", 1_000),
        ("7M", 7 * 10**6),
    ],
)
def test_sizes_may_have_units(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "5XB", "-5", -5, 1.5, True, None, "5 5", "\uff11"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(RequestError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (90, 90),
        (0.5, 0.5),
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("12h", 43_200),
        ("2d", 172_800),
        ("1w", 604_800),
        ("500ms", 0.5),
        ("5 min", 300),
        ("1.5h", 5_400),
    ],
)
def test_durations_may_have_units(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "2y", "-2d", -2, True, None, float("nan"), float("inf")])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(RequestError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("home", ["", "  ", 5, "a\0b", "~no-such-user-here/x"])
def test_what_is_no_folder_is_refused(home):
    with pytest.raises(RequestError, match="is not a folder"):
        load_settings({"home": home})


def test_every_setting_has_a_key_a_variable_and_a_sentence():
    settings = Settings()
    for key in setting_keys():
        assert describe_setting(key)
        assert environment_variable(key).startswith("RUSTYBT_")
        assert settings[key] is not None or "None: " in describe_setting(key)
    assert environment_variable("bundle.lock_timeout_seconds") == "RUSTYBT_BUNDLE_LOCK_TIMEOUT_SECONDS"


def test_config_get_takes_the_callers_default_only_where_nothing_is_set():
    assert Config.get("cache.max_size_bytes", default=7) == 7
    assert Config.get("cache.max_size_bytes") == 10 * 1024**3
    set_value("cache.max_size_bytes", 9)
    assert Config.get("cache.max_size_bytes", default=7) == 9
    with pytest.raises(RequestError, match="unknown setting"):
        Config.get("cache.size")


def test_the_cache_has_its_defaults():
    settings = load_settings()
    assert settings.cache_dir is None
    assert settings.cache_revision_sessions == 5
    assert settings["cache.empty_expiry"] == settings.cache_empty_expiry_seconds == 7 * 86_400
    assert {settings[f"cache.freshness.{name}"] for name in FREQUENCIES} == {None}
    assert Config.get("cache.max_size_bytes", default=1_000) == 1_000


def test_settings_of_the_cache_are_typed(monkeypatch, tmp_path):
    write_user(
        '[cache]\ndir = "bars"\nrevision_sessions = 0\nempty_expiry = "2d"\n\n'
        '[cache.freshness]\n1m = "hybrid:1m"\n1M = " NEVER "\n'
    )
    monkeypatch.setenv("RUSTYBT_CACHE_FRESHNESS_1H", "TTL:2H")
    settings = load_settings()
    # A folder written in a file is meant from where the file lies.
    assert settings.cache_dir == user_file().parent / "bars"
    assert settings.cache_revision_sessions == 0
    assert settings.cache_empty_expiry_seconds == 172_800
    assert settings["cache.freshness.1m"] == "hybrid:1m"
    assert settings["cache.freshness.1M"] == "never"
    assert settings["cache.freshness.1h"] == "ttl:2h"


def test_every_setting_has_a_variable_of_its_own(monkeypatch):
    variables = [environment_variable(key).upper() for key in setting_keys()]
    assert len(set(variables)) == len(variables)
    monkeypatch.setenv("RUSTYBT_CACHE_FRESHNESS_1M", "ttl:1s")
    assert load_settings()["cache.freshness.1m"] == "ttl:1s"
    assert load_settings()["cache.freshness.1M"] is None
    monkeypatch.setenv("RUSTYBT_CACHE_FRESHNESS_1MONTH", "always")
    assert load_settings()["cache.freshness.1M"] == "always"
    assert load_settings().origin("cache.freshness.1M") == "environment RUSTYBT_CACHE_FRESHNESS_1MONTH"


def test_the_cache_is_set_by_the_environment_and_by_command(monkeypatch, tmp_path):
    monkeypatch.setenv("RUSTYBT_CACHE_REVISION_SESSIONS", "12")
    monkeypatch.setenv("RUSTYBT_CACHE_EMPTY_EXPIRY", "1h")
    monkeypatch.setenv("RUSTYBT_CACHE_DIR", str(tmp_path / "elsewhere"))
    assert load_settings().cache_revision_sessions == 12
    assert load_settings().cache_empty_expiry_seconds == 3_600
    assert load_settings().cache_dir == tmp_path / "elsewhere"
    monkeypatch.delenv("RUSTYBT_CACHE_DIR")
    set_value("cache.dir", "bars")
    set_value("cache.freshness.1M", "market_close")
    assert load_settings().cache_dir == tmp_path / "project" / "bars"
    assert load_settings()["cache.freshness.1M"] == "market_close"
    assert load_settings()["cache.freshness.1m"] is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cache.revision_sessions", "-1"),
        ("cache.revision_sessions", "five"),
        ("cache.revision_sessions", True),
        ("cache.revision_sessions", False),
        ("cache.revision_sessions", 1.5),
        ("cache.empty_expiry", "soon"),
        ("cache.dir", " "),
        ("cache.freshness.1d", "soon"),
        ("cache.freshness.1d", "ttl:"),
        ("cache.freshness.1d", "ttl:1y"),
        ("cache.freshness.1d", "market_close:1h"),
        ("cache.freshness.1d", 3_600),
        ("cache.freshness.2h", "never"),
    ],
)
def test_what_the_cache_cannot_be_set_to_is_refused_with_a_hint(key, value):
    with pytest.raises(RequestError) as caught:
        load_settings({key: value})
    assert caught.value.hint

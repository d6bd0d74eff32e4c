"""The entry point: commands, help, failures, exit statuses."""

import json
import os
import subprocess
import sys

import pytest
import typer

from rustybt.cli import errors
from rustybt.cli.main import COMMANDS, invoke, load, main
from rustybt.cli.terminal import Terminal
from rustybt.errors import BundleNotFoundError, RateLimitedError


def test_the_help_page_lists_every_command(capsys):
    assert invoke(["--help"]) == 0
    out = capsys.readouterr().out
    for name in COMMANDS:
        assert name in out


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_table_and_the_commands_say_the_same(name):
    real = load(name)
    assert real.help.strip().splitlines()[0] == COMMANDS[name].help


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_a_help_page(name, capsys):
    assert invoke([name, "--help"]) == 0
    assert f"rustybt {name}" in capsys.readouterr().out


def test_the_version_is_printed(capsys):
    from rustybt import __version__

    assert invoke(["--version"]) == 0
    assert capsys.readouterr().out == f"rustybt {__version__}\n"


def test_no_command_shows_the_help_page_and_is_a_usage_error(capsys):
    assert invoke([]) == 2
    assert "Usage: rustybt" in capsys.readouterr().out


def test_a_mistyped_command_is_a_usage_error_with_a_suggestion(capsys):
    assert invoke(["bundel"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Did you mean 'bundle'?" in captured.err
    assert "hint: rustybt --help" in captured.err


def test_a_usage_error_is_json_when_json_was_asked_for(capsys):
    assert invoke(["bundle", "info", "--json"]) == 2
    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert error["code"] == "usage"
    assert error["exit_code"] == 2
    assert error["hint"] == "rustybt bundle info --help"
    assert "error: " in captured.err


def test_json_after_a_double_dash_is_not_a_flag(capsys):
    assert invoke(["bundle", "info", "--", "--json", "x"]) == 2
    assert capsys.readouterr().out == ""


def fail_with(monkeypatch, error):
    app = typer.Typer()

    from rustybt.cli.command import command

    @command(app)
    def config(terminal):
        """Fail."""
        raise error

    monkeypatch.setattr("rustybt.cli.main.load", lambda name: _named(typer.main.get_command(app), name))


def _named(loaded, name):
    loaded.name = name
    return loaded


@pytest.mark.parametrize(
    ("error", "status", "code", "said"),
    [
        (
            BundleNotFoundError("no bundle 'x'", hint="rustybt bundle list", bundle="x"),
            2,
            "bundle-not-found",
            "no bundle",
        ),
        (RateLimitedError("wait", retry_after_seconds=3.0), 5, "rate-limited", "wait"),
        (PermissionError(13, "Permission denied", "/data/x"), 1, "os-error", "/data/x: Permission denied"),
        (MemoryError(), 1, "memory", "out of memory"),
        (KeyboardInterrupt(), 130, "interrupted", "interrupted"),
        (ZeroDivisionError("division by zero"), 1, "internal", "unexpected ZeroDivisionError"),
    ],
)
def test_every_failure_has_a_code_a_message_and_a_status_but_no_traceback(
    monkeypatch, capsys, error, status, code, said
):
    fail_with(monkeypatch, error)
    assert invoke(["config", "--json"]) == status
    captured = capsys.readouterr()
    body = json.loads(captured.out)["error"]
    assert (body["code"], body["exit_code"]) == (code, status)
    assert said in body["message"]
    assert said in captured.err
    assert "Traceback" not in captured.err + captured.out


def test_structured_details_are_part_of_the_json(monkeypatch, capsys):
    fail_with(monkeypatch, RateLimitedError("wait", retry_after_seconds=3.5))
    invoke(["config", "--json"])
    assert json.loads(capsys.readouterr().out)["error"]["details"] == {"retry_after_seconds": 3.5}


def test_debug_prints_the_traceback_on_stderr(monkeypatch, capsys):
    fail_with(monkeypatch, RuntimeError("inner cause"))
    assert invoke(["config", "--debug"]) == 1
    captured = capsys.readouterr()
    assert "Traceback (most recent call last)" in captured.err
    assert captured.out == ""


def test_a_bug_says_where_and_how_to_report_it(monkeypatch, capsys):
    fail_with(monkeypatch, RuntimeError("inner cause"))
    invoke(["config"])
    err = capsys.readouterr().err
    assert "test_main.py, line" in err
    assert "--debug" in err


def test_control_characters_in_a_message_are_spelled_out(monkeypatch, capsys):
    fail_with(monkeypatch, BundleNotFoundError("no bundle '\x1b[2J'"))
    invoke(["config"])
    assert "\x1b" not in capsys.readouterr().err


def test_an_error_without_traceback_can_be_described():
    assert "no traceback" in errors.describe(RuntimeError("x"))["message"]


def test_main_leaves_with_the_exit_status(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["rustybt", "nonsense"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2


def test_the_home_flag_works_before_and_after_the_command_and_does_not_outlive_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("RUSTYBT_HOME", str(tmp_path / "usual"))
    for words in (
        ["--home", str(tmp_path / "h"), "config", "show", "--json"],
        ["config", "show", "--json", "--home", str(tmp_path / "h")],
    ):
        assert invoke(words) == 0
        assert json.loads(capsys.readouterr().out)["home"] == str(tmp_path / "h")
        assert os.environ["RUSTYBT_HOME"] == str(tmp_path / "usual")


def test_without_a_home_variable_none_is_left_behind(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("RUSTYBT_HOME", raising=False)
    assert invoke(["config", "show", "--home", str(tmp_path)]) == 0
    assert "RUSTYBT_HOME" not in os.environ


def test_flags_of_an_outer_terminal_hold_for_the_command(capsys):
    assert invoke(["config", "show"], Terminal(json=True)) == 0
    json.loads(capsys.readouterr().out)


def run(*words, **more):
    return subprocess.run([sys.executable, "-m", "rustybt", *words], capture_output=True, text=True, **more)


def test_python_dash_m_works():
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("rustybt ")


def test_a_narrow_encoding_does_not_kill_a_command():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = run("--help", env=environment)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_knows_the_commands(shell):
    variables = {
        "bash": {"COMP_WORDS": "rustybt bun", "COMP_CWORD": "1"},
        "zsh": {"_TYPER_COMPLETE_ARGS": "rustybt bun"},
        "fish": {"_TYPER_COMPLETE_ARGS": "rustybt bun", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = run(env={**os.environ, **variables, "_RUSTYBT_COMPLETE": f"complete_{shell}"})
    assert "bundle" in done.stdout


def test_shell_completion_knows_subcommands_and_options():
    for line, cword, expected in (
        ("rustybt bundle ver", "2", "versions"),
        ("rustybt run --capital", "2", "--capital-base"),
    ):
        variables = {"COMP_WORDS": line, "COMP_CWORD": cword, "_RUSTYBT_COMPLETE": "complete_bash"}
        assert expected in run(env={**os.environ, **variables}).stdout


def test_a_bundle_command_without_its_group_is_understood(rustybt):
    status, _, err = rustybt("list")
    assert status == 2
    assert "did you mean: rustybt bundle list" in err


def test_every_bundle_command_is_known_without_its_group():
    from rustybt.cli.main import BUNDLE_COMMANDS, load

    assert set(load("bundle").commands) == BUNDLE_COMMANDS


@pytest.mark.parametrize("words", [("-h",), ("bundle", "-h"), ("bundle", "list", "--help"), ("run", "--help")])
def test_the_help_option_shows_no_type(rustybt, words):
    out = rustybt(*words)[1]
    assert "--help" in out
    assert not [line for line in out.splitlines() if "--help" in line and "bool" in line]

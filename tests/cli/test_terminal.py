"""What a command writes, and where."""

import io
import json
import re
import sys
from decimal import Decimal

from rustybt.cli.terminal import Terminal, printable, silence_stdout


def test_a_table_in_a_pipe_is_plain_and_never_cut(capsys):
    long_name = "x" * 300
    Terminal().table(["name", "rows>"], [(long_name, 1234567), ("b", 8)])
    lines = capsys.readouterr().out.splitlines()
    assert long_name in lines[1]
    assert lines[1].endswith("1,234,567")
    assert lines[2].split() == ["b", "8"]
    assert not any(line.startswith(("─", "│", "╭")) for line in lines)


def test_markup_in_data_is_shown_as_it_is(capsys):
    Terminal().facts([("symbol", "[red]AAPL[/red]")], title="[b]")
    assert "[red]AAPL[/red]" in capsys.readouterr().out


def test_control_characters_in_data_cannot_steer_the_terminal(capsys):
    Terminal().table(["name"], [("evil\x1b[2Jname",)])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "evil\\x1b[2Jname" in out
    assert printable("a\nb\tc") == "a\nb\\tc"


def test_absent_values_and_flags_read_as_words(capsys):
    Terminal().table(["a", "b", "c"], [(None, True, False)])
    assert capsys.readouterr().out.splitlines()[1].split() == ["-", "yes", "no"]


def test_json_is_one_document_with_decimals_as_text(capsys):
    Terminal(json=True).data({"price": Decimal("1.50"), "name": "é"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"price": "1.50", "name": "é"}
    assert "é" in out


def test_facts_on_a_terminal_keep_names_and_values_apart(monkeypatch):
    class Screen(io.StringIO):
        def isatty(self):
            return True

    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    Terminal().facts([("symbol", "[red]AAPL[/red]"), ("rows", 1234)], title="us@1")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert [line.split() for line in plain.splitlines()] == [["us@1"], ["symbol", "[red]AAPL[/red]"], ["rows", "1,234"]]


def test_quiet_hides_notes_but_not_alerts(capsys):
    terminal = Terminal(quiet=True)
    terminal.note("nothing to see")
    terminal.alert("error: look")
    captured = capsys.readouterr()
    assert captured.err == "error: look\n"
    assert captured.out == ""


def test_notes_go_to_stderr(capsys):
    Terminal().note("reading")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "reading\n")


def test_a_terminal_gets_a_frame_and_its_own_width(monkeypatch):
    class Screen(io.StringIO):
        def isatty(self):
            return True

    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    Terminal().table(["name"], [("y" * 60,)])
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert max(len(line) for line in plain.splitlines()) <= 40
    assert "\x1b[3" not in screen.getvalue()  # NO_COLOR: no colours


def test_a_stdout_without_descriptor_is_replaced(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    silence_stdout()
    replaced = sys.stdout
    replaced.write("nobody reads this")
    replaced.close()
    assert not isinstance(replaced, io.StringIO)

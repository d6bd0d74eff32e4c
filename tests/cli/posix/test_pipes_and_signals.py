"""Readers that go away, and Ctrl-C in a real process."""

import json
import os
import signal
import subprocess
import sys

from rustybt.cli import errors
from rustybt.cli.terminal import silence_stdout


def run(*words, **more):
    return subprocess.run([sys.executable, "-m", "rustybt", *words], capture_output=True, text=True, **more)


def test_a_closed_pipe_is_no_traceback():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "rustybt", "config", "show"], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert done.stderr == ""
    assert done.returncode == errors.EXIT_PIPE_CLOSED


def test_ctrl_c_is_a_clean_message_and_keeps_what_is_done(tmp_path):
    """A real signal in a real process: a strategy that never ends."""
    (tmp_path / "a.csv").write_text("date,open,high,low,close,volume\n2024-01-02,1,1,1,1,1\n2024-01-03,1,1,1,1,1\n")
    (tmp_path / "endless.py").write_text(
        "import sys, time\n\ndef handle_data(context, data):\n"
        "    sys.stderr.write('running\\n')\n    sys.stderr.flush()\n    time.sleep(60)\n"
    )
    environment = {**os.environ, "RUSTYBT_HOME": str(tmp_path / "home")}
    run("ingest", "csv", "--path", "a.csv", "--bundle", "a", cwd=tmp_path, env=environment)
    words = [sys.executable, "-m", "rustybt", "run", "-f", "endless.py", "-b", "a"]
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line == "running\n":
                break
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == errors.EXIT_INTERRUPTED
    assert err == "error: interrupted; what was finished is kept\n"
    assert json.loads(run("bundle", "list", "--json", env=environment).stdout)["bundles"][0]["name"] == "a"


def test_a_reader_that_went_away_leaves_no_noise(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w")
    monkeypatch.setattr(sys, "stdout", stream)
    silence_stdout()
    stream.write("more")
    stream.close()

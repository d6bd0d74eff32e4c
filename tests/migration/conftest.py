"""An old root, an empty home, and the command, all of this test's own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rustybt.cli.main import invoke
from tests.migration.truth import new_facts

ROOT_OF_TESTS = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A working directory and a user without an old root, a home that is yet to come."""
    (tmp_path / "user").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.delenv("ZIPLINE_ROOT", raising=False)
    monkeypatch.setenv("RUSTYBT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RUSTYBT_CONFIG_FILE", str(tmp_path / "config.toml"))
    return tmp_path


@pytest.fixture
def root(tmp_path):
    return tmp_path / "old"


@pytest.fixture
def rustybt(capsys):
    """Run a command line in this process; return its exit status, stdout and stderr."""

    def call(*words):
        status = invoke([str(word) for word in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def migrate(rustybt, root):
    """Run `rustybt migrate` on the root; return exit status, the JSON document and stderr."""

    def call(*words, of=None):
        status, out, err = rustybt("migrate", "--root", of or root, *words, "--json")
        return status, json.loads(out), err

    return call


@pytest.fixture
def timestamp(home):
    """Return the name of the newest backup."""

    def newest():
        return [row["backup"][1] for row in new_facts(home)["migration_runs"]][-1]

    return newest


class Finished:
    """What a command in a process of its own left."""

    def __init__(self, done):
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def document(self):
        return json.loads(self.out)


def run_command(*words, **environment):
    """Run `rustybt` in a process of its own; its home is named by --home."""
    command = [sys.executable, "-m", "rustybt", *map(str, words)]
    env = {**os.environ, "PYTHONPATH": str(ROOT_OF_TESTS), **environment}
    return Finished(subprocess.run(command, capture_output=True, text=True, env=env, check=False))


@pytest.fixture(scope="session")
def command():
    return run_command

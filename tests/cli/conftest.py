"""A home, a working directory and a way to call commands, all of this test's own."""

import json

import pytest

from rustybt.cli.main import invoke

AAPL = """date,open,high,low,close,volume
2024-01-02,187.15,188.44,183.885,185.64,82488700
2024-01-03,184.22,185.88,183.43,184.25,58414500
2024-01-04,182.15,183.0872,180.88,181.91,71983600
2024-01-05,181.99,182.76,180.17,181.18,62303300
"""
MSFT = """date,open,high,low,close,volume
2024-01-02,373.86,375.9,366.7709,370.87,25258600
2024-01-03,369.01,373.26,368.51,370.6,23083500
2024-01-04,370.67,373.1,367.17,367.94,20901500
2024-01-05,368.97,372.06,366.5,367.75,20987000
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A working directory with a home beside nothing else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUSTYBT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RUSTYBT_CONFIG_FILE", str(tmp_path / "config.toml"))
    return tmp_path


@pytest.fixture
def prices(place):
    """prices/AAPL.csv and prices/MSFT.csv."""
    folder = place / "prices"
    folder.mkdir()
    (folder / "AAPL.csv").write_text(AAPL)
    (folder / "MSFT.csv").write_text(MSFT)
    return folder


@pytest.fixture
def rustybt(capsys):
    """Run a command line; return its exit status, stdout and stderr."""

    def call(*words):
        status = invoke([str(word) for word in words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def ask(rustybt):
    """Run a command line with --json; check its exit status and return the document."""

    def call(*words, status=0):
        got, out, err = rustybt(*words, "--json")
        assert got == status, f"exit status {got}\n{out}\n{err}"
        return json.loads(out)

    return call


@pytest.fixture
def us(prices, rustybt):
    """The bundle us@1 of both symbols."""
    assert rustybt("ingest", "csv", "--path", prices, "--bundle", "us")[0] == 0
    return "us"

"""kill -9 at each step between the last answer and the last word, then the same command: the bundle is the uninterrupted one."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources.ingest.job import FOLDER
from tests.fakes import massive
from tests.fakes.binance import BinanceServer
from tests.fakes.massive import MassiveServer
from tests.fakes.yahoo import YahooServer

#: Ends the process with the signal that asks nobody: at a step of the commit, or at the journal's own steps.
KILLED = """
import os, signal, sys
step = sys.argv.pop(1)
def die():
    os.kill(os.getpid(), signal.SIGKILL)
from rustybt.data.bundles.commit import Commit
from rustybt.data.sources.ingest.job import IngestJob
made = Commit.__init__
def init(self, store, request, on_step):
    made(self, store, request, lambda name: die() if name == step else on_step(name))
Commit.__init__ = init
if step == "journal-written":
    fetch = IngestJob.fetch
    IngestJob.fetch = lambda self: (fetch(self), self.journal.settle(), die())
if step == "finished":
    IngestJob.finish = lambda self: die()
from rustybt.cli.main import main
main(sys.argv[1:])
"""
STEPS = ["journal-written", "manifest-written", "committed"]
EQUITIES = ["AAPL", "GE", "MSFT", "SPY"]


@pytest.fixture
def run(tmp_path):
    started = []

    def _run(*words, home, step="none", environment=()):
        command = [sys.executable, "-c", KILLED, step, *words, "--home", str(home), "--json"]
        env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), **dict(environment)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, env=env, cwd=tmp_path, **pipes)
        started.append(process)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    yield _run
    for process in started:
        process.kill()


@pytest.fixture(scope="module")
def yahoo():
    with YahooServer() as server:
        yield server


def words_of(server, symbols=EQUITIES):
    words = ["ingest", "yfinance", "--symbols", ",".join(symbols), "--bundle", "us", "--base-url", server.url]
    return [*words, "--start", "2023-01-03", "--end", "2023-12-29", "--requests-per-minute", "0"]


def hash_of(home, bundle="us"):
    with BundleStore(home) as store, store.open(bundle) as found:
        assert store.verify(bundle).is_whole
        return found.info.content_hash, len(store.versions(bundle))


def leftovers(home):
    """What a finished ingest should not leave: folders of jobs, files that nobody names."""
    jobs = [path for path in (home / FOLDER).glob("*") if path.is_dir()]
    with BundleStore(home) as store:
        return jobs, store.gc(grace_seconds=0).files_deleted


@pytest.fixture(scope="module")
def uninterrupted(yahoo, tmp_path_factory):
    home = tmp_path_factory.mktemp("whole")
    command = [sys.executable, "-c", KILLED, "none", *words_of(yahoo), "--home", str(home), "--json"]
    subprocess.run(command, check=True, capture_output=True, cwd=home)
    return hash_of(home)


@pytest.mark.parametrize("step", STEPS)
def test_the_same_command_ends_with_the_same_bundle(yahoo, uninterrupted, run, home, step):
    status, out, err = run(*words_of(yahoo), home=home, step=step)
    assert status == -signal.SIGKILL, err
    assert out == ""
    before = len(yahoo.data_requests())
    status, out, err = run(*words_of(yahoo), home=home)
    report = json.loads(out)
    assert status == 0, err
    assert hash_of(home) == uninterrupted
    # What the journal had not yet when the end came is in the cache: nothing is asked for once more.
    assert report["resumed"] in ([len(EQUITIES)] if step == "journal-written" else [0, len(EQUITIES)])
    assert len(yahoo.data_requests()) == before
    assert leftovers(home)[0] == []
    status, out, err = run(*words_of(yahoo), home=home)
    assert json.loads(out)["unchanged"], err


@pytest.mark.parametrize("step", ["journal-written"])
def test_an_update_that_was_killed_goes_on(yahoo, run, home, step):
    """The bundle ends a week before the fake's now; the machine's clock is later, and the fake has nothing newer."""
    ingest = [word if word != "2023-12-29" else "2024-11-22" for word in words_of(yahoo)]
    ingest = [word if word != "2023-01-03" else "2024-09-03" for word in ingest]
    assert run(*ingest, home=home)[0] == 0
    update = ["update", "us"]
    status, _, err = run(*update, home=home, step=step)
    assert status == -signal.SIGKILL, err
    before = len(yahoo.data_requests())
    status, out, err = run(*update, home=home)
    assert status == 0, err
    if step == "journal-written":
        assert json.loads(out)["updates"][0]["resumed"] == len(EQUITIES)
        assert len(yahoo.data_requests()) == before
    with BundleStore(home) as store, store.open("us") as bundle:
        assert store.verify("us").is_whole
        last = bundle.read("AAPL")["timestamp"][-1].date()
        assert last.isoformat() == "2024-11-29"  # of the fake, still forming; by the machine it has long ended
        assert bundle.info.version == 2


def test_other_vendors_go_on_too(run, home):
    """Two symbols of Polygon, killed after their journal; two pairs of Binance, killed inside the commit."""
    with MassiveServer() as server:
        words = ["ingest", "polygon", "--symbols", "AAPL,MSFT", "--bundle", "us", "--base-url", server.url]
        words += ["--start", "2024-06-03", "--end", "2024-06-28", "--requests-per-minute", "0"]
        keys = {"MASSIVE_API_KEY": massive.KEY}
        assert run(*words, home=home, step="journal-written", environment=keys)[0] == -signal.SIGKILL
        before = len(server.data_requests())
        status, out, err = run(*words, home=home, environment=keys)
        assert (status, json.loads(out)["resumed"], len(server.data_requests())) == (0, 2, before), err
    with BinanceServer() as server:
        server.now = time.time()
        words = ["ingest", "ccxt", "--exchange", "binance", "--symbols", "BTC/USDT,ETH/USDT", "--bundle", "crypto"]
        words += ["--frequency", "1h", "--start", "2024-11-01", "--end", "2024-11-10", "--base-url", server.url]
        words += ["--requests-per-minute", "0"]
        status, _, err = run(*words, home=home, step="rows-inserted")
        assert status == -signal.SIGKILL, err
        before = len(server.data_requests())
        status, out, err = run(*words, home=home)
        assert (status, json.loads(out)["rows_added"]) == (0, 2 * 240), err
    assert leftovers(home)[0] == []


def test_two_processes_with_the_same_command_and_one_with_another_make_one_bundle(yahoo, home, tmp_path):
    """Nobody fails, nothing is mixed, and every symbol is there."""
    commands = [words_of(yahoo), words_of(yahoo), words_of(yahoo, ["BRK.B", "MSFT"])]
    started = [
        subprocess.Popen(
            [sys.executable, "-c", KILLED, "none", *words, "--home", str(home), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        for words in commands
    ]
    for process in started:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert json.loads(out)["exit_code"] == 0
    with BundleStore(home) as store, store.open("us") as bundle:
        assert list(bundle.symbols) == sorted([*EQUITIES, "BRK.B"])
        assert store.verify("us").is_whole
    assert leftovers(home)[0] == []

"""kill -9 and Ctrl-C in the middle of an ingest from a vendor: the same command goes on, and nothing finished is asked again."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources.ingest.job import FOLDER
from rustybt.data.sources.ingest.journal import Journal
from tests.fakes.market import CROWD
from tests.fakes.yahoo import YahooServer

SYMBOLS = list(CROWD[:24])


#: A shell that runs tests in the background lets its children ignore Ctrl-C; a terminal does not.
START = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from rustybt.cli.main import main; main(sys.argv[1:])"
)


@pytest.fixture
def server():
    with YahooServer(tls=True, proxy=True, latency_seconds=0.2) as running:
        yield running


@pytest.fixture
def command(server, home):
    words = ["ingest", "yfinance", "--symbols", ",".join(SYMBOLS), "--bundle", "us", "--start", "2022-01-03"]
    words += ["--end", "2023-12-29", "--proxy", server.proxy_url, "--ca-bundle", str(server.ca_bundle)]
    words += ["--requests-per-minute", "0", "--parallel", "1", "--home", str(home), "--json"]
    return [sys.executable, "-c", START, *words]


@pytest.fixture
def start(command, tmp_path):
    """Start the command; what still runs at the end is killed."""
    started = []

    def run():
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
            cwd=tmp_path,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def finished(home):
    """Return the symbols that lie whole in the journal."""
    found = set()
    for folder in (home / FOLDER).glob("*/"):
        found |= Journal(home, f"{FOLDER}/{folder.name}").symbols
    return found


def wait_for(condition, process, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def asked_for(requests):
    return [match[1] for request in requests if (match := re.search(r"/v8/finance/chart/([^?/]+)", request.path))]


def charts(server, since=0):
    return asked_for(server.data_requests()[since:])


def test_an_ingest_that_was_killed_goes_on_without_asking_again(server, start, home):
    process = start()
    wait_for(lambda: finished(home), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept, before = finished(home), len(server.data_requests())
    assert 0 < len(kept) < len(SYMBOLS)
    with BundleStore(home) as store:
        assert store.list_bundles() == []

    out, err = start().communicate(timeout=120)
    report = json.loads(out)
    assert (report["version"], report["exit_code"], report["resumed"]) == (1, 0, len(kept)), err
    assert set(charts(server, before)) == set(SYMBOLS) - kept
    with BundleStore(home) as store, store.open("us") as bundle:
        assert list(bundle.symbols) == SYMBOLS
        assert store.verify("us").is_whole
    assert not finished(home)


def test_ctrl_c_says_what_was_kept_and_the_same_command_goes_on(server, start, home):
    process = start()
    wait_for(lambda: finished(home), process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    kept, before = finished(home), len(server.data_requests())
    assert process.returncode == 130, err
    assert f"kept {len(kept)} finished symbols, the same command goes on from there" in err
    assert json.loads(out)["error"]["code"] == "interrupted"

    out, err = start().communicate(timeout=120)
    assert json.loads(out)["resumed"] == len(kept), err
    assert not set(charts(server, before)) & kept

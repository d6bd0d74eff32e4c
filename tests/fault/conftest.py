import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("worker.py")
CACHE_WORKER = Path(__file__).with_name("cache_worker.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def start():
    """Start the worker; what still runs at the end of the test is killed."""
    started = []

    def run(*words, before=()):
        command = [*before, sys.executable, str(WORKER), *map(str, words)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, text=True, env=os.environ.copy(), **pipes)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def in_namespace(tmp_path):
    """Return a command prefix that first runs a shell script with mounts of its own, or skip where that is not permitted."""

    def prefix(script):
        return ["unshare", "-rm", "sh", "-c", f'{script}\nexec "$@"', "sh"]

    probe = tmp_path / "probe"
    probe.mkdir()
    try:
        tried = subprocess.run([*prefix(f"mount -t tmpfs -o size=64k tmpfs '{probe}'"), "true"], capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no unshare command")
    if tried.returncode:
        pytest.skip("this machine permits no mounts of one's own")
    return prefix


class Processes:
    """Makes processes that use a cache, see `cache_worker`."""

    def __init__(self):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._parent = subprocess.Popen([sys.executable, str(CACHE_WORKER)], text=True, env=environment, **pipes)
        self._alive = set()
        assert self._parent.stdout.readline() == "ready\n"

    def _ask(self, *words):
        self._parent.stdin.write(json.dumps(words) + "\n")
        self._parent.stdin.flush()
        return int(self._parent.stdout.readline())

    def start(self, **options):
        process = self._ask("start", {name: _plain(value) for name, value in options.items()})
        self._alive.add(process)
        return process

    def wait(self, process):
        """Return the exit code, below 0 for a signal."""
        self._alive.discard(process)
        return self._ask("wait", process)

    def kill(self, process):
        os.kill(process, signal.SIGKILL)
        return self.wait(process)

    def kill_all(self):
        for process in list(self._alive):
            self.kill(process)

    def close(self):
        self.kill_all()
        self._parent.stdin.close()
        self._parent.stdout.close()
        self._parent.wait(timeout=30)


def _plain(value):
    return str(value) if isinstance(value, Path) else value


@pytest.fixture(scope="module")
def _one_parent():
    made = Processes()
    yield made
    made.close()


@pytest.fixture
def processes(_one_parent):
    """Start processes that use a cache; what still runs at the end of the test is killed."""
    yield _one_parent
    _one_parent.kill_all()

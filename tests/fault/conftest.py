import os
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("worker.py")


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

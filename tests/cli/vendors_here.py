"""Stand-ins of vendors for the command line, reached as the environment says."""

import contextlib
import time


@contextlib.contextmanager
def reachable(monkeypatch, server, name):
    """Start a stand-in and let the source `name` find it; its clock is the machine's."""
    with server as running:
        running.now = time.time()
        monkeypatch.setenv(f"RUSTYBT_SOURCES_{name.upper()}_BASE_URL", running.url)
        monkeypatch.setenv(f"RUSTYBT_SOURCES_{name.upper()}_REQUESTS_PER_MINUTE", "0")
        for variable, value in getattr(running, "environment", {}).items():
            monkeypatch.setenv(variable, value)
        yield running

"""A vendor job: 200 symbols x 9 years from a local server that answers in 50 ms, beside the server's answers alone.

The server runs in a process of its own and answers from memory, so that both sides wait for the same thing.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Self

from tests.bench.measure import peak_megabytes
from tests.fakes import market

PARALLEL = 20
LATENCY_SECONDS = 0.05
RANGE = ("2016-01-04", "2024-10-31")
SOURCES = {"yahoo": "yfinance", "massive": "polygon"}
KEYS = {
    "MASSIVE_API_KEY": "invented-massive-key-for-tests",
}


class Server:
    """A fake vendor in a process of its own."""

    def __init__(self, vendor: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes", vendor, "--latency", str(LATENCY_SECONDS), "--remember", "--fixed"],
            stdout=subprocess.PIPE,
            text=True,
        )
        words = self.process.stdout.readline().split()
        self.url = words[1]
        self.proxy, self.ca_bundle = (words[2], words[3]) if len(words) > 3 else (None, None)
        more = self.process.stdout.readline()
        self.keys = dict(KEYS)
        del more

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(10)


def source(name: str, where: dict[str, str | None]):
    from rustybt.data.sources import get_source

    return get_source(
        name,
        requests_per_minute=0,
        parallel_requests=PARALLEL,
        clock=lambda: market.NOW,
        timeout_seconds=60,
        **{key: value for key, value in where.items() if value},
    )


def ours(name: str, where: dict[str, str | None], home: str) -> dict[str, float]:
    """Ingest in a process whose libraries are loaded, into an empty home."""
    from rustybt.data.bundles.store import BundleStore

    os.environ["RUSTYBT_HOME"] = home
    shutil.rmtree(home, ignore_errors=True)
    asked = source(name, where)
    asked.fetch_sync(["MSFT"], *RANGE)
    with BundleStore(home) as store:
        begin = time.perf_counter()
        spent = time.process_time()
        report = asked.ingest_to_bundle("bench", market.CROWD, *RANGE, store=store)
        taken, spent = time.perf_counter() - begin, time.process_time() - spent
    asked.close()
    assert len(report.symbols) == len(market.CROWD), report.failures
    return {"seconds": taken, "cpu": spent, "rows": report.rows_added, "peak_mb": peak_megabytes()}


def bare(where: dict[str, str | None], paths: list[str]) -> dict[str, float]:
    """Ask for the same answers, as many at once, and throw them away."""
    import ssl

    import aiohttp

    async def run() -> float:
        context = ssl.create_default_context(cafile=where["ca_bundle"]) if where.get("ca_bundle") else None
        connector = aiohttp.TCPConnector(limit=PARALLEL, ssl=context or True)
        headers = {
            "Authorization": f"Bearer {KEYS['MASSIVE_API_KEY']}",
        }
        async with aiohttp.ClientSession(where["url"], connector=connector, headers=headers) as session:

            async def one(path: str) -> None:
                async with session.get(path) as answer:
                    await answer.read()

            await one(paths[0])
            begin = time.perf_counter()
            await asyncio.gather(*(one(path) for path in paths))
            return time.perf_counter() - begin

    return {"seconds": asyncio.run(run()), "requests": len(paths)}


def measure(vendor: str, repeats: int = 3) -> dict[str, float]:
    """Return medians of both sides, taken in turns."""
    import statistics
    import urllib.request

    with Server(vendor) as server, tempfile.TemporaryDirectory(prefix="rustybt-bench-") as folder:
        through = {"proxy": server.proxy, "ca_bundle": server.ca_bundle} if server.proxy else {"base_url": server.url}
        job = json.dumps({"name": SOURCES[vendor], "where": through, "home": f"{folder}/home"})
        run = [sys.executable, "-m", "tests.bench.vendor", "ours", job]
        environment = {**os.environ, **server.keys}

        def once() -> dict[str, float]:
            done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        first = once()
        context = None
        if server.ca_bundle:
            import ssl

            context = ssl.create_default_context(cafile=server.ca_bundle)
        with urllib.request.urlopen(f"{server.url}/__requests", context=context) as told:
            asked = json.load(told)
        crowd = [path for method, path in asked if method == "GET" and "CO" in path]
        alone, taken = [], []
        for _ in range(repeats):
            alone.append(bare({"url": server.url, "ca_bundle": server.ca_bundle}, crowd)["seconds"])
            taken.append(once())
    return {
        "requests": len(crowd),
        "bare": statistics.median(alone),
        "ours": statistics.median(one["seconds"] for one in taken),
        "cpu": statistics.median(one["cpu"] for one in taken),
        "rows": first["rows"],
        "peak_mb": max(one["peak_mb"] for one in taken),
    }


if __name__ == "__main__":
    if sys.argv[1] == "ours":
        print(json.dumps(ours(**json.loads(sys.argv[2]))))
    else:
        print(json.dumps(measure(sys.argv[1])))

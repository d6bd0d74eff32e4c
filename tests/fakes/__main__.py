"""``python -m tests.fakes yahoo``: a vendor's stand-in by hand, until Ctrl-C or `--seconds` are over."""

from __future__ import annotations

import argparse
import importlib
import signal
import threading
import time

SERVERS = {
    "yahoo": ("tests.fakes.yahoo", "YahooServer", "ingest yfinance --proxy {proxy} --ca-bundle {ca}"),
    "binance": ("tests.fakes.binance", "BinanceServer", "ingest ccxt --exchange binance --base-url {url}"),
    "kraken": ("tests.fakes.kraken", "KrakenServer", "ingest ccxt --exchange kraken --base-url {url}"),
    "massive": ("tests.fakes.massive", "MassiveServer", "ingest polygon --base-url {url}"),
    "alpaca": ("tests.fakes.alpaca", "AlpacaServer", "ingest alpaca --base-url {url}"),
    "alphavantage": ("tests.fakes.alphavantage", "AlphaVantageServer", "ingest alphavantage --base-url {url}"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes", description=__doc__)
    parser.add_argument("vendor", choices=SERVERS)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="before every answer")
    parser.add_argument("--remember", action="store_true", help="answer the same request from memory")
    parser.add_argument("--seconds", type=float, default=3_600.0, help="then it ends by itself")
    parser.add_argument("--fixed", action="store_true", help="stand still at the tests' own time, 2024-11-29 16:00 UTC")
    chosen = parser.parse_args()
    module, kind, words = SERVERS[chosen.vendor]
    through_proxy = chosen.vendor == "yahoo"
    make = getattr(importlib.import_module(module), kind)
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    with make(
        port=chosen.port,
        latency_seconds=chosen.latency,
        remembers=chosen.remember,
        tls=through_proxy,
        proxy=through_proxy,
    ) as server:
        if not chosen.fixed:
            server.now = time.time()
        proxy = server.proxy_url if through_proxy else ""
        print(f"listening {server.url} {proxy} {server.ca_bundle if through_proxy else ''}".rstrip(), flush=True)
        print("rustybt " + words.format(url=server.url, proxy=proxy, ca=server.ca_bundle), flush=True)
        keys = getattr(server, "environment", None)
        if keys:
            print(" ".join(f"{name}={value}" for name, value in keys.items()), flush=True)
        until = time.monotonic() + chosen.seconds
        while time.monotonic() < until and not done.wait(min(1.0, chosen.seconds)):
            if not chosen.fixed:
                server.now = time.time()


if __name__ == "__main__":
    main()

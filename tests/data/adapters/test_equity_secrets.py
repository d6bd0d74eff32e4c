"""The keys of Alpaca and Alpha Vantage are seen by the vendor and by nobody else."""

import contextlib
import io
import logging
import sqlite3
import traceback

import pytest

from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources.alpaca import AlpacaDataSource
from rustybt.data.sources.alphavantage import AlphaVantageDataSource
from rustybt.errors import RustybtError
from tests.fakes import alphavantage, market
from tests.fakes.alpaca import AlpacaServer
from tests.fakes.alphavantage import AlphaVantageServer

CANARIES = ("CANARYINVENTEDKEY1", "CANARYinventedSECRET2")
QUICK = RetryPolicy(max_attempts=2, first_wait_seconds=0.01, max_wait_seconds=0.02)
FAULTS = ("429", "401", "403", "404", "500", "503", "malformed", "cut", "reset", "slow", "empty", "text")


@pytest.fixture(params=["alpaca", "alphavantage"])
def vendor(request, monkeypatch):
    key, secret = CANARIES
    if request.param == "alpaca":
        monkeypatch.setenv("APCA_API_KEY_ID", key)
        monkeypatch.setenv("APCA_API_SECRET_KEY", secret)
        with AlpacaServer(key_id=key, secret=secret) as server:
            yield server, AlpacaDataSource
    else:
        monkeypatch.setenv("ALPHAVANTAGE_API_KEY", key)
        with AlphaVantageServer(key=key) as server:
            yield server, AlphaVantageDataSource


@pytest.fixture
def seen(caplog, capfd, tmp_path):
    """Everything that anybody could read, as one text."""
    caplog.set_level(logging.DEBUG)
    parts = []

    def collect(*more):
        parts.extend(map(str, more))
        out = capfd.readouterr()
        return "\n".join([*parts, caplog.text, out.out, out.err])

    return collect


def build(vendor, **options):
    server, kind = vendor
    given = {"base_url": server.url, "retry": QUICK, "requests_per_minute": 0, "clock": lambda: market.NOW}
    return kind(**{**given, **options})


def in_files(folder):
    """Names and bytes of all files below, those of databases included."""
    return b"\n".join(str(path).encode() + path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("fault", FAULTS)
def test_no_failure_shows_a_key(vendor, seen, fault):
    server, _ = vendor
    limit = alphavantage.DAY_LIMIT.format(key=CANARIES[0])
    server.fail(
        fault, times=None, seconds=0.3, body=f'{{"message": "your key {CANARIES[0]}", "Information": "{limit}"}}'
    )
    source = build(vendor, timeout_seconds=0.1 if fault == "slow" else 5.0)
    text = io.StringIO()
    try:
        source.fetch_sync(["AAPL"], "2024-11-01", "2024-11-27")
    except RustybtError as error:
        traceback.print_exception(error, file=text)
        text.write(repr(error) + repr(error.details) + str(error.__cause__) + str(error.__context__))
    finally:
        source.close()
    assert text.getvalue(), "the fault went unnoticed"
    everything = seen(text.getvalue())
    for canary in CANARIES:
        assert canary not in everything


def test_a_server_that_is_gone_shows_no_key(vendor, seen):
    source = build(vendor, base_url="http://127.0.0.1:9", timeout_seconds=1.0)
    with pytest.raises(RustybtError) as caught:
        source.fetch_sync(["AAPL"], "2024-11-01", "2024-11-27")
    source.close()
    everything = seen("".join(traceback.format_exception(caught.value)))
    assert not any(canary in everything for canary in CANARIES)


def test_no_bundle_database_or_repr_holds_a_key(vendor, seen, tmp_path, own_home):
    source = build(vendor)
    with contextlib.closing(source), BundleStore(tmp_path / "home") as store:
        report = source.ingest_to_bundle("us", ["AAPL", "MSFT"], "2024-11-01", store=store, clock=lambda: market.NOW)
        facts = [
            source,
            repr(source.adapter),
            source.options(),
            source.get_metadata(),
            source.limits(),
            report.to_json(),
        ]
        everything = seen(*facts, source.adapter.throttle.account, repr(source.adapter.connection))
    for canary in CANARIES:
        assert canary not in everything
        for folder in (tmp_path, own_home):
            assert canary.encode() not in in_files(folder)
    for database in tmp_path.rglob("*.db"):
        with contextlib.closing(sqlite3.connect(database)) as opened:
            assert not any(canary in line for line in opened.iterdump() for canary in CANARIES)


def test_the_vendor_did_see_the_key(vendor):
    """So that these tests cannot pass for want of a key."""
    server, _ = vendor
    source = build(vendor)
    source.fetch_sync(["AAPL"], "2024-11-01", "2024-11-27")
    source.close()
    assert any(CANARIES[0] in f"{request.headers}{request.query}" for request in server.requests)

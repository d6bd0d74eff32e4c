"""The source of crypto exchanges: its options and what it says of itself; the contract suite has the rest."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from rustybt.data.sources.ccxt import CCXTDataSource
from rustybt.errors import RequestError
from tests.fakes.kraken import KrakenServer
from tests.fakes.market import NOW, candles


def test_the_exchange_is_always_among_the_options():
    assert CCXTDataSource().options() == {"exchange": "binance"}
    assert CCXTDataSource(exchange=" Kraken ").options() == {"exchange": "kraken"}
    assert CCXTDataSource(**CCXTDataSource(exchange="okx").options()).options() == {"exchange": "okx"}


def test_an_unknown_exchange_is_refused_when_it_is_used():
    source = CCXTDataSource(exchange="krakne")
    with pytest.raises(RequestError, match="krakne") as caught:
        source.limits()
    assert "kraken" in caught.value.hint


def test_whether_it_streams_depends_on_the_exchange():
    assert CCXTDataSource(exchange="kraken").supports_live() is True
    assert CCXTDataSource(exchange="bithumb").supports_live() is False


def test_limits_are_json():
    limits = CCXTDataSource(exchange="kraken").limits().to_json()
    assert json.loads(json.dumps(limits)) == limits
    assert limits["requests_per_minute"] == 60.0
    assert limits["depth_bars"] == 710  # ten of its 720 may be gone before their turn comes
    assert limits["notes"] == ["newest 720 bars of each frequency only"]


def test_making_the_source_does_not_import_ccxt():
    code = (
        "import sys, rustybt.data.sources.ccxt as c; c.CCXTDataSource(exchange='kraken'); print('ccxt' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_weeks_of_kraken_are_made_of_its_days_from_monday_on():
    first = datetime(2024, 10, 7, tzinfo=UTC)
    days = candles("kraken", "BTC/USD", 86_400, first, first + timedelta(days=27))
    weeks = [days[at : at + 7] for at in range(0, 28, 7)]
    with KrakenServer() as server:
        source = CCXTDataSource(exchange="kraken", base_url=server.url, requests_per_minute=0, clock=lambda: NOW)
        bars = source.fetch_sync("BTC/USD", "2024-10-07", "2024-11-03", "1w")
        source.close()
    assert list(bars.drop("symbol").iter_rows()) == [
        (
            week[0].start,
            week[0].open,
            max(day.high for day in week),
            min(day.low for day in week),
            week[-1].close,
            sum(day.volume for day in week),
        )
        for week in weeks
    ]

"""Kraken, which keeps the newest 720 bars only."""

from datetime import UTC, datetime

import pytest

from rustybt.data.adapters.retry import RetryPolicy
from rustybt.data.sources.bridge import run
from rustybt.errors import BadResponseError, NotCoveredError, RateLimitedError
from tests.data.adapters.ccxt.asking import adapter_of, as_tuples, fetch, micros, paths, rows_of


def test_kraken_has_the_newest_720_bars_and_says_so_for_more(kraken, kraken_adapter):
    with pytest.raises(
        NotCoveredError, match=r"kraken gives the newest 720 bars of 1h only.*2024-10-30T17:00:00Z"
    ) as caught:
        fetch(kraken_adapter, "BTC/USD", micros(2024, 1, 1), micros(2024, 11, 29))
    assert "--start 2024-10-30T18:00:00Z" in caught.value.hint
    assert caught.value.missing == ["BTC/USD"]
    assert len(kraken.data_requests()) == 1


def test_kraken_refuses_a_range_that_lies_before_all_it_has(kraken_adapter):
    with pytest.raises(NotCoveredError):
        fetch(kraken_adapter, "BTC/USD", micros(2024, 1, 1), micros(2024, 1, 2))


def test_kraken_gives_all_of_its_720_bars(kraken, kraken_adapter):
    first, last = datetime(2024, 10, 30, 17, tzinfo=UTC), datetime(2024, 11, 29, 16, tzinfo=UTC)
    answer = fetch(kraken_adapter, "BTC/USD", micros(2024, 10, 30, 17), micros(2024, 11, 29, 16))
    assert as_tuples(answer) == rows_of("kraken", "BTC/USD", 3_600, first, last)
    assert answer.bars.height == 720
    assert sorted(paths(kraken)) == ["/0/public/AssetPairs", "/0/public/OHLC", "/0/public/Time"]


def test_kraken_a_refusal_under_the_status_200_is_rate_limited(kraken):
    adapter = adapter_of(kraken, "kraken", retry=RetryPolicy(max_attempts=1))
    kraken.fail("429")
    with pytest.raises(RateLimitedError, match="Too many requests"):
        fetch(adapter, "BTC/USD", micros(2024, 11, 20), micros(2024, 11, 21))
    run(adapter.close())


@pytest.mark.parametrize("body", ["half of an ans", "{}", '{"error": [], "result": {}}', '{"error": []}'])
def test_kraken_an_answer_without_bars_is_an_error_and_never_an_empty_range(kraken, kraken_adapter, body):
    kraken.fail("text", body=body, times=None)
    with pytest.raises(BadResponseError):
        fetch(kraken_adapter, "BTC/USD", micros(2024, 11, 20), micros(2024, 11, 21))


def test_kraken_weeks_are_made_of_days_for_its_own_begin_on_thursday(kraken_adapter):
    assert "1w" not in kraken_adapter.limits.frequencies
    assert "1d" in kraken_adapter.limits.frequencies

import math
from datetime import UTC, datetime

import pytest

from rustybt.config import load_settings, set_value
from rustybt.data.cache.freshness import (
    TTL,
    AlwaysStale,
    FreshnessPolicy,
    Hybrid,
    MarketClose,
    NeverStale,
    default_policy,
    parse_policy,
    policy_for,
)
from rustybt.data.cache.schedule import Schedule
from rustybt.errors import RequestError
from rustybt.market.frequency import FREQUENCIES, Frequency


def unix(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def schedule(calendar="XNYS", frequency="1d", delay=0.0):
    return Schedule(calendar, FREQUENCIES[frequency], delay)


FETCHES = {
    # The Wednesday before Thanksgiving ends at 21:00 UTC, the Friday after it at 18:00; Yahoo needs half an hour more.
    "before a close": ("XNYS", "2024-11-27T20:00", "2024-11-27T21:30"),
    "after the close, before it is settled": ("XNYS", "2024-11-27T21:29", "2024-11-27T21:30"),
    "over a holiday until the half day's end": ("XNYS", "2024-11-27T21:30", "2024-11-29T18:30"),
    "over a weekend": ("XNYS", "2024-11-29T19:00", "2024-12-02T21:30"),
    "over the weekend on which clocks go forward": ("XNYS", "2024-03-08T22:00", "2024-03-11T20:30"),
    "over the weekend on which clocks go back": ("XNYS", "2024-11-01T22:00", "2024-11-04T21:30"),
    "over Good Friday": ("XNYS", "2024-03-28T22:00", "2024-04-01T20:30"),
    "over New Year": ("XNYS", "2023-12-29T22:00", "2024-01-02T21:30"),
    "in Tokyo": ("XTKS", "2024-06-03T07:00", "2024-06-04T06:30"),
    "in Sydney, where Monday closes at 05:00": ("XASX", "2024-02-02T06:00", "2024-02-05T05:30"),
    "where it never closes, until midnight": ("24/7", "2024-06-01T12:00", "2024-06-02T00:30"),
}


@pytest.mark.parametrize(("calendar", "fetched", "refresh"), FETCHES.values(), ids=FETCHES)
def test_market_close_is_fresh_until_the_next_settled_close(calendar, fetched, refresh):
    asked = schedule(calendar, delay=1_800)
    policy = MarketClose()
    assert policy.next_refresh_time(unix(fetched), asked) == unix(refresh)
    assert policy.is_fresh(unix(fetched), unix(refresh) - 0.001, asked)
    assert not policy.is_fresh(unix(fetched), unix(refresh), asked)


def test_ttl_lasts_as_long_as_it_says_whatever_the_market_does():
    saturday = unix("2024-11-30T12:00")
    assert TTL(3_600).next_refresh_time(saturday, schedule()) == saturday + 3_600
    assert TTL(3_600).is_fresh(saturday, saturday + 3_599, schedule())
    assert not TTL(3_600).is_fresh(saturday, saturday + 3_600, schedule())
    assert not TTL(0).is_fresh(saturday, saturday, schedule())


class TestHybrid:
    minutes = schedule(frequency="1m", delay=60)

    def test_it_is_a_ttl_while_the_market_trades(self):
        assert Hybrid(300).next_refresh_time(unix("2024-11-29T15:00"), self.minutes) == unix("2024-11-29T15:05")

    def test_a_fetch_shortly_before_the_close_is_repeated_once_after_it(self):
        assert Hybrid(300).next_refresh_time(unix("2024-11-29T17:59"), self.minutes) == unix("2024-11-29T18:04")

    def test_after_the_close_it_is_fresh_until_the_first_bar_of_the_next_session(self):
        fetched = unix("2024-11-29T18:04")
        assert Hybrid(300).next_refresh_time(fetched, self.minutes) == unix("2024-12-02T14:32")
        assert Hybrid(300).is_fresh(fetched, unix("2024-12-02T14:31"), self.minutes)
        assert not Hybrid(300).is_fresh(fetched, unix("2024-12-02T14:32"), self.minutes)

    def test_where_the_market_never_closes_it_is_a_ttl(self):
        sunday = unix("2024-12-01T00:00")
        assert Hybrid(300).next_refresh_time(sunday, schedule("24/7", "1m")) == sunday + 300


def test_never_stale_is_fresh_for_ever_and_always_stale_never():
    fetched = unix("2024-11-29T18:04")
    assert NeverStale().next_refresh_time(fetched, schedule()) == math.inf
    assert NeverStale().is_fresh(fetched, fetched + 1e9, schedule())
    assert NeverStale.is_final_forever
    assert not NeverStale.rereads_all
    assert AlwaysStale().next_refresh_time(fetched, schedule()) == -math.inf
    assert not AlwaysStale().is_fresh(fetched, fetched, schedule())
    assert AlwaysStale.rereads_all
    assert not any(policy.rereads_all or policy.is_final_forever for policy in (MarketClose, TTL, Hybrid))


@pytest.mark.parametrize("policy", [MarketClose(), TTL(3_600), Hybrid(3_600), NeverStale()])
def test_what_was_fetched_in_the_future_is_not_fresh(policy):
    now = unix("2024-11-29T15:00")
    assert policy.is_fresh(now + 60, now, schedule())
    assert not policy.is_fresh(now + 60.5, now, schedule())


TEXTS = [
    ("market_close", MarketClose()),
    ("never", NeverStale()),
    ("always", AlwaysStale()),
    ("ttl:1h", TTL(3_600)),
    ("ttl:90m", TTL(5_400)),
    ("ttl:2d", TTL(172_800)),
    ("ttl:90s", TTL(90)),
    ("ttl:0.5s", TTL(0.5)),
    ("ttl:0s", TTL(0)),
    ("hybrid:5m", Hybrid(300)),
]


@pytest.mark.parametrize(("text", "policy"), TEXTS)
def test_a_policy_and_its_text_are_one(text, policy):
    assert parse_policy(text) == policy
    assert str(policy) == text


@pytest.mark.parametrize(("text", "policy"), [(" TTL:60m ", TTL(3_600)), ("hybrid: 300", Hybrid(300))])
def test_other_spellings_are_read(text, policy):
    assert parse_policy(text) == policy


@pytest.mark.parametrize(
    "text", ["", "close", "ttl", "ttl:", "ttl:soon", "ttl:-1s", "ttl:1y", "never:1h", "hybrid", None]
)
def test_what_is_no_policy_is_refused_with_what_there_is(text):
    with pytest.raises(RequestError) as caught:
        parse_policy(text)
    assert caught.value.hint


@pytest.mark.parametrize("kind", [TTL, Hybrid])
@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_a_duration_that_cannot_be_is_refused(kind, seconds):
    with pytest.raises(RequestError):
        kind(seconds)


def test_policies_are_values():
    assert TTL(60) == TTL(60.0) != Hybrid(60)
    assert len({TTL(60), TTL(60), Hybrid(60), MarketClose(), MarketClose()}) == 3
    assert repr(TTL(60)) == "TTL(seconds=60)"
    assert repr(MarketClose()) == "MarketClose()"
    assert isinstance(AlwaysStale(), FreshnessPolicy)


@pytest.mark.parametrize(
    ("source", "frequency", "calendar", "policy"),
    [
        ("csv", "1d", "XNYS", NeverStale()),
        ("csvdir", "1m", "24/7", NeverStale()),
        ("frame", "1d", "XNYS", NeverStale()),
        ("bundle", "1h", "XNYS", NeverStale()),
        ("yfinance", "1d", "XNYS", MarketClose()),
        ("yfinance", "1w", "XNYS", MarketClose()),
        ("yfinance", "1M", "XTKS", MarketClose()),
        ("yfinance", "1h", "XNYS", Hybrid(3_600)),
        ("yfinance", "30m", "XNYS", Hybrid(1_800)),
        ("yfinance", "15m", "XNYS", Hybrid(900)),
        ("yfinance", "5m", "XNYS", Hybrid(300)),
        ("yfinance", "1m", "XNYS", Hybrid(300)),
        ("ccxt", "1M", "24/7", TTL(3_600)),
        ("ccxt", "1d", "24/7", TTL(3_600)),
        ("ccxt", "1h", "24/7", TTL(3_600)),
        ("ccxt", "30m", "24/7", TTL(1_800)),
        ("ccxt", "15m", "24/7", TTL(900)),
        ("ccxt", "5m", "24/7", TTL(300)),
        ("ccxt", "1m", "24/7", TTL(300)),
    ],
)
def test_each_kind_of_data_has_its_default(source, frequency, calendar, policy):
    assert default_policy(source, FREQUENCIES[frequency], calendar) == policy


def test_an_unknown_frequency_is_always_stale():
    assert default_policy("yfinance", Frequency(7_200, "2h"), "XNYS") == AlwaysStale()
    assert policy_for(load_settings(), "yfinance", Frequency(7_200, "2h"), "XNYS") == AlwaysStale()


def test_the_most_specific_setting_wins():
    def policy(source="polygon", frequency="1d"):
        return policy_for(load_settings(), source, FREQUENCIES[frequency], "XNYS")

    assert policy() == MarketClose()
    set_value("cache.freshness.1d", "ttl:2h")
    assert policy() == TTL(7_200)
    assert policy(frequency="1h") == Hybrid(3_600)
    set_value("sources.polygon.freshness", "hybrid:10m")
    assert policy() == policy(frequency="1h") == Hybrid(600)
    assert policy("alpaca") == TTL(7_200)
    set_value("sources.polygon.freshness_1d", "never")
    assert policy() == policy("Polygon") == NeverStale()
    assert policy(frequency="1w") == Hybrid(600)


def test_a_minute_and_a_month_are_set_apart():
    set_value("cache.freshness.1m", "ttl:1s")
    set_value("sources.polygon.freshness_1M", "never")
    settings = load_settings()
    assert policy_for(settings, "alpaca", FREQUENCIES["1m"], "XNYS") == TTL(1)
    assert policy_for(settings, "alpaca", FREQUENCIES["1M"], "XNYS") == MarketClose()
    assert policy_for(settings, "polygon", FREQUENCIES["1m"], "XNYS") == TTL(1)
    assert policy_for(settings, "polygon", FREQUENCIES["1M"], "XNYS") == NeverStale()

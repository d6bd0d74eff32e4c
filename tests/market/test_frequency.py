from datetime import timedelta

import pytest

from rustybt.errors import RequestError
from rustybt.market.frequency import DAILY, FREQUENCIES, MINUTE, Frequency


@pytest.mark.parametrize("name", ["1m", "5m", "15m", "30m", "1h", "1d", "1w", "1M"])
def test_each_stored_frequency_has_its_own_name(name):
    frequency = Frequency.parse(name)
    assert str(frequency) == name
    assert Frequency.parse(frequency) is frequency


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("daily", "1d"),
        ("Daily", "1d"),
        ("minute", "1m"),
        ("hourly", "1h"),
        ("60m", "1h"),
        ("weekly", "1w"),
        ("monthly", "1M"),
        ("1D", "1d"),
        ("1H", "1h"),
        ("5min", "5m"),
    ],
)
def test_common_spellings_are_understood(alias, name):
    assert Frequency.parse(alias).name == name


def test_a_month_is_no_minute():
    assert Frequency.parse("1M") != Frequency.parse("1m")


@pytest.mark.parametrize("text", ["", "2d", "5M", "tick", None, 1, ["1d"]])
def test_other_frequencies_are_refused_with_the_list(text):
    with pytest.raises(RequestError, match="1m, 5m, 15m, 30m, 1h, 1d, 1w, 1M"):
        Frequency.parse(text)


def test_lengths_and_kinds():
    assert MINUTE.microseconds == 60_000_000
    assert DAILY.timedelta == timedelta(days=1)
    assert [f.name for f in FREQUENCIES.values() if f.is_intraday] == ["1m", "5m", "15m", "30m", "1h"]
    assert MINUTE < DAILY

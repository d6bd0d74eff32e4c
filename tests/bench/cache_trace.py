"""The workload: 200 requests of one month, as the strategies and the research of one desk make them.

`python -m tests.bench.cache_trace` writes `cache_trace.json`; the same seed gives the same file. The month begins on Monday
2024-11-11 and ends with the 200th request, four weeks on, with Thanksgiving (closed), the half day after it and, on 2024-11-25, a split.

Who asks:

* `momentum` before each open: twelve symbols, the last 400 days, so that the range moves every day;
* `core` and `trend` after each close: the same thirty symbols until today, from 2015 and from 2018, now and then run again at once
  with another parameter;
* `pairs` after some closes: two symbols from 2018 on; `hourly` within the session, again within the hour on some days;
  `minutes`: the last days, looked at twice within minutes;
* `research`, most of all: each day on the core universe or on the theme of the week beside the benchmark. The same backtest with
  other parameters, other dates, subsets, one more symbol (of the core, or of the theme before), a longer range, another order.
"""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

FILE = Path(__file__).with_name("cache_trace.json")
SEED = 20241111
REQUESTS = 200

_FIRST, _LAST = date(2024, 11, 11), date(2024, 12, 10)
_SPLIT_DAY, _HOLIDAY, _HALF_DAY = date(2024, 11, 25), date(2024, 11, 28), date(2024, 11, 29)
#: Days without a session on which somebody works all the same.
_WORKED = (date(2024, 11, 16), _HOLIDAY, date(2024, 12, 8))

CORE = tuple(f"S{n:02}" for n in range(30))
BENCHMARK = "S00"
MOMENTUM = ("S01", "S03", "S04", "S07", "S09", "S11", "S12", "S16", "S19", "S20", "S22", "S25")
PAIR = ("S07", "S14")
HOURLY = ("S00", "S02", "S03", "S07", "S08", "S12", "S21", "S24")
FAST = ("S00", "S07", "S12")
#: First day of each theme and what it looks at; a theme shares some symbols with the one before.
THEMES = (
    (date(2024, 11, 11), tuple(f"S{n:02}" for n in range(30, 46))),
    (date(2024, 11, 20), tuple(f"S{n:02}" for n in range(42, 58))),
    (date(2024, 12, 2), tuple(f"S{n:02}" for n in range(54, 68))),
)
#: Ranges that research takes up again and again: in sample, out of sample, a crash, the last years; None is today.
_RANGES = (
    ("2014-01-02", "2018-12-31"),
    ("2019-01-02", "2023-12-29"),
    ("2020-02-03", "2020-06-30"),
    ("2021-01-04", "2024-10-31"),
    ("2016-01-04", "2020-12-31"),
    ("2018-01-02", None),
)


@dataclass(frozen=True)
class Request:
    """One request: `at` is the wall clock, ISO text in UTC; `start` and `end` are dates, both included."""

    at: str
    who: str
    symbols: tuple[str, ...]
    start: str
    end: str
    frequency: str = "1d"

    @property
    def now(self) -> float:
        """Wall clock, Unix seconds."""
        return datetime.fromisoformat(self.at).timestamp()


def load() -> list[Request]:
    """Return the committed trace."""
    return [Request(**{**one, "symbols": tuple(one["symbols"])}) for one in json.loads(FILE.read_text())]


def week_of_the_split() -> list[Request]:
    """Return a part of the committed trace: a few days that hold the split, the holiday and the half day."""
    first, last = datetime(2024, 11, 22, tzinfo=UTC).timestamp(), datetime(2024, 11, 30, tzinfo=UTC).timestamp()
    return [request for request in load() if first <= request.now <= last]


def generate() -> list[Request]:
    """Return the trace in order of time."""
    rng = random.Random(SEED)
    requests: list[Request] = []
    day = _FIRST
    while day <= _LAST:
        if day.weekday() < 5 and day != _HOLIDAY:
            requests += _strategies(day, rng)
        requests += _research(day, rng)
        day += timedelta(days=1)
    return sorted(requests, key=lambda request: request.at)[:REQUESTS]


def _at(day: date, hour: int, minute: int, second: int = 0) -> str:
    """Return a New York time of day; the whole month is on winter time, five hours behind UTC."""
    moment = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=UTC) + timedelta(hours=5)
    return moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")


def _strategies(day: date, rng: random.Random) -> list[Request]:
    """Return what runs by itself on a session."""
    today, evening = day.isoformat(), 13 if day == _HALF_DAY else 16
    found = [
        Request(_at(day, 8, 45), "momentum", MOMENTUM, (day - timedelta(days=400)).isoformat(), today),
        Request(_at(day, evening, 30), "core", CORE, "2015-01-02", today),
    ]
    if day == _SPLIT_DAY:
        # Who hears of a split looks further back, in the middle of the session.
        found.append(Request(_at(day, 10, 5), "pairs", PAIR, "2012-01-03", today))
    if day == _HALF_DAY:
        # The market has closed, its bars are not settled.
        found.append(Request(_at(day, 13, 5), "core", CORE, "2015-01-02", today))
    found.append(Request(_at(day, evening, 33), "trend", tuple(reversed(CORE)), "2018-01-02", today))
    if rng.random() < 0.35:
        found.append(Request(_at(day, evening, 41), "core", CORE, "2015-01-02", today))
    if rng.random() < 0.4:
        found.append(Request(_at(day, evening, 35), "pairs", PAIR, "2018-01-02", today))
    if rng.random() < 0.45:
        start, hour = (day - timedelta(days=60)).isoformat(), rng.choice((10, 11))
        found.append(Request(_at(day, hour, 45), "hourly", HOURLY, start, today, "1h"))
        if rng.random() < 0.5:
            found.append(Request(_at(day, hour + 1, 20), "hourly", HOURLY, start, today, "1h"))
    if rng.random() < 0.2:
        start, minute = (day - timedelta(days=4)).isoformat(), rng.randrange(10, 50)
        found += [
            Request(_at(day, 12, minute + wait), "minutes", FAST, start, today, "1m")
            for wait in (0, rng.choice((2, 9)))
        ]
    return found


def _research(day: date, rng: random.Random) -> list[Request]:
    """Return the backtests of one day: a plan is made, then varied."""
    works = day in _WORKED or (day.weekday() < 5 and day != _HOLIDAY)
    if not works:
        return []
    number = max(n for n, (first, _) in enumerate(THEMES) if first <= day)
    base = CORE if rng.random() < 0.35 else (BENCHMARK, *THEMES[number][1])
    found: list[Request] = []
    start, end = rng.choice(_RANGES)
    for minute in sorted(rng.sample(range(9 * 60, 16 * 60), _how_many(day, rng))):
        symbols = base
        kind = rng.random()
        if kind < 0.35 and found:
            # The same data, another parameter.
            last = found[-1]
            symbols, start, end = last.symbols, last.start, last.end
        elif kind < 0.55:
            start, end = rng.choice(_RANGES)
        elif kind < 0.70:
            symbols = tuple(rng.sample(base, rng.randrange(4, 13)))
        elif kind < 0.82:
            others = THEMES[number - 1][1] if number and rng.random() < 0.2 else CORE
            symbols = tuple(dict.fromkeys((*base, rng.choice(others))))
        elif kind < 0.91:
            start, end = rng.choice(("2012-01-03", "2013-01-02")), None
        else:
            symbols = tuple(rng.sample(base, len(base)))
        at = _at(day, minute // 60, minute % 60, rng.randrange(60))
        found.append(Request(at, "research", symbols, start, end or day.isoformat()))
    return found


def _how_many(day: date, rng: random.Random) -> int:
    if day in _WORKED:
        return 3
    return 2 if day == _HALF_DAY else rng.choice((4, 5, 5, 6))


def text(requests: list[Request]) -> str:
    """Return the trace as JSON, one request a line."""
    return "[\n" + ",\n".join(json.dumps(asdict(request)) for request in requests) + "\n]\n"


if __name__ == "__main__":
    FILE.write_text(text(generate()))

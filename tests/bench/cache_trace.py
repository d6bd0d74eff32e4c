"""The workload: 200 requests of one month, as the strategies and the research of one desk make them.

`python -m tests.bench.cache_trace` writes `cache_trace.json`; the same seed gives the same file. The month begins on Monday
2024-11-11 and ends with the 200th request, four weeks on, with Thanksgiving (closed), the half day after it and, on 2024-11-25, a split.

Who asks:

* `momentum` before each week's open: eight symbols, the last 400 days, so that the range moves;
* `core`, `trend` and `carry` after each close: the same twenty symbols until today, from 2015, 2016 and 2018, now and then run again
  at once with another parameter;
* `pairs` after some closes: two symbols from 2018 on; `hourly` in each session, again within the hour on some days;
  `minutes`: the last days, looked at twice within minutes;
* `research`, most of all: the theme of the week beside the benchmark, a theme that does not come back. The same backtest with other
  parameters, other dates, subsets, one more symbol, a longer range, another order of symbols;
* on a Saturday, on Thanksgiving and on a Sunday somebody runs the core strategies once more.

The symbols of a theme are scattered over the alphabet, as they are in life.
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
#: Days without a session on which somebody works all the same, and looks at how the core strategies did.
_QUIET = (date(2024, 11, 16), _HOLIDAY, date(2024, 12, 8))

CORE = tuple(f"S{n:02}" for n in range(0, 100, 5))
BENCHMARK = "S00"
MOMENTUM = ("S05", "S15", "S20", "S35", "S50", "S55", "S70", "S95")
PAIR = ("S15", "S60")
HOURLY = ("S00", "S10", "S15", "S30", "S65", "S90")
FAST = ("S00", "S15", "S45")
#: First day of each theme and what it looks at.
THEMES = tuple(
    (first, tuple(f"S{n:02}" for n in range(number, 100, 5)))
    for number, first in enumerate(
        (date(2024, 11, 11), date(2024, 11, 18), date(2024, 11, 25), date(2024, 12, 3)), start=1
    )
)
#: Ranges that research takes up again and again, the whole history more often than a part of it; None is today.
_RANGES = (
    *(("2014-01-02", "2023-12-29"),) * 3,
    *(("2014-01-02", None),) * 2,
    *(("2016-01-04", None),) * 2,
    ("2014-01-02", "2018-12-31"),
    ("2019-01-02", None),
    ("2020-02-03", "2020-06-30"),
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
    first, last = datetime(2024, 11, 22, 20, tzinfo=UTC).timestamp(), datetime(2024, 11, 30, tzinfo=UTC).timestamp()
    return [request for request in load() if first <= request.now <= last]


def generate(seed: int = SEED) -> list[Request]:
    """Return the trace in order of time."""
    requests: list[Request] = []
    day = _FIRST
    while day <= _LAST:
        # Each day has numbers of its own, so that a change of one day leaves the others as they are.
        rng = random.Random(f"{seed} {day}")
        if day in _QUIET:
            requests += _review(day, rng)
        elif day.weekday() < 5:
            requests += [*_strategies(day, rng), *_research(day, rng)]
        day += timedelta(days=1)
    return sorted(requests, key=lambda request: request.at)[:REQUESTS]


def _at(day: date, hour: int, minute: int, second: int = 0) -> str:
    """Return a New York time of day; the whole month is on winter time, five hours behind UTC."""
    moment = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=UTC) + timedelta(hours=5)
    return moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")


def _strategies(day: date, rng: random.Random) -> list[Request]:
    """Return what runs by itself on a session."""
    today, evening = day.isoformat(), 13 if day == _HALF_DAY else 16
    found = [Request(_at(day, evening, 30), "core", CORE, "2015-01-02", today)]
    if day.weekday() == 0:
        start = (day - timedelta(days=400)).isoformat()
        found.append(Request(_at(day, 8, 45), "momentum", MOMENTUM, start, today))
    if day == _SPLIT_DAY:
        # Who hears of a split looks further back, in the middle of the session.
        found.append(Request(_at(day, 10, 5), "pairs", PAIR, "2012-01-03", today))
    if day == _HALF_DAY:
        # The market has closed, its bars are not settled.
        found.append(Request(_at(day, 13, 5), "core", CORE, "2015-01-02", today))
    found += [
        Request(_at(day, evening, 33), "trend", tuple(reversed(CORE)), "2016-01-04", today),
        Request(_at(day, evening, 36), "carry", CORE, "2018-01-02", today),
    ]
    if rng.random() < 0.7:
        found.append(Request(_at(day, evening, 41), "core", CORE, "2015-01-02", today))
    if rng.random() < 0.5:
        found.append(Request(_at(day, evening, 44), "trend", tuple(reversed(CORE)), "2016-01-04", today))
    if rng.random() < 0.25:
        found.append(Request(_at(day, evening, 35), "pairs", PAIR, "2018-01-02", today))
    start = (day - timedelta(days=60)).isoformat()
    found.append(Request(_at(day, 10, 45), "hourly", HOURLY, start, today, "1h"))
    if rng.random() < 0.2:
        found.append(Request(_at(day, 11, 20), "hourly", HOURLY, start, today, "1h"))
    if rng.random() < 0.1:
        start, minute = (day - timedelta(days=4)).isoformat(), rng.randrange(10, 50)
        found += [
            Request(_at(day, 12, minute + wait), "minutes", FAST, start, today, "1m")
            for wait in (0, rng.choice((2, 9)))
        ]
    return found


def _research(day: date, rng: random.Random) -> list[Request]:
    """Return the backtests of one day: a plan is made, then varied."""
    number = max(n for n, (first, _) in enumerate(THEMES) if first <= day)
    base = (BENCHMARK, *THEMES[number][1])
    found: list[Request] = []
    count = 2 if day == _HALF_DAY else rng.choice((4, 5, 5, 6))
    start, end = rng.choice(_RANGES)
    for minute in sorted(rng.sample(range(9 * 60, 16 * 60), count)):
        symbols = base
        kind = rng.random()
        if kind < 0.35 and found:
            # The same data, another parameter.
            last = found[-1]
            symbols, start, end = last.symbols, last.start, last.end
        elif kind < 0.55:
            start, end = rng.choice(_RANGES)
        elif kind < 0.67:
            symbols = tuple(rng.sample(base, rng.randrange(4, 13)))
        elif kind < 0.82:
            symbols = (*base, rng.choice(CORE[1:]))
        elif kind < 0.88:
            start, end = "2014-01-02", None
        else:
            symbols = tuple(rng.sample(base, len(base)))
        at = _at(day, minute // 60, minute % 60, rng.randrange(60))
        found.append(Request(at, "research", symbols, start, end or day.isoformat()))
    return found


def _review(day: date, rng: random.Random) -> list[Request]:
    """Return the backtests of a day without a session."""
    return [
        Request(_at(day, hour, rng.randrange(60)), "core", symbols, start, day.isoformat())
        for hour, symbols, start in (
            (11, CORE, "2015-01-02"),
            (12, tuple(rng.sample(CORE, len(CORE))), "2015-01-02"),
            (13, tuple(rng.sample(CORE, 7)), "2020-01-02"),
        )
    ]


def text(requests: list[Request]) -> str:
    """Return the trace as JSON, one request a line."""
    return "[\n" + ",\n".join(json.dumps(asdict(request)) for request in requests) + "\n]\n"


if __name__ == "__main__":
    FILE.write_text(text(generate()))

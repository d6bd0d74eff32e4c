"""Bar frequencies: the closed set that keys, paths and requests use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from rustybt.errors import RequestError

# In lower case; "1M" is the one spelling whose case matters, and is found before these.
_ALIASES = {
    **dict.fromkeys(("daily", "day", "d", "1d"), "1d"),
    **dict.fromkeys(("hourly", "hour", "1h", "60m", "60min"), "1h"),
    **dict.fromkeys(("minute", "1min"), "1m"),
    **dict.fromkeys(("weekly", "week", "1w"), "1w"),
    **dict.fromkeys(("monthly", "month"), "1M"),
    "5min": "5m",
    "15min": "15m",
    "30min": "30m",
}


@dataclass(frozen=True, slots=True, order=True)
class Frequency:
    """How long a bar lasts; use `Frequency.parse`.

    Parameters
    ----------
    seconds
        Nominal length of a bar. A month counts as 30 days here; its real end is the calendar's.
    name
        The spelling in keys, paths and commands: 1m, 5m, 15m, 30m, 1h, 1d, 1w or 1M.
    """

    seconds: int
    name: str

    @classmethod
    def parse(cls, text: str | Frequency) -> Frequency:
        """Return the frequency spelled `text`; ``daily``, ``minute``, ``hourly``, ``weekly``, ``monthly`` are aliases.

        Raises
        ------
        RequestError
            `text` is not a frequency that RustyBT stores.
        """
        if isinstance(text, Frequency):
            return text
        found = FREQUENCIES.get(str(text)) or FREQUENCIES.get(_ALIASES.get(str(text).lower(), ""))
        if found is None:
            known = ", ".join(FREQUENCIES)
            raise RequestError(f"unknown frequency {text!r}", hint=f"use one of {known}", frequency=str(text))
        return found

    @property
    def is_intraday(self) -> bool:
        """True for bars shorter than a session: their timestamp is the bar's open, an instant."""
        return self.seconds < 86_400

    @property
    def timedelta(self) -> timedelta:
        """Nominal length of a bar."""
        return timedelta(seconds=self.seconds)

    @property
    def microseconds(self) -> int:
        """Nominal length of a bar in microseconds."""
        return self.seconds * 1_000_000

    def __str__(self) -> str:
        return self.name


FREQUENCIES: dict[str, Frequency] = {
    name: Frequency(seconds, name)
    for name, seconds in {
        "1m": 60,
        "5m": 300,
        "15m": 900,
        "30m": 1_800,
        "1h": 3_600,
        "1d": 86_400,
        "1w": 7 * 86_400,
        "1M": 30 * 86_400,
    }.items()
}
MINUTE = FREQUENCIES["1m"]
DAILY = FREQUENCIES["1d"]
MINUTE = FREQUENCIES["1m"]

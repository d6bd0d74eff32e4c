"""What an export to Zipline wrote, and what it could not take over."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ZiplineExport:
    """An ingestion written for Zipline.

    Parameters
    ----------
    root
        The folder to name as ``ZIPLINE_ROOT``.
    bundle, calendar_name
        As Zipline knows them.
    first_session, last_session
        ISO dates of the first and last bar that went over, both included.
    written
        Folders and files.
    notes
        What Zipline's format cannot hold as the bundle has it, one sentence each; empty if nothing was lost.
    rounded_prices, rounded_volumes
        Number of bars with a price of more decimals than the format has, and of bars with a fractional volume.
    left_out_bars
        Number of daily and minute bars that have no place in Zipline's calendar.
    has_minutes
        Whether minute bars went over.
    """

    root: str
    bundle: str
    calendar_name: str
    first_session: str
    last_session: str
    written: tuple[str, ...]
    notes: tuple[str, ...]
    rounded_prices: int
    rounded_volumes: int
    left_out_bars: int
    has_minutes: bool

    @property
    def next_step(self) -> str:
        """The command that runs a strategy on the ingestion, on its days: minutes may span fewer."""
        words = ["zipline", "run", "-b", self.bundle, "-f", "STRATEGY.py", "-s", self.first_session]
        words += ["-e", self.last_session, "--no-benchmark"]
        if self.calendar_name != "XNYS":
            words += ["--trading-calendar", self.calendar_name]
        return f"ZIPLINE_ROOT={shlex.quote(self.root)} {shlex.join(words)}"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        said = {**asdict(self), "written": list(self.written), "notes": list(self.notes), "next_step": self.next_step}
        return {"name" if key == "bundle" else key: value for key, value in said.items()}

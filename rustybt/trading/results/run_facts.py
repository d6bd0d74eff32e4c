"""What a result says of its run: which data it read, under which calendar, and what was left out."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from rustybt.__about__ import __version__
from rustybt.errors import BundleError
from rustybt.market.frequency import DAILY, MINUTE, Frequency
from rustybt.market.pin import Pin

if TYPE_CHECKING:
    from pathlib import Path

    from rustybt.data.portal import BarProvider
    from rustybt.trading.desk import Desk


def frequency_name(frequency: Frequency) -> str:
    """Return the name that Zipline has for a frequency, or else its own."""
    return {DAILY: "daily", MINUTE: "minute"}.get(frequency, frequency.name)


def register(home: Path, pin: Pin, directory: Path) -> None:
    """Tell the store which of its versions a saved result depends on; a home that is read-only need not know."""
    from rustybt.data.bundles.store import BundleStore

    with suppress(BundleError), BundleStore(home) as store:
        store.record_result(directory, pin)


def pin_of(bars: BarProvider, desk: Desk) -> Pin | None:
    """Return what must be the same for a run to come out the same again; None for bars that no bundle keeps."""
    pin = getattr(bars, "pin", None)
    if not isinstance(pin, Pin):
        return None
    calendar = desk.portal.axis.calendar
    start, end = desk.sessions[0].item(), desk.sessions[-1].item()
    panel = desk.portal.panel
    bases = sorted({panel.basis(asset) for asset in panel.assets})
    return replace(
        pin,
        calendar=calendar.name,
        session_hash=calendar.sessions_hash(start, end),
        calendar_version=calendar.library_version,
        start=str(start),
        end=str(end),
        adjustment="as of the clock, from " + ", ".join(bases) if bases else "",
        package_version=__version__,
        frequency=desk.portal.frequency.name,
    )


def unapplied_notes(desk: Desk) -> list[str]:
    """Return a sentence on the events that the run read and did not apply, none when there are none."""
    named = [f"{action.symbol} on {action.ex_date}" for action in desk.portal.panel.unapplied]
    if not named:
        return []
    return [f"spin-offs are stored but not applied, neither to prices nor to holdings: {', '.join(named)}"]

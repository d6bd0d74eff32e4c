"""Hold a result against a saved one: the same to the last digit, or where it differs first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from rustybt.errors import BundleError, BundleNotFoundError, RequestError, VersionNotFoundError
from rustybt.trading.results.perf import CELL_COLUMNS, session_dates
from rustybt.trading.results.plain_values import as_read

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    import pandas as pd

    from rustybt.market.pin import Pin
    from rustybt.trading.results.result import Result
    from rustybt.trading.strategy import Script

_TABLES = ("transactions", "orders", "positions", "books")
# Digits that a CSV of floats keeps are all of them, so equality is exact.
_MOST_DIFFERENCES = 20


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay found.

    Attributes
    ----------
    is_same
        Every column of every session and every fill, order and holding is equal.
    reference
        The version that was read, ``us@3``.
    sessions, transactions
        How many were compared.
    differences
        What differs, the first place of each column or table.
    circumstances
        What is not as it was, though it need not change anything: versions of packages, of the calendar.
    """

    is_same: bool
    reference: str
    sessions: int
    transactions: int
    differences: tuple[str, ...] = ()
    circumstances: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the finding in sentences."""
        if self.is_same:
            first = (
                f"same result on {self.reference}: {self.sessions} sessions and {self.transactions} transactions "
                "are equal to the last digit"
            )
            return [first, *(f"note: {text}" for text in self.circumstances)]
        return [
            f"another result on {self.reference}:",
            *(f"  {text}" for text in self.differences),
            *(f"note: {text}" for text in self.circumstances),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "is_same": self.is_same,
            "reference": self.reference,
            "sessions": self.sessions,
            "transactions": self.transactions,
            "differences": list(self.differences),
            "circumstances": list(self.circumstances),
        }


def compare(saved: Result, again: Result) -> ReplayReport:
    """Return how `again` differs from `saved`."""
    differences: list[str] = []
    old, new = saved.perf, again.perf
    if len(old) != len(new):
        differences.append(f"{len(old)} sessions were saved, {len(new)} were run now")
    length = min(len(old), len(new))
    # What was traded first: it explains the columns.
    for table in _TABLES:
        differences += _table_differences(table, getattr(saved, table), getattr(again, table))
    labels = session_dates(old["period_close"].iloc[:length])
    names = [c for c in old.columns if c not in CELL_COLUMNS]
    differences += [f"column {c} is missing now" for c in names if c not in new.columns]
    for name in (c for c in names if c in new.columns):
        before, now = old[name].iloc[:length], new[name].iloc[:length]
        if name in saved.recorded_names:
            # Recorded values may be of any type: what their file holds is what can be the same.
            before, now = before.map(as_read), now.map(as_read)
        at = _first_difference(before, now)
        if at is not None:
            differences.append(f"{name}: {before.iloc[at]} became {now.iloc[at]} in {labels[at]}")
    hidden = len(differences) - _MOST_DIFFERENCES
    if hidden > 0:
        differences = [*differences[:_MOST_DIFFERENCES], f"and {hidden} more"]
    return ReplayReport(
        is_same=not differences,
        reference=again.pin.reference if again.pin is not None else "bars in memory",
        sessions=length,
        transactions=len(saved.transactions),
        differences=tuple(differences),
        circumstances=tuple(circumstances(saved.pin, again.pin)),
    )


def circumstances(saved: Pin | None, now: Pin | None) -> list[str]:
    """Return what two pins do not share, in sentences."""
    if saved is None or now is None:
        return []
    words = {
        "content_hash": "the data has another content hash: {} became {}",
        "version": "the same data is version {1} now, it was {0}",
        "session_hash": "the calendar's sessions have another hash: {} became {}",
        "calendar_version": "exchange_calendars {} became {}",
        "package_version": "rustybt {} became {}",
    }
    changed = saved.differences(now)
    parts = changed.pop("parts", None)
    if parts is None or len(saved.parts) != len(now.parts):
        return [words.get(name, name + ": {} became {}").format(*pair) for name, pair in changed.items()]
    of_parts = [
        f"{old.bundle}: {text}"
        for old, new in zip(saved.parts, now.parts, strict=True)
        for text in circumstances(
            # What every part shares is said once.
            replace(old, package_version=new.package_version, calendar_version=new.calendar_version),
            new,
        )
    ]
    return [*(words.get(name, name + ": {} became {}").format(*pair) for name, pair in changed.items()), *of_parts]


def _first_difference(old: pd.Series[Any], new: pd.Series[Any]) -> int | None:
    for at, (a, b) in enumerate(zip(old, new, strict=True)):
        if not _same(a, b):
            return at
    return None


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return _is_nothing(a) and _is_nothing(b)
    if isinstance(a, (int, float, np.number)) and isinstance(b, (int, float, np.number)):
        return bool(a == b or (np.isnan(a) and np.isnan(b)))
    return bool(a == b) or str(a) == str(b)


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _table_differences(table: str, old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    found = []
    if len(old) != len(new):
        found.append(f"{len(old)} {table} were saved, {len(new)} were made now")
    length = min(len(old), len(new))
    columns = {c: (list(old[c])[:length], list(new[c])[:length]) for c in old.columns}
    for at in range(length):
        changed = [
            c for c, (before, now) in columns.items() if before[at] != now[at] and not _same(before[at], now[at])
        ]
        if changed:
            what = ", ".join(f"{c} {columns[c][0][at]} became {columns[c][1][at]}" for c in changed)
            symbol = f"{columns['symbol'][0][at]} in " if "symbol" in columns else ""
            found.append(f"{table}: {symbol}{columns['session'][0][at]}: {what}")
            break
    return found


def replayable(saved: Result, directory: Path) -> Script:
    """Return the script of a result that can be run again.

    Raises
    ------
    RequestError
        It cannot; the message says why.
    """
    reasons = {
        "it was not run on a bundle": saved.pin is None,
        f"it stopped at an error: {saved.error}": not saved.is_complete,
        f"its script is not known: {saved.script_unknown or 'its functions did not come from a file'}": saved.script
        is None,
        f"initialize was given {', '.join(saved.parameters['initialize'])}": bool(saved.parameters["initialize"]),
        "it was given a commission or slippage model of its own": any(
            saved.parameters[role] == {} for role in ("commission", "slippage")
        ),
    }
    for reason, holds in reasons.items():
        if holds:
            hint = "run the strategy as a file: rustybt run -f SCRIPT -b BUNDLE -o DIR"
            if not saved.is_complete:
                hint = f"mend the strategy and run it again; rustybt report {directory} shows the sessions before"
            raise RequestError(f"the result in {directory} cannot be replayed: {reason}", hint=hint)
    return cast("Script", saved.script)


def open_pinned(store: Any, saved: Result, stack: ExitStack) -> Any:
    """Return the bundle that a replayable result is pinned to, found by its content hash; several come as a list.

    Parameters
    ----------
    stack
        Closes what is opened.

    Raises
    ------
    BundleError
        The store does not have it any more.
    """
    pin = cast("Pin", saved.pin)
    opened = [stack.enter_context(_open_by_hash(store, part)) for part in pin.bundles]
    return opened if pin.parts else opened[0]


def _open_by_hash(store: Any, pin: Pin) -> Any:
    digest = pin.content_hash.removeprefix("sha256:")
    try:
        return store.open(f"{pin.bundle}@sha256:{digest}")
    except (BundleNotFoundError, VersionNotFoundError) as error:
        raise BundleError(
            f"the data of this result is not here: {pin.reference} with content sha256:{digest[:16]}... ({error.message})",
            hint=f"ingest or import the same bars into {pin.bundle}; equal content has the same hash",
            bundle=pin.bundle,
            content_hash=pin.content_hash,
        ) from error


def benchmark_of(saved: Result) -> pd.Series[float] | None:
    """Return the benchmark returns that the run was given, None when it was given none."""
    import pandas as pd

    if not saved.parameters["benchmark"]:
        return None
    days = pd.DatetimeIndex(session_dates(saved.perf["period_close"]))
    return pd.Series(saved.benchmark[: len(days)], index=days)

"""What ended a run early."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rustybt.errors import RustybtError
from rustybt.trading.strategy import is_users_fault, strategy_error

if TYPE_CHECKING:
    from datetime import date


def stopped(error: BaseException, session: date, *, has_begun: bool) -> BaseException:
    """Return what ended a run, saying when; `error` itself where it says so, or where nobody's code but ours is to blame.

    Parameters
    ----------
    session
        The session of the clock.
    has_begun
        Whether `initialize` is over.
    """
    when = f"in the session {session}" if has_begun else "in initialize"
    if isinstance(error, RustybtError):
        if "when" in error.details or str(session) in error.message:
            return error
        return type(error)(f"{error.message} ({when})", hint=error.hint, **{**error.details, "when": when})
    if isinstance(error, SystemExit) or (isinstance(error, Exception) and is_users_fault(error)):
        return strategy_error(error, when)
    if isinstance(error, KeyboardInterrupt) and not error.args:
        error.args = (f"interrupted {when}",)
    return error


def why_stopped(error: BaseException) -> str:
    """Return the sentence that a result keeps of what ended its run."""
    if isinstance(error, RustybtError):
        return error.message
    return str(error) if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"

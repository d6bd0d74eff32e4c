"""The book of a run as exact decimals."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from rustybt.trading.results.session_log import SessionLog

BOOK_COLUMNS = ("cash", "positions_value", "portfolio_value")


def build_books(log: SessionLog) -> pd.DataFrame:
    """Return cash, positions value and portfolio value of each session, each a Decimal of nine places."""
    import pandas as pd

    rows = [
        (log.sessions[r.t], _exact(r.cash), _exact(r.positions_value), _exact(r.cash + r.positions_value))
        for r in log.records
    ]
    return pd.DataFrame(rows, columns=["session", *BOOK_COLUMNS])


def _exact(nano: int) -> Decimal:
    return Decimal(nano).scaleb(-9)

"""What a page says beside the curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rustybt.trading.report.curve import Days, Floats
    from rustybt.trading.results.run_quality import RunQuality


@dataclass(frozen=True, slots=True)
class Exposure:
    """How much was invested at the close of each session of the first curve.

    Parameters
    ----------
    gross, net
        Leverage: (long - short) / value and (long + short) / value; short values are negative.
    long_value, short_value
        In the account's currency.
    """

    gross: Floats
    net: Floats
    long_value: Floats
    short_value: Floats


@dataclass(frozen=True, slots=True)
class PriceLine:
    """Closes of one asset, and where it was bought and sold: one mark a session and side, at the mean price paid."""

    symbol: str
    sessions: Days
    closes: Floats
    bought: tuple[Days, Floats]
    sold: tuple[Days, Floats]


@dataclass(frozen=True, slots=True)
class ReportContext:
    """What a page says beside the curves.

    Parameters
    ----------
    title
        Heading of the page.
    currency
        Of the account; the unit of the value axis. Empty when it is not known.
    notice
        A sentence the reader must not miss, such as that the bars are generated; empty for none.
    incomplete
        Why the run stopped before its end; empty for one that did not.
    notes
        Sentences on what was done differently from what was asked.
    calendar
        Whose sessions the dates are; empty when it is not known.
    pin, provenance, quality
        Which data was used, where it came from and how good it is, as Mappings; None leaves the table out.
    run_quality
        What was flagged of the bars that the run read; None when it is not known.
    metrics
        Name and value of each figure of merit, in order; floats are shown with four significant digits.
    returns
        Of each session, as fractions; None leaves their charts out.
    exposure
        None leaves the charts out.
    transactions
        One Mapping per fill with at least `symbol`, `amount` and `price`.
    prices
        Assets to draw with their trades.
    prices_left_out
        Says of which traded assets no chart is drawn, or why there is none; empty where nothing is missing.
    holdings
        One Mapping per position at the end: symbol, amount, cost_basis, last_sale_price.
    recorded
        Last value of each name that the strategy recorded.
    replay_command
        The command line that proves the result again.
    """

    title: str = "Backtest"
    currency: str = "USD"
    notice: str = ""
    incomplete: str = ""
    notes: Sequence[str] = ()
    calendar: str = ""
    pin: Mapping[str, Any] | None = None
    provenance: Mapping[str, Any] | None = None
    quality: Mapping[str, Any] | None = None
    run_quality: RunQuality | None = None
    metrics: Mapping[str, Any] | None = None
    returns: Floats | None = None
    exposure: Exposure | None = None
    transactions: Sequence[Mapping[str, Any]] = ()
    prices: Sequence[PriceLine] = ()
    prices_left_out: str = ""
    holdings: Sequence[Mapping[str, Any]] | None = None
    recorded: Mapping[str, Any] | None = None
    replay_command: str = ""

"""One self-contained HTML page about a result: no script, no file beside it, nothing fetched."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from rustybt.trading.report import charts, tables
from rustybt.trading.report.context import ReportContext
from rustybt.trading.report.drawing import draw, legend
from rustybt.trading.report.figures import money, percent
from rustybt.trading.report.style import STYLE
from rustybt.trading.report.writing import write_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from rustybt.trading.report.curve import Curve


def write_page(curves: Sequence[Curve], path: str | os.PathLike[str], context: ReportContext | None = None) -> Path:
    """Write the report of the first curve, with the others beside it in the chart, to `path`.

    Returns
    -------
    Path
        The file written: UTF-8 HTML that needs nothing else.

    Raises
    ------
    StorageError
        The file system refuses.
    """
    # A lone half of a surrogate pair, which a file name may hold, is no UTF-8.
    return write_whole(path, render(curves, context or ReportContext()).encode("utf-8", errors="replace"))


def render(curves: Sequence[Curve], context: ReportContext) -> str:
    """Return the page as HTML; without a curve it says that no session was run."""
    body = [
        f"<h1>{escape(context.title)}</h1>",
        _when(curves, context),
        _alert("Incomplete", _incomplete(curves, context)) if context.incomplete else "",
        _alert("", context.notice) if context.notice else "",
        *(
            _performance(curves, context)
            if curves
            else ['<p class="sub">No session was run: there is nothing to draw.</p>']
        ),
        _section("Figures", tables.pairs(context.metrics)),
        _section("Notes", "".join(f"<p>{escape(note)}</p>" for note in context.notes)),
        _section("Data: the pin", tables.pairs(context.pin)),
        _section("Data: provenance", tables.pairs(context.provenance)),
        _section("Data: quality of what was read", tables.flagged(context.run_quality)),
        _section("Data: quality", tables.pairs(context.quality)),
        f"<p>Prove it again: <code>{escape(context.replay_command)}</code></p>" if context.replay_command else "",
        f"<footer>RustyBT · written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC</footer>",
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(context.title)}</title><style>{STYLE}</style>"
    )
    content = "\n".join(part for part in body if part)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n{content}\n</main></body></html>\n'


def _performance(curves: Sequence[Curve], context: ReportContext) -> list[str]:
    """Return what is drawn and counted of a run that has sessions."""
    curve = curves[0]
    return [
        _headline(curve, context),
        legend(curves),
        draw(curves, context.currency),
        _section("Monthly returns", tables.months(curve)),
        _section("Worst drawdowns", tables.drawdowns(curve)),
        _section("Exposure", charts.exposure(curve.sessions, context.exposure, context.currency)),
        _section("Rolling figures", charts.rolling(curve.sessions, context.returns)),
        _section("Distribution of session returns", charts.distribution(context.returns)),
        _section("Trades", tables.trades(context.transactions, context.currency)),
        _section("Trades on prices", charts.prices(context)),
        _section("Holdings at the end", tables.holdings(context.holdings, float(curve.values[-1]), context.currency)),
        _section("Recorded by the strategy, last values", tables.pairs(context.recorded)),
    ]


def _when(curves: Sequence[Curve], context: ReportContext) -> str:
    """Return the sessions, and what their dates mean."""
    of = f" of the calendar {context.calendar}" if context.calendar else ""
    if not curves:
        return ""
    days = curves[0].sessions
    count = f"{len(days):,} session{'' if len(days) == 1 else 's'}"
    said = f"{count}, {days[0]} to {days[-1]}. Dates are sessions{of}, values those at its close; instants are UTC."
    return f'<p class="sub">{escape(said)}</p>'


def _incomplete(curves: Sequence[Curve], context: ReportContext) -> str:
    count = len(curves[0].sessions) if curves else 0
    ran = f"only the {count:,} before it {'is' if count == 1 else 'are'} shown" if count else "no session was finished"
    return f"the run stopped at an error, {ran}. {context.incomplete}"


def _alert(word: str, text: str) -> str:
    return f'<p class="notice">{f"<b>{escape(word)}:</b> " if word else ""}{escape(text)}</p>'


def _headline(curve: Curve, context: ReportContext) -> str:
    depth, high, low = curve.worst
    cards = [
        (
            "Final value",
            money(float(curve.values[-1]), context.currency),
            f"from {money(curve.starting_value, context.currency)}",
        ),
        ("Total return", percent(curve.total_return, sign=True), f"{_years(curve):.1f} years"),
        ("Deepest drawdown", percent(depth), f"{high} to {low}" if depth < 0 else "never below a high"),
        ("Trades", f"{len(context.transactions):,}", "fills" if context.transactions else "nothing was traded"),
    ]
    inner = "".join(
        f'<div class="card"><span>{escape(name)}</span><b>{escape(value)}</b><small>{escape(detail)}</small></div>'
        for name, value, detail in cards
    )
    return f'<div class="cards">{inner}</div>'


def _years(curve: Curve) -> float:
    return float((curve.sessions[-1] - curve.sessions[0]).astype(int)) / 365.25


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>\n{content}" if content else ""

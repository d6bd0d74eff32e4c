"""One self-contained HTML page about a result: no script, no file beside it, nothing fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rustybt.trading.report.drawing import draw, legend
from rustybt.trading.report.style import STYLE

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from rustybt.trading.report.curve import Curve

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class ReportContext:
    """What a page says beside the curve.

    Parameters
    ----------
    title
        Heading of the page.
    currency
        Of the account; the unit of the value axis. Empty when it is not known.
    notice
        A sentence the reader must not miss, such as that the bars are generated; empty for none.
    pin, provenance, quality
        Which data was used, where it came from and how good it is, as Mappings; None leaves the table out.
    metrics
        Name and value of each figure of merit, in order; floats are shown with four significant digits.
    transactions
        One Mapping per fill with at least `symbol`, `amount` and `price`.
    replay_command
        The command line that proves the result again.
    """

    title: str = "Backtest"
    currency: str = "USD"
    notice: str = ""
    pin: Mapping[str, Any] | None = None
    provenance: Mapping[str, Any] | None = None
    quality: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] | None = None
    transactions: Sequence[Mapping[str, Any]] = ()
    replay_command: str = ""


def write_page(curves: Sequence[Curve], path: str | os.PathLike[str], context: ReportContext | None = None) -> Path:
    """Write the report of the first curve, with the others beside it in the chart, to `path`.

    Returns
    -------
    Path
        The file written: UTF-8 HTML that needs nothing else.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(render(curves, context or ReportContext()), encoding="utf-8")
    return target


def render(curves: Sequence[Curve], context: ReportContext) -> str:
    """Return the page as HTML."""
    curve = curves[0]
    body = [
        f"<h1>{escape(context.title)}</h1>",
        f'<p class="sub">{len(curve.sessions):,} sessions, {curve.sessions[0]} to {curve.sessions[-1]}</p>',
        f'<p class="notice">{escape(context.notice)}</p>' if context.notice else "",
        _headline(curve, context),
        legend(curves),
        draw(curves, context.currency),
        "<h2>Monthly returns</h2>",
        _months(curve),
        _section("Figures", _pairs(context.metrics)),
        _section("Trades", _trades(context.transactions, context.currency)),
        _section("Data: the pin", _pairs(context.pin)),
        _section("Data: provenance", _pairs(context.provenance)),
        _section("Data: quality", _pairs(context.quality)),
        f"<p>Prove it again: <code>{escape(context.replay_command)}</code></p>" if context.replay_command else "",
        f"<footer>RustyBT · written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC</footer>",
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(context.title)}</title><style>{STYLE}</style>"
    )
    content = "\n".join(part for part in body if part)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n{content}\n</main></body></html>\n'


def _headline(curve: Curve, context: ReportContext) -> str:
    depth, high, low = curve.worst
    unit = escape(context.currency)
    cards = [
        ("Final value", f"{curve.values[-1]:,.2f} {unit}".strip(), f"from {curve.starting_value:,.2f} {unit}".strip()),
        ("Total return", f"{curve.total_return:+,.2%}", f"{_years(curve):.1f} years"),
        ("Deepest drawdown", f"{depth:.2%}", f"{high} to {low}" if depth < 0 else "never below a high"),
        ("Trades", f"{len(context.transactions):,}", "fills"),
    ]
    inner = "".join(
        f'<div class="card"><span>{escape(name)}</span><b>{value}</b><small>{detail}</small></div>'
        for name, value, detail in cards
    )
    return f'<div class="cards">{inner}</div>'


def _years(curve: Curve) -> float:
    return float((curve.sessions[-1] - curve.sessions[0]).astype(int)) / 365.25


def _months(curve: Curve) -> str:
    rows = []
    for year, months, total in curve.monthly_returns():
        cells = "".join(_month_cell(value) for value in months)
        rows.append(f'<tr><th scope="row">{year}</th>{cells}{_month_cell(total, "total")}</tr>')
    heads = "".join(f'<th scope="col">{name}</th>' for name in (*MONTHS, "Year"))
    return (
        f'<div class="wide"><table class="months"><thead><tr><th></th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _month_cell(value: float | None, kind: str = "") -> str:
    if value is None:
        return "<td></td>"
    strength = min(abs(value) / 0.10, 1.0) * 0.55  # 10 % a month has the full colour
    colour = f"rgba(46,125,80,{strength:.2f})" if value >= 0 else f"rgba(179,55,47,{strength:.2f})"
    text = f"{value:+.1%}" if value else "0.0%"
    return f'<td class="{kind}" style="background:{colour}">{text}</td>'


def _trades(transactions: Sequence[Mapping[str, Any]], currency: str) -> str:
    if not transactions:
        return ""
    totals: dict[str, list[float]] = {}
    for fill in transactions:
        row = totals.setdefault(str(fill["symbol"]), [0, 0, 0.0])
        amount = float(fill["amount"])
        row[0 if amount > 0 else 1] += 1
        row[2] += abs(amount) * float(fill["price"])
    lines = [
        f'<tr><th scope="row">{escape(symbol)}</th><td>{buys}</td><td>{sells}</td><td>{turnover:,.0f}</td></tr>'
        for symbol, (buys, sells, turnover) in sorted(totals.items())
    ]
    heading = f"turnover ({escape(currency)})" if currency else "turnover"
    head = f"<tr><th>symbol</th><th>buys</th><th>sells</th><th>{heading}</th></tr>"
    return f'<table class="plain"><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table>'


def _section(title: str, content: str) -> str:
    return f"<h2>{escape(title)}</h2>\n{content}" if content else ""


def _pairs(values: Mapping[str, Any] | None) -> str:
    if not values:
        return ""
    rows = [
        f'<tr><th scope="row">{escape(str(name).replace("_", " "))}</th><td>{escape(shown)}</td></tr>'
        for name, value in values.items()
        if (shown := _shown(value)) != ""
    ]
    return f'<table class="plain pairs">{"".join(rows)}</table>'


def _shown(value: Any) -> str:
    """Return one value as text a person reads; long lists are cut with their count."""
    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, Mapping):
        return _joined(f"{key}: {_shown(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return _joined(_shown(item) for item in value)
    return str(value)


def _number(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.2f}"


def _joined(parts: Iterable[str], most: int = 12) -> str:
    listed = list(parts)
    tail = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + tail

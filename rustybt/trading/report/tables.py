"""The tables of the page. Every text in them that comes from data or a strategy is escaped here."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from math import isfinite
from typing import TYPE_CHECKING, Any

from rustybt.trading.report.drawdowns import worst_drawdowns
from rustybt.trading.report.figures import UNDEFINED, amount, money, number, percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rustybt.trading.report.curve import Curve
    from rustybt.trading.results.run_quality import RunQuality

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: Rows of a table before the rest is only counted: a page stays small whatever a strategy trades.
MOST_ROWS = 500


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], most: int = MOST_ROWS) -> str:
    """Return a table whose first column names the row; empty without rows, and cut with a count after `most` of them."""
    listed = list(rows)
    if not listed:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    lines = [
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in listed[:most]
    ]
    more = f'<p class="sub">and {len(listed) - most:,} more</p>' if len(listed) > most else ""
    body = f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
    return f'<div class="wide">{body}</div>{more}'


def months(curve: Curve) -> str:
    """Return the returns by month and year, coloured by their size."""
    rows = []
    for year, returns, total in curve.monthly_returns():
        cells = "".join(_month_cell(value) for value in returns)
        rows.append(f'<tr><th scope="row">{year}</th>{cells}{_month_cell(total, "total")}</tr>')
    heads = "".join(f'<th scope="col">{name}</th>' for name in (*MONTHS, "Year"))
    return (
        f'<div class="wide"><table class="months"><thead><tr><th></th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="sub">The first month begins with the run, on {curve.sessions[0]}, and the last ends with it, on '
        f"{curve.sessions[-1]}.</p>"
    )


def _month_cell(value: float | None, kind: str = "") -> str:
    if value is None:
        return "<td></td>"
    if not isfinite(value):
        return f'<td class="{kind}">{UNDEFINED}</td>'
    strength = min(abs(value) / 0.10, 1.0) * 0.55  # 10 % a month has the full colour
    colour = f"rgba(46,125,80,{strength:.2f})" if value >= 0 else f"rgba(179,55,47,{strength:.2f})"
    text = f"{value:+.1%}" if value else "0.0%"
    return f'<td class="{kind}" style="background:{colour}">{text}</td>'


def drawdowns(curve: Curve) -> str:
    """Return the deepest drawdowns, a sentence where there is none."""
    found = worst_drawdowns(curve)
    if not found:
        return '<p class="sub">The value was never below an earlier high.</p>'
    return table(
        ("start", "bottom", "recovered", "depth", "sessions below"),
        [
            (
                str(fall.start or "starting capital"),
                str(fall.bottom),
                str(fall.recovered or "not yet"),
                percent(fall.depth),
                f"{fall.sessions:,}",
            )
            for fall in found
        ],
    )


def trades(transactions: Sequence[Mapping[str, Any]], currency: str) -> str:
    """Return buys, sells and turnover by symbol."""
    totals: dict[str, list[float]] = {}
    for fill in transactions:
        row = totals.setdefault(str(fill["symbol"]), [0, 0, 0.0])
        size = float(fill["amount"])
        row[0 if size > 0 else 1] += 1
        row[2] += abs(size) * float(fill["price"])
    return table(
        ("symbol", "buys", "sells", f"turnover ({currency})" if currency else "turnover"),
        [
            (symbol, f"{buys:,}", f"{sells:,}", money(turnover, decimals=0))
            for symbol, (buys, sells, turnover) in sorted(totals.items())
        ],
    )


def holdings(positions: Sequence[Mapping[str, Any]] | None, value: float, currency: str) -> str:
    """Return what is held at the end, the largest first, with its part of the portfolio's `value`."""
    if positions is None:
        return ""
    if not positions:
        return '<p class="sub">Nothing is held: all of it is cash.</p>'
    unit = f" ({currency})" if currency else ""
    rows = []
    for position in positions:
        size, last = float(position["amount"]), float(position["last_sale_price"])
        held = size * last
        rows.append((abs(held) if isfinite(held) else 0.0, position, size, last, held))
    return table(
        ("symbol", "amount", f"cost basis{unit}", f"last price{unit}", f"value{unit}", "of the portfolio"),
        [
            (
                str(position["symbol"]),
                amount(size),
                number(float(position["cost_basis"])),
                number(last),
                money(held),
                percent(held / value, 1) if value else UNDEFINED,
            )
            for _, position, size, last, held in sorted(rows, key=lambda row: -row[0])
        ],
    )


def flagged(quality: RunQuality | None) -> str:
    """Return which bars that the run read were flagged."""
    if quality is None:
        return ""
    rows = [
        (
            finding.symbol,
            finding.rule,
            finding.severity,
            f"{finding.count:,}",
            joined(finding.dates, 6) if finding.is_dated else "not told, some may lie outside the run",
        )
        for finding in quality.findings
    ]
    return f"<p>{escape(quality.sentence())}.</p>" + table(
        ("symbol", "rule", "severity", "bars", "dates (UTC)"), rows, 200
    )


def pairs(values: Mapping[str, Any] | None) -> str:
    """Return names and values, those without a value left out."""
    if not values:
        return ""
    rows = [
        f'<tr><th scope="row">{escape(str(name).replace("_", " "))}</th><td>{escape(text)}</td></tr>'
        for name, value in values.items()
        if (text := shown(value)) != ""
    ]
    return f'<table class="plain pairs"><tbody>{"".join(rows)}</tbody></table>'


def shown(value: Any) -> str:
    """Return one value as text a person reads; long lists are cut with their count."""
    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, Mapping):
        return joined((f"{key}: {shown(item)}" for key, item in value.items()), 30)
    if isinstance(value, (list, tuple, set, frozenset)):
        return joined(shown(item) for item in value)
    text = str(value)
    return text if len(text) <= 2_000 else f"{text[:2_000]}…"


def joined(parts: Iterable[str], most: int = 12) -> str:
    """Return parts with commas, those beyond `most` only counted."""
    listed = list(parts)
    tail = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + tail

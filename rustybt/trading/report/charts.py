"""The charts of the page below the equity curve."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from rustybt.trading.report.drawing import keys
from rustybt.trading.report.figures import money, number
from rustybt.trading.report.histogram import draw_returns
from rustybt.trading.report.line_chart import Line, LineChart, Marks
from rustybt.trading.report.rolling import rolling_sharpe, rolling_volatility, window_for

if TYPE_CHECKING:
    from rustybt.trading.report.context import Exposure, PriceLine, ReportContext
    from rustybt.trading.report.curve import Days, Floats


def exposure(sessions: Days, found: Exposure | None, currency: str) -> str:
    """Return leverage, and long and short value, at the close of each session."""
    if found is None:
        return ""
    unit = f" ({currency})" if currency else ""
    leverage = LineChart(
        "leverage",
        "Leverage",
        "Gross and net exposure over the portfolio's value at the close of each session.",
        "leverage",
        sessions,
        (Line("gross", found.gross), Line("net", found.net)),
        from_zero=True,
    )
    values = LineChart(
        "exposure",
        "Long and short value",
        f"Value of what is held long and short at the close of each session{unit}.",
        f"value{unit}",
        sessions,
        (Line("long", found.long_value), Line("short", found.short_value)),
        from_zero=True,
    )
    last = (keys([(line.name, number(float(line.values[-1]))) for line in leverage.lines]), leverage.draw())
    worth = (keys([(line.name, money(float(line.values[-1]), currency, 0)) for line in values.lines]), values.draw())
    return "\n".join((*last, *worth))


def rolling(sessions: Days, returns: Floats | None) -> str:
    """Return Sharpe ratio and volatility of the last sessions, a sentence where the run is too short."""
    if returns is None:
        return ""
    window = window_for(len(returns))
    if window is None:
        return '<p class="sub">The run is too short: it takes 42 sessions.</p>'
    said = f"of the last {window} sessions, annualized with 252 sessions"
    sharpe = LineChart(
        "rolling-sharpe",
        "Rolling Sharpe ratio",
        f"Sharpe ratio {said}.",
        "Sharpe ratio",
        sessions,
        (Line("Sharpe ratio", rolling_sharpe(returns, window)),),
        from_zero=True,
        height=150,
    )
    volatility = LineChart(
        "rolling-volatility",
        "Rolling volatility",
        f"Volatility in percent a year {said}.",
        "volatility (% a year)",
        sessions,
        (Line("volatility", rolling_volatility(returns, window)),),
        is_percent=True,
        from_zero=True,
        height=150,
    )
    return f'<p class="sub">{said[0].upper()}{said[1:]}.</p>\n{sharpe.draw()}\n{volatility.draw()}'


def distribution(returns: Floats | None) -> str:
    """Return the histogram of the sessions' returns."""
    return "" if returns is None or not len(returns) else draw_returns(returns)


def prices(context: ReportContext) -> str:
    """Return a chart for each asset of `context.prices`: closes, with marks where it was bought and sold."""
    parts = [_price_chart(place, line, context.currency) for place, line in enumerate(context.prices)]
    if parts:
        parts.insert(
            0,
            '<p class="legend"><span class="key"><i class="up">▲</i> bought</span><span class="key"><i class="fall">▼</i> '
            'sold</span></p><p class="sub">Closes and fills at the prices of their session: a split shows as a step.</p>',
        )
    if context.prices_left_out:
        parts.append(f'<p class="sub">{escape(context.prices_left_out)}</p>')
    return "\n".join(parts)


def _price_chart(place: int, line: PriceLine, currency: str) -> str:
    bought, sold = len(line.bought[0]), len(line.sold[0])
    chart = LineChart(
        f"price-{place}",
        f"{line.symbol}: price and trades",
        f"Close of each session{f' in {currency}' if currency else ''}; bought in {bought:,} sessions, sold in {sold:,}.",
        f"price ({currency})" if currency else "price",
        line.sessions,
        (Line("the close", line.closes),),
        marks=(Marks("buy", *line.bought), Marks("sell", *line.sold)),
        height=150,
    )
    return f"<h3>{escape(line.symbol)}</h3>\n{chart.draw()}"

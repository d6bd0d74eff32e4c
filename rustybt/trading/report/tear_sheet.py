"""A result as the page shows it: gathered from what the result keeps, so that a saved one needs nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.trading.report.context import Exposure, PriceLine, ReportContext
from rustybt.trading.report.curve import Curve, curve_of, sessions_of
from rustybt.trading.report.figures import UNDEFINED
from rustybt.trading.report.page import write_page
from rustybt.trading.report.summary import summary_lines
from rustybt.trading.results.plain_values import text_of

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from rustybt.market.pin import Pin
    from rustybt.trading.report.curve import Days, Floats
    from rustybt.trading.results.result import Result


def write_tear_sheet(
    result: Result,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    notice: str = "",
    against: Sequence[tuple[str, Result]] = (),
    **more: Any,
) -> Path:
    """Write the report of `result` as one HTML page to `path`, and return it.

    Parameters
    ----------
    title
        Heading of the page; by default the script and the data.
    notice
        A sentence the reader must not miss.
    against
        (name, result) of results to draw beside it, as if they had begun with the same capital.
    **more
        Fields of `ReportContext` that the result does not know.
    """
    context = context_of(result)
    named = {"title": title or context.title, "notice": notice, **more}
    return write_page(curves_of(result, against) if len(result.perf) else [], path, replace(context, **named))


def curves_of(result: Result, against: Sequence[tuple[str, Result]] = ()) -> list[Curve]:
    """Return the curve of a result, then its benchmark where it has one, then other results scaled to its capital.

    Raises
    ------
    RequestError
        The result holds no session; of the others, those without one are left out.
    """
    own = curve_of(result, name_of(result))
    curves = [own]
    if np.any(result.benchmark):
        growth = np.cumprod(1.0 + result.benchmark[: len(own.sessions)])
        values = np.asarray(own.starting_value * growth, dtype=np.float64)
        curves.append(Curve("benchmark", own.sessions, values, own.starting_value))
    others = [curve_of(other, name) for name, other in against if len(other.perf)]
    return [*curves, *(curve.from_capital(own.starting_value) for curve in others)]


def name_of(result: Result) -> str:
    """Return what the legend calls a result: its script's name."""
    return Path(result.script.name).stem.replace("_", " ") if result.script is not None else "strategy"


def context_of(result: Result) -> ReportContext:
    """Return all that a result can say of itself."""
    currency, pin = result.data.currency, result.pin
    data = pin.reference if pin is not None else "bars of no bundle"
    provenance = result.provenance
    perf = result.perf
    ran = len(perf) > 0
    drawn, left_out = _prices(result)
    return ReportContext(
        title=f"{name_of(result)} on {data}",
        currency=currency,
        incomplete="" if result.is_complete else (result.error or "no reason is known"),
        notes=result.notes,
        calendar=pin.calendar if pin is not None else str(result.parameters.get("trading_calendar") or ""),
        pin=None if pin is None else _pin_facts(pin),
        provenance=None if provenance is None else provenance.to_json(),
        run_quality=result.quality,
        metrics=dict(summary_lines(result.summary(), currency)),
        returns=perf["returns"].to_numpy(dtype=np.float64) if ran else None,
        exposure=_exposure(result) if ran else None,
        transactions=result.transactions[["symbol", "amount", "price"]].to_dict("records"),  # type: ignore[arg-type]
        prices=drawn,
        prices_left_out=left_out,
        holdings=_holdings(result) if ran else None,
        recorded={name: _last(perf[name]) for name in result.recorded_names} if ran else None,
    )


def _pin_facts(pin: Pin) -> dict[str, Any]:
    """Return what a pin names; of several bundles, a row for each, for together they have no version."""
    facts = pin.to_json()
    if facts.pop("parts", None):
        del facts["version"]
        for part in pin.parts:
            facts[part.reference] = (
                f"sha256:{part.content_hash}, calendar {part.calendar}, {part.start} to {part.end}, {part.frequency}"
            )
    return facts


def _exposure(result: Result) -> Exposure:
    names = ("gross_leverage", "net_leverage", "long_value", "short_value")
    return Exposure(*(result.perf[name].to_numpy(dtype=np.float64) for name in names))


def _holdings(result: Result) -> list[dict[str, Any]]:
    return [{**row, "symbol": row["sid"].symbol} for row in result.perf["positions"].iloc[-1]]


def _last(values: Any) -> str:
    """Return the last value that was recorded, cut where it is long."""
    known = values.dropna()
    return text_of(known.iloc[-1])[:200] if len(known) else UNDEFINED


def _prices(result: Result) -> tuple[list[PriceLine], str]:
    """Return the charts of the assets traded most, and a sentence on what has none."""
    kept, fills = result.prices, result.transactions
    if not len(fills):
        return [], ""
    if kept is None:
        return [], "No prices were kept with this result, so its trades are not drawn."
    days = sessions_of(result.perf)
    rows = {str(day): row for row, day in enumerate(days.tolist())}
    lines = []
    for column, (sid, symbol) in enumerate(zip(kept.sids, kept.symbols, strict=True)):
        own = fills[fills["sid"] == sid]
        at = np.array([rows[day] for day in own["session"]], dtype=np.int64)
        amounts, paid = own["amount"].to_numpy(dtype=np.float64), own["price"].to_numpy(dtype=np.float64)
        bought, sold = amounts > 0, amounts < 0
        lines.append(
            PriceLine(
                symbol,
                days,
                kept.closes[:, column],
                _mean_prices(days, at[bought], amounts[bought], paid[bought]),
                _mean_prices(days, at[sold], amounts[sold], paid[sold]),
            )
        )
    others = f"{kept.left_out:,} more asset{'' if kept.left_out == 1 else 's'}"
    return (
        lines,
        f"Of {others} traded, with less turnover, no chart is drawn; they are in the table above."
        if kept.left_out
        else "",
    )


def _mean_prices(
    days: Days, rows: np.ndarray[Any, np.dtype[np.int64]], amounts: Floats, paid: Floats
) -> tuple[Days, Floats]:
    """Return the sessions of the fills and the mean price of each, weighted by amount."""
    distinct, place = np.unique(rows, return_inverse=True)
    weights = np.bincount(place, weights=np.abs(amounts), minlength=len(distinct))
    sums = np.bincount(place, weights=np.abs(amounts) * paid, minlength=len(distinct))
    return days[distinct], sums / weights

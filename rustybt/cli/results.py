"""Saving, showing and reporting results: what `run`, `replay` and `report` share."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rustybt.errors import MissingDependencyError, RequestError, RustybtError

if TYPE_CHECKING:
    from rustybt.cli.data_use import DataUse
    from rustybt.cli.terminal import Terminal


def save_result(result: Any, directory: Path, store: Any, *, title: str) -> list[Path]:
    """Save `result` into `directory` with a report beside it; return the files a person opens."""
    result.save(directory)
    return write_report(result, directory, store, title=title, result_dir=directory)


def write_report(
    result: Any,
    directory: Path,
    store: Any,
    *,
    title: str,
    result_dir: Path,
    against: tuple[tuple[str, Any], ...] = (),
    notice: str = "",
) -> list[Path]:
    """Write report.html, and equity.png where matplotlib is installed, into `directory`; return what was written.

    Parameters
    ----------
    result_dir
        Where the result itself lies, for the command that replays it.
    against
        (name, result) of results to draw for comparison.
    """
    from rustybt.trading.report import ReportContext, curve_of, write_chart, write_page

    own = curve_of(result, _name(result))
    curves = [own, *(curve_of(other, name).from_capital(own.starting_value) for name, other in against)]
    data = _data_facts(result, store)
    context = ReportContext(
        title=title,
        currency=data.currency,
        notice=notice,
        pin=None if result.pin is None else result.pin.to_json(),
        provenance=data.provenance,
        quality=data.quality,
        metrics=dict(summary_lines(result.summary(), data.currency)),
        transactions=transaction_rows(result),
        replay_command="" if result.pin is None else f"rustybt replay {result_dir}",
    )
    written = [write_page(curves, directory / "report.html", context)]
    with contextlib.suppress(MissingDependencyError):
        note = reference_of(result) + (f"   sha256:{result.pin.content_hash}" if result.pin else "")
        written.append(write_chart(curves, directory / "equity.png", title=title, note=note, currency=data.currency))
    return written


class _DataFacts(NamedTuple):
    """What the store knows of a result's data; the defaults hold where it knows nothing."""

    provenance: dict[str, Any] | None = None
    quality: dict[str, Any] | None = None
    currency: str = ""


def _data_facts(result: Any, store: Any) -> _DataFacts:
    from rustybt.cli.bundle_facts import provenance_facts, quality_facts

    if result.pin is None:
        return _DataFacts(_source_facts(result))
    try:
        with store.open(result.pin.reference) as bundle:
            currencies = {asset.currency for asset in bundle.assets.retrieve_all()}
            currency = currencies.pop() if len(currencies) == 1 else ""
            return _DataFacts(provenance_facts(bundle.provenance), quality_facts(bundle.quality()), currency)
    except RustybtError:  # the report of an old result must not fail because its data is gone
        return _DataFacts()


def _source_facts(result: Any) -> dict[str, Any] | None:
    """Return which source's bars a result without a pin was computed from; None where it is not known."""
    source = result.parameters.get("data_source")
    if not source:
        return None
    facts = {"source": source["name"], "symbols": ", ".join(source["symbols"]), **source["options"]}
    facts |= {"from": source["start"], "to": source["end"], "kept": "no: its bars are in no bundle"}
    return {key: value for key, value in facts.items() if value not in (None, "", [], {})}


def reference_of(result: Any) -> str:
    """Return which data a result was computed from: ``us@3``, or ``bars of yfinance``, which are in no bundle."""
    if result.pin is not None:
        return str(result.pin.reference)
    source = result.parameters.get("data_source")
    return f"bars of {source['name']}" if source else "bars in memory"


def currency_of(result: Any, store: Any) -> str:
    """Return the currency of a result's assets; empty when it is not known."""
    return _data_facts(result, store).currency


def check_output(directory: Path | None) -> str | None:
    """Return which data the result already saved in `directory` was computed from, None for no result.

    Raises
    ------
    RequestError
        `directory` is, or lies below, something that is no directory: better known before the run than after it.
    """
    if directory is None:
        return None
    existing = next((path for path in (directory, *directory.parents) if path.exists()), None)
    if existing is not None and not existing.is_dir():
        raise RequestError(f"--output {directory}: {existing} is no directory", hint="name a new directory")
    if not (directory / "result.json").exists():
        return None
    from rustybt.trading.result import Result

    try:
        return reference_of(Result.load(directory))
    except RustybtError:
        return "data that cannot be read any more"


def _name(result: Any) -> str:
    """Return what the legend calls a result: its script's name."""
    return Path(result.script.name).stem.replace("_", " ") if result.script is not None else "strategy"


def transaction_rows(result: Any) -> list[dict[str, Any]]:
    """Return each fill as symbol, amount and price."""
    frame = result.transactions
    return [
        {"symbol": str(symbol), "amount": float(amount), "price": float(price)}
        for symbol, amount, price in zip(frame["symbol"], frame["amount"], frame["price"], strict=True)
    ]


def show_result(
    terminal: Terminal, result: Any, written: list[Path], *, currency: str = "", use: DataUse | None = None
) -> None:
    """Print the figures of a result, its pin, where the bars of a source came from, and the files written."""
    summary = result.summary()
    if terminal.json:
        terminal.data(
            {
                "summary": summary,
                "currency": currency or None,
                "pin": result.pin,
                "notes": result.notes,
                "files": [str(path) for path in written],
                **({} if use is None else {"data": use}),
            },
        )
        return
    terminal.facts(summary_lines(summary, currency), title=f"Performance on {reference_of(result)}")
    if use is not None:
        terminal.line(f"data: {use.sentence()}")
    for note in result.notes:
        terminal.note(f"note: {note}")
    for path in written:
        terminal.note(f"wrote {path}")


_PERCENT = ("return", "drawdown", "volatility", "cagr")


def summary_lines(summary: dict[str, Any], currency: str = "") -> list[tuple[str, str]]:
    """Return the figures of `Result.summary` as text: ratios of capital in percent, money with two decimals."""
    unit = f" {currency}" if currency else ""
    lines = []
    for name, value in summary.items():
        if value is None or value != value:  # noqa: PLR0124 - NaN, a figure that is not defined
            text = "-"
        elif isinstance(value, float):
            percent = any(word in name for word in _PERCENT)
            money = any(word in name for word in ("value", "capital", "cash", "commission", "pnl"))
            text = f"{value:+.2%}" if percent else f"{value:,.2f}{unit}" if money else f"{value:,.3f}"
        else:
            text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
        lines.append((name.replace("_", " "), text))
    return lines

"""Saving, showing and reporting results: what `run`, `replay` and `report` share."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from rustybt.errors import MissingDependencyError, RequestError, RustybtError
from rustybt.trading.report.summary import summary_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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
    from rustybt.trading.report import curves_of, write_chart, write_tear_sheet

    data = _data_facts(result, store)
    page = write_tear_sheet(
        result,
        directory / "report.html",
        title=title,
        notice=notice,
        against=against,
        currency=data.currency,
        provenance=data.provenance,
        quality=data.quality,
        metrics=dict(summary_lines(result.summary(), data.currency)),
        replay_command="" if result.pin is None or not result.is_complete else f"rustybt replay {result_dir}",
    )
    written = [page]
    if not len(result.perf):
        return written
    with contextlib.suppress(MissingDependencyError):
        note = reference_of(result) + (f"   sha256:{result.pin.content_hash}" if result.pin else "")
        curves = curves_of(result, against)
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
        return _DataFacts(_source_facts(result), currency=result.data.currency)
    try:
        with contextlib.ExitStack() as stack:
            bundles = [stack.enter_context(store.open(part.reference)) for part in result.pin.bundles]
            currencies = {asset.currency for bundle in bundles for asset in bundle.assets.retrieve_all()}
            currency = currencies.pop() if len(currencies) == 1 else ""
            if len(bundles) > 1:
                provenances = {bundle.reference: provenance_facts(bundle.provenance) for bundle in bundles}
                qualities = {bundle.reference: quality_facts(bundle.quality()) or "not checked" for bundle in bundles}
                return _DataFacts(provenances, qualities, currency or result.data.currency)
            (bundle,) = bundles
            return _DataFacts(provenance_facts(bundle.provenance), quality_facts(bundle.quality()), currency)
    except RustybtError:  # the report of an old result must not fail because its data is gone
        kept = result.provenance
        return _DataFacts(None if kept is None else provenance_facts(kept), currency=result.data.currency)


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
    from rustybt.trading.results.result import Result

    try:
        return reference_of(Result.load(directory))
    except RustybtError:
        return "data that cannot be read any more"


@contextlib.contextmanager
def partial_result_kept(
    terminal: Terminal,
    directory: Path | None,
    store: Any,
    *,
    title: str,
    sign: Callable[[Any], None] | None = None,
) -> Iterator[None]:
    """Save what a run that fails inside has computed so far into `directory`, say so, and let the error go on.

    The error says why the run failed, or was interrupted; one of the saving itself is only told beside it.

    Parameters
    ----------
    sign
        Completes the result before it is saved.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        result = error.__dict__.get("partial_result")
        if result is None or directory is None:
            raise
        count = len(result.perf)
        earlier = (directory / "result.json").exists()
        if earlier and not count:
            terminal.alert(f"note: no session was finished, so the earlier result in {directory} is left as it was")
            raise
        if sign is not None:
            sign(result)
        try:
            save_result(result, directory, store, title=f"{title} on {reference_of(result)}")
        except (RustybtError, OSError) as refused:
            terminal.alert(f"note: what was run before the error could not be saved: {refused}")
            raise error from refused
        state = "complete" if result.is_complete else "marked as incomplete"
        instead = ", in place of the result that was there" if earlier else ""
        terminal.alert(f"note: {count:,} session{'' if count == 1 else 's'} saved in {directory}, {state}{instead}")
        raise


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
                "quality": result.quality,
                "files": [str(path) for path in written],
                **({} if use is None else {"data": use}),
            },
        )
        return
    lines = summary_lines(summary, currency)
    if result.quality is not None:
        lines.append(("quality", result.quality.sentence()))
    terminal.facts(lines, title=f"Performance on {reference_of(result)}")
    if use is not None:
        terminal.line(f"data: {use.sentence()}")
    for note in result.notes:
        terminal.note(f"note: {note}")
    for path in written:
        terminal.note(f"wrote {path}")

"""How the library's reports are shown: ingest, plan, quality, verify, diff, gc, recover."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rustybt.cli.bundle_facts import counted, duration, passed, quality_sentence, short_hash, size
from rustybt.cli.data_use import use_sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rustybt.cli.terminal import Terminal

#: Rows and symbols listed before the rest is only counted; --json has them all.
MOST_LISTED = 10


def show_plan(terminal: Terminal, plan: Any) -> None:
    """Print what an ingest would read."""
    covered = plan.covered
    if terminal.json:
        terminal.data({"plan": plan, **({} if covered is None else {"covered": list(covered)})})
        return
    terminal.facts(
        [
            ("source", plan.source),
            ("from", plan.source_url),
            ("range", f"{_moment(plan.start) or 'first bar'} to {_moment(plan.end) or 'last bar'}, {plan.frequency}"),
            ("symbols", f"{len(plan.symbols):,}: {_some(plan.symbols)}"),
            *(
                [("files", f"{len(plan.files):,}, {size(plan.size_bytes)}" if plan.files else None)]
                if not plan.limits
                else []
            ),
            *_costs(plan),
            *([("cache", f"has {len(covered):,} of {counted(len(plan.symbols), 'symbol')}")] if covered else []),
            *([("columns", plan.columns)] if plan.columns else []),
        ],
        title="Plan (nothing is written)",
    )
    for note in plan.notes:
        terminal.note(f"  note: {note}")
    for symbol, reason in plan.failures:
        terminal.line(f"would fail: {symbol}: {reason}")


def _moment(text: str) -> str:
    """Return a date, or an instant to the second."""
    return f"{text[:19]}Z" if "T" in text else text


def _costs(plan: Any) -> list[tuple[str, str]]:
    """Return what a vendor will be asked, as far as a calendar can tell."""
    if plan.requests is None:
        return []
    return [
        ("requests", f"about {plan.requests:,}"),
        ("rows", f"at most {plan.rows:,}, about {size(plan.size_bytes)} over the line"),
        ("time", f"about {duration(plan.seconds)}"),
        ("limits", plan.limits),
    ]


def show_ingest(terminal: Terminal, report: Any, store: Any, *, retry: str = "") -> int:
    """Print what an ingest into `store` did; return the exit status: 0, or 3 when some symbols failed.

    Parameters
    ----------
    retry
        Command that fetches only what failed.
    """
    if terminal.json:
        terminal.data({**report.to_json(), **({"retry": retry} if report.failures and retry else {})})
        return int(report.exit_code)
    rate = f" in {report.seconds:.1f} s" if report.seconds else ""
    if report.unchanged:
        terminal.line(f"{report.reference}: unchanged, {counted(report.rows, 'row')} read{rate}, nothing to write")
    else:
        added = counted(report.rows_added, "row")
        counts = f"{added} added, {report.rows_changed:,} changed, {report.rows_removed:,} removed"
        terminal.line(f"{report.reference}: {counts}{rate}")
        if not (report.rows_added or report.rows_changed or report.rows_removed):  # events or attributes made it
            terminal.line(f"  changed  {_summary(store, report)}")
    terminal.line(f"  content  {short_hash(report.content_hash)}")
    terminal.line(f"  symbols  {len(report.symbols):,}: {_some(report.symbols)}")
    if getattr(report, "cache", None) is not None:
        terminal.line(f"  cache    {use_sentence(report.cache)}")
    terminal.line(f"  quality  {quality_sentence(report.quality)}")
    _show_quarantine(terminal, report)
    told = " ".join(report.skipped.values())
    for note in report.notes:
        if not note.startswith(("set aside:", "failed:")) and note not in told:  # those are listed by themselves
            terminal.note(f"  note: {note}")
    _show_skipped_and_revised(terminal, report)
    _show_failures(terminal, report, retry)
    return int(report.exit_code)


def _show_skipped_and_revised(terminal: Terminal, report: Any) -> None:
    for symbol, reason in list(report.skipped.items())[:MOST_LISTED]:
        terminal.note(f"  skipped {symbol}: {reason}")
    if len(report.skipped) > MOST_LISTED:
        terminal.note(f"  {len(report.skipped) - MOST_LISTED:,} more skipped; --json lists them")
    for revision in report.revisions[:MOST_LISTED]:
        terminal.line(f"  revised {revision}")
    if len(report.revisions) > MOST_LISTED:
        terminal.note(f"  {len(report.revisions) - MOST_LISTED:,} more revisions; --json lists them")


def _show_failures(terminal: Terminal, report: Any, retry: str) -> None:
    """Print which symbols failed, what kind of failure each met, and the command that fetches only those again."""
    from rustybt.data.sources.ingest.report import failure_kind

    if not report.failures:
        return
    asked = len(report.symbols) + len(report.skipped) + len(report.failures)
    terminal.alert(f"  {len(report.failures):,} of {counted(asked, 'symbol')} failed, the others are stored:")
    failures = sorted(report.failures.items())
    kinds = {symbol: failure_kind(error) for symbol, error in failures}
    wide, long = max(map(len, kinds)), max(map(len, kinds.values()))
    for symbol, error in failures:
        terminal.alert(f"  failed  {symbol:{wide}}  {kinds[symbol]:{long}}  {error.message}")
    for hint in dict.fromkeys(error.hint for _, error in failures if error.hint):
        terminal.alert(f"  hint: {hint}")
    if retry:
        terminal.alert(f"  again: {retry}")


def _summary(store: Any, report: Any) -> str:
    """Return what made the version, in the store's words."""
    made = [version for version in store.versions(report.bundle) if version.version == report.version]
    return str(made[0].summary) if made else "no row"


def _show_quarantine(terminal: Terminal, report: Any) -> None:
    for reason, count in report.quarantined.items():
        terminal.line(f"  quarantined {count:,}: {reason}")
    for row in report.examples[:MOST_LISTED]:
        terminal.note(f"    {row}")


def show_quality(terminal: Terminal, reference: str, report: Any, row_count: int | None = None) -> None:
    """Print the quality report of a version, and say so if it holds `row_count` rows, others than the report is about."""
    if terminal.json:
        terminal.data({"reference": reference, "row_count": row_count, "quality": report})
        return
    if report is None:
        terminal.line(f"{reference} has no quality report")
        return
    terminal.facts(
        [
            ("verdict", passed(report.validation_passed)),
            ("calendar", report.calendar),
            ("rows kept", report.row_count),
            ("rows quarantined", report.quarantined_count),
            *((f"  {reason}", count) for reason, count in report.quarantined.items()),
            ("identical duplicates dropped", report.duplicates),
            ("sessions missing", report.missing_days_count),
            ("bars missing", report.missing_bars_count),
            ("bars outside trading hours", report.off_session_count),
            ("outliers flagged", report.outlier_count),
            ("negative prices", report.negative_price_count),
            ("volumes missing", report.missing_volume_count),
        ],
        title=f"Quality of {reference}",
    )
    _show_list(terminal, "Missing sessions", report.missing_days_list, report.missing_days_count, ["symbol", "date"])
    columns = ["symbol", "timestamp", "kind", "change"]
    _show_list(terminal, "Outliers (kept)", report.outliers, report.outlier_count, columns)
    for note in report.notes:
        terminal.line(f"note: {note}")
    if row_count not in (None, report.row_count):
        terminal.line(
            f"note: {reference} holds {counted(row_count, 'row')}; this report is of the {report.row_count:,} that its own "
            "ingest delivered, the earlier versions have theirs"
        )


def _show_list(
    terminal: Terminal, title: str, items: Sequence[Mapping[str, Any]], count: int, columns: Sequence[str]
) -> None:
    if not items:
        return
    shown = items[:MOST_LISTED]
    terminal.table(columns, [[_short(item.get(column)) for column in columns] for item in shown], title=title)
    if count > len(shown):
        terminal.note(f"{count - len(shown):,} more; --json lists them")


def show_verify(terminal: Terminal, report: Any) -> None:
    """Print what was read, and every damage."""
    if terminal.json:
        terminal.data(report)
        return
    read = f"{report.files_checked:,} files, {size(report.bytes_checked)}, {report.rows_checked:,} rows read"
    if report.is_whole:
        terminal.line(f"{report.reference} is whole: {read}, every checksum and the content hash as written")
        return
    terminal.line(f"{report.reference} is DAMAGED: {read}")
    for damage in report.damages:
        terminal.line(f"  {damage.file}: {damage.problem}")
    terminal.alert("  hint: ingest the range again with --replace, or put the file back from a backup")


def show_diff(terminal: Terminal, diff: Any, limit: int) -> None:
    """Print what changed, value by value, at most `limit` rows of each kind (0: all)."""
    most = limit or None
    if terminal.json:
        terminal.data(diff.to_json(most))
        return
    if diff.is_empty:
        terminal.line(f"{diff.before} and {diff.after} say the same")
        return
    terminal.line(
        f"{diff.before} -> {diff.after}: {counted(diff.added.height, 'bar')} added, {diff.removed.height:,} removed, "
        f"{diff.rows_changed:,} changed"
    )
    plain = diff.to_json(most)
    for kind in ("added", "removed"):
        rows = plain[kind]
        fields = ("symbol", "timestamp", "open", "high", "low", "close", "volume")
        if rows:
            headings = ["symbol", "timestamp", *(f"{name}>" for name in fields[2:])]
            terminal.table(headings, [[_day(row[name]) for name in fields] for row in rows], title=kind.capitalize())
            _more(terminal, plain[f"rows_{kind}"], len(rows))
    if plain["changed"]:
        terminal.table(
            ["symbol", "timestamp", "field", "before>", "after>"],
            [
                (row["symbol"], _day(row["timestamp"]), row["field"], row["before"], row["after"])
                for row in plain["changed"]
            ],
            title="Changed",
        )
        _more(terminal, diff.changed.height, len(plain["changed"]))
    for word, actions in (("added", diff.actions_added), ("removed", diff.actions_removed)):
        for action in actions:
            terminal.line(f"corporate action {word}: {action.kind} of {action.symbol}, ex-date {action.ex_date}")
    if diff.assets_changed:
        terminal.line(f"assets changed: {_some(diff.assets_changed)}")


def _more(terminal: Terminal, count: int, shown: int) -> None:
    if count > shown:
        terminal.note(f"{count - shown:,} more; --limit 0 shows all")


def _day(value: str) -> str:
    """Return a midnight as its date alone."""
    return value.removesuffix("T00:00:00+00:00")


def show_gc(terminal: Terminal, report: Any) -> None:
    """Print what garbage collection removed, kept and would orphan."""
    if terminal.json:
        terminal.data(report)
        return
    versions, files = len(report.collected), report.files_deleted
    terminal.line(f"{_done(versions, 'version', report)} collected: {_some(report.collected) or 'none'}")
    terminal.line(f"{_done(files, 'file', report)} deleted, {size(report.bytes_freed)} freed")
    if report.files_waiting:
        verb = "waits" if report.files_waiting == 1 else "wait"
        waiting = f"{counted(report.files_waiting, 'file')} {verb}"
        terminal.line(f"{waiting} for the end of the grace period (setting bundle.gc_grace_seconds)")
    for reference, reason in report.kept.items():
        terminal.line(f"kept {reference}: {reason}")
    tell_orphans(terminal, report.orphaned_results.items())


def tell_orphans(terminal: Terminal, results: Iterable[tuple[str, str]]) -> None:
    """Warn of saved results, each a (folder, reference) pair, that cannot be replayed without the data."""
    for folder, reference in results:
        terminal.alert(f"result without data: {folder} needs {reference}")


def show_recover(terminal: Terminal, report: Any) -> int:
    """Print what came back; return 6 when something could not."""
    if terminal.json:
        terminal.data(report)
    else:
        for name, count in report.recovered.items():
            terminal.line(f"recovered {name}: {counted(count, 'version')}")
        if not report.recovered:
            terminal.line("nothing to recover")
        if report.already_known:
            terminal.note(f"left alone: {_some(report.already_known)}")
        if report.damaged_database:
            terminal.note(f"the damaged database was put aside: {report.damaged_database}")
        for name, problem in report.problems.items():
            terminal.alert(f"problem with {name}: {problem}")
    return 6 if report.problems else 0


def _some(names: Sequence[str], most: int = MOST_LISTED) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _done(count: int, noun: str, report: Any) -> str:
    verb = "would be" if report.dry_run else "was" if count == 1 else "were"
    return f"{counted(count, noun)} {verb}"


def _short(value: Any) -> Any:
    return f"{value:+.2%}" if isinstance(value, float) else value

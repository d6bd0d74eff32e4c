"""``rustybt bundle``: list, inspect, check and compare. What changes a bundle is in `bundle_care`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustybt.cli.command import command, new_group
from rustybt.cli.options import BundleName, End, Reference, Start, open_store

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal

app = new_group("List, inspect, check, compare, export and tidy bundles.")

#: Assets and events listed before the rest is only counted.
MOST_LISTED = 20
SourceType = Annotated[str | None, typer.Option("--source-type", metavar="S", help="Only bundles of this source.")]


@command(app, "list")
def list_(terminal: Terminal, *, source_type: SourceType = None, start: Start = None, end: End = None) -> None:
    """List the bundles of this home: version, range, size, source, quality.

    Example: rustybt bundle list --source-type csv
    """
    from rustybt.cli.bundle_facts import passed

    with open_store(terminal) as store:
        found = store.list_bundles(source_type=source_type, start=start, end=end)
        others = [] if found else store.list_bundles()
        without_bars = store.names_without_bars()
        home = store.home
    if terminal.json:
        terminal.data({"home": str(home), "bundles": found, "without_bars": without_bars})
        return
    if without_bars:
        named = ", ".join(without_bars[:3]) + (" ..." if len(without_bars) > 3 else "")
        terminal.note(f"in the catalog, without bars: {named} ({len(without_bars):,})")
    if others:
        sources = ", ".join(sorted({b.source_type for b in others}))
        terminal.note(f"no bundle in {home} matches; there are {len(others):,}, from {sources}: rustybt bundle list")
        return
    if not found:
        terminal.note(f"no bundle in {home}: rustybt ingest csv --path FILE --bundle NAME makes one")
        return
    terminal.table(
        ["bundle", "bars", "symbols>", "rows>", "first", "last", "source", "quality"],
        [
            (
                f"{b.name}@{b.version}",
                ", ".join(b.frequencies),
                b.symbol_count,
                b.row_count,
                b.first_session,
                b.last_session,
                b.source_type,
                passed(b.validation_passed),
            )
            for b in found
        ],
    )


@command(app)
def info(terminal: Terminal, *, reference: Reference) -> None:
    """Show one version: its symbols, range, provenance and quality.

    Example: rustybt bundle info us@3
    """
    from rustybt.cli.bundle_facts import instant, provenance_facts, quality_sentence, short_hash, size

    with open_store(terminal) as store, store.open(reference) as bundle:
        if terminal.json:
            terminal.data(bundle_document(bundle))
            return
        version, quality = bundle.info, bundle.quality()
        terminal.facts(
            [
                ("content", short_hash(bundle.content_hash)),
                ("created", instant(version.created_at)),
                ("frequencies", ", ".join(bundle.frequencies)),
                ("calendar", bundle.calendar_name),
                ("rows", version.row_count),
                ("size", size(version.size_bytes)),
                ("tags", ", ".join(version.tags) or None),
                ("quality", quality_sentence(quality, version.row_count)),
            ],
            title=version.reference,
        )
        terminal.facts(provenance_rows(provenance_facts(version.provenance)), title="Provenance")
        _show_assets(terminal, bundle)
        actions = bundle.corporate_actions()
        if actions:
            rows = [_action_row(action) for action in actions[:MOST_LISTED]]
            terminal.table(["symbol", "event", "ex-date", "ratio or amount"], rows, title="Corporate actions")
            _tell_rest(terminal, len(actions))


def _show_assets(terminal: Terminal, bundle: Any) -> None:
    rows = [_asset_row(bundle, symbol) for symbol in bundle.symbols[:MOST_LISTED]]
    names = ("symbol", "asset_type", "venue", "currency", "first", "last", "price_basis")
    headings = ["symbol", "type", "venue", "currency", "first", "last", "price basis"]
    terminal.table(headings, [[row[name] for name in names] for row in rows], title="Assets")
    _tell_rest(terminal, len(bundle.symbols))


def _tell_rest(terminal: Terminal, count: int) -> None:
    if count > MOST_LISTED:
        terminal.note(f"{count - MOST_LISTED:,} more; --json lists them")


def bundle_document(bundle: Any) -> dict[str, Any]:
    """Return all that `bundle info --json` says of an opened version."""
    version = bundle.info
    return {
        **version.to_json(),
        "reference": version.reference,
        "frequencies": list(bundle.frequencies),
        "calendar": bundle.calendar_name,
        "symbols": list(bundle.symbols),
        "assets": [_asset_row(bundle, symbol) for symbol in bundle.symbols],
        "corporate_actions": [action.to_json() for action in bundle.corporate_actions()],
        "pin": bundle.pin.to_json(),
    }


def _asset_row(bundle: Any, symbol: str) -> dict[str, Any]:
    asset = bundle.asset(symbol)
    return {
        "sid": asset.sid,
        "symbol": symbol,
        "asset_type": asset.asset_type,
        "venue": asset.exchange or None,
        "currency": asset.currency,
        "first": asset.first_session,
        "last": asset.last_session,
        "price_basis": bundle.price_basis(symbol),
    }


def _action_row(action: Any) -> tuple[Any, ...]:
    if action.amount is not None:
        return action.symbol, action.kind, action.ex_date, f"{action.amount} {action.currency or ''}".strip()
    ratio = "" if action.ratio_new is None else f"{action.ratio_new}:{action.ratio_old}"
    return action.symbol, action.kind, action.ex_date, ratio


def provenance_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Return provenance as lines; files with the start of their checksum."""
    rows = []
    for key, value in facts.items():
        if key == "files":
            text = ", ".join(f"{name} (sha256:{digest[:12]})" for name, digest in value.items())
        elif isinstance(value, dict):
            text = ", ".join(f"{name}={item}" for name, item in value.items())
        else:
            text = ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
        rows.append((key.replace("_", " "), text))
    return rows


@command(app)
def versions(terminal: Terminal, *, name: BundleName) -> None:
    """List every version of a bundle, the newest last.

    Example: rustybt bundle versions us
    """
    from rustybt.cli.bundle_facts import instant, short_hash
    from rustybt.errors import RequestError

    bundle, at, _ = name.partition("@")
    if at:
        raise RequestError(
            f"{name!r} names one version, and this lists all of a bundle",
            hint=f"rustybt bundle versions {bundle}, or of the one: rustybt bundle info {name}",
        )
    with open_store(terminal) as store:
        found = store.versions(name)
    if terminal.json:
        terminal.data({"bundle": name, "versions": found})
        return
    terminal.table(
        ["version", "content", "created", "rows>", "source", "what", "tags"],
        [
            (
                v.reference,
                short_hash(v.content_hash),
                instant(v.created_at),
                v.row_count,
                v.provenance.source_type,
                "collected by gc" if v.collected else v.summary,
                ", ".join(v.tags),
            )
            for v in found
        ],
    )

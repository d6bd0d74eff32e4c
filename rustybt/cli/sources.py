"""``rustybt sources``: where bars can come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rustybt.cli.command import command, new_group

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal
    from rustybt.data.adapters.limits import VendorLimits
    from rustybt.data.sources.registry import SourceInfo

app = new_group("Where bars can come from.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a source.", show_default=False)]


@command(app, "list")
def list_(terminal: Terminal) -> None:
    """List the sources: which are ready, and what the others need.

    Example: rustybt sources list
    """
    from rustybt.data.sources import list_sources

    found = list_sources()
    if terminal.json:
        terminal.data({"sources": found})
        return
    terminal.table(
        ["name", "ready", "key", "streams", "limits", "what"],
        [
            (
                s.name,
                s.available,
                _key(s, "-"),
                s.supports_live if s.available else "-",
                _in_short(s.limits),
                _plain(s.doc) if s.available else f"needs {s.pip_command or s.reason}",
            )
            for s in found
        ],
    )
    terminal.note("rustybt sources info NAME shows one with all it allows and takes")


@command(app, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def info(terminal: Terminal, ctx: typer.Context, *, name: Name) -> None:
    """Show one source: what it delivers, what its vendor allows, and which options it takes.

    Limits that depend on an option are shown for it.

    Example: rustybt sources info ccxt --exchange kraken
    """
    from rustybt.cli.ingest import read_options
    from rustybt.data.sources import source_info

    found = source_info(name, **read_options(ctx.args))
    if terminal.json:
        terminal.data(found)
        return
    terminal.facts(
        [
            ("name", found.name),
            *([("what", _plain(found.doc))] if found.doc else []),
            ("ready", found.available),
            *([] if found.available else [("needs", found.pip_command or found.reason)]),
            *([("also called", ", ".join(found.aliases))] if found.aliases else []),
            *([("streams", found.supports_live)] if found.available else []),
            *_limits(found.limits),
            *([("key", _key(found))] if found.limits is not None else []),
            *(("note", note) for note in (found.limits.notes if found.limits is not None else ())),
        ]
    )
    if not found.available:
        return
    # Named as in Python: on the command line the built-in sources have some of them, under names that fit there.
    terminal.table(["option in Python", "what"], [(option, _plain(text)) for option, text in found.options.items()])
    terminal.note(
        f"in Python: rb.get_source({found.name!r}, ...); on the command line: rustybt ingest {found.name} --help"
    )


def _limits(limits: VendorLimits | None) -> list[tuple[str, object]]:
    """Return what a vendor allows as lines of facts, with units."""
    if limits is None:
        return []
    depth = ", ".join(_depths(limits, "days"))
    return [
        ("frequencies", f"{', '.join(limits.frequencies)}; others are resampled from these"),
        ("history", _joined(depth, f"the newest {limits.depth_bars} bars" if limits.depth_bars else "")),
        ("bars a page", limits.bars_per_page),
        ("requests a minute", _or_none(limits.requests_per_minute)),
        ("requests a day", _or_none(limits.requests_per_day)),
        ("at once", limits.parallel_requests),
        ("final", f"{_time(limits.settlement_delay_seconds)} after the close of a bar"),
    ]


def _in_short(limits: VendorLimits | None) -> str:
    """Return the limits on one line."""
    if limits is None:
        return ""
    rates = [
        f"{limits.requests_per_minute:g}/min" if limits.requests_per_minute else "",
        f"{limits.requests_per_day}/day" if limits.requests_per_day else "",
        *_depths(limits, "d"),
        f"newest {limits.depth_bars} bars" if limits.depth_bars else "",
    ]
    return ", ".join(rate for rate in rates if rate)


def _depths(limits: VendorLimits, unit: str) -> list[str]:
    """Return how far back the frequencies reach, those that reach equally far together."""
    names: dict[int, list[str]] = {}
    for name, days in limits.depth_days.items():
        names.setdefault(days, []).append(name)
    whole = len(names) == 1 and len(limits.depth_days) == len(limits.frequencies)
    return [f"{'' if whole else ' '.join(group) + ' '}{days:,} {unit}" for days, group in names.items()]


def _key(source: SourceInfo, none: str = "none needed") -> str:
    """Return whether a key is needed and at hand; the keyring, which may ask back, is looked into only by an ingest."""
    from rustybt.data.adapters.credentials import KEY_VARIABLES
    from rustybt.data.adapters.key_storage import is_at_hand

    if source.name not in KEY_VARIABLES:
        return "needed" if source.limits is not None and source.limits.needs_key else none
    return "set" if is_at_hand(source.name) else "needed"


def _time(seconds: float) -> str:
    """Return a delay: 2 s, 30 min, 4 h 15 min."""
    if seconds < 60:
        return f"{seconds:g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part) or "back to the listing"


def _or_none(value: float | None) -> object:
    return "no limit stated" if not value else f"{value:g}"


def _plain(text: str) -> str:
    """Return a docstring's text without its markup."""
    return text.replace("`", "")

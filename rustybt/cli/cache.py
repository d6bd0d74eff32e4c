"""``rustybt cache stats | list | clean``: what the cache holds, what it saved, and making room in it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rustybt.cli.bundle_facts import counted, instant, size
from rustybt.cli.command import command, new_group
from rustybt.cli.options import Symbols, flag, open_store, read_symbols
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rustybt.cli.terminal import Terminal

app = new_group("What the cache holds, what it saved, and making room in it.")

Days = Annotated[int, typer.Option("--days", metavar="N", min=1, help="Of the last N days (UTC), today included.")]
Source = Annotated[
    str | None,
    typer.Option("--source", metavar="S", help="Only bars of this source.", show_default=False),
]
MaxSize = Annotated[
    str | None,
    typer.Option(
        "--max-size",
        metavar="SIZE",
        help="Drop what was used least recently until this is left: 5GB.",
        show_default=False,
    ),
]
All = Annotated[bool, flag("--all", text="Drop everything.")]

#: From this share of the limit on, the next large download will drop something.
NEARLY_FULL = 0.9
_DAY = 86_400
#: Of a dataset's identity, what has a column of its own.
_SHOWN_APART = ("source", "source_type", "frequency")
_SUMMED = (
    *("hits", "partial_hits", "misses", "rows_cached", "rows_fetched", "bytes_cached", "requests_made"),
    *("requests_saved", "fetch_seconds", "fetches", "stale_served", "evicted_files", "evicted_bytes", "revisions"),
)


@command(app)
def stats(terminal: Terminal, *, days: Days = 30, source: Source = None) -> None:
    """Show what the cache saved, by day and source, and how full it is.

    A hit is an answer that needed no request, a partial one needed some, a miss found nothing.

    Example: rustybt cache stats --days 7
    """
    from rustybt.cli.source_options import canonical_source

    with open_store(terminal) as store:
        rows = _usage(store, days, canonical_source(source))
        cache = _cache(store)
        held, limit = int(cache.size_bytes()), int(cache.max_size_bytes)
    share = held / limit if limit else 1.0 if held else 0.0
    full = f"the cache is {share:.0%} full" if share >= NEARLY_FULL else None
    if terminal.json:
        terminal.data(
            {
                "days": [{**row, "day": _day(row["stat_date"]), **_rates(row)} for row in rows],
                "total": {**(total := _total(rows)), **_rates(total)},
                "size_bytes": held,
                "max_size_bytes": limit,
                "share": share,
                "warning": full,
            }
        )
    else:
        _show_usage(terminal, rows, days)
        terminal.line(f"size {size(held)} of {size(limit)} ({share:.0%})")
    if full is not None:
        hint = "rustybt cache clean --max-size SIZE, or rustybt config set cache.max_size_bytes SIZE"
        terminal.alert(f"warning: {full}: what was used least recently is dropped when it exceeds the limit")
        terminal.alert(f"  hint: {hint}")


def _usage(store: Any, days: int, source: str | None) -> list[dict[str, Any]]:
    """Return the rows of the last days, oldest first, with what this process has not written yet."""
    from rustybt.data.bundles.counters import CacheCounters
    from rustybt.data.bundles.metadata_store import catalog

    CacheCounters.of(store.database).flush_quietly()
    if not store.database.exists():
        return []
    since = (int(time.time()) // _DAY - (days - 1)) * _DAY
    with store.database.read() as connection:
        rows = catalog.cache_usage(connection, since)
    found = [dict(row) for row in rows if source in (None, row["source"])]
    return sorted(found, key=lambda row: (row["stat_date"], row["source"]))


def _total(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    found = list(rows)
    return {name: sum(row[name] for row in found) for name in _SUMMED}


def _rates(row: dict[str, Any]) -> dict[str, float | None]:
    """Return hits as a fraction of all answers, and the mean time of a fetch in milliseconds; None without any."""
    answers = row["hits"] + row["partial_hits"] + row["misses"]
    return {
        "hit_rate": row["hits"] / answers if answers else None,
        "mean_fetch_ms": 1_000 * row["fetch_seconds"] / row["fetches"] if row["fetches"] else None,
    }


def _show_usage(terminal: Terminal, rows: list[dict[str, Any]], days: int) -> None:
    if not rows:
        terminal.line(f"nothing was asked of the cache in the last {counted(days, 'day')}")
        return
    columns = ["day", "source", "hits>", "partial>", "misses>", "hit rate>", "bars from cache>", "size>"]
    columns += ["bars fetched>", "requests>", "saved>", "mean fetch>", "evicted>", "revised>"]
    lines = [_line(_day(row["stat_date"]), row["source"], row) for row in rows]
    if len(rows) > 1:
        lines.append(_line("all", "", _total(rows)))
    terminal.table(columns, lines)
    stale = sum(row["stale_served"] for row in rows)
    if stale:
        terminal.line(f"{counted(stale, 'answer')} held bars out of date, as --max-stale or --offline allowed")


def _line(day: str, source: str, row: dict[str, Any]) -> list[Any]:
    rates = _rates(row)
    rate, latency = rates["hit_rate"], rates["mean_fetch_ms"]
    evicted = f"{row['evicted_files']:,} ({size(row['evicted_bytes'])})" if row["evicted_files"] else 0
    return [
        *(day, source, row["hits"], row["partial_hits"], row["misses"], None if rate is None else f"{rate:.1%}"),
        *(row["rows_cached"], size(row["bytes_cached"]), row["rows_fetched"]),
        *(row["requests_made"], row["requests_saved"], None if latency is None else f"{latency:,.0f} ms"),
        *(evicted, row["revisions"]),
    ]


@command(app, "list")
def list_(terminal: Terminal, *, source: Source = None, symbols: Symbols = None) -> None:
    """List what the cache holds: the datasets, or with --symbols what is known of each stretch of time.

    Example: rustybt cache list --source yfinance --symbols AAPL
    """
    from rustybt.cli.source_options import canonical_source

    named = read_symbols(symbols, None)
    wanted = canonical_source(source)
    with open_store(terminal) as store:
        cache = _cache(store)
        if named is None:
            _show_datasets(terminal, [found for found in cache.datasets() if wanted in (None, found.source)], source)
        else:
            named = _as_held(cache, wanted, named)
            _show_series(terminal, cache.series(source=wanted, symbols=named), named)


def _show_datasets(terminal: Terminal, datasets: list[Any], source: str | None) -> None:
    datasets = [found for found in datasets if found.symbols or found.files]  # what was cleaned leaves its name
    if terminal.json:
        terminal.data({"datasets": datasets})
        return
    if not datasets:
        terminal.note(f"nothing of {source} is cached" if source else "nothing is cached yet")
        return
    columns = ["source", "frequency", "of", "symbols>", "bars>", "first", "last", "files>", "size>", "shared>"]
    terminal.table(
        [*columns, "used", "name"],
        [
            (
                *(found.source, found.frequency, _identity(found.identity), found.symbols, found.rows),
                *(_instant(found.first_bar, found.frequency), _instant(found.last_bar, found.frequency)),
                *(found.files, size(found.size_bytes), size(found.shared_bytes)),
                *(instant(found.last_accessed), found.name),
            )
            for found in datasets
        ],
    )


def _show_series(terminal: Terminal, series: Iterable[Any], named: list[str]) -> None:
    found = sorted(series, key=lambda one: (one.symbol, one.source, one.frequency, one.dataset))
    absent = [symbol for symbol in named if symbol not in {one.symbol for one in found}]
    if terminal.json:
        terminal.data({"series": [_series_json(one) for one in found], "absent": absent})
        return
    if found:
        terminal.table(
            ["symbol", "source", "frequency", "from", "to", "what", "fetched", "dataset"],
            [
                (
                    *(one.symbol, one.source, one.frequency),
                    *(_instant(segment.start, one.frequency), _instant(segment.end, one.frequency)),
                    *(_what(segment), instant(segment.fetched_at), one.dataset),
                )
                for one in found
                for segment in one.segments
            ],
        )
    if absent:
        terminal.note(f"nothing is cached of {', '.join(absent)}")


def _series_json(one: Any) -> dict[str, Any]:
    return {
        "dataset": one.dataset,
        "source": one.source,
        "frequency": one.frequency,
        "symbol": one.symbol,
        "intervals": [
            {
                "start": _iso(segment.start),
                "end": _iso(segment.end),
                "reason": str(segment.reason),
                "fetched_at": instant(segment.fetched_at),
            }
            for segment in one.segments
        ],
    }


@command(app)
def clean(
    terminal: Terminal,
    *,
    max_size: MaxSize = None,
    everything: All = False,
    symbols: Symbols = None,
    source: Source = None,
) -> None:
    """Make room: down to a size, of some symbols, or all; exactly one of --max-size, --symbols and --all.

    Bundles keep their bars, and files that a bundle shares with the cache stay.

    Example: rustybt cache clean --max-size 5GB
    """
    from rustybt.cli.source_options import canonical_source
    from rustybt.config import parse_size

    named = read_symbols(symbols, None)
    ways = [way for way, given in (("--max-size", max_size is not None), ("--symbols", named is not None)) if given] + [
        "--all"
    ] * everything
    if len(ways) != 1:
        said = f"{' and '.join(ways)} exclude each other" if ways else "say what to drop"
        raise RequestError(said, hint="rustybt cache clean --max-size 5GB, or --symbols A,B, or --all")
    try:
        limit = None if max_size is None else parse_size(max_size)
    except RequestError as error:
        raise RequestError(f"--max-size: {error.message}", hint=error.hint) from None
    with open_store(terminal) as store:
        cache = _cache(store)
        wanted = canonical_source(source)
        if named is not None:
            named = _as_held(cache, wanted, named)
        before = int(cache.size_bytes())
        report = cache.clean(max_size_bytes=limit, everything=everything, symbols=named, source=wanted)
    if terminal.json:
        terminal.data({"clean": report, "size_bytes_before": before})
        return
    if not report.files and not report.series:
        of = f" of {source}" if source else ""
        terminal.line(f"nothing{of} to drop; {size(report.size_bytes)} are held")
        return
    series = f" and {report.series:,} series" if report.series else ""
    dropped = f"{counted(report.files, 'file')}{series}"
    terminal.line(f"dropped {dropped}, {size(report.bytes_freed)} freed; {size(report.size_bytes)} are left")


def _cache(store: Any) -> Any:
    """Return the cache of a store's home, in the folder that the settings name."""
    from rustybt.data.bundles.cache_store import CacheStore

    return CacheStore(store)


def _as_held(cache: Any, source: str | None, named: list[str]) -> list[str]:
    """Return symbols as the cache spells them: small letters may be typed, and BRK-B for BRK.B."""
    spellings = {symbol: (symbol, symbol.upper(), symbol.upper().replace("-", ".")) for symbol in named}
    every = {spelling for spelled in spellings.values() for spelling in spelled}
    held = {one.symbol for one in cache.series(source=source, symbols=every)}
    return list(dict.fromkeys(next((s for s in spellings[name] if s in held), name) for name in named))


def _identity(identity: Mapping[str, Any]) -> str:
    """Return what sets a dataset apart from others of its source and frequency: ``adjustment=raw feed=sip``."""
    facts = {key: value for key, value in identity.items() if key not in _SHOWN_APART}
    facts |= dict(facts.pop("options", None) or {})
    return " ".join(f"{key}={value}" for key, value in sorted(facts.items()) if value not in (None, "", {}, [])) or "-"


def _what(segment: Any) -> str:
    """Return the reason of a stretch in words; one that was answered and in which no session lies holds no bars."""
    has_none = segment.reason.value == "present" and not segment.file_key
    return "nothing due" if has_none else str(segment.reason.value).replace("_", " ")


def _day(unix_seconds: int) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).date().isoformat()


def _iso(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest).isoformat()


def _instant(microseconds: int | None, frequency: str) -> str:
    """Return the session of a daily or longer bar, the instant of a shorter one."""
    if microseconds is None:
        return "-"
    seconds = microseconds // 1_000_000
    return instant(seconds) if frequency.endswith(("m", "h")) else _day(seconds)

"""``rustybt ingest SOURCE``: bars into a bundle. Each source is a command of its own with its own options."""

from __future__ import annotations

import shlex
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from rustybt.cli.cache_flags import CacheMode, MaxStale, NoCache, Offline, cached, is_local, warnings_told
from rustybt.cli.command import command, new_command, new_group, with_flags
from rustybt.cli.csv_options import CSV_OPTIONS, AssetType, Calendar, CsvDir, Currency, Path_, Venue
from rustybt.cli.options import (
    Bundle,
    End,
    Frequency,
    Plan,
    Replace,
    Start,
    Strict,
    Symbols,
    SymbolsFile,
    complete_bundles,
    read_pairs,
    read_symbols,
)
from rustybt.cli.source_options import taking, typed
from rustybt.cli.vendors import PROFILING, VENDORS, profiling_command, vendor_command
from rustybt.errors import NotCoveredError, RequestError, SymbolNotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rustybt.cli.terminal import Terminal

From = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="B",
        help="Bundle to read, or a version of it: us, us@3, us@TAG.",
        autocompletion=complete_bundles,
        show_default=False,
    ),
]

Registered = Annotated[
    str, typer.Argument(metavar="NAME", help="What the bundle is registered as.", show_default=False)
]
Extension = Annotated[
    str | None,
    typer.Option(
        "--extension",
        metavar="FILE",
        help="File that registers it; $ZIPLINE_ROOT/extension.py or ~/.zipline/extension.py if absent.",
    ),
]
Written = Annotated[
    str | None, typer.Option("--frequency", metavar="F", help="1d or 1m; all that is written if absent.")
]


class IngestGroup(TyperGroup):
    """A group whose further commands are the registered sources: ``rustybt ingest NAME``."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a source; one that has none of its own takes its options as the registry lists them."""
        return super().get_command(ctx, cmd_name) or _of_vendor(cmd_name) or _registered(cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands of the help page; vendors have theirs made when they are asked for."""
        return [*super().list_commands(ctx), *(name for name in VENDORS if name != "massive"), *PROFILING]


app = new_group(
    "Bring bars into a bundle: a new version, or none if nothing changed.\n\n"
    "Each source is a command of its own; `rustybt sources list` shows them. Without dates a CSV is taken whole.",
    cls=IngestGroup,
    subcommand_metavar="SOURCE [OPTIONS]",
)


@command(app)
@taking({**{name: kind for name, kind in CSV_OPTIONS.items() if name != "path"}, "calendar": Calendar})
def csv(
    terminal: Terminal,
    *,
    path: Path_,
    bundle: Bundle,
    symbols: Symbols = None,
    symbols_file: SymbolsFile = None,
    start: Start = None,
    end: End = None,
    frequency: Frequency = "1d",
    plan: Plan = False,
    strict: Strict = False,
    replace: Replace = False,
    **options: Any,
) -> int:
    """Read CSV files, one a symbol or all in one; numbers are kept digit for digit.

    Example: rustybt ingest csv --path prices/ --bundle us --symbols AAPL,MSFT --start 2015-01-01
    """
    pairs = options["column_map"]
    given = {**options, "path": path, "column_map": read_pairs(pairs, "--column-map") if pairs else None}
    request = _request(bundle, symbols, symbols_file, start, end, frequency)
    return ingest(terminal, "csv", given, request, plan=plan, strict=strict, replace=replace)


@command(app)
def csvdir(
    terminal: Terminal,
    *,
    csvdir: CsvDir,
    bundle: Bundle = "csvdir",
    symbols: Symbols = None,
    symbols_file: SymbolsFile = None,
    start: Start = None,
    end: End = None,
    frequency: Frequency = "1d",
    plan: Plan = False,
    strict: Strict = False,
    replace: Replace = False,
    calendar: Calendar = None,
    asset_type: AssetType = None,
    venue: Venue = None,
    currency: Currency = None,
) -> int:
    """Read Zipline's csvdir layout: daily/SYMBOL.csv and minute/SYMBOL.csv, with dividend and split columns.

    Example: rustybt ingest csvdir --csvdir DIR
    """
    request = _request(bundle, symbols, symbols_file, start, end, frequency)
    options = {
        "path": csvdir,
        "calendar": calendar,
        "asset_type": asset_type,
        "venue": venue,
        "currency": currency,
    }
    return ingest(terminal, "csvdir", options, request, plan=plan, strict=strict, replace=replace)


@command(app)
def quandl(
    terminal: Terminal,
    *,
    path: Path_,
    bundle: Bundle = "quandl",
    symbols: Symbols = None,
    symbols_file: SymbolsFile = None,
    start: Start = None,
    end: End = None,
    plan: Plan = False,
    strict: Strict = False,
    replace: Replace = False,
    calendar: Calendar = None,
    venue: Venue = None,
    currency: Currency = None,
) -> int:
    """Read a table of Quandl's WIKI prices, CSV or zip, with its dividends and splits; prices are stored as traded.

    Example: rustybt ingest quandl --path WIKI_PRICES.zip --bundle quandl
    """
    request = _request(bundle, symbols, symbols_file, start, end, "1d")
    options = {"path": path, "calendar": calendar, "venue": venue, "currency": currency}
    return ingest(terminal, "quandl", options, request, plan=plan, strict=strict, replace=replace)


@command(app)
def registered(
    terminal: Terminal,
    name: Registered,
    *,
    extension: Extension = None,
    bundle: Bundle = "",
    symbols: Symbols = None,
    symbols_file: SymbolsFile = None,
    start: Start = None,
    end: End = None,
    frequency: Written = None,
    plan: Plan = False,
    strict: Strict = False,
    replace: Replace = False,
    calendar: Calendar = None,
) -> int:
    """Run the function that Zipline's extension.py registers under NAME, and store what it writes in the bundle of that name.

    The file is your own program and is executed as such; it needs no Zipline, and no change. What it prints goes to stderr.

    Example: rustybt ingest registered my-bundle --extension ~/.zipline/extension.py
    """
    request = _request(bundle or name, symbols, symbols_file, start, end, "1d")
    options = {
        "bundle": name,
        "extension": extension,
        "calendar": calendar,
        "show_progress": terminal.show_progress and not terminal.quiet,
        "output": sys.stderr,
    }
    request["frequency"] = frequency
    return ingest(terminal, "registered", options, request, plan=plan, strict=strict, replace=replace)


@command(app, "bundle")
def bundle_(
    terminal: Terminal,
    *,
    from_: From,
    bundle: Bundle,
    symbols: Symbols = None,
    symbols_file: SymbolsFile = None,
    start: Start = None,
    end: End = None,
    frequency: Frequency = "1d",
    plan: Plan = False,
    strict: Strict = False,
    replace: Replace = False,
) -> int:
    """Copy bars of another bundle with its corporate actions and assets: some symbols, a range, or longer bars of its minutes.

    The copy names the version it is of; `rustybt update` brings it up to the newest one, unless --from names a version.

    Example: rustybt ingest bundle --from minutes --bundle days --frequency 1d
    """
    from rustybt.config import load_settings

    request = _request(bundle, symbols, symbols_file, start, end, frequency)
    options = {"bundle": from_, "home": str(load_settings(terminal.settings_overrides).home)}
    return ingest(terminal, "bundle", options, request, plan=plan, strict=strict, replace=replace)


def _of_vendor(name: str) -> Any:
    """Return the command of a vendor or a profiling bundle, None for another name."""
    function = vendor_command(name) or profiling_command(name)
    if function is None:
        return None
    built = new_command()
    built.command(name)(with_flags(function))
    from rustybt.cli.main import plain_help_option

    made = typer.main.get_command(built)
    plain_help_option(made)
    return made


def _registered(name: str) -> Any:
    """Return a command for the source `name`, known or not: the registry says what is wrong with an unknown one."""

    def run(
        terminal: Terminal,
        ctx: typer.Context,
        *,
        bundle: Bundle = "",
        symbols: Symbols = None,
        symbols_file: SymbolsFile = None,
        start: Start = None,
        end: End = None,
        frequency: Frequency = "1d",
        plan: Plan = False,
        strict: Strict = False,
        replace: Replace = False,
        no_cache: NoCache = False,
        offline: Offline = False,
        max_stale: MaxStale = None,
    ) -> int:
        """Read from a registered source; its own options are listed by `rustybt sources info NAME`."""
        request = _request(bundle, symbols, symbols_file, start, end, frequency)
        cache = CacheMode.of(no_cache=no_cache, offline=offline, max_stale=max_stale)
        ways = {"plan": plan, "strict": strict, "replace": replace}
        return ingest(terminal, name, read_options(ctx.args), request, cache=cache, **ways)

    built = new_command()
    built.command(name, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(with_flags(run))
    return typer.main.get_command(built)


def _request(
    bundle: str, symbols: list[str] | None, file: Path | None, start: str | None, end: str | None, frequency: str
) -> dict[str, Any]:
    """Return what every ingest is asked for, as `DataSource.ingest_to_bundle` takes it."""
    named = read_symbols(symbols, file)
    return {"bundle": bundle, "symbols": named, "start": start, "end": end, "frequency": frequency}


def read_options(words: list[str]) -> dict[str, Any]:
    """Return ``--key value``, ``--key=value`` and ``--flag`` of a source as a dict with Python names.

    Raises
    ------
    RequestError
        A word belongs to no option.
    """
    options: dict[str, Any] = {}
    at = 0
    while at < len(words):
        key, equals, value = words[at].partition("=")
        if not key.startswith("--") or len(key) < 3:
            raise RequestError(f"{words[at]!r} belongs to no option", hint="source options are written --name value")
        at += 1
        if equals:
            options[_name(key)] = value
        elif at < len(words) and not words[at].startswith("--"):
            options[_name(key)] = words[at]
            at += 1
        else:
            options[_name(key)] = True
    return options


def _name(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def ingest(
    terminal: Terminal,
    source_name: str,
    options: dict[str, Any],
    request: dict[str, Any],
    *,
    plan: bool,
    strict: bool,
    replace: bool,
    cache: CacheMode = CacheMode(),  # noqa: B008 - it is frozen
) -> int:
    """Ask the source, commit, and print the report; return the exit status it carries."""
    from rustybt.cli.options import open_store
    from rustybt.cli.reports import show_ingest, show_plan
    from rustybt.data.sources import get_source

    if source_name == "frame":
        raise RequestError("a DataFrame comes in from Python", hint='rb.ingest_frame(df, bundle="NAME")')
    source = get_source(source_name, **{key: value for key, value in options.items() if value is not None})
    bundle = request.pop("bundle")
    if not bundle:
        raise RequestError("no bundle named", hint=f"rustybt ingest {source_name} --bundle NAME ...")
    if plan:
        show_plan(terminal, _planned(terminal, source, request, cache))
        return 0
    with open_store(terminal) as store, closing(source):
        if request["symbols"] is None and source_name in VENDORS:
            terminal.note(f"no --symbols given: asking for all that {source.name} lists; --plan says what that costs")
        asked, more = _through(source, store, cache)
        try:
            with terminal.progress() as progress, warnings_told(terminal):
                report = asked.ingest_to_bundle(
                    bundle, **request, store=store, strict=strict, replace=replace, progress=progress, **more
                )
        except KeyboardInterrupt as stop:
            terminal.last_words = str(stop)
            raise
        again = sorted(symbol for symbol, error in report.failures.items() if may_pass(error))
        retry = retry_command(source_name, options, {**request, "bundle": bundle}, again, cache.words)
        return show_ingest(terminal, report, store, retry=retry)


def _planned(terminal: Terminal, source: Any, request: dict[str, Any], cache: CacheMode) -> Any:
    """Return what would be asked for beyond what the cache has; without names the cache cannot tell without asking."""
    from rustybt.cli.options import open_store

    if not cache.use_cache or is_local(source) or request["symbols"] is None:
        return source.plan(**request)
    with open_store(terminal) as store:
        return cached(source, store, cache).plan(**request)


def _through(source: Any, store: Any, cache: CacheMode) -> tuple[Any, dict[str, Any]]:
    """Return what is asked for the bars, and the arguments that an ingest of it takes besides."""
    if cache.words and cache.use_cache:
        return cached(source, store, cache), {}
    if is_local(source):
        cache.refuse_for(f"{source.name} reads files of this machine")
        return source, {}
    return source, {"use_cache": cache.use_cache}


def may_pass(error: Exception) -> bool:
    """Return whether asking again may help: what a vendor does not know or does not keep it will not know then."""
    return not isinstance(error, (SymbolNotFoundError, NotCoveredError, RequestError))


def retry_command(
    source_name: str,
    options: dict[str, Any],
    request: dict[str, Any],
    symbols: list[str],
    flags: Sequence[str] = (),
) -> str:
    """Return the command that fetches only these symbols again; empty for none, and for files, which do not change by asking."""
    if not symbols or source_name in ("bundle", "csv", "csvdir", "quandl", "registered"):
        return ""
    words = ["rustybt", "ingest", source_name, "--bundle", request["bundle"], "--symbols", ",".join(symbols)]
    for key in ("start", "end"):
        words += [f"--{key}", str(request[key])] if request.get(key) else []
    words += ["--frequency", request["frequency"]] if request.get("frequency", "1d") != "1d" else []
    for key, value in options.items():
        if value is None or key == "column_map":
            continue
        words += option_words(key, value)
    return shlex.join([*words, *flags])


def option_words(key: str, value: Any) -> list[str]:
    """Return an option as it is typed; a proxy may hold a password, which is printed nowhere."""
    name = typed(key)
    if value is False:
        return [f"--no-{name.removeprefix('--')}"]
    if value is True:
        return [name]
    return [name, "..." if key == "proxy" and "@" in str(value) else _plain(value)]


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

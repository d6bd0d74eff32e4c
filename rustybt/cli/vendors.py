"""The commands ``rustybt ingest VENDOR``: each has the request, the transport, and the options of its vendor."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from rustybt.cli.cache_flags import CACHE_FLAGS, CacheMode
from rustybt.cli.options import (
    Bundle,
    Frequency,
    Plan,
    Replace,
    Strict,
    SymbolsFile,
    VendorEnd,
    VendorStart,
    flag,
    read_symbols,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rustybt.cli.terminal import Terminal

_CONNECTION, _VENDOR = "Connection", "Vendor options"


def _text(name: str, metavar: str, text: str, panel: str = _CONNECTION) -> Any:
    return typer.Option(name, metavar=metavar, help=text, rich_help_panel=panel, show_default=False)


BaseUrl = Annotated[str | None, _text("--base-url", "URL", "Ask this address instead of the vendor's own.")]
Proxy = Annotated[str | None, _text("--proxy", "URL", "HTTP proxy for every request.")]
CaBundle = Annotated[str | None, _text("--ca-bundle", "FILE", "PEM file of certificates to trust.")]
Timeout = Annotated[str | None, _text("--timeout", "S", "Longest wait for an answer, as 30 or 2m; 30 s if absent.")]
RequestsPerMinute = Annotated[float | None, _text("--requests-per-minute", "N", "Of your plan; 0 for no limit.")]
Parallel = Annotated[int | None, _text("--parallel", "N", "Requests at once.")]

_Symbols = Annotated[
    list[str] | None,
    typer.Option(
        "--symbols",
        metavar="A,B",
        help="These symbols; commas, or given more than once. All that are listed if absent.",
    ),
]
#: Parameter -> annotation; each vendor's source takes them under these names.
TRANSPORT: dict[str, Any] = {
    "base_url": BaseUrl,
    "proxy": Proxy,
    "ca_bundle": CaBundle,
    "timeout_seconds": Timeout,
    "requests_per_minute": RequestsPerMinute,
    "parallel_requests": Parallel,
}

_Exchange = Annotated[
    str | None, _text("--exchange", "ID", "ccxt's id: binance, kraken, ...; binance if absent.", _VENDOR)
]
_Feed = Annotated[
    str | None,
    _text("--feed", "F", "iex (one exchange, every plan) or sip (all US exchanges); iex if absent.", _VENDOR),
]
_Adjustment = Annotated[
    str | None, _text("--adjustment", "A", "raw (as traded), split, dividend or all; raw if absent.", _VENDOR)
]
_HistoryYears = Annotated[
    int | None, _text("--history-years", "N", "How far back your plan reaches: 2 on the free one.", _VENDOR)
]


def _yes(name: str, text: str) -> Any:
    return Annotated[bool, flag(name, text=text, panel=_VENDOR)]


_EXTENDED = _yes("--extended-hours", "Also intraday bars before the open and after the close.")


@dataclass(frozen=True, slots=True)
class Vendor:
    """One command.

    Parameters
    ----------
    options
        Parameter -> annotation of the vendor's own options; none of them is sent unless it was given.
    """

    source: str
    help: str
    options: dict[str, Any] = field(default_factory=dict)


_POLYGON = Vendor(
    "polygon",
    "US stocks and funds of Polygon, now called Massive; the key is MASSIVE_API_KEY or POLYGON_API_KEY.\n\n"
    "The free plan, 5 requests a minute, is assumed; on another one say --requests-per-minute 0.\n\n"
    "Example: rustybt ingest polygon --symbols AAPL,MSFT --bundle us --start 2025-01-02",
    {
        "adjusted": _yes("--adjusted", "Prices in today's shares, instead of as traded."),
        "extended_hours": _EXTENDED,
        "history_years": _HistoryYears,
        "details": _yes("--no-details", "Ask for no listings: a request less a symbol, but no venue is known."),
        "live": _yes("--live", "Your plan is in real time: bars are final 1 minute after their close, not 15."),
    },
)
VENDORS: dict[str, Vendor] = {
    "yfinance": Vendor(
        "yfinance",
        "Stocks, funds, indices, currencies and coins of Yahoo Finance; no key.\n\n"
        "Example: rustybt ingest yfinance --symbols AAPL,MSFT --bundle us --start 2015-01-01",
    ),
    "ccxt": Vendor(
        "ccxt",
        "Spot pairs of about 90 crypto exchanges, through ccxt; no key.\n\n"
        "Example: rustybt ingest ccxt --exchange binance --symbols BTC/USDT --bundle crypto --frequency 1h --start 2024-01-01",
        {"exchange": _Exchange},
    ),
    "polygon": _POLYGON,
    "massive": _POLYGON,
    "alpaca": Vendor(
        "alpaca",
        "US stocks and funds of Alpaca since 2016; the keys are APCA_API_KEY_ID and APCA_API_SECRET_KEY.\n\n"
        "Example: rustybt ingest alpaca --symbols AAPL,MSFT --bundle us --start 2023-01-01",
        {
            "feed": _Feed,
            "adjustment": _Adjustment,
            "extended_hours": _EXTENDED,
        },
    ),
    "alphavantage": Vendor(
        "alphavantage",
        "Stocks of Alpha Vantage; the key is ALPHAVANTAGE_API_KEY.\n\n"
        "A free key has 25 requests a day and the last 100 sessions; longer history needs a premium one.\n\n"
        "Example: rustybt ingest alphavantage --symbols IBM --bundle us",
        {
            "adjusted": _yes(
                "--adjusted", "Fetch splits and dividends too, beside prices as traded; premium keys only."
            ),
            "extended_hours": _EXTENDED,
        },
    ),
}
#: Bundles to measure with: their names, and what `rustybt.data.sources.profiling` fetches for them.
PROFILING: dict[str, tuple[str, str]] = {
    "yfinance-profiling": ("yfinance", "To measure with: 50 stocks of Yahoo Finance, 2 years, daily."),
    "ccxt-hourly-profiling": ("ccxt", "To measure with: 20 pairs of Binance, 6 months, hourly."),
    "ccxt-minute-profiling": ("ccxt", "To measure with: 10 pairs of Binance, 1 month, by the minute."),
    "csv-profiling": ("", "To measure with: 50 GENERATED symbols, 2 years, daily, written to a CSV file first."),
}

_REQUEST: dict[str, tuple[Any, Any]] = {
    "bundle": (Bundle, inspect.Parameter.empty),
    "symbols": (_Symbols, None),
    "symbols_file": (SymbolsFile, None),
    "start": (VendorStart, None),
    "end": (VendorEnd, None),
    "frequency": (Frequency, "1d"),
}
_WAYS: dict[str, tuple[Any, Any]] = {"plan": (Plan, False), "strict": (Strict, False), "replace": (Replace, False)}


def vendor_command(name: str) -> Callable[..., int] | None:
    """Return the function of a vendor's command, None for a name that is no vendor's; no vendor's library is imported."""
    vendor = VENDORS.get(name)
    if vendor is None:
        return None
    own = {**vendor.options, **TRANSPORT}

    def run(terminal: Terminal, **values: Any) -> int:
        from rustybt.cli.ingest import ingest

        request = {key: values[key] for key in _REQUEST if key not in ("symbols", "symbols_file")}
        request["symbols"] = read_symbols(values["symbols"], values["symbols_file"])
        options, cache = given_options(own, values), _cache_mode(values)
        return ingest(terminal, vendor.source, options, request, cache=cache, **{way: values[way] for way in _WAYS})

    return _signed(run, vendor.help, {**_REQUEST, **_WAYS, **CACHE_FLAGS, **_with_defaults(own)})


def profiling_command(name: str) -> Callable[..., int] | None:
    """Return the function of a profiling bundle's command, None for another name."""
    if name not in PROFILING:
        return None
    source, text = PROFILING[name]
    own = {**VENDORS[source].options, **TRANSPORT} if source else {}

    def run(terminal: Terminal, **values: Any) -> int:
        import time
        from pathlib import Path

        from rustybt.cli.ingest import ingest
        from rustybt.data.sources.profiling import PROFILES, write_generated_csv

        profile = PROFILES[name]
        given = given_options(own, values)
        options = {**profile.options, **given}
        request: dict[str, Any] = {
            "bundle": values["bundle"],
            "symbols": list(profile.symbols),
            "start": profile.start(time.time()).isoformat(),
            "end": None,
            "frequency": profile.frequency,
        }
        if not source:
            path = Path(values["output"]) / f"{name}.csv"
            write_generated_csv(profile, path, time.time())
            terminal.note(f"wrote {path}: generated bars, no market made them")
            options["path"] = str(path)
        cache = _cache_mode(values) if source else CacheMode()
        return ingest(terminal, profile.source, options, request, cache=cache, **{way: values[way] for way in _WAYS})

    named = Annotated[str, typer.Option("--bundle", "-b", metavar="B", help="Bundle to write.")]
    place = Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Where the CSV file is written.")]
    output = {} if source else {"output": (place, ".")}
    shown = f"{text}\n\nExample: rustybt ingest {name}"
    flags = CACHE_FLAGS if source else {}
    return _signed(run, shown, {"bundle": (named, name), **_WAYS, **flags, **output, **_with_defaults(own)})


def _cache_mode(values: Mapping[str, Any]) -> CacheMode:
    return CacheMode.of(**{name: values[name] for name in CACHE_FLAGS})


def given_options(names: Iterable[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given; 0 is one. ``--no-details`` is the only one that takes something away."""
    given = {name: values[name] for name in names if values[name] is not None and values[name] is not False}
    return {**given, "details": False} if "details" in given else given


def _with_defaults(options: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (kind, False if get_args(kind)[0] is bool else None) for name, kind in options.items()}


def _signed(run: Callable[..., int], text: str, parameters: dict[str, tuple[Any, Any]]) -> Callable[..., int]:
    """Return `run` with the signature that the command line reads its options from."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    first = inspect.Parameter("terminal", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation="Terminal")
    named = [
        inspect.Parameter(name, keyword, annotation=kind, default=default)
        for name, (kind, default) in parameters.items()
    ]
    run.__signature__ = inspect.Signature([first, *named])  # type: ignore[attr-defined]
    run.__annotations__ = {"terminal": "Terminal", **{name: kind for name, (kind, _) in parameters.items()}}
    run.__doc__ = text
    return run

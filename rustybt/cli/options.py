"""Arguments and options that several commands share, and how their text is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rustybt.errors import RequestError


def flag(*names: str, text: str, panel: str | None = None, **more: Any) -> Any:
    """Return an option that is given or not; its help shows no type."""
    return typer.Option(*names, metavar="", help=text, show_default=False, rich_help_panel=panel, **more)


def complete_bundles(incomplete: str) -> list[str]:
    """Return names of bundles for shell completion; nothing when there is no home to look into."""
    try:
        from rustybt.data.bundles.store import BundleStore

        with BundleStore() as store:
            return [info.name for info in store.list_bundles() if info.name.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - a completion that fails must stay silent
        return []


Reference = Annotated[
    str,
    typer.Argument(
        metavar="B",
        help="name, name@version, name@TAG, name@latest or name@sha256:PREFIX.",
        autocompletion=complete_bundles,
        show_default=False,
    ),
]
BundleName = Annotated[
    str,
    typer.Argument(metavar="B", help="Name of a bundle.", autocompletion=complete_bundles, show_default=False),
]
Symbols = Annotated[
    list[str] | None,
    typer.Option("--symbols", metavar="A,B", help="Only these symbols; commas, or given more than once."),
]
SymbolsFile = Annotated[
    Path | None, typer.Option("--symbols-file", metavar="F", help="A file with one symbol a line; # starts a comment.")
]
Start = Annotated[
    str | None, typer.Option("--start", "-s", metavar="D", help="First date or instant, ISO, included (UTC).")
]
End = Annotated[str | None, typer.Option("--end", "-e", metavar="D", help="Last date or instant, ISO, included (UTC).")]
VendorStart = Annotated[
    str | None,
    typer.Option(
        "--start",
        "-s",
        metavar="D",
        help="First date or instant, ISO, included (UTC). Absent: all the vendor has, at most 10 years.",
    ),
]
VendorEnd = Annotated[
    str | None,
    typer.Option(
        "--end", "-e", metavar="D", help="Last date or instant, ISO, included (UTC). Absent: up to the last final bar."
    ),
]
Frequency = Annotated[str, typer.Option("--frequency", metavar="F", help="1m, 5m, 15m, 30m, 1h, 1d, 1w or 1M.")]
Bundle = Annotated[str, typer.Option("--bundle", "-b", metavar="B", help="Bundle to write.", show_default=False)]
Plan = Annotated[bool, flag("--plan", text="Say what would be read, and write nothing.")]
Strict = Annotated[
    bool, flag("--strict", text="Read everything, and if any row is bad report it and store nothing (exit status 4).")
]
Replace = Annotated[
    bool, flag("--replace", text="Also remove stored rows in the range that are not delivered any more.")
]
ResultDirectory = Annotated[
    Path, typer.Argument(metavar="RESULT_DIR", help="A directory written by `rustybt run -o`.", show_default=False)
]


def read_symbols(symbols: list[str] | None, symbols_file: Path | None) -> list[str] | None:
    """Return the symbols of both options in order, None when neither was given.

    Raises
    ------
    RequestError
        The file cannot be read, or what was given names no symbol.
    """
    if symbols is None and symbols_file is None:
        return None
    found = [part.strip() for text in symbols or [] for part in text.split(",")]
    if symbols_file is not None:
        try:
            lines = symbols_file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise RequestError(
                f"cannot read the symbols file {symbols_file}: {error}", hint="a text file, UTF-8, one symbol a line"
            ) from error
        found += [line.split("#", 1)[0].strip() for line in lines]
    named = list(dict.fromkeys(symbol for symbol in found if symbol))
    if not named:
        raise RequestError("no symbol given", hint="--symbols AAPL,MSFT or --symbols-file FILE")
    return named


def read_pairs(texts: list[str], option: str, *, separator: str | None = ",") -> dict[str, str]:
    """Return ``K=V`` pairs, several in one text when `separator` is set.

    Raises
    ------
    RequestError
        A part has no ``=``, an empty key, or a key comes twice.
    """
    pairs: dict[str, str] = {}
    parts = [part for text in texts for part in (text.split(separator) if separator else [text])]
    for part in parts:
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals or not key:
            raise RequestError(f"{option} {part!r} is not of the form KEY=VALUE", hint=f"{option} key=value")
        if key in pairs:
            raise RequestError(f"{option} names {key!r} twice")
        pairs[key] = value.strip()
    return pairs


def open_store(terminal: Any) -> Any:
    """Return the store of the home in force; use it as a context manager.

    Raises
    ------
    RequestError
        The home is a file.
    """
    from rustybt.config import load_settings
    from rustybt.data.bundles.store import BundleStore

    settings = load_settings(terminal.settings_overrides)
    if settings.home.exists() and not settings.home.is_dir():
        origin = settings.origin("home")
        raise RequestError(
            f"the home {settings.home} ({origin}) is no directory", hint="rustybt --home DIR, or set RUSTYBT_HOME"
        )
    return BundleStore(settings=settings)

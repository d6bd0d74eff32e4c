"""``rustybt config``: settings and where each value comes from."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rustybt.cli.command import command, new_group
from rustybt.cli.options import flag
from rustybt.cli.vendors import VENDORS
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal

app = new_group("Show or change settings.")

Origin = Annotated[bool, flag("--origin", text="Say where each value comes from.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="Such as cache.max_size_bytes.", show_default=False)]
Value = Annotated[str, typer.Argument(metavar="VALUE", help="The new value.", show_default=False)]

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="Such as polygon.", show_default=False)]
Variable = Annotated[
    str | None, typer.Option("--variable", metavar="V", help="Environment variable that the source reads.")
]
InKeyring = Annotated[bool, flag("--keyring", text="Store it in the system's keyring instead of a file.")]


@command(app)
def show(terminal: Terminal, *, origin: Origin = False) -> None:
    """Show every setting in force: flag, environment RUSTYBT_*, ./rustybt.toml, user file, default, in this order.

    Example: rustybt config show --origin
    """
    from rustybt.config import load_settings

    items = load_settings(terminal.settings_overrides).items()
    if terminal.json:
        terminal.data({key: {"value": value, "origin": place} if origin else value for key, value, place in items})
    elif origin:
        terminal.table(["setting", "value", "origin"], [(key, str(value), place) for key, value, place in items])
    else:
        terminal.facts((key, str(value)) for key, value, _ in items)


@command(app, "set")
def set_(terminal: Terminal, *, key: Key, value: Value) -> None:
    """Write a setting into the user's file.

    Example: rustybt config set bundle.lock_timeout_seconds 120
    """
    from rustybt.config import load_settings, set_value, shown_value

    try:
        path = set_value(key, value)
    except RequestError as error:
        named = error.message if key in error.message else f"{key}: {error.message}"
        raise RequestError(named, hint=error.hint, **error.details) from None
    origin = load_settings(terminal.settings_overrides).origin(key)
    shown = shown_value(key, value)
    if terminal.json:
        terminal.data({"key": key, "value": shown, "file": str(path)})
    else:
        terminal.note(f"{key} = {shown} in {path}")
        if not origin.startswith("user file"):
            terminal.note(f"note: here another value is in force, from {origin}: rustybt config show --origin")


@command(app, "set-key", context_settings={"allow_extra_args": True})
def set_key(
    terminal: Terminal, ctx: typer.Context, *, source: Source, variable: Variable = None, keyring: InKeyring = False
) -> None:
    """Store a vendor's key in a file that only you can read; it is asked for, or read from stdin, one line a key.

    Example: rustybt config set-key polygon
    """
    from rustybt.data.adapters import key_storage

    if ctx.args:
        # Taken only to be refused without being repeated.
        raise RequestError(
            "a key on the command line is seen by every user of this machine and kept by the shell",
            hint=f"run rustybt config set-key {source}, which asks for it; and if others saw it, get a new one",
        )
    source = VENDORS[source].source if source in VENDORS else source
    variables = key_storage.variables_of(source, variable)
    keys = {name: _read_key(name) for name in variables}
    absent = [name for name, key in keys.items() if not key.strip()]
    if absent:
        raise RequestError(
            f"no {' and no '.join(absent)} was given, nothing was stored",
            hint=f"type it when asked, or write it into stdin, one line a key, in this order: {', '.join(variables)}",
        )
    place = key_storage.store(source, keys, in_keyring=keyring)
    if terminal.json:
        terminal.data({"source": source, "variables": variables, "stored_in": place})
        return
    terminal.note(f"stored {' and '.join(variables)} in {place}")
    for name in variables:
        if os.environ.get(name):
            terminal.note(f"note: here the environment variable {name} is set, and wins")


def _read_key(name: str) -> str:
    """Ask without echo; in a pipe read the next line."""
    if sys.stdin.isatty():
        import getpass

        return getpass.getpass(f"{name}: ")
    return sys.stdin.readline()

"""``rustybt config``: settings and where each value comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rustybt.cli.command import command, new_group
from rustybt.cli.options import flag
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from rustybt.cli.terminal import Terminal

app = new_group("Show or change settings.")

Origin = Annotated[bool, flag("--origin", text="Say where each value comes from.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="Such as cache.max_size_bytes.", show_default=False)]
Value = Annotated[str, typer.Argument(metavar="VALUE", help="The new value.", show_default=False)]


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
    from rustybt.config import load_settings, set_value

    try:
        path = set_value(key, value)
    except RequestError as error:
        named = error.message if key in error.message else f"{key}: {error.message}"
        raise RequestError(named, hint=error.hint, **error.details) from None
    origin = load_settings(terminal.settings_overrides).origin(key)
    if terminal.json:
        terminal.data({"key": key, "value": value, "file": str(path)})
    else:
        terminal.note(f"{key} = {value} in {path}")
        if origin != "user file":
            terminal.note(f"note: here another value is in force, from {origin}: rustybt config show --origin")

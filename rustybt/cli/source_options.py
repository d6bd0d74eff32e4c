"""Options of any source on a command that takes the source's name: ``run --source S`` and ``cache warm S``.

``rustybt ingest`` has a command for each source. Here all their options stand side by side; what does not belong to the
named source is refused, and other packages' sources take theirs as ``--name value``.
"""

from __future__ import annotations

import copy
import inspect
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

from rustybt.cli.options import read_pairs
from rustybt.cli.vendors import TRANSPORT, VENDORS, given_options
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import typer

#: What the sources call an option, where the command line has another word for it.
SPELLED = {"timeout_seconds": "timeout", "parallel_requests": "parallel"}


def vendors_options() -> dict[str, Any]:
    """Return parameter -> annotation of every vendor's own options; the help of each names the vendors that take it."""
    texts: dict[str, dict[str, list[str]]] = {}
    kinds: dict[str, Any] = {}
    for vendor in {vendor.source: vendor for vendor in VENDORS.values()}.values():
        for name, kind in vendor.options.items():
            kinds.setdefault(name, kind)
            texts.setdefault(name, {}).setdefault(_info(kind).help, []).append(vendor.source)
    found = {}
    for name, kind in kinds.items():
        text = " ".join(f"{', '.join(sources)}: {help_text}" for help_text, sources in texts[name].items())
        found[name] = _with_help(kind, text)
    return found


def _info(kind: Any) -> Any:
    return get_args(kind)[1]


def _with_help(kind: Any, text: str) -> Any:
    value, option = get_args(kind)
    shown = copy.copy(option)
    shown.help = text
    return Annotated[value, shown]


def taking(options: Mapping[str, Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that spells out the ``**values`` of a command as these options, none of them required."""

    def spell_out(function: Callable[..., Any]) -> Callable[..., Any]:
        from rustybt.cli.terminal import Terminal

        known = {**function.__globals__, "Terminal": Terminal}
        hints = get_type_hints(function, globalns=known, include_extras=True)
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        spelled = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
            for name, (kind, default) in map(_optional, options.items())
        ]
        parameters = [*(p.replace(annotation=hints[p.name]) for p in own), *spelled]
        function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        function.__annotations__ = {p.name: p.annotation for p in parameters}
        return function

    return spell_out


def _optional(item: tuple[str, Any]) -> tuple[str, tuple[Any, Any]]:
    name, kind = item
    value, option = get_args(kind)
    if value is bool:
        return name, (kind, False)
    return name, (kind if type(None) in get_args(value) else Annotated[value | None, option], None)


def read_source(name: str, values: Mapping[str, Any], ctx: typer.Context) -> tuple[str, dict[str, Any]]:
    """Return the source's own name and the options given for it, as `get_source` takes them.

    Parameters
    ----------
    values
        Values of the command's options for sources; None and False were not given.
    ctx
        Its further words are options of a source that another package brings.

    Raises
    ------
    RequestError
        No such source, or an option that it does not take.
    """
    from rustybt.cli.ingest import read_options
    from rustybt.data.sources import source_info

    found = source_info(name)
    if found.name == "frame":
        raise RequestError(
            "a DataFrame comes in from Python", hint="run_algorithm(data_source=...) or rb.ingest_frame(...)"
        )
    if found.name == "bundle":
        raise RequestError("a bundle is read as it is, not as a source", hint="rustybt run -f SCRIPT -b BUNDLE")
    given = given_options(values, values)
    if "column_map" in given:
        given["column_map"] = read_pairs(given["column_map"], "--column-map")
    given |= read_options(ctx.args)
    if not found.available:
        return found.name, given  # get_source says what is missing
    for option in given:
        if option not in found.options:
            known = [typed(name) for name in found.options] + (_typed_options(ctx) if option not in values else [])
            near = get_close_matches(typed(option), known, n=1)
            raise RequestError(
                f"source {found.name} has no option {typed(option)}",
                hint=f"did you mean {near[0]}?" if near else f"rustybt sources info {found.name} lists them",
                option=option,
            )
    return found.name, given


def refuse_words(ctx: typer.Context) -> None:
    """Refuse words that could only be options of a source, where none is named.

    Raises
    ------
    RequestError
        There are some.
    """
    if ctx.args:
        word = ctx.args[0].partition("=")[0]
        near = get_close_matches(word, _typed_options(ctx), n=1)
        raise RequestError(
            f"no such option: {word}", hint=f"did you mean {near[0]}?" if near else f"{ctx.command_path} --help"
        )


def _typed_options(ctx: typer.Context) -> list[str]:
    return [word for parameter in ctx.command.params for word in parameter.opts if word.startswith("--")]


def typed(option: str) -> str:
    """Return an option as it is typed: ``--timeout``."""
    return f"--{SPELLED.get(option, option.replace('_', '-'))}"


def canonical_source(name: str | None) -> str | None:
    """Return the name under which a source's bars are kept: ``polygon`` for ``massive``; unknown ones as they are."""
    if name is None:
        return None
    from rustybt.data.sources import (
        source_info,
    )  # with all that fetches: a second of imports that most calls do not need

    try:
        return source_info(name).name
    except RequestError:  # what was cached of a source outlives the package that brought it
        return name


#: Transport and every vendor's own options.
VENDOR_OPTIONS: dict[str, Any] = {**TRANSPORT, **vendors_options()}

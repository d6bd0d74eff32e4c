"""Sources by name: the built-in ones, and those that other packages bring as entry points."""

from __future__ import annotations

import importlib
import inspect
import sys
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from rustybt.data.bundles.storage.bcolz_import import NEWEST_PYTHON
from rustybt.errors import MissingDependencyError, RequestError
from rustybt.logging import get_logger
from rustybt.market.provenance import FrozenRecord, Provenance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rustybt.data.adapters.limits import VendorLimits
    from rustybt.data.sources.base import DataSource

logger = get_logger(__name__)

GROUP = "rustybt.sources"
BUILT_IN = "rustybt"


@dataclass(frozen=True, slots=True)
class SourceInfo(FrozenRecord):
    """One source, whether it can be used or not.

    Parameters
    ----------
    reason
        Why it is not available; empty when it is.
    pip_command
        What installs it, where that is all that is missing.
    options
        What its constructor takes, with what each option means.
    origin
        Distribution that brings it.
    limits
        What the vendor allows where nothing else is said; None for files, and for a source that needs an option to know.
    """

    name: str
    available: bool
    reason: str = ""
    pip_command: str = ""
    doc: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    origin: str = BUILT_IN
    aliases: tuple[str, ...] = ()
    supports_live: bool = False
    limits: VendorLimits | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        limits = None if self.limits is None else self.limits.to_json()
        return {**dict(self), "options": dict(self.options), "aliases": list(self.aliases), "limits": limits}


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a source's class is.

    Parameters
    ----------
    needs
        Optional package, by the name it is imported with.
    extra
        Extra of rustybt that installs it.
    problem
        Why the entry is refused.
    newest_python
        The last Python that the optional package has wheels for; None where it keeps up.
    """

    name: str
    module: str
    attribute: str
    needs: str = ""
    extra: str = ""
    origin: str = BUILT_IN
    aliases: tuple[str, ...] = ()
    problem: str = ""
    newest_python: tuple[int, int] | None = None

    @property
    def pip_command(self) -> str:
        return f'pip install "rustybt[{self.extra}]"' if self.extra else ""

    def load(self) -> type[DataSource]:
        """Import the class.

        Raises
        ------
        MissingDependencyError
            The optional package is not installed.
        RequestError
            The module does not work, or holds no source of that name.
        """
        from rustybt.data.sources.base import DataSource

        if self.problem:
            raise RequestError(f"source {self.name} cannot be used: {self.problem}", source=self.name)
        if self.needs and find_spec(self.needs) is None:
            raise self._missing()
        try:
            found: Any = importlib.import_module(self.module)
            for part in self.attribute.split("."):
                found = getattr(found, part)
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"source {self.name} of {self.origin} needs the module {error.name}",
                hint=self.pip_command or None,
                source=self.name,
            ) from error
        except (Exception, SystemExit) as error:
            raise RequestError(
                f"source {self.name} of {self.origin} cannot be imported: {type(error).__name__}: {error}",
                source=self.name,
            ) from error
        if not (isinstance(found, type) and issubclass(found, DataSource)):
            raise RequestError(
                f"source {self.name} of {self.origin}: {self.module}:{self.attribute} is no DataSource class",
                source=self.name,
            )
        return found

    def _missing(self) -> MissingDependencyError:
        what = f"source {self.name} needs the package {self.needs}"
        if self.newest_python is None or sys.version_info[:2] <= self.newest_python:
            return MissingDependencyError(what, hint=self.pip_command, source=self.name)
        here, newest = (".".join(map(str, version)) for version in (sys.version_info[:2], self.newest_python))
        return MissingDependencyError(
            f"{what}, which has no wheels for Python {here}",
            hint=f"use Python {newest} or older: {self.pip_command}",
            source=self.name,
        )


_BUILT_INS = (
    _Entry("bundle", "rustybt.data.sources.bundle_source", "BundleDataSource"),
    _Entry("csv", "rustybt.data.sources.csv.source", "CSVDataSource"),
    _Entry("csvdir", "rustybt.data.sources.csvdir", "CSVDirDataSource"),
    _Entry("quandl", "rustybt.data.sources.quandl", "QuandlDataSource"),
    _Entry("registered", "rustybt.data.sources.registered.source", "RegisteredBundleSource"),
    _Entry("frame", "rustybt.data.sources.frame", "FrameDataSource"),
    _Entry(
        "yfinance", "rustybt.data.sources.yfinance", "YFinanceDataSource", "yfinance", "yfinance", aliases=("yahoo",)
    ),
    _Entry("ccxt", "rustybt.data.sources.ccxt", "CCXTDataSource", "ccxt", "ccxt"),
    _Entry("polygon", "rustybt.data.sources.polygon", "PolygonDataSource", "massive", "polygon", aliases=("massive",)),
    _Entry("alpaca", "rustybt.data.sources.alpaca", "AlpacaDataSource", "alpaca", "alpaca"),
    _Entry("alphavantage", "rustybt.data.sources.alphavantage", "AlphaVantageDataSource"),
    _Entry(
        "zipline",
        "rustybt.data.sources.zipline.source",
        "ZiplineDataSource",
        "bcolz",
        "zipline",
        newest_python=NEWEST_PYTHON,
    ),
)


def get_source(name: str, /, **options: Any) -> DataSource:
    """Return a new source.

    Parameters
    ----------
    **options
        What its constructor takes; `source_info` lists them.

    Raises
    ------
    RequestError
        No source of that name (the hint lists near ones), no such option, or it does not work.
    MissingDependencyError
        Its optional package is not installed; the hint is the pip command.
    """
    kind = _find(name).load()
    accepted, takes_any = _parameters(kind)
    for option in options:
        if option not in accepted and not takes_any:
            near = get_close_matches(option, accepted, n=1)
            raise RequestError(
                f"source {name} has no option {option!r}",
                hint=f"did you mean {near[0]}?" if near else f"rustybt sources info {name} lists them",
                option=option,
            )
    missing = [
        key for key, parameter in accepted.items() if parameter.default is parameter.empty and key not in options
    ]
    if missing:
        raise RequestError(
            f"source {name} needs the option {missing[0]}", hint=f"give it as --{missing[0].replace('_', '-')}"
        )
    return kind(**options)


def source_from_provenance(provenance: Provenance) -> DataSource:
    """Return the source that a version came from, with the options it had then.

    Raises
    ------
    RequestError
        The source cannot be made again: bars of a frame live in memory only.
    """
    if provenance.source_type == "frame":
        raise RequestError(
            "these bars came from a frame in memory, which is gone",
            hint="rb.ingest_frame(df, bundle=...) adds new ones",
        )
    return get_source(provenance.source_type, **dict(provenance.options))


def list_sources() -> list[SourceInfo]:
    """Return every source by name, available or not; a broken one says why and hides no other."""
    return [_info(entry) for entry in _entries()]


def source_info(name: str, /, **options: Any) -> SourceInfo:
    """Return one source; its limits may depend on `options`, such as ``exchange="kraken"``.

    Raises
    ------
    RequestError
        No source of that name, or no such option.
    """
    entry = _find(name)
    return _info(entry, get_source(name, **options) if options else None)


def _entries() -> list[_Entry]:
    """Return built-in and third-party entries; a third party can neither replace a built-in nor, silently, another."""
    taken = {name for entry in _BUILT_INS for name in (entry.name, *entry.aliases)}
    found = [_from_entry_point(point) for point in entry_points(group=GROUP)]
    unique = {(entry.name, entry.module, entry.attribute): entry for entry in found}
    entries: list[_Entry] = list(_BUILT_INS)
    for entry in unique.values():
        rivals = sorted({other.origin for other in unique.values() if other.name == entry.name})
        problem = ""
        if entry.name in taken:
            problem = f"the name {entry.name} belongs to a built-in source; {entry.origin} must choose another"
        elif sum(other.name == entry.name for other in unique.values()) > 1:
            problem = f"{' and '.join(rivals)} both bring a source {entry.name}; uninstall one"
        entries.append(_Entry(entry.name, entry.module, entry.attribute, origin=entry.origin, problem=problem))
    return sorted(entries, key=lambda entry: (entry.name, entry.origin != BUILT_IN, entry.origin))


def _from_entry_point(point: EntryPoint) -> _Entry:
    origin = point.dist.name if point.dist is not None else "an unknown package"
    return _Entry(point.name, point.module, point.attr, origin=origin)


def _find(name: str) -> _Entry:
    entries = _entries()
    wanted = str(name).strip().lower()
    for entry in entries:
        if wanted in (entry.name.lower(), *entry.aliases):
            return entry
    names = sorted({entry.name for entry in entries})
    near = get_close_matches(wanted, names, n=3)
    raise RequestError(
        f"unknown source {name!r}",
        hint=f"did you mean {' or '.join(near)}?" if near else f"use one of {', '.join(names)}",
        source=str(name),
    )


def _info(entry: _Entry, made: DataSource | None = None) -> SourceInfo:
    try:
        kind = entry.load()
    except RequestError as error:
        return SourceInfo(
            entry.name,
            available=False,
            reason=error.message,
            pip_command=error.hint or "",
            origin=entry.origin,
            aliases=entry.aliases,
        )
    return SourceInfo(
        entry.name,
        available=True,
        doc=(inspect.getdoc(kind) or "").partition("\n")[0],
        options=_described(kind),
        origin=entry.origin,
        aliases=entry.aliases,
        **_abilities(kind, made),
    )


def _abilities(kind: type[DataSource], made: DataSource | None) -> dict[str, Any]:
    """Return limits and streaming of a source that can be made without options; a broken one says nothing of them."""
    accepted, _ = _parameters(kind)
    if made is None and any(parameter.default is parameter.empty for parameter in accepted.values()):
        return {}
    try:
        source = made or kind()
        return {"supports_live": source.supports_live(), "limits": source.limits()}
    except Exception as error:  # noqa: BLE001  a listing shows every source, also one of others that does not work
        logger.debug("source_does_not_start", source=kind.name, why=type(error).__name__)
        return {}


def _signature(kind: type) -> list[inspect.Parameter]:
    return list(inspect.signature(kind).parameters.values())


def _parameters(kind: type[DataSource]) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the named options of a class, and whether it takes others as well.

    One with ``**options`` hands the rest to the class it derives from.
    """
    found: dict[str, inspect.Parameter] = {}
    for base in inspect.getmro(kind):
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = _signature(base)
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                found.setdefault(parameter.name, parameter)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return found, False
    return found, bool(found)


def _described(kind: type[DataSource]) -> dict[str, str]:
    """Return each option with its text from the NumPy docstrings of the class and those it derives from."""
    texts: dict[str, str] = {}
    for base in inspect.getmro(kind):
        for name, text in _parameter_texts(vars(base).get("__doc__") or "").items():
            texts.setdefault(name, text)
    return {name: texts.get(name, "") for name in _parameters(kind)[0]}


def _parameter_texts(doc: str) -> dict[str, str]:
    lines = inspect.cleandoc(doc).splitlines()
    texts: dict[str, list[str]] = {}
    current: list[str] = []
    inside = False
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if set(following) == {"-"}:
            inside = line == "Parameters"
            current = []
        elif inside and line and not line.startswith((" ", "-")):
            current = []
            texts.update(dict.fromkeys((name.strip() for name in line.split(",")), current))
        elif inside and line.startswith(" "):
            current.append(line.strip())
    return {name: " ".join(text) for name, text in texts.items()}

"""A result on disk: plain JSON, CSV and the script; nothing that executes when it is read."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rustybt.errors import RequestError, StorageError
from rustybt.market.assets import Asset, AssetAttributes
from rustybt.market.pin import Pin
from rustybt.trading.orders.order import OrderStatus
from rustybt.trading.results.books import BOOK_COLUMNS
from rustybt.trading.results.perf import CELL_COLUMNS, session_dates
from rustybt.trading.results.plain_values import plain
from rustybt.trading.results.result import ORDER_KEYS, POSITION_KEYS, TRANSACTION_KEYS, Result
from rustybt.trading.results.run_data_files import PRICES, data_facts, read_data, write_prices
from rustybt.trading.strategy import Script

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
FACTS = "result.json"
SCRIPT = "script.py"
#: Beside the results of a sweep, in their folders 0001, 0002 ...
SWEEP = "sweep.csv"
_KEYS = {"transactions": TRANSACTION_KEYS, "orders": ORDER_KEYS, "positions": POSITION_KEYS}
_PARAMETERS = (
    "start",
    "end",
    "capital_base",
    "data_frequency",
    "trading_calendar",
    "benchmark",
    "initialize",
    "commission",
    "slippage",
)
_TIMES = ("dt", "created", "period_open", "period_close")


def write_result(result: Result, directory: Path) -> Path:
    """Write all files beside `directory` first and then move them in, so that a torn result is never read.

    Raises
    ------
    StorageError
        The file system refuses.
    """
    try:
        return _write(result, directory)
    except (OSError, ValueError) as error:
        # A ValueError of the file system: a name that holds a zero byte, text that is no UTF-8.
        why = getattr(error, "strerror", None) or error
        raise StorageError(
            f"cannot save the result in {str(directory)!r:.300}: {why}", hint="name a directory to write into"
        ) from error


def _write(result: Result, directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".writing-") as scratch:
        made, aside = Path(scratch, "new"), Path(scratch, "old")
        made.mkdir()
        aside.mkdir()
        assets: dict[int, Asset] = {}
        for name, keys in _KEYS.items():
            rows = _rows(result, name, keys, assets)
            rows.to_csv(made / f"{name}.csv", index=False)
        perf = result.perf
        scalars = [c for c in perf.columns if c not in CELL_COLUMNS and c not in result.recorded_names]
        perf[scalars].to_csv(made / "perf.csv", index=False)
        _books(result).to_csv(made / "books.csv", index=False)
        _recorded(result).to_csv(made / "recorded.csv", index=False)
        if result.prices is not None:
            write_prices(result.prices, session_dates(perf["period_close"]), made / PRICES)
        if result.script is not None:
            (made / SCRIPT).write_text(result.script.text, encoding="utf-8")
        facts = {**_facts(result, assets), "files": {path.name: _digest(path) for path in sorted(made.iterdir())}}
        (made / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        _put(sorted(path.name for path in made.iterdir()), made, directory, aside)
    return directory


def _put(names: list[str], made: Path, directory: Path, aside: Path) -> None:
    """Move files into `directory`; when one cannot be moved, all that was there before is there again.

    result.json goes first and comes last: without it there is no result, so a torn one is never read.
    """
    for path in (directory / name for name in names):
        if path.is_dir() and not path.is_symlink():
            raise IsADirectoryError(errno.EISDIR, f"{path.name} is a directory")
    try:
        for name in sorted(names, key=lambda name: name != FACTS):
            if os.path.lexists(directory / name):
                (directory / name).replace(aside / name)
        for name in sorted(names, key=lambda name: name == FACTS):
            (made / name).replace(directory / name)
    except OSError:
        for path in sorted(aside.iterdir(), key=lambda path: path.name == FACTS):
            path.replace(directory / path.name)
        raise


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _facts(result: Result, assets: dict[int, Asset]) -> dict[str, Any]:
    script = result.script
    return {
        "format": FORMAT,
        "pin": None if result.pin is None else result.pin.to_json(),
        "parameters": result.parameters,
        "script": None
        if script is None
        else {
            "name": script.name,
            "parameters": plain(dict(script.parameters)),
            "functions": dict(script.functions),
        },
        "script_unknown": result.script_unknown,
        "complete": result.is_complete,
        "error": result.error,
        "notes": list(result.notes),
        "summary": plain(result.summary()),
        "recorded": list(result.recorded_names),
        "benchmark": result.benchmark.tolist() if np.any(result.benchmark) else None,
        "assets": [_asset_json(a) for _, a in sorted(assets.items())],
        "data": data_facts(result.data),
    }


def _rows(result: Result, name: str, keys: tuple[str, ...], assets: dict[int, Asset]) -> pd.DataFrame:
    import pandas as pd

    # For people who open the files; what is read back is the sid.
    written = keys if name == "orders" else ("symbol", *keys)
    rows = []
    for at, cell in enumerate(result.perf[name]):
        for row in cell:
            asset = row["sid"]
            assets[asset.sid] = asset
            plain = {**row, "sid": asset.sid, "symbol": asset.symbol}
            if "status" in plain:
                plain["status"] = OrderStatus(plain["status"]).name.lower()
            rows.append((at, *(plain[key] for key in written)))
    return pd.DataFrame(rows, columns=["row", *written])


def _books(result: Result) -> pd.DataFrame:
    """Return the books as plain decimals: a Decimal prints a zero of nine places as 0E-9."""
    return result.books.assign(**{name: [f"{value:f}" for value in result.books[name]] for name in BOOK_COLUMNS})


def _recorded(result: Result) -> pd.DataFrame:
    import pandas as pd

    frame = result.recorded
    return pd.DataFrame({c: [json.dumps(plain(v)) for v in frame[c]] for c in frame.columns})


def _asset_json(asset: Asset) -> dict[str, Any]:
    return {
        "sid": asset.sid,
        "symbol": asset.symbol,
        "calendar": asset.calendar_name,
        "attributes": asset.attributes.to_json(),
    }


def read_result(directory: Path) -> Result:
    """Return the result saved in `directory`; see `Result.load`."""
    import polars as pl

    try:
        return _read(directory)
    except RequestError:
        raise
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        InvalidOperation,
        pl.exceptions.PolarsError,
    ) as error:
        # Whatever a damaged file makes of its reader: the files are plain, and none of it can be more than unreadable.
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        hint = "save one with: rustybt run -f SCRIPT -b BUNDLE -o DIR"
        if not (directory / FACTS).exists() and (directory / SWEEP).is_file():
            why = "it holds a sweep"
            hint = f"name the result of one run, as {directory / '0001'}; {directory / SWEEP} lists them"
        raise RequestError(f"no readable result in {directory}: {why}", hint=hint) from error


def _read(directory: Path) -> Result:
    import pandas as pd

    facts = json.loads((directory / FACTS).read_text(encoding="utf-8"))
    if facts["format"] != FORMAT:
        raise RequestError(
            f"the result in {directory} has format {facts['format']}, this rustybt reads {FORMAT}",
            hint="pip install --upgrade rustybt",
        )
    perf = _read_table(directory / "perf.csv")
    assets = {
        a["sid"]: Asset(a["sid"], a["symbol"], a["calendar"], attributes=AssetAttributes.from_json(a["attributes"]))
        for a in facts["assets"]
    }
    cells = {name: _read_cells(directory / f"{name}.csv", keys, len(perf), assets) for name, keys in _KEYS.items()}
    recorded = _read_recorded(directory / "recorded.csv", facts["recorded"])
    books = _read_books(directory / "books.csv")
    script = facts["script"]
    text = (directory / SCRIPT).read_text(encoding="utf-8") if script else ""
    for column in ("period_open", "period_close"):
        perf[column] = pd.DatetimeIndex(pd.to_datetime(perf[column], utc=True)).as_unit("ns")
    columns: dict[str, Any] = {**cells, **recorded}
    for name, values in columns.items():
        perf[name] = values
    perf.index = pd.DatetimeIndex(perf["period_close"], name=None)
    # People open these files, and programs save what they opened: read on, but do not pass it for what was run.
    changed = [name for name, digest in facts.get("files", {}).items() if _digest(directory / name) != digest]
    notes = [f"{name} is not as it was saved" for name in changed]
    return Result(
        perf,
        pin=None if facts["pin"] is None else Pin.from_json(facts["pin"]),
        parameters={name: facts["parameters"][name] for name in _PARAMETERS} | facts["parameters"],
        script=None
        if script is None
        else Script(script["name"], text, script["parameters"], dict(script.get("functions", {}))),
        script_unknown=facts.get("script_unknown"),
        benchmark=np.array(facts["benchmark"] or [0.0] * len(perf), dtype=np.float64),
        books=books,
        recorded_names=tuple(facts["recorded"]),
        notes=(*facts["notes"], *(note for note in notes if note not in facts["notes"])),
        error=facts["error"],
        data=read_data(facts.get("data"), directory),
    )


def _read_table(path: Path) -> pd.DataFrame:
    """Return a CSV as written; polars reads floats exactly, pandas only since version 3."""
    import pandas as pd
    import polars as pl

    text = {"id": pl.String, "order_id": pl.String, "reason": pl.String, "period_label": pl.String}
    frame = pl.read_csv(path, infer_schema_length=None, schema_overrides=text)
    # A column of empty fields has no type of its own: it is one of numbers that are not defined.
    nothing = np.full(frame.height, np.nan)
    columns = {c: nothing if frame[c].is_null().all() else frame[c].to_list() for c in frame.columns}
    return pd.DataFrame(columns, columns=frame.columns)


def _read_cells(path: Path, keys: tuple[str, ...], length: int, assets: dict[int, Asset]) -> list[list[dict[str, Any]]]:
    import pandas as pd

    frame = _read_table(path)[["row", *keys]]
    cells: list[list[dict[str, Any]]] = [[] for _ in range(length)]
    for name in _TIMES:
        if name in frame:
            frame[name] = pd.to_datetime(frame[name], utc=True)
    for row in frame.to_dict("records"):
        entry: dict[str, Any] = {str(k): (None if v != v else v) for k, v in row.items()}  # noqa: PLR0124 - NaN is an empty field
        at = entry.pop("row")
        entry["sid"] = assets[entry["sid"]]
        if "status" in entry:
            entry["status"] = OrderStatus[entry["status"].upper()]
        if path.stem == "transactions":
            entry["commission"] = None
        cells[at].append(entry)
    return cells


def _read_books(path: Path) -> pd.DataFrame:
    import pandas as pd
    import polars as pl

    frame = pl.read_csv(path, infer_schema=False)
    exact = {name: [Decimal(text) for text in frame[name]] for name in BOOK_COLUMNS}
    return pd.DataFrame({"session": frame["session"].to_list(), **exact})


def _read_recorded(path: Path, names: list[str]) -> dict[str, list[Any]]:
    """Return the recorded values by name; the file's own headings may hold quotes, which not every reader takes back."""
    import pandas as pd

    if not names:
        return {}
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    columns = [frame.iloc[:, place] for place in range(len(names))]
    return {
        name: [np.nan if (value := json.loads(text)) is None else value for text in column]
        for name, column in zip(names, columns, strict=True)
    }

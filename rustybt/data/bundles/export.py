"""A version out of the home and back in: plain files that other tools read, with all digits.

A folder holds `bundle.json` (calendar, assets, corporate actions, provenance, content hash) and one folder of parts per
frequency; DuckDB is one database file with a table per frequency. Importing it gives the same content hash. What Zipline
reads is written by `rustybt.data.bundles.zipline_export`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from rustybt.__about__ import __version__
from rustybt.data.bundles.content_hash import BLOCK_SCHEMA, content_hash, hash_blocks
from rustybt.data.bundles.records import Alias, AssetRecord, CommitResult, Description
from rustybt.data.bundles.storage.local import translated
from rustybt.data.bundles.storage.parquet import decode_bars, encode_bars, narrow_bars
from rustybt.errors import BadResponseError, MissingDependencyError, RequestError, SourceUnavailableError
from rustybt.market.bars import BAR_COLUMNS, BAR_SCHEMA, VALUE_COLUMNS, check_bars, join_frames, sort_bars
from rustybt.market.corporate_actions import CorporateAction
from rustybt.market.decimals import parse_decimals
from rustybt.market.frequency import Frequency
from rustybt.market.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rustybt.data.bundles.bundle import Bundle
    from rustybt.data.bundles.store import BundleStore

DESCRIPTION_FILE = "bundle.json"
FORMATS = ("csv", "parquet", "arrow", "duckdb", "zipline")
_FORMAT = 1


def export_bundle(bundle: Bundle, to: str, path: str | Path) -> list[str]:
    """Write a version to `path` and return the files written.

    Parameters
    ----------
    to
        ``csv``, ``parquet``, ``arrow`` (a folder), ``duckdb`` (a file) or ``zipline``; the last is `export_zipline`, whose
        notes on what the format cannot hold are not returned here.
    path
        Must not exist yet, or be an empty folder; for ``zipline`` a ``ZIPLINE_ROOT``, new or in use.

    Raises
    ------
    RequestError
        Unknown format, or there is something at `path`, or Zipline's format cannot hold the numbers.
    MissingDependencyError
        DuckDB, or for ``zipline`` bcolz, is not installed.
    """
    target = Path(path).expanduser()
    if to not in FORMATS:
        raise RequestError(f"cannot export to {to!r}", hint=f"--to {', '.join(FORMATS)}")
    if to == "zipline":
        from rustybt.data.bundles.zipline_export import export_zipline

        return list(export_zipline(bundle, target).written)
    if target.exists() and (not target.is_dir() or any(target.iterdir()) or to == "duckdb"):
        raise RequestError(f"{target} exists already", hint="name another output, or remove it first")
    if to == "duckdb":
        return _export_duckdb(bundle, target)
    written: list[str] = []
    ending, encode = f".{to}", _ENCODERS[to]
    with translated("write", target):
        for frequency in bundle.frequencies:
            folder = target / f"bars_{frequency}"
            folder.mkdir(parents=True, exist_ok=True)
            for number, rows in enumerate(bundle.batches(frequency)):
                part = folder / f"part-{number:04d}{ending}"
                part.write_bytes(encode(rows, frequency))
                written.append(str(part))
        described = target / DESCRIPTION_FILE
        target.mkdir(parents=True, exist_ok=True)
        described.write_text(json.dumps({**_describe(bundle), "data_format": to}, indent=1, ensure_ascii=False))
        written.append(str(described))
    return written


def _describe(bundle: Bundle) -> dict[str, Any]:
    held = bundle.description
    return {
        "format": _FORMAT,
        "bundle": bundle.name,
        "version": bundle.version,
        "content_hash": bundle.content_hash,
        "calendar_name": bundle.calendar_name,
        "frequencies": list(bundle.frequencies),
        "assets": [record.to_json() for record in held.assets.values()],
        "actions": [action.to_json() for action in held.actions],
        "aliases": [alias.to_json() for alias in held.aliases],
        "provenance": bundle.provenance.to_json(),
    }


def _to_csv(rows: pl.DataFrame, frequency: str) -> bytes:
    shape = "%Y-%m-%dT%H:%M:%SZ" if Frequency.parse(frequency).is_intraday else "%Y-%m-%d"
    unit = "1s" if Frequency.parse(frequency).is_intraday else "1d"
    if (rows["timestamp"].dt.truncate(unit) != rows["timestamp"]).any():
        shape = "%Y-%m-%dT%H:%M:%S%.6fZ"
    return narrow_bars(rows).with_columns(pl.col("timestamp").dt.strftime(shape)).write_csv().encode()


def _from_csv(data: bytes) -> pl.DataFrame:
    text = pl.read_csv(data, infer_schema=False)
    stamp = pl.col("timestamp")
    parsed = pl.coalesce(
        stamp.str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us", strict=False),
        stamp.str.to_datetime("%Y-%m-%d", time_unit="us", strict=False),
    )
    return text.with_columns(
        parsed.dt.replace_time_zone("UTC").alias("timestamp"),
        *(parse_decimals(text[name]).values.alias(name) for name in VALUE_COLUMNS),
    ).select(BAR_COLUMNS)


def _to_arrow(rows: pl.DataFrame, _: str) -> bytes:
    import io

    out = io.BytesIO()
    rows.write_ipc(out, compression="lz4")
    return out.getvalue()


def _from_arrow(data: bytes) -> pl.DataFrame:
    import io

    return pl.read_ipc(io.BytesIO(data)).select(BAR_COLUMNS)


_ENCODERS: dict[str, Callable[[pl.DataFrame, str], bytes]] = {
    "csv": _to_csv,
    "parquet": lambda rows, _: encode_bars(narrow_bars(rows)),
    "arrow": _to_arrow,
}
_DECODERS: dict[str, Callable[[bytes], pl.DataFrame]] = {
    "csv": _from_csv,
    "parquet": decode_bars,
    "arrow": _from_arrow,
}


def _export_duckdb(bundle: Bundle, target: Path) -> list[str]:
    """Write one table ``bars_<frequency>`` each, decimals as DECIMAL(38, 18), and a table `bundle` with the description."""
    try:
        import duckdb
    except ImportError as error:
        raise MissingDependencyError(
            "export to duckdb needs the package duckdb", hint="pip install 'rustybt[duckdb]'"
        ) from error
    with translated("write", target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect(str(target)) as connection:
            for frequency in bundle.frequencies:
                for number, rows in enumerate(bundle.batches(frequency)):
                    part = connection.from_arrow(rows.to_arrow())
                    if number == 0:
                        part.create(f"bars_{frequency}")
                    else:
                        part.insert_into(f"bars_{frequency}")
            connection.execute("CREATE TABLE bundle (description JSON)")
            connection.execute("INSERT INTO bundle VALUES (?)", [json.dumps(_describe(bundle), ensure_ascii=False)])
    return [str(target)]


@dataclass(frozen=True, slots=True)
class _Exported:
    """What `bundle.json` says."""

    bundle: str
    content_hash: str
    calendar_name: str
    frequencies: tuple[str, ...]
    data_format: str
    description: Description
    provenance: Provenance


def import_path(store: BundleStore, path: str | Path, name: str | None = None) -> CommitResult:
    """Bring an exported folder into the home as a new version of a bundle, if it still says what was exported.

    Parameters
    ----------
    name
        Name of the bundle; None takes the exported one's.

    Raises
    ------
    SourceUnavailableError
        There is no exported bundle at `path`.
    BadResponseError
        Its description or its bars cannot be read, or they do not have the content hash that was exported; nothing was written.
    """
    folder = Path(path).expanduser()
    exported = _read_description(folder)
    _check_content(folder, exported)
    records = exported.description.assets
    result: CommitResult | None = None
    for frequency in exported.frequencies:
        basis = _basis_groups(records.values(), frequency)
        for price_basis, symbols in basis.items():
            result = store.commit(
                exported.bundle if name is None else name,
                _parts(folder / f"bars_{frequency}", exported.data_format, None if len(basis) == 1 else symbols),
                replace(exported.provenance, package_version=__version__, frequency=frequency),
                frequency=frequency,
                calendar=exported.calendar_name,
                assets={symbol: record.attributes for symbol, record in records.items()},
                price_basis=price_basis,
                actions=[action for action in exported.description.actions if action.symbol in symbols],
                aliases=[alias for alias in exported.description.aliases if alias.symbol in symbols],
            )
    if result is None:
        raise BadResponseError(f"{folder} holds no bars", hint="export the bundle again", path=str(folder))
    return result


def _basis_groups(records: Iterable[AssetRecord], frequency: str) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {}
    for record in records:
        if frequency in record.price_basis:
            groups.setdefault(record.price_basis[frequency], set()).add(record.symbol)
    return groups


def _read_description(folder: Path) -> _Exported:
    file = folder / DESCRIPTION_FILE
    try:
        said: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if said["format"] > _FORMAT or said["data_format"] not in _DECODERS:
            raise BadResponseError(f"{file} was written by a later rustybt", hint="pip install --upgrade rustybt")
        return _Exported(
            said["bundle"],
            said["content_hash"],
            said["calendar_name"],
            tuple(Frequency.parse(name).name for name in said["frequencies"]),
            said["data_format"],
            Description(
                {record.symbol: record for record in map(AssetRecord.from_json, said["assets"])},
                tuple(map(CorporateAction.from_json, said["actions"])),
                tuple(map(Alias.from_json, said["aliases"])),
            ),
            Provenance.from_json(said["provenance"]),
        )
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceUnavailableError(
            f"there is no exported bundle at {folder}: {DESCRIPTION_FILE} is missing",
            hint="rustybt bundle export B --to parquet --output P makes one; rustybt ingest csv reads any CSV",
            path=str(folder),
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        if isinstance(error, BadResponseError):
            raise
        raise BadResponseError(
            f"{file} is not a bundle's description: {error!r}", hint="export the bundle again", path=str(file)
        ) from error


def _check_content(folder: Path, exported: _Exported) -> None:
    """Hash what lies there before anything is committed."""
    blocks = [BLOCK_SCHEMA.to_frame()]
    for frequency in exported.frequencies:
        parts = _parts(folder / f"bars_{frequency}", exported.data_format, None)
        blocks.extend(hash_blocks(check_bars(rows), frequency) for rows in parts)
    found = content_hash(join_frames(blocks).sort("frequency", "symbol", "month"), exported.description.hashed())
    if found != exported.content_hash:
        raise BadResponseError(
            f"{folder} does not hold what was exported: its content hash is {found[:12]}… instead of "
            f"{exported.content_hash[:12]}…",
            hint="export the bundle again; rustybt ingest csv takes files that were changed on purpose",
            path=str(folder),
        )


def _parts(folder: Path, data_format: str, symbols: set[str] | None) -> Iterator[pl.DataFrame]:
    """Yield the exported bars, of all symbols when None."""
    for part in sorted(folder.glob(f"*.{data_format}")):
        with translated("read", part):
            data = part.read_bytes()
        try:
            rows = _DECODERS[data_format](data)
        except (pl.exceptions.PolarsError, UnicodeDecodeError, KeyError, OSError) as error:
            raise BadResponseError(f"{part} cannot be read: {error}", hint="export the bundle again") from error
        if rows.schema != BAR_SCHEMA or rows.null_count().sum_horizontal().item():
            raise BadResponseError(f"{part} holds bars that cannot be read", hint="export the bundle again")
        yield sort_bars(rows if symbols is None else rows.filter(pl.col("symbol").is_in(sorted(symbols))))

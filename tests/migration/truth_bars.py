"""The bars of both sides, read with plain pyarrow and compared number by number.

A Parquet file is to be imported if it can be read and its SHA-256 is the recorded one, or none is recorded. Bars under
asset numbers have the symbols that the catalog's symbols, or Zipline's mapping, name for them.
"""

from datetime import UTC, datetime, time
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.migration.truth import CATALOG_PATHS, NULL, new_facts, old_facts, opened

_VALUES = ("open", "high", "low", "close", "volume")
_FREQUENCY = {"daily_bars": "1d", "minute_bars": "1m"}


def old_bars(root):
    """Return {(bundle, frequency, symbol, UTC moment): five numbers} of every file that is to be imported."""
    root, found = Path(root), {}
    old = old_facts(root)
    mapped = _mapped(root)
    for source in old.sources:
        if source.kind != "parquet_catalog":
            continue
        folder = (root / source.path).parent
        recorded = {
            folder / row["parquet_path"][1]: row["checksum"][1]
            for row in source.tables.get("checksums", ())
            if row.get("parquet_path", NULL) != NULL
        }
        numbers = mapped | {row["symbol_id"][1]: row["symbol"][1] for row in source.tables.get("symbols", ())}
        for part, frequency in _FREQUENCY.items():
            for path in sorted((folder / part).rglob("*.parquet")):
                is_known = path in recorded
                if is_known and recorded[path] != sha256(path.read_bytes()).hexdigest():
                    continue
                for name, moment, values in _rows(path, numbers):
                    found[source.old_name, frequency, name, moment] = values
    return found


def _mapped(root):
    numbers = {}
    for path in CATALOG_PATHS:
        if not (root / path).is_file():
            continue
        with opened(root / path) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if "equity_symbol_mappings" in tables:
                numbers.update(connection.execute("SELECT sid, symbol FROM equity_symbol_mappings"))
    return numbers


def _rows(path, numbers):
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowInvalid, OSError):
        return
    stamps = table["date" if "date" in table.column_names else "timestamp"].to_pylist()
    by_number = "sid" in table.column_names
    keys = table["sid" if by_number else "symbol"].to_pylist()
    columns = [table[name].to_pylist() for name in _VALUES]
    for stamp, key, *values in zip(stamps, keys, *columns, strict=True):
        yield (numbers[key] if by_number else key), _moment(stamp), tuple(values)


def _moment(stamp):
    if not isinstance(stamp, datetime):
        stamp = datetime.combine(stamp, time())
    return stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp.astimezone(UTC)


def new_bars(home):
    """Return the same of the newest versions of the bundles that were migrated, under their old names."""
    new, found = new_facts(home), {}
    was = {row["bundle_name"][1]: row["old_name"][1] for row in new.get("migrated_bundles", ())}
    for row in new.get("bundle_files", ()):
        name = row["bundle_name"][1]
        if name not in was or row["kind"][1] != "bars" or row["removed_version"] != NULL:
            continue
        for symbol, moment, values in _rows(Path(home) / row["file_key"][1], {}):
            found[was[name], row["frequency"][1], symbol, moment] = values
    return found


def assert_bars_equal(root, home):
    """Raise AssertionError if a bar that is to be imported is missing or differs, or one came from nowhere.

    Bars of a folder without a catalog may be there.
    """
    must = old_facts(root).bundles
    old, new = old_bars(root), {key: values for key, values in new_bars(home).items() if key[0] in must}
    assert len(old) > 0, "the root holds no bars"
    missing, more = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    assert not missing, f"{len(missing)} bars are missing, the first is {missing[0]}"
    assert not more, f"{len(more)} bars came from nowhere, the first is {more[0]}"
    wrong = [key for key in old if old[key] != new[key]]
    assert not wrong, f"{len(wrong)} bars differ: {wrong[0]} was {old[wrong[0]]} and is {new[wrong[0]]}"

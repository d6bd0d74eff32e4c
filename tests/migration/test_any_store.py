"""Whatever small root Hypothesis thinks up: it comes over whole, and a second time changes nothing."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rustybt.cli.main import invoke
from tests.migration.old_tables import DATA_CATALOG, PARQUET_CATALOG, columns_of, write_database
from tests.migration.truth import assert_nothing_lost, new_facts

NAMES = st.sampled_from(["us", "US", "it's", "two words", "a/b", "con", "é", "e\u0301", "x", "y", "-", "", "東京"])
FOLDERS = st.sampled_from(["us", "US", "it's", "two words", "con", "é", "e\u0301", "x", "-", "bundles"])
#: What SQLite may hold; no NaN, which it makes NULL.
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6),
    st.binary(max_size=4),
)
MOMENTS = st.one_of(st.none(), st.integers(1, 2**33))
COUNTS = st.one_of(st.none(), st.integers(0, 1_000))
SIZES = st.one_of(st.none(), st.integers(0, 6_400).map(lambda number: number / 64))
WORDS = st.one_of(
    st.none(), st.sampled_from(["NYSE", "binance", "equity", "crypto", "1d", "1m", "?", "", "[]", "null"])
)
#: Columns whose meaning a migration has to understand; all others hold anything.
UNDERSTOOD = {
    "stat_date": st.integers(0, 30).map(lambda number: 1_672_531_200 + number * 40_000),
    "hit_count": COUNTS,
    "miss_count": COUNTS,
    "total_size_mb": SIZES,
    "validation_timestamp": MOMENTS,
    "start_date": MOMENTS,
    "end_date": MOMENTS,
    "symbol": st.sampled_from(["A", "BRK.B", "BTC/USDT", "é"]),
    "exchange": WORDS,
    "asset_type": WORDS,
    "source": WORDS,
    "resolution": WORDS,
    "source_type": WORDS,
    "source_url": WORDS,
    "timezone": WORDS,
    "missing_days_list": WORDS,
    "cache_key": st.sampled_from(["k1", "k2", "k3", "k4", "k5"]),
    "parquet_path": st.sampled_from(["a.parquet", "b.parquet", "daily_bars/year=2023/month=01/data.parquet"]),
    "dataset_id": st.integers(1, 3),
}
UNIQUE = {"bundle_metadata": "bundle_name", "cache_entries": "cache_key", "cache_statistics": "stat_date"}
KEYS = {"id", "symbol_id"}


def rows_of(table, body, names):
    columns = [column for column in columns_of(body) if column not in KEYS]
    known = {"bundle_name": names, **UNDERSTOOD}
    row = st.fixed_dictionaries({column: known.get(column, VALUES) for column in columns})
    unique = {"datasets": "dataset_id", **UNIQUE}.get(table)
    return st.lists(row, max_size=4, unique_by=(lambda row: row[unique]) if unique else None)


CATALOG = st.fixed_dictionaries({table: rows_of(table, body, NAMES) for table, body in DATA_CATALOG.items()})
BUNDLE = st.fixed_dictionaries({table: rows_of(table, body, NAMES) for table, body in PARQUET_CATALOG.items()})


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    catalog=st.one_of(st.none(), CATALOG),
    path=st.sampled_from(["assets-8.db", "assets-8.sqlite", "data/catalog.db"]),
    bundles=st.dictionaries(st.tuples(st.sampled_from(["data", "data/bundles"]), FOLDERS), BUNDLE, max_size=3),
)
def test_no_row_of_any_root_is_lost(catalog, path, bundles):
    folder = Path(tempfile.mkdtemp(prefix="rustybt-"))
    try:
        root, home = folder / "old", folder / "home"
        root.mkdir()
        if catalog is not None:
            write_database(root / path, catalog, DATA_CATALOG)
        for (layout, name), rows in bundles.items():
            write_database(root / layout / name / "metadata.db", rows, PARQUET_CATALOG)
        words = ["migrate", "--root", str(root), "--home", str(home), "--quiet"]
        if catalog is None and not bundles:
            return
        assert invoke(words) in (0, 3)
        assert_nothing_lost(root, home)
        facts = new_facts(home)
        assert invoke(words) in (0, 3)
        assert new_facts(home) == facts
        assert invoke([*words, "--validate"]) == 0
    finally:
        shutil.rmtree(folder)

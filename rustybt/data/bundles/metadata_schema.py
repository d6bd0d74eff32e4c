"""Tables of the metadata database.

The first four keep the names and columns of the original design; the others are the store's own. Times in columns named
`*_timestamp`, `*_at`, `*_session` and `stat_date` are Unix seconds (UTC); bar ranges (`first_bar`, `last_bar`, `start`, `end`) are
microseconds since 1970 (UTC), both included. A row with `added_version` <= n and no `removed_version` <= n belongs to version n.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
    true,
)

metadata = MetaData()

bundle_metadata = Table(
    "bundle_metadata",
    metadata,
    Column("bundle_name", Text, primary_key=True),
    Column("calendar_name", Text, nullable=False),
    Column("start_session", Integer, nullable=False),
    Column("end_session", Integer, nullable=False),
    Column("source_type", Text),
    Column("source_url", Text),
    Column("api_version", Text),
    Column("fetch_timestamp", Integer),
    Column("data_version", Text),
    Column("timezone", Text, server_default="UTC"),
    Column("row_count", Integer),
    Column("missing_days_count", Integer, server_default=text("0")),
    Column("missing_days_list", Text, server_default="[]"),
    Column("outlier_count", Integer, server_default=text("0")),
    Column("ohlcv_violations", Integer, server_default=text("0")),
    Column("validation_passed", Boolean, server_default=true()),
    Column("validation_timestamp", Integer),
    Column("file_checksum", Text),
    Column("file_size_bytes", Integer),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    # Beyond the original design: cache datasets are hidden rows, and the store's head is found in one lookup.
    Column("kind", String(16), nullable=False, server_default="bundle"),
    Column("folded_name", Text, nullable=False, unique=True),
    Column("head_version", Integer, nullable=False, server_default=text("0")),
)

bundle_symbols = Table(
    "bundle_symbols",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("bundle_name", Text, ForeignKey("bundle_metadata.bundle_name"), nullable=False),
    Column("symbol", Text, nullable=False),
    Column("asset_type", Text),
    Column("exchange", Text),
    Index("idx_bundle_symbols_bundle", "bundle_name"),
    Index("idx_bundle_symbols_symbol", "symbol"),
    sqlite_autoincrement=True,
)

bundle_cache = Table(
    "bundle_cache",
    metadata,
    Column("cache_key", Text, primary_key=True),
    Column("bundle_name", Text, ForeignKey("bundle_metadata.bundle_name"), nullable=False),
    Column("parquet_path", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("last_accessed", Integer, nullable=False),
    Column("access_count", Integer, nullable=False, server_default=text("1")),
    Column("size_bytes", Integer, nullable=False),
    Index("idx_bundle_cache_accessed", "last_accessed"),
    Index("idx_bundle_cache_bundle", "bundle_name"),
)

cache_statistics = Table(
    "cache_statistics",
    metadata,
    Column("stat_date", Integer, primary_key=True, autoincrement=False),
    Column("hit_count", Integer, server_default=text("0")),
    Column("miss_count", Integer, server_default=text("0")),
    Column("total_size_mb", Float, server_default=text("0.0")),
    Column("avg_fetch_latency_ms", Float, server_default=text("0.0")),
)

# One row of bundle_metadata (kind cache) each: everything that one source delivers alike, in one cache directory.
cache_datasets = Table(
    "cache_datasets",
    metadata,
    Column("name", Text, ForeignKey("bundle_metadata.bundle_name"), primary_key=True),
    # Empty for the cache inside the home, so that a home can be moved.
    Column("cache_dir", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("frequency", String(4), nullable=False),
    Column("identity", Text, nullable=False),
    # Rises with every change, so that a reader sees with one look whether what it holds is still true.
    Column("generation", Integer, nullable=False, server_default=text("0")),
    Column("created_at", Integer, nullable=False),
    Index("idx_cache_datasets_dir", "cache_dir"),
)

cache_series = Table(
    "cache_series",
    metadata,
    Column("dataset", Text, ForeignKey("cache_datasets.name"), primary_key=True),
    Column("symbol", Text, primary_key=True),
    # That of the dataset when the row was last changed.
    Column("generation", Integer, nullable=False),
    Column("facts", Text, nullable=False),
    Column("segments", Text, nullable=False),
    Column("seal", String(64), nullable=False),
    Index("idx_cache_series_generation", "dataset", "generation"),
)

# What the seed's bundle_cache has no column for; one row for each of its rows.
cache_files = Table(
    "cache_files",
    metadata,
    Column("file_key", Text, ForeignKey("bundle_cache.cache_key"), primary_key=True),
    Column("dataset", Text, ForeignKey("cache_datasets.name"), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("first_symbol", Text, nullable=False),
    Column("last_symbol", Text, nullable=False),
    Column("first_bar", Integer, nullable=False),
    Column("last_bar", Integer, nullable=False),
    # File of a bundle with the very same bytes on disk; such a file does not count against the limit.
    Column("shared_key", Text),
    Index("idx_cache_files_dataset", "dataset"),
)

cache_revisions = Table(
    "cache_revisions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("dataset", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("seen_at", Integer, nullable=False),
    Column("revision", Text, nullable=False),
    Index("idx_cache_revisions_dataset", "dataset", "symbol"),
)

# Keys of whole requests, as the original design has them, and the dataset that answered.
cache_requests = Table(
    "cache_requests",
    metadata,
    Column("cache_key", Text, primary_key=True),
    Column("dataset", Text, nullable=False),
    Column("requested_at", Integer, nullable=False),
    Index("idx_cache_requests_dataset", "dataset"),
)

bundle_versions = Table(
    "bundle_versions",
    metadata,
    Column("bundle_name", Text, ForeignKey("bundle_metadata.bundle_name"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("op_id", Text, nullable=False),
    Column("parent_op_id", Text),
    Column("content_hash", String(64), nullable=False),
    Column("manifest_key", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("summary", Text, nullable=False),
    Column("provenance", Text, nullable=False),
    Column("quality", Text),
    Column("calendar_name", Text, nullable=False),
    # SHA-256 over the version's files, over its assets, actions and aliases, and over this row: SQLite has no checksums.
    Column("files_digest", String(64), nullable=False, server_default=""),
    Column("description_digest", String(64), nullable=False, server_default=""),
    Column("seal", String(64), nullable=False, server_default=""),
    Column("collected_at", Integer),
    UniqueConstraint("bundle_name", "op_id"),
    Index("idx_bundle_versions_hash", "bundle_name", "content_hash"),
)

bundle_files = Table(
    "bundle_files",
    metadata,
    Column("file_key", Text, primary_key=True),
    Column("bundle_name", Text, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("frequency", String(4), nullable=False),
    Column("partition", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("first_symbol", Text, nullable=False),
    Column("last_symbol", Text, nullable=False),
    Column("first_bar", Integer, nullable=False),
    Column("last_bar", Integer, nullable=False),
    Column("added_version", Integer, nullable=False),
    Column("removed_version", Integer),
    # Set when no version needs the file any more; the bytes go after the grace period.
    Column("released_at", Integer),
    Index("idx_bundle_files_live", "bundle_name", "removed_version", "added_version"),
)

bundle_assets = Table(
    "bundle_assets",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("bundle_name", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("sid", Integer, ForeignKey("assets.sid"), nullable=False),
    Column("attributes", Text, nullable=False),
    Column("price_basis", Text, nullable=False),
    Column("added_version", Integer, nullable=False),
    Column("removed_version", Integer),
    Index("idx_bundle_assets_live", "bundle_name", "removed_version"),
)

assets = Table(
    "assets",
    metadata,
    Column("sid", Integer, primary_key=True, autoincrement=True),
    Column("venue", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("listing_epoch", Text, nullable=False, server_default=""),
    UniqueConstraint("venue", "symbol", "listing_epoch"),
    sqlite_autoincrement=True,
)

bundle_aliases = Table(
    "bundle_aliases",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("bundle_name", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("alias", Text, nullable=False),
    Column("start", Text, nullable=False, server_default=""),
    Column("end", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False, server_default=""),
    Column("added_version", Integer, nullable=False),
    Column("removed_version", Integer),
    Index("idx_bundle_aliases_live", "bundle_name", "removed_version"),
)

corporate_actions = Table(
    "corporate_actions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("bundle_name", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("ex_date", Text, nullable=False),
    Column("first_seen", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("added_version", Integer, nullable=False),
    Column("removed_version", Integer),
    Index("idx_corporate_actions_bundle", "bundle_name", "symbol"),
)

coverage = Table(
    "coverage",
    metadata,
    Column("bundle_name", Text, primary_key=True),
    Column("frequency", String(4), primary_key=True),
    Column("symbol", Text, primary_key=True),
    Column("start", Integer, primary_key=True, autoincrement=False),
    Column("end", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("fetched_at", Integer, nullable=False),
)

bundle_tags = Table(
    "bundle_tags",
    metadata,
    Column("bundle_name", Text, primary_key=True),
    Column("tag", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    # The version's: both must agree.
    Column("content_hash", String(64), nullable=False),
    Column("created_at", Integer, nullable=False),
)

saved_results = Table(
    "saved_results",
    metadata,
    Column("path", Text, primary_key=True),
    # A result of several bundles has a row for each.
    Column("bundle_name", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("content_hash", String(64), nullable=False),
    Column("saved_at", Integer, nullable=False),
    Index("idx_saved_results_bundle", "bundle_name", "version"),
)

cache_usage = Table(
    "cache_usage",
    metadata,
    Column("stat_date", Integer, primary_key=True, autoincrement=False),
    Column("source", Text, primary_key=True),
    *(
        Column(name, Integer, nullable=False, server_default=text("0"))
        for name in (
            "hits",
            "partial_hits",
            "misses",
            "rows_cached",
            "rows_fetched",
            "bytes_cached",
            "requests_made",
            "requests_saved",
            "fetches",
            "stale_served",
            "evicted_files",
            "evicted_bytes",
            "revisions",
        )
    ),
    Column("fetch_seconds", Float, nullable=False, server_default=text("0.0")),
)

schema_migrations = Table(
    "schema_migrations",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("description", Text, nullable=False),
    Column("applied_at", Integer, nullable=False),
)

__all__ = [
    "assets",
    "bundle_aliases",
    "bundle_assets",
    "bundle_cache",
    "bundle_files",
    "bundle_metadata",
    "bundle_symbols",
    "bundle_tags",
    "bundle_versions",
    "cache_datasets",
    "cache_files",
    "cache_requests",
    "cache_revisions",
    "cache_series",
    "cache_statistics",
    "cache_usage",
    "corporate_actions",
    "coverage",
    "metadata",
    "saved_results",
    "schema_migrations",
]

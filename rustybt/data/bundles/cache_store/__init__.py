"""The files and the coverage of cached bars."""

from rustybt.data.bundles.cache_store.dataset import HERE, Addition, CachedDataset
from rustybt.data.bundles.cache_store.reading import inside_ranges
from rustybt.data.bundles.cache_store.store import CacheDataset, CachedSeries, CacheStore, CleanReport

__all__ = [
    "HERE",
    "Addition",
    "CacheDataset",
    "CacheStore",
    "CachedDataset",
    "CachedSeries",
    "CleanReport",
    "inside_ranges",
]

"""Sources promise bars: one interface for vendors, files and frames, and one path into a bundle."""

from rustybt.data.sources.base import DataSource
from rustybt.data.sources.bundle_source import BundleDataSource
from rustybt.data.sources.cached_source import CachedDataSource
from rustybt.data.sources.csv.source import CSVDataSource
from rustybt.data.sources.csvdir import CSVDirDataSource
from rustybt.data.sources.delivery import DataQualityWarning, Delivery, StaleDataWarning
from rustybt.data.sources.frame import FrameDataSource, ingest_frame
from rustybt.data.sources.ingest.plan import IngestPlan
from rustybt.data.sources.ingest.report import IngestReport, QuarantinedRow
from rustybt.data.sources.registry import SourceInfo, get_source, list_sources, source_from_provenance, source_info

__all__ = [
    "BundleDataSource",
    "CSVDataSource",
    "CSVDirDataSource",
    "CachedDataSource",
    "DataQualityWarning",
    "DataSource",
    "Delivery",
    "FrameDataSource",
    "IngestPlan",
    "IngestReport",
    "QuarantinedRow",
    "SourceInfo",
    "StaleDataWarning",
    "get_source",
    "ingest_frame",
    "list_sources",
    "source_from_provenance",
    "source_info",
]

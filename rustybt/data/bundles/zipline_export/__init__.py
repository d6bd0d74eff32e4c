"""A version of a bundle as an ingestion of zipline-reloaded: bcolz bars, adjustments.sqlite and the assets database."""

from rustybt.data.bundles.zipline_export.report import ZiplineExport
from rustybt.data.bundles.zipline_export.root import export_zipline

__all__ = ["ZiplineExport", "export_zipline"]

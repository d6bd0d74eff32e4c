"""Public doors under the names of the original design."""

from rustybt.data.polars.metadata_catalog import ParquetMetadataCatalog
from rustybt.data.polars.parquet_writer import ParquetWriter

__all__ = ["ParquetMetadataCatalog", "ParquetWriter"]

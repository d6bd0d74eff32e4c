"""Public doors under the names of the original design."""

from rustybt.data.polars.parquet_writer import ParquetWriter

__all__ = ["ParquetWriter"]

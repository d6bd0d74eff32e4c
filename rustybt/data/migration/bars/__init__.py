"""The Parquet files of old bundles: found, judged, read; and the calendar that their bars keep."""

from rustybt.data.migration.bars.delivering import PRICE_BASIS, deliveries
from rustybt.data.migration.bars.finding import find_files
from rustybt.data.migration.bars.inferred_calendar import infer_calendar
from rustybt.data.migration.bars.old_file import OldFile, Verdict

__all__ = ["PRICE_BASIS", "OldFile", "Verdict", "deliveries", "find_files", "infer_calendar"]

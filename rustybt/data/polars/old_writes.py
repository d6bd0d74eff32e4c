"""What the first design's `ParquetWriter` was called with, deprecated: its keywords, and frames of its columns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import polars as pl

from rustybt.__about__ import __version__
from rustybt.deprecations import warn_deprecated
from rustybt.errors import RequestError
from rustybt.market.bars import PRICE_COLUMNS
from rustybt.market.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rustybt.market.frequency import Frequency

NAME = "rustybt.data.polars.parquet_writer.ParquetWriter"
_WITHOUT_EFFECT = ("compression", "dataset_id", "bundle_name")
_PROVENANCE = ("source_type", "source_url", "api_version", "fetch_timestamp", "data_version", "timezone")
#: To the user's line, over `OldWrite.__init__` and the writer's method.
_STACKLEVEL = 3


class OldWrite:
    """One call of a writing method, which may be of the first design.

    Parameters
    ----------
    method
        Its name.
    bars
        What was handed over.
    options
        Keywords of the call.
    """

    def __init__(self, method: str, bars: Any, frequency: Frequency, options: Mapping[str, Any]) -> None:
        self.bars = bars
        self.options = dict(options)
        for keyword in _WITHOUT_EFFECT:
            if keyword in self.options:
                warn_deprecated(f"{NAME}.{method}({keyword}=)", stacklevel=_STACKLEVEL)
                del self.options[keyword]
        metadata = None
        if "source_metadata" in self.options:
            warn_deprecated(f"{NAME}.{method}(source_metadata=)", stacklevel=_STACKLEVEL)
            metadata = self.options.pop("source_metadata")
        is_told = self.options.get("provenance") is not None
        if is_told and metadata is not None:
            raise RequestError("provenance and source_metadata mean the same", hint="leave source_metadata out")
        rule = "decimal"
        if _is_of_old_columns(bars):
            warn_deprecated(f"{NAME}.{method}(frame of old columns)", stacklevel=_STACKLEVEL)
            self.bars, rule = _converted(bars, frequency)
            if metadata is None and not is_told:
                metadata = {"source_type": "frame"}
        if metadata is not None:
            self.options["provenance"] = _provenance(metadata, self.bars, frequency, rule)


def _is_of_old_columns(bars: Any) -> bool:
    """Return whether a frame is one that the old writer took; others are checked by the contract."""
    if not isinstance(bars, pl.DataFrame) or not {"symbol", "sid"} & set(bars.columns):
        return False
    if not {"date", "timestamp"} & set(bars.columns) or not set(PRICE_COLUMNS) <= set(bars.columns):
        return False
    kinds = {bars.schema[column] for column in PRICE_COLUMNS}
    return (
        "timestamp" not in bars.columns
        or "symbol" not in bars.columns
        or kinds == {pl.Decimal(18, 8)}
        or all(kind.is_float() for kind in kinds)
    )


def _converted(bars: pl.DataFrame, frequency: Frequency) -> tuple[pl.DataFrame, str]:
    """Return contract bars, and how their numbers became decimals; rows that are no bars are a DataQualityWarning."""
    from rustybt.data.sources.frame import FrameDataSource

    if "symbol" not in bars.columns:
        # The asset database that named it is not at hand: the number itself is the name.
        bars = bars.with_columns(pl.col("sid").cast(pl.String).alias("symbol")).drop("sid")
    source = FrameDataSource(bars)
    converted = source.fetch_sync((), None, None, frequency)
    rules = set(source.options().get("number_rules", {}).values())
    return converted, min(rules & {"float32", "float64"}, default="decimal")


def _provenance(metadata: Mapping[str, Any], bars: pl.DataFrame, frequency: Frequency, rule: str) -> Provenance:
    """Return where bars come from, as the old keyword said it.

    Raises
    ------
    RequestError
        It names something else than the old catalog's columns, or no source.
    """
    for key in metadata:
        if key not in _PROVENANCE:
            raise RequestError(f"source_metadata has no {key!r}", hint=f"it has {', '.join(_PROVENANCE)}")
    if not metadata.get("source_type"):
        raise RequestError("source_metadata names no source_type", hint='source_metadata={"source_type": "csv", ...}')
    told = {key: value for key, value in metadata.items() if value is not None}
    has_symbols = isinstance(bars, pl.DataFrame) and "symbol" in bars.columns
    return Provenance(
        **{"fetch_timestamp": int(time.time()), **told},
        number_rule=rule,
        symbols=tuple(bars["symbol"].unique().sort().to_list()) if has_symbols else (),
        frequency=frequency.name,
        package_version=__version__,
    )

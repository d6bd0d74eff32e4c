"""`ParquetWriter`: write a frame of bars into a bundle, through the store's commit."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from rustybt.__about__ import __version__
from rustybt.data.bundles.layout import folder_of
from rustybt.data.bundles.names import bundle_of_path
from rustybt.data.bundles.store import BundleStore
from rustybt.data.polars.old_writes import NAME, OldWrite
from rustybt.deprecations import warn_deprecated
from rustybt.errors import DataQualityError
from rustybt.market.bars import check_bars, sort_bars
from rustybt.market.frequency import DAILY, MINUTE, Frequency
from rustybt.market.provenance import Provenance
from rustybt.market.quality_rules import key_rules, value_rules

if TYPE_CHECKING:
    import os

    from rustybt.data.bundles.records import CommitResult


class ParquetWriter:
    """Writes bars into the bundle at `bundle_path`; each write is one commit, durable and versioned.

    Parameters
    ----------
    bundle_path
        Folder of the bundle: its last part is the bundle's name, its parent the home.
    enable_metadata_catalog
        Deprecated, without effect: every write is recorded in the home's database.

    Raises
    ------
    BundleNameError
        The last part is not a bundle name.
    """

    def __init__(
        self,
        bundle_path: str | os.PathLike[str],
        enable_metadata_catalog: bool | None = None,  # noqa: FBT001  the old signature
    ) -> None:
        if enable_metadata_catalog is not None:
            warn_deprecated(f"{NAME}(enable_metadata_catalog=)")
        home, self.bundle_name = bundle_of_path(Path(bundle_path))
        self._store = BundleStore(home)
        self._frequency: Frequency = DAILY

    @property
    def output_path(self) -> Path:
        """Folder of the bars that were written last; daily bars before the first write."""
        return self._store.home / folder_of(self.bundle_name, self._frequency)

    def write_daily_bars(self, bars: pl.DataFrame, **options: Any) -> CommitResult:
        """Commit daily bars; see `write_bars`.

        Deprecated: the options compression, dataset_id, source_metadata and bundle_name, and frames of date, sid or floats.
        """
        call = OldWrite("write_daily_bars", bars, DAILY, options)
        return self.write_bars(call.bars, DAILY, **call.options)

    def write_minute_bars(self, bars: pl.DataFrame, **options: Any) -> CommitResult:
        """Commit minute bars, labelled by their open; see `write_bars` and, of what is deprecated, `write_daily_bars`."""
        call = OldWrite("write_minute_bars", bars, MINUTE, options)
        return self.write_bars(call.bars, MINUTE, **call.options)

    def write_bars(self, bars: pl.DataFrame, frequency: str | Frequency, **options: Any) -> CommitResult:
        """Upsert contract bars (in any order) as a new version, or none when the content is equal.

        Parameters
        ----------
        **options
            Passed to `BundleStore.commit`: calendar, assets, price_basis, actions, quality, replace, provenance.

        Raises
        ------
        DataQualityError
            The frame is not of the contract, high or low contradicts the other prices, a volume is negative, or a daily
            bar is not labelled at 00:00 UTC. `rb.ingest_frame` converts any frame and sets aside the rows that are no bars.
        """
        self._frequency = Frequency.parse(frequency)
        sortable = isinstance(bars, pl.DataFrame) and {"symbol", "timestamp"} <= set(bars.columns)
        sorted_bars = check_bars(sort_bars(bars) if sortable else bars)
        _check_rows(sorted_bars, self._frequency)
        provenance = options.pop("provenance", None) or Provenance(
            "frame",
            fetch_timestamp=int(time.time()),
            number_rule="decimal",
            symbols=tuple(sorted_bars["symbol"].unique().sort().to_list()),
            frequency=self._frequency.name,
            package_version=__version__,
        )
        return self._store.commit(self.bundle_name, sorted_bars, provenance, frequency=self._frequency, **options)


def _check_rows(bars: pl.DataFrame, frequency: Frequency) -> None:
    """Raise on the first row that contradicts itself; the sign of a price is legal or not by its asset's type."""
    for reason, mask in [*key_rules(bars, frequency), *value_rules(bars, lambda _: False)]:
        if mask.any():
            row = bars.row(int(mask.arg_max() or 0), named=True)
            raise DataQualityError(
                f"{row['symbol']} {row['timestamp']}: {reason} ({int(mask.sum())} rows)",
                hint="rb.ingest_frame(df, bundle=...) sets such rows aside and stores the others",
                symbol=row["symbol"],
            )

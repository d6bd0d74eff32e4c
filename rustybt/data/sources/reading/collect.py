"""The bars of deliveries as one frame, for sources whose `fetch` reads what `deliver` yields."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from rustybt.data.sources.delivery import DataQualityWarning
from rustybt.data.sources.ingest.ingest import Ingest
from rustybt.errors import SourceError
from rustybt.market.bars import concat_bars

if TYPE_CHECKING:
    import polars as pl

    from rustybt.data.sources.base import DataSource
    from rustybt.market.request import BarRequest


def collect(source: DataSource, request: BarRequest) -> pl.DataFrame:
    """Return every good bar of `request`; a frame has no report, so what was left out is a `DataQualityWarning`.

    Raises
    ------
    SourceError
        Every symbol failed.
    """
    frames, outcome = Ingest(source, request).check()
    if outcome.failures and not frames:
        failures = list(outcome.failures.values())
        kind = type(failures[0]) if len({type(error) for error in failures}) == 1 else SourceError
        raise (
            failures[0]
            if len(failures) == 1
            else kind(
                "; ".join(error.message for error in failures[:5]), hint=failures[0].hint, failures=outcome.failures
            )
        )
    left_out = [f"{count:,} rows: {reason}" for reason, count in outcome.quarantined.items()]
    left_out += [f"{symbol}: {error.message}" for symbol, error in outcome.failures.items()]
    if left_out:
        first = f"; first: {outcome.examples[0]}" if outcome.examples else ""
        warnings.warn(f"left out {'; '.join(left_out)}{first}", DataQualityWarning, stacklevel=2)
    return concat_bars(frames)

"""The readers that the first design's portal took, deprecated: they become the bars, or the source, of today's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rustybt.data.sources.bundle_part import BundlePart
from rustybt.data.sources.bundle_source import BundleDataSource
from rustybt.deprecations import warn_deprecated
from rustybt.errors import RequestError
from rustybt.market.frequency import DAILY, MINUTE, Frequency

if TYPE_CHECKING:
    from rustybt.data.portal.bar_provider import BarProvider

_NAME = "rustybt.data.polars.data_portal.PolarsDataPortal"


def from_old_readers(
    daily_reader: Any,
    minute_reader: Any,
    bars: Any,
    data_source: Any,
    use_cache: Any,
    frequency: str | Frequency | None,
) -> tuple[BarProvider | None, BundleDataSource | None, Frequency] | None:
    """Return what the portal's arguments mean where they hold readers: bars or a data source, and the clock's frequency.

    None where they hold none. Readers may also stand where they once stood third and fourth: as `data_source` and `use_cache`.

    Parameters
    ----------
    frequency
        None takes minutes where there is a reader of them: days are made of, or read beside, them.

    Raises
    ------
    RequestError
        Bars or a data source are named beside the readers, or a reader cannot read.
    """
    if _is_reader(data_source):
        daily_reader, data_source = data_source, None
    if _is_reader(use_cache):
        minute_reader = use_cache
    if daily_reader is None and minute_reader is None:
        return None
    for reader, keyword in ((daily_reader, "daily_reader="), (minute_reader, "minute_reader=")):
        if reader is not None:
            # On the line that calls the portal.
            warn_deprecated(f"{_NAME}({keyword})", stacklevel=3)
    if bars is not None or data_source is not None:
        raise RequestError(
            "the portal takes readers, or bars, or a data source", hint="leave daily_reader and minute_reader out"
        )
    clock = Frequency.parse(frequency or (DAILY if minute_reader is None else MINUTE))
    bundles = [BundlePart.of(reader, ()).bundle for reader in (daily_reader, minute_reader) if reader is not None]
    first = bundles[0]
    if first is not None and all(
        bundle is not None and (bundle.home, bundle.reference) == (first.home, first.reference) for bundle in bundles
    ):
        return first, None, clock
    return None, BundleDataSource(daily_reader, minute_reader), clock


def _is_reader(thing: Any) -> bool:
    return callable(getattr(thing, "read", None)) and not callable(getattr(thing, "fetch_sync", None))

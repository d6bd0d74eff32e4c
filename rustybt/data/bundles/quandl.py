"""Zipline's door to the quandl bundle; the name is deprecated, and the vendor's download has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rustybt.data.bundles.csvdir import hand_over
from rustybt.deprecations import warn_deprecated
from rustybt.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Environment variable with the path of the table.
WIKI_PRICES = "QUANDL_WIKI_PRICES"


def quandl_bundle(
    environ: Mapping[str, str],
    asset_db_writer: Any,
    minute_bar_writer: Any,
    daily_bar_writer: Any,
    adjustment_writer: Any,
    calendar: Any,
    start_session: Any,
    end_session: Any,
    cache: Any,
    show_progress: Any,
    output_dir: Any,
) -> None:
    """Write the bars of a WIKI-prices table, called as or within an ingest function.

    Parameters
    ----------
    environ
        QUANDL_WIKI_PRICES names the CSV or the zip: the table can no longer be fetched with a key.

    Raises
    ------
    RequestError
        No file is named, or the writers are not those that rustybt hands to an ingest function.
    """
    warn_deprecated("rustybt.data.bundles.quandl.quandl_bundle")
    del asset_db_writer, minute_bar_writer, adjustment_writer
    del calendar, start_session, end_session, cache, show_progress, output_dir
    path = environ.get(WIKI_PRICES)
    if not path:
        raise RequestError(
            "no table of WIKI prices is named, and Quandl does not offer it any more",
            hint=f"set {WIKI_PRICES} to the file, or: rustybt ingest quandl --path WIKI_PRICES.zip --bundle quandl",
        )
    hand_over(daily_bar_writer, "quandl", path)

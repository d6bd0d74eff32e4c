"""`data`: what a strategy sees of the bars at its point in time."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rustybt.data.portal.checks import FIELDS
from rustybt.data.portal.portal import SPOT_FIELDS, PolarsDataPortal
from rustybt.errors import RequestError
from rustybt.market.assets import Asset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    import pandas as pd
    import polars as pl

    from rustybt.data.portal.bar_provider import Floats
    from rustybt.data.portal.views import View

Output = Literal["pandas", "polars", "numpy"]


class BarData:
    """Reads bars as of the clock of a run.

    Parameters
    ----------
    portal
        Serves the bars.
    clock
        Returns the present instant, in UTC.
    is_restricted
        Tells whether a strategy may not trade an asset.
    """

    def __init__(
        self,
        portal: PolarsDataPortal,
        clock: Callable[[], pd.Timestamp],
        is_restricted: Callable[[Asset], bool] | None = None,
    ) -> None:
        self._portal = portal
        self._feed = portal.feed
        self._clock = clock
        self._is_restricted = is_restricted
        self._lists: dict[int, tuple[Any, Sequence[Asset], Any, dict[int, Any]]] = {}
        self._singles: dict[tuple[int, int], tuple[Sequence[Asset], Any]] = {}

    @property
    def current_dt(self) -> pd.Timestamp:
        """The present instant, in UTC: the close of the present bar."""
        return self._clock()

    @property
    def current_session(self) -> pd.Timestamp:
        """The present session, a naive midnight."""
        import pandas as pd

        return pd.Timestamp(self._session())

    @property
    def current_session_minutes(self) -> pd.DatetimeIndex:
        """The ends of all minutes of the present session, those to come included, in UTC."""
        return self._portal.session_minutes()

    def _session(self) -> date:
        return self._portal.session

    def current(self, assets: Asset | Iterable[Asset], fields: str | Iterable[str]) -> Any:
        """Return the present value of the fields, shaped as Zipline shapes it.

        `price` is the last close, carried forward and adjusted to now, NaN before listing and after delisting; `open`,
        `high`, `low` and `close` are NaN and `volume` is 0 where the asset lacks the present bar; `last_traded` is the
        session of its last bar, in runs on intraday bars the end of that bar.

        Returns
        -------
        scalar, Series or DataFrame
            One asset, one field: a float, an int for whole volumes, a Timestamp for `last_traded`. One asset, several
            fields: a Series by field. Several assets, one field: a Series by asset. Both several: a DataFrame with the
            assets as index.

        Raises
        ------
        RequestError
            Unknown field, or not an asset.
        """
        if isinstance(assets, Asset):
            if isinstance(fields, str):
                return self._scalar(assets, fields)
            import pandas as pd

            names = _names(fields)
            return pd.Series([self._scalar(assets, f) for f in names], index=names, name=assets.symbol)
        import pandas as pd

        chosen, columns, index = self._resolve(assets, self._feed)
        if isinstance(fields, str):
            return pd.Series(self._row(chosen, columns, fields), index=index.view(), name=fields)
        rows = {f: pd.Series(self._row(chosen, columns, f), index=index) for f in _names(fields)}
        return pd.DataFrame(rows, index=index.view())

    def _scalar(self, asset: Asset, field: str) -> Any:
        feed = self._feed
        column = feed.panel.columns.get(asset.sid)
        if column is None or feed.panel.assets[column] is not asset:
            column = feed.column(asset)
        try:
            value: float = feed.spot[field].item(feed.row, column)
        except KeyError:
            if field == "last_traded":
                return feed.last_traded(column)
            raise _unknown_field(field) from None
        return int(value) if field == "volume" and value.is_integer() else value

    def _row(self, assets: Sequence[Asset], columns: Any, field: str) -> Any:
        feed = self._feed
        if field == "last_traded":
            import pandas as pd

            # Nanoseconds also where all are NaT.
            return pd.DatetimeIndex([self._scalar(asset, field) for asset in assets]).as_unit("ns")
        if field not in SPOT_FIELDS:
            raise _unknown_field(field)
        if not assets:
            return np.empty(0)
        values = feed.spot[field][feed.row, columns].copy()
        if field == "volume" and not np.any(values % 1):
            return values.astype(np.int64)
        return values

    def _resolve(self, assets: Any, view: View) -> tuple[Sequence[Asset], Any, Any]:
        """Return assets, their columns in a view and their pandas index; a list that is passed again costs one comparison."""
        kept = self._lists.get(id(assets))
        if kept is not None and kept[0] is assets and kept[1] == assets:
            columns = kept[3].get(id(view))
            if columns is None:
                columns = kept[3][id(view)] = view.columns(kept[1])
            return kept[1], columns, kept[2]
        # What cannot be several assets is one, or the portal says that it is none.
        several: Any = assets if isinstance(assets, Iterable) and not isinstance(assets, str) else (assets,)
        chosen: Sequence[Asset] = several if isinstance(several, tuple) else list(several)
        columns = view.columns(chosen)
        index = _asset_index(chosen)
        if isinstance(assets, (list, tuple)):
            if len(self._lists) > 64:
                self._lists.clear()
            # The entry holds `assets`, so no other object can take its id; views live as long as the portal.
            self._lists[id(assets)] = (assets, chosen, index, {id(view): columns})
        return chosen, columns, index

    def _resolve_one(self, asset: Asset, view: View) -> tuple[Sequence[Asset], Any, None]:
        """Return what `_resolve` does of one asset, without an index: a Series needs none."""
        kept = self._singles.get((id(view), asset.sid))
        if kept is None:
            kept = self._singles[id(view), asset.sid] = ((asset,), view.columns((asset,)))
        return kept[0], kept[1], None

    def history(
        self,
        assets: Asset | Iterable[Asset],
        fields: str | Iterable[str],
        bar_count: int,
        frequency: str,
        output: Output = "pandas",
    ) -> Any:
        """Return the last `bar_count` bars up to now, adjusted for splits and dividends as of now.

        Missing data reads as in `current`; bars before the first one are NaN (volume: 0).

        Parameters
        ----------
        frequency
            That of the run, or a longer one that whole numbers of its bars make: ``1m``, ``5m``, ``1h``, ``1d``, ``1w``,
            ``1M``. The last bar is the one that holds the present one, as far as it has come: in a run on minutes that of
            ``1d`` is the session so far.
        output
            ``pandas`` as Zipline; ``polars``, with the column `date` first; or ``numpy``, shape (bar_count,) for one
            asset and field, (bar_count, n_assets) for one field, (n_fields, bar_count, n_assets) for several.

        Returns
        -------
        Series, DataFrame or array
            One asset and field: a Series. Several assets, one field: a column for each asset. Several fields: a column
            for each field, rows by (date, asset). Sessions are labelled by naive midnights, intraday bars by their ends
            in UTC.

        Raises
        ------
        RequestError
            Unknown field, frequency or output, or `bar_count` below 1.
        """
        view = self._portal.view(frequency)
        single = isinstance(assets, Asset)
        chosen, columns, index = (
            self._resolve_one(assets, view) if isinstance(assets, Asset) else self._resolve(assets, view)
        )
        if isinstance(fields, str):
            values = view.window(columns, bar_count, fields)
            if output == "numpy":
                return values[:, 0] if single else values
            dates = view.index(bar_count)
            if output == "polars":
                return self._wide(values, chosen, dates)
            return self._pandas(values, chosen, index, dates, output, single=single)
        names = _names(fields)
        if not names:
            raise RequestError("history of no field was asked for", hint=f"use one or more of {', '.join(FIELDS)}")
        stacked = np.stack([view.window(columns, bar_count, f) for f in names])
        if output == "numpy":
            return stacked
        return self._long(stacked, chosen, names, view.index(bar_count), output)

    def _pandas(
        self, values: Floats, assets: Sequence[Asset], index: Any, dates: Any, output: str, *, single: bool
    ) -> Any:
        import pandas as pd

        _check_output(output)
        if single:
            return pd.Series(values[:, 0], index=dates, name=assets[0], copy=False)
        # A view of the index: a strategy may name it.
        return pd.DataFrame(values, index=dates, columns=index.view(), copy=False)

    def _wide(self, values: Floats, assets: Sequence[Asset], index: pd.DatetimeIndex) -> pl.DataFrame:
        import polars as pl

        dates = pl.Series("date", _polars_dates(index))
        return pl.DataFrame([dates, *(pl.Series(a.symbol, values[:, i]) for i, a in enumerate(assets))])

    def _long(
        self, stacked: Floats, assets: Sequence[Asset], names: Sequence[str], index: pd.DatetimeIndex, output: str
    ) -> Any:
        """Return rows by (date, asset), assets in the order of their sids."""
        _check_output(output)
        bar_count = len(index)
        order = sorted(range(len(assets)), key=lambda i: assets[i].sid)
        ordered = [assets[i] for i in order]
        flat = {name: stacked[i][:, order].ravel() for i, name in enumerate(names)}
        if output == "polars":
            import polars as pl

            keys = {
                "date": pl.Series(
                    np.repeat(_polars_dates(index).to_numpy(), len(ordered)), dtype=_polars_dates(index).dtype
                ),
                "symbol": [a.symbol for a in ordered] * bar_count,
            }
            return pl.DataFrame({**keys, **flat})
        import pandas as pd

        levels: list[Any] = [index, _asset_index(ordered)]
        codes: list[Any] = [np.repeat(np.arange(bar_count), len(ordered)), np.tile(np.arange(len(ordered)), bar_count)]
        rows = pd.MultiIndex(
            levels=levels,
            codes=codes,
            names=["date" if index.tz is None else "date_time", None],
            verify_integrity=False,
        )
        return pd.DataFrame(flat, index=rows, columns=pd.Index(list(names), name="fields"))

    def can_trade(self, assets: Asset | Iterable[Asset]) -> Any:
        """Return whether an asset is listed now, its venue trades in this bar, it has a known price and is not restricted.

        A Series for several assets.
        """
        if isinstance(assets, Asset):
            return self._tradable(assets)
        import pandas as pd

        chosen, _, index = self._resolve(assets, self._feed)
        return pd.Series([self._tradable(a) for a in chosen], index=index, dtype=bool)

    def _tradable(self, asset: Asset) -> bool:
        if self._is_restricted is not None and self._is_restricted(asset):
            return False
        price = self._scalar(asset, "price")
        # NaN differs from itself.
        return self._is_listed(asset) and price == price and self._portal.is_open(asset)  # noqa: PLR0124

    def _is_listed(self, asset: Asset) -> bool:
        session = self._session()
        return (asset.first_session is None or asset.first_session <= session) and (
            asset.last_session is None or session <= asset.last_session or self._portal.is_yet_to_end(asset)
        )

    def is_stale(self, assets: Asset | Iterable[Asset]) -> Any:
        """Return whether an asset is listed and has traded before, but not in the present bar; a Series for several."""
        if isinstance(assets, Asset):
            return self._stale(assets)
        import pandas as pd

        chosen, _, index = self._resolve(assets, self._feed)
        return pd.Series([self._stale(a) for a in chosen], index=index, dtype=bool)

    def _stale(self, asset: Asset) -> bool:
        if not self._is_listed(asset) or self._scalar(asset, "volume") > 0:
            return False
        price = self._scalar(asset, "price")
        return not math.isnan(price)


def _polars_dates(index: pd.DatetimeIndex) -> pl.Series:
    """Return sessions as dates, instants in UTC."""
    import polars as pl

    if index.tz is None:
        return pl.Series(index.to_numpy().astype("datetime64[D]"))
    stamps = index.tz_localize(None).to_numpy().astype("datetime64[us]")
    return pl.Series(stamps).dt.replace_time_zone("UTC")


def _names(fields: Any) -> list[str]:
    """Return the names of several fields."""
    if not isinstance(fields, Iterable):
        raise _unknown_field(fields)
    return list(fields)


def _unknown_field(field: str) -> RequestError:
    return RequestError(f"no field {field!r}", hint=f"use one of {', '.join(SPOT_FIELDS)}")


def _check_output(output: str) -> None:
    if output not in ("pandas", "polars"):
        raise RequestError(f"unknown output {output!r}", hint="use pandas, polars or numpy")


def _asset_index(assets: Sequence[Asset]) -> Any:
    """Return an index of assets; Any, since pandas' stubs know no index of one's own objects."""
    import pandas as pd

    return pd.Index(np.array(assets, dtype=object))

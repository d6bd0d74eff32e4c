"""What an ingest function writes bars with: Zipline's methods, our store behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rustybt.data.sources.registered.written_bars import check_sid
from rustybt.errors import RequestError
from rustybt.market.bars import VALUE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import pandas as pd

    from rustybt.data.sources.base import DataSource
    from rustybt.data.sources.registered.written_bars import WrittenBars

_BEHAVIORS = ("warn", "raise", "ignore")


class _BarWriter:
    """What both writers do.

    Parameters
    ----------
    bars
        Takes what is written.
    notes
        Sentences for the report are appended to it.
    """

    def __init__(self, bars: WrittenBars, notes: list[str]) -> None:
        self._bars = bars
        self._notes = notes

    def take_source(self, source: DataSource) -> None:
        """Let a source deliver the bars itself, exactly; `csvdir_bundle` and `quandl_bundle` do so."""
        self._bars.take_source(source)

    def _add(self, sid: Any, frame: Any, behavior: str) -> None:
        if behavior == "raise" and hasattr(frame, "columns"):
            known = [name for name in VALUE_COLUMNS if name in frame.columns]
            bad = int((frame[known].isna() | (frame[known] < 0)).to_numpy().sum())
            if bad:
                raise RequestError(
                    f"{bad:,} values of sid {sid} are missing or negative",
                    hint='invalid_data_behavior="warn" reports the rows and stores the others',
                    sid=int(sid),
                )
        self._bars.add(sid, frame)


class DailyBarWriter(_BarWriter):
    """Takes the place of Zipline's BcolzDailyBarWriter.

    As there, a further `write` replaces what an earlier one wrote. Prices keep their digits, sessions may be absent, and no
    value is too large; what is not a bar is set aside with its reason, whatever `invalid_data_behavior` is.
    """

    def write(
        self,
        data: Iterable[tuple[Any, Any]],
        assets: Collection[int] | None = None,
        show_progress: bool = False,  # noqa: ARG002, FBT001, FBT002  Zipline's signature
        invalid_data_behavior: str = "warn",
    ) -> None:
        """Take the daily bars of all assets.

        Parameters
        ----------
        data
            (sid, frame) pairs: a pandas frame with open, high, low, close and volume by date.
        assets
            The only sids that may occur.
        show_progress
            Taken, without a meaning.
        invalid_data_behavior
            ``raise`` refuses missing and negative values.

        Raises
        ------
        RequestError
            A sid is not in `assets`, or ``raise`` and a value is invalid.
        """
        _check_behavior(invalid_data_behavior)
        self._start_anew()
        known = None if assets is None else {check_sid(sid) for sid in assets}
        for sid, frame in data:
            if known is not None and sid not in known:
                raise RequestError(f"unknown asset id {sid!r}", hint="it is not among `assets`", sid=sid)
            self._add(sid, frame, invalid_data_behavior)

    def write_csvs(
        self,
        asset_map: Mapping[int, Any],
        show_progress: bool = False,  # noqa: ARG002, FBT001, FBT002  Zipline's signature
        invalid_data_behavior: str = "warn",
    ) -> None:
        """Take the daily bars of all assets from CSV files, digit for digit.

        Parameters
        ----------
        asset_map
            Sid -> path of a file with the columns day, open, high, low, close, volume.

        Raises
        ------
        RequestError
            There is no such file.
        """
        _check_behavior(invalid_data_behavior)
        self._start_anew()
        for sid, path in asset_map.items():
            self._bars.add_csv(sid, path)

    def _start_anew(self) -> None:
        replaced = self._bars.clear()
        if replaced:
            self._notes.append(
                f"daily_bar_writer was called again: {replaced:,} rows that it took before were replaced, as in Zipline"
            )


class MinuteBarWriter(_BarWriter):
    """Takes the place of Zipline's BcolzMinuteBarWriter; a further call adds to what is there.

    Zipline labels a minute by its end, UTC where the index has no zone; the bundle labels it by its open.
    """

    def write(
        self,
        data: Iterable[tuple[Any, Any]],
        show_progress: bool = False,  # noqa: ARG002, FBT001, FBT002  Zipline's signature
        invalid_data_behavior: str = "warn",
    ) -> None:
        """Take minutes of several assets; see `write_sid`.

        Parameters
        ----------
        data
            (sid, frame) pairs; a sid may occur again with later minutes.
        """
        for sid, frame in data:
            self.write_sid(sid, frame, invalid_data_behavior)

    def write_sid(self, sid: int, df: pd.DataFrame, invalid_data_behavior: str = "warn") -> None:
        """Take minutes of one asset: open, high, low, close and volume by the minute's end.

        Raises
        ------
        RequestError
            ``raise``, and a value is missing or negative.
        """
        _check_behavior(invalid_data_behavior)
        self._add(sid, df, invalid_data_behavior)

    def write_cols(self, sid: int, dts: Any, cols: Mapping[str, Any], invalid_data_behavior: str = "warn") -> None:
        """Take minutes of one asset as arrays.

        Parameters
        ----------
        dts
            Ends of the minutes, datetime64.
        cols
            Column -> values.

        Raises
        ------
        RequestError
            The arrays differ in length.
        """
        import pandas as pd

        lengths = {name: len(values) for name, values in cols.items()}
        if set(lengths.values()) - {len(dts)}:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise RequestError(f"sid {sid}: {len(dts)} times, but values: {told}", hint="give one value for each time")
        self.write_sid(sid, pd.DataFrame(dict(cols), index=pd.DatetimeIndex(dts)), invalid_data_behavior)


def _check_behavior(value: str) -> None:
    if value not in _BEHAVIORS:
        raise RequestError(
            f"unknown invalid_data_behavior {value!r}", hint=f"use one of {', '.join(_BEHAVIORS)}", value=value
        )

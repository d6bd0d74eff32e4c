"""The readers that the first design's portal took."""

from datetime import date

import pytest

from rustybt.data.polars.data_portal import PolarsDataPortal
from rustybt.data.sources.frame import FrameDataSource, ingest_frame
from rustybt.errors import RequestError
from rustybt.testing.bars import frame_of_bars
from tests.compat.exercises import exercise

PORTAL = "rustybt.data.polars.data_portal.PolarsDataPortal"
DAYS = frame_of_bars(
    [
        ("A", "2024-01-02", "10", "12", "9", "11", "100"),
        ("A", "2024-01-03", "11", "13", "10", "12", "200"),
        ("A", "2024-01-04", "12", "14", "11", "13.5", "300"),
    ]
)
#: New York opens at 14:30 UTC.
MINUTES = frame_of_bars(
    [
        ("A", "2024-01-03T14:30", "11", "11.5", "10.5", "11.25", "10"),
        ("A", "2024-01-03T14:31", "11.25", "11.75", "11", "11.5", "20"),
        ("A", "2024-01-04T14:30", "12", "12.5", "11.5", "12.25", "30"),
    ]
)


class Reader:
    """What can only read."""

    def __init__(self, bars, frequency):
        self.bars = bars
        self.frequencies = (frequency,)
        self.symbols = ("A",)

    def read(self, symbols, start, end, frequency):
        return FrameDataSource(self.bars).fetch_sync(symbols, start, end, frequency)


@exercise(f"{PORTAL}(daily_reader=)")
def a_daily_reader_serves_days(store):
    ingest_frame(DAYS, bundle="us", store=store)
    with store.open("us") as bundle:
        portal = PolarsDataPortal(daily_reader=bundle)
        asset = bundle.asset("A")
        assert portal.get_spot_value(asset, "close", "2024-01-03", "daily") == 12.0
        window = portal.get_history_window([asset], "2024-01-04", 2, "1d", "close")
        assert window[asset].to_list() == [12.0, 13.5]
        assert [stamp.date() for stamp in window.index] == [date(2024, 1, 3), date(2024, 1, 4)]
        with pytest.raises(RequestError, match="readers, or bars"):
            PolarsDataPortal(daily_reader=bundle, bars=bundle)


@exercise(f"{PORTAL}(minute_reader=)")
def a_minute_reader_serves_minutes_and_days_made_of_them(store):
    ingest_frame(MINUTES, bundle="us", frequency="1m", store=store)
    with store.open("us") as bundle:
        portal = PolarsDataPortal(minute_reader=bundle)
        asset = bundle.asset("A")
        assert portal.get_spot_value(asset, "close", "2024-01-03 14:32", "minute") == 11.5
        assert portal.get_spot_value(asset, "volume", date(2024, 1, 3), "1d") == 30
        days = portal.get_history_window([asset], date(2024, 1, 4), 2, "1d", "high")
        assert days[asset].to_list() == [11.75, 12.5]


@exercise(f"{PORTAL}(daily_reader=)", f"{PORTAL}(minute_reader=)")
def two_readers_serve_minutes_and_days(store):
    ingest_frame(DAYS, bundle="days", store=store)
    ingest_frame(MINUTES, bundle="minutes", frequency="1m", store=store)
    with store.open("days") as days, store.open("minutes") as minutes:
        for readers in ((days, minutes), (Reader(DAYS, "1d"), Reader(MINUTES, "1m"))):
            portal = PolarsDataPortal(daily_reader=readers[0], minute_reader=readers[1], start=date(2024, 1, 3), end=date(2024, 1, 4))  # fmt: skip
            asset = portal.asset_finder.lookup_symbol("A")
            assert portal.get_spot_value(asset, "close", "2024-01-03 14:31", "1m") == 11.25
            minutes_held = portal.get_history_window([asset], "2024-01-03 14:32", 2, "1m", "close")
            assert minutes_held[asset].to_list() == [11.25, 11.5]
            # Days of the daily reader: the second of January has no minutes.
            daily = portal.get_history_window([asset], date(2024, 1, 3), 2, "1d", "open")
            assert daily[asset].to_list() == [10.0, 11.0]


@exercise(f"{PORTAL}(daily_reader=)", f"{PORTAL}(minute_reader=)")
def readers_may_stand_third_and_fourth(store):
    ingest_frame(DAYS, bundle="us", store=store)
    ingest_frame(MINUTES, bundle="us", frequency="1m", store=store)
    with store.open("us") as daily_reader, store.open("us") as minute_reader:
        portal = PolarsDataPortal(None, "XNYS", daily_reader, minute_reader)
        assert portal.bars is daily_reader
        assert portal.get_spot_value(portal.bars.asset("A"), "close", "2024-01-03 14:32", "1m") == 11.5
        daily = PolarsDataPortal(None, None, daily_reader=daily_reader, minute_reader=minute_reader, frequency="1d")
        assert daily.get_spot_value(portal.bars.asset("A"), "close", "2024-01-04", "1d") == 13.5

"""The suite that every source passes, over the sources that need no vendor."""

import gzip

import pandas as pd
import polars as pl
import pytest

from rustybt.data.bundles.store import BundleStore
from rustybt.data.sources import BundleDataSource, CSVDataSource, CSVDirDataSource, FrameDataSource
from rustybt.testing import SourceContract

DAILY = [
    ("2020-01-02", "10.00", "11.5", "9.25", "10.5", "100"),
    ("2020-01-03", "10.50", "12.0", "9.75", "11.25", "12345678901234"),
    ("2020-01-06", "11.25", "12.5", "10.0", "10.00000712", "0.00000001"),
    ("2020-01-07", "10", "12", "10", "11", "0"),
]
MINUTES = [
    ("2020-01-02 14:30:00", "10.00", "11.5", "9.25", "10.5", "100"),
    ("2020-01-02 14:31:00", "10.50", "12.0", "9.75", "11.25", "200"),
    ("2020-01-02 14:32:00", "11.25", "12.5", "10.0", "12.5", "300"),
    ("2020-01-02 14:33:00", "11.25", "12.5", "10.0", "12.5", "400"),
]


def text(rows, header="date,open,high,low,close,volume", prefix=""):
    return "\n".join([header, *(prefix + ",".join(row) for row in rows)]) + "\n"


class TestCSVDirectory(SourceContract):
    symbols = ("AAPL", "BRK.B")

    @pytest.fixture
    def source(self, tmp_path):
        folder = tmp_path / "prices"
        folder.mkdir()
        for symbol in self.symbols:
            (folder / f"{symbol}.csv").write_text(text(DAILY))
        return CSVDataSource(folder)


class TestCSVLongFile(SourceContract):
    symbols = ("BTC/USDT", "^GSPC")

    @pytest.fixture
    def source(self, tmp_path):
        lines = [f"{symbol},{','.join(row)}" for row in reversed(DAILY) for symbol in self.symbols]
        path = tmp_path / "all.csv.gz"
        path.write_bytes(gzip.compress("\n".join(["ticker,date,open,high,low,close,volume", *lines]).encode()))
        return CSVDataSource(path)


class TestCSVMinutes(SourceContract):
    symbols = ("A", "B")
    frequency = "1m"

    @pytest.fixture
    def source(self, tmp_path):
        folder = tmp_path / "minutes"
        folder.mkdir()
        for symbol in self.symbols:
            (folder / f"{symbol}.csv").write_text(text(MINUTES))
        return CSVDataSource(str(folder / "*.csv"))


class TestCSVDir(SourceContract):
    symbols = ("A", "B")

    @pytest.fixture
    def source(self, tmp_path):
        folder = tmp_path / "zipline" / "daily"
        folder.mkdir(parents=True)
        for symbol in self.symbols:
            rows = [(*row, "0.0", "1.0") for row in DAILY]
            (folder / f"{symbol}.csv").write_text(text(rows, "date,open,high,low,close,volume,dividend,split"))
        return CSVDirDataSource(folder.parent)


class TestPolarsFrame(SourceContract):
    symbols = ("A", "B")
    can_be_rebuilt = False

    @pytest.fixture
    def source(self):
        rows = [(symbol, *row) for symbol in self.symbols for row in DAILY]
        return FrameDataSource(
            pl.DataFrame(rows, schema=["symbol", "date", "open", "high", "low", "close", "volume"], orient="row")
        )


class TestPandasFrames(SourceContract):
    symbols = ("A", "B")
    frequency = "1m"
    can_be_rebuilt = False

    @pytest.fixture
    def source(self):
        index = pd.DatetimeIndex([row[0] for row in MINUTES])
        columns = {
            name: [float(row[i]) for row in MINUTES]
            for i, name in enumerate(["Open", "High", "Low", "Close", "Volume"], start=1)
        }
        return FrameDataSource({symbol: pd.DataFrame(columns, index=index) for symbol in self.symbols})


def long_frame(rows, symbols):
    columns = ["symbol", "date", "open", "high", "low", "close", "volume"]
    return pl.DataFrame([(symbol, *row) for symbol in symbols for row in rows], schema=columns, orient="row")


class TestBundle(SourceContract):
    symbols = ("A", "B")

    @pytest.fixture
    def source(self, tmp_path):
        with BundleStore(tmp_path / "home") as store:
            FrameDataSource(long_frame(DAILY, self.symbols)).ingest_to_bundle("us", store=store)
            yield BundleDataSource.from_bundle("us", store=store)


class TestBundleMinutes(SourceContract):
    symbols = ("A", "B")
    frequency = "1m"

    @pytest.fixture
    def source(self, tmp_path):
        with BundleStore(tmp_path / "home") as store:
            FrameDataSource(long_frame(MINUTES, self.symbols)).ingest_to_bundle("us", frequency="1m", store=store)
        source = BundleDataSource(bundle="us", home=tmp_path / "home")
        yield source
        source.close()


class TestDaysOfABundleOfMinutes(SourceContract):
    symbols = ("A", "B")

    @pytest.fixture
    def source(self, tmp_path):
        rows = [(f"2020-01-0{day}{stamp[10:]}", *values) for day in (2, 3, 6) for stamp, *values in MINUTES]
        with BundleStore(tmp_path / "home") as store:
            FrameDataSource(long_frame(rows, self.symbols)).ingest_to_bundle("us", frequency="1m", store=store)
            with store.open("us") as bundle:
                yield BundleDataSource(minute_reader=bundle)


class TestTwoReaders(SourceContract):
    symbols = ("A", "B")
    can_be_rebuilt = False

    @pytest.fixture
    def source(self, tmp_path):
        with BundleStore(tmp_path / "home") as store:
            FrameDataSource(long_frame(DAILY, self.symbols)).ingest_to_bundle("days", store=store)
            FrameDataSource(long_frame(MINUTES, self.symbols)).ingest_to_bundle("minutes", frequency="1m", store=store)
            with store.open("days") as days, store.open("minutes") as minutes:
                yield BundleDataSource(days, minutes)

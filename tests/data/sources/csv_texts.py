"""Rows of small CSV files that are well, and what is read from them in short."""

from rustybt.data.sources import CSVDataSource

HEADER = "date,open,high,low,close,volume\n"


DAY2 = "2020-01-02,10,11,9,10.5,100\n"


DAY3 = "2020-01-03,10,11,9,10.6,100\n"


DAY6 = "2020-01-06,10,11,9,10.7,100\n"


MINUTE = "2020-01-02 14:30,10,11,9,10.5,100\n2020-01-02 14:31,10,11,9,10.6,100\n"


def fetched(path, symbols, frequency="1d", start=None, end=None, **options):
    return CSVDataSource(path, **options).fetch_sync(symbols, start, end, frequency)


def closes(frame):
    return [
        (row["symbol"], row["timestamp"].date().isoformat(), str(row["close"].normalize()))
        for row in frame.iter_rows(named=True)
    ]


def stamps(frame):
    return [stamp.isoformat().replace("+00:00", "Z") for stamp in frame["timestamp"]]

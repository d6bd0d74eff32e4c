"""A small bundle as zipline-reloaded writes it, and what Zipline's own readers say of it.

`make oracle` writes both anew; `python tests/oracle/zipline_bundle.py` in the oracle's environment writes only them. The tests
unpack the bundle and need no Zipline. Everything is drawn with integers, in thousandths of a dollar.

    sid      symbol        what it is there for
    1        AAA           dividends, one without its announcement's day; two stock dividends, one paid in shares of SPL
    2        OLDN -> NEWN  renamed on 2017-04-03
    3        REU           delisted on 2016-09-30; its ticker was given to another
    4        REU           listed on 2017-02-01
    5        SPL           splits 2:1, 3:2 and 1:10, some days and minutes without a trade
    6        BIG           more than a million dollars a share
    7        PNY           cents and tenths of cents
    123456   DLS           a merger, then delisted
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import sqlite3
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: The packed bundle, and what Zipline's readers say of it.
FIXTURE = HERE / "goldens" / "zipline_bundle.tar.gz"
GOLDEN = HERE / "goldens" / "zipline_bundle.json"
NAME = "fixture"
#: Name of the folder of its one ingestion.
INGESTION = "2018-01-02T03;04;05.678901"

FIELDS = ("open", "high", "low", "close", "volume")
FIRST, LAST = date(2016, 1, 4), date(2017, 12, 29)
#: Sessions with minutes; the second is a half day, which closes at 18:00 UTC.
MINUTE_SESSIONS = (date(2016, 11, 23), date(2016, 11, 25), date(2016, 11, 28))


@dataclass(frozen=True)
class Listing:
    """One sid: its names as (symbol, first, last) days, its first price in thousandths, its usual volume."""

    sid: int
    names: tuple[tuple[str, date, date], ...]
    price: int
    volume: int
    exchange: str
    long_name: str
    silent: tuple[date, ...] = ()

    @property
    def first(self) -> date:
        return self.names[0][1]

    @property
    def last(self) -> date:
        return self.names[-1][2]


LISTINGS = (
    Listing(1, (("AAA", FIRST, LAST),), 100_250, 2_000_000, "NYSE", "Alpha Works"),
    Listing(
        2,
        (("OLDN", FIRST, date(2017, 3, 31)), ("NEWN", date(2017, 4, 3), LAST)),
        45_005,
        900_000,
        "NASDAQ",
        "New Name Inc",
    ),
    Listing(3, (("REU", FIRST, date(2016, 9, 30)),), 12_340, 40_000, "NYSE", "Reused, the first"),
    Listing(4, (("REU", date(2017, 2, 1), LAST),), 31_007, 70_000, "NYSE", "Reused, the second"),
    Listing(
        5,
        (("SPL", FIRST, LAST),),
        240_120,
        150_000,
        "NYSE",
        "Split Holdings",
        (date(2016, 3, 1), date(2016, 3, 2), date(2016, 6, 9), date(2017, 11, 15)),
    ),
    Listing(6, (("BIG", FIRST, LAST),), 2_150_000_125, 90, "NYSE", "Big Shares"),
    Listing(7, (("PNY", FIRST, LAST),), 312, 3_000_000, "NYSE", "Penny Mining"),
    Listing(123456, (("DLS", FIRST, date(2017, 6, 30)),), 60_000, 80_000, "NASDAQ", "Delisted Co"),
)

#: (sid, day, new, old)
SPLITS = ((5, date(2016, 6, 9), 2, 1), (5, date(2016, 9, 7), 3, 2), (5, date(2017, 3, 1), 1, 10))
#: (sid, day, ratio)
MERGERS = ((123456, date(2017, 1, 17), 0.8),)
#: (sid, ex, declared, record, pay, amount)
DIVIDENDS = (
    (1, date(2016, 5, 11), date(2016, 4, 20), date(2016, 5, 13), date(2016, 5, 25), 0.75),
    (1, date(2016, 8, 10), None, date(2016, 8, 12), date(2016, 8, 24), 0.1375),
    (2, date(2017, 2, 8), date(2017, 1, 25), date(2017, 2, 10), date(2017, 2, 22), 1.25),
    (3, date(2016, 7, 6), date(2016, 6, 15), date(2016, 7, 8), date(2016, 7, 20), 0.05),
)
#: (sid, ex, declared, record, pay, paid in shares of, ratio)
STOCK_DIVIDENDS = (
    (1, date(2017, 5, 10), date(2017, 4, 19), date(2017, 5, 12), date(2017, 5, 24), 1, 0.05),
    (1, date(2017, 9, 13), date(2017, 8, 23), date(2017, 9, 15), date(2017, 9, 27), 5, 0.1),
)


def unpack(into: Path) -> Path:
    """Unpack the bundle below `into` and return the folder that is its ZIPLINE_ROOT."""
    with tarfile.open(FIXTURE) as packed:
        packed.extractall(into, filter="data")
    return into / "zipline"


def _stream(seed: int):
    """Numerical Recipes' 32-bit generator: integers only, the same everywhere."""
    state = seed
    while True:
        state = (1664525 * state + 1013904223) % 2**32
        yield state >> 16


def _walk(seed: int, price: int, volume: int, labels: list, jumps: dict):
    """Yield (label, open, high, low, close, volume) of each label, prices in thousandths."""
    draw = _stream(seed)
    for _ in range(20):
        next(draw)
    for label in labels:
        if label in jumps:
            new, old = jumps[label]
            price = max(price * old // new, 100)
        opened = max(price + (next(draw) % 201 - 100) * price // 20000, 5)
        closed = max(opened + (next(draw) % 401 - 198) * opened // 20000, 5)
        high = max(opened, closed) + next(draw) % 100 * closed // 20000
        low = max(min(opened, closed) - next(draw) % 100 * closed // 20000, 1)
        yield label, opened, high, low, closed, volume // 2 + next(draw) % 1000 * volume // 1000
        price = closed


# -- written by Zipline: everything below runs in the oracle's environment --------------------------------------------------


def _frame(rows: list[tuple]):
    import pandas as pd

    frame = pd.DataFrame(rows, columns=["label", *FIELDS]).set_index("label")
    for field in FIELDS[:4]:
        frame[field] /= 1000
    return frame


def _daily(listing: Listing, sessions: list[date]):
    """Return a row for each session of the listing; Zipline pads one without a trade with zeros."""
    import pandas as pd

    own = [session for session in sessions if listing.first <= session <= listing.last]
    jumps = {day: (new, old) for sid, day, new, old in SPLITS if sid == listing.sid}
    frame = _frame(list(_walk(listing.sid * 7 + 3, listing.price, listing.volume, own, jumps)))
    frame.loc[[day for day in own if day in listing.silent], list(FIELDS)] = 0
    frame.index = pd.DatetimeIndex(frame.index)
    return frame


def _minutes(listing: Listing, calendar, price: int):
    """Return the minutes in which it trades, named by their ends; PNY not in every third, SPL not in the first hour of a day."""
    import pandas as pd

    labels = [
        minute
        for session in MINUTE_SESSIONS
        if listing.first <= session <= listing.last
        for minute in calendar.session_minutes(pd.Timestamp(session))
    ]
    rows = list(_walk(listing.sid * 11 + 5, price, max(listing.volume // 390, 2), labels, {}))
    if listing.sid == 7:
        rows = [row for at, row in enumerate(rows) if at % 3]
    if listing.sid == 5:
        rows = [row for row in rows if row[0].hour >= 16 or row[0].day != 28]
    return _frame(rows) if rows else None


def _ingest(root: Path) -> None:
    import pandas as pd
    from zipline.data.bundles import ingest, register
    from zipline.utils.calendar_utils import get_calendar

    calendar = get_calendar("XNYS")
    sessions = [session.date() for session in calendar.sessions_in_range(str(FIRST), str(LAST))]
    daily = {listing.sid: _daily(listing, sessions) for listing in LISTINGS}

    def stamp(day: date | None):
        return pd.NaT if day is None else pd.Timestamp(day)

    def build(*arguments) -> None:
        assets, minutely, days, adjustments = arguments[1:5]
        assets.write(
            equities=pd.DataFrame(
                [
                    {
                        "sid": listing.sid,
                        "symbol": symbol,
                        "asset_name": listing.long_name,
                        "start_date": stamp(first),
                        "end_date": stamp(last),
                        "first_traded": stamp(listing.first),
                        "auto_close_date": stamp(listing.last) + pd.Timedelta(days=1),
                        "exchange": listing.exchange,
                    }
                    for listing in LISTINGS
                    for symbol, first, last in listing.names
                ]
            ).set_index("sid"),
            exchanges=pd.DataFrame(
                {"exchange": ["NYSE", "NASDAQ"], "canonical_name": ["XNYS", "XNAS"], "country_code": ["US", "US"]}
            ),
        )
        prices = {
            sid: round(frame.loc[str(MINUTE_SESSIONS[0]), "open"] * 1000)
            for sid, frame in daily.items()
            if _traded(frame)
        }
        parts = (
            (listing.sid, _minutes(listing, calendar, prices[listing.sid]))
            for listing in LISTINGS
            if listing.sid in prices
        )
        minutely.write((sid, frame) for sid, frame in parts if frame is not None)
        days.write(iter(daily.items()))
        adjustments.write(
            splits=pd.DataFrame(
                [{"sid": sid, "effective_date": stamp(day), "ratio": old / new} for sid, day, new, old in SPLITS]
            ),
            mergers=pd.DataFrame(
                [{"sid": sid, "effective_date": stamp(day), "ratio": ratio} for sid, day, ratio in MERGERS]
            ),
            dividends=pd.DataFrame(
                [
                    {
                        "sid": sid,
                        "ex_date": stamp(ex),
                        "declared_date": stamp(declared),
                        "record_date": stamp(record),
                        "pay_date": stamp(pay),
                        "amount": amount,
                    }
                    for sid, ex, declared, record, pay, amount in DIVIDENDS
                ]
            ),
            stock_dividends=pd.DataFrame(
                [
                    {
                        "sid": sid,
                        "ex_date": stamp(ex),
                        "declared_date": stamp(declared),
                        "record_date": stamp(record),
                        "pay_date": stamp(pay),
                        "payment_sid": paid,
                        "ratio": ratio,
                    }
                    for sid, ex, declared, record, pay, paid, ratio in STOCK_DIVIDENDS
                ]
            ),
        )

    register(NAME, build, calendar_name="XNYS", start_session=pd.Timestamp(FIRST), end_session=pd.Timestamp(LAST))
    moment = pd.Timestamp(INGESTION.replace(";", ":"), tz="UTC")
    ingest(NAME, environ={**os.environ, "ZIPLINE_ROOT": str(root)}, timestamp=moment)


def _traded(frame) -> bool:
    """Whether the listing trades on the days that have minutes."""
    return str(MINUTE_SESSIONS[0]) in frame.index


# -- what Zipline's readers say ---------------------------------------------------------------------------------------------


def _series(labels: list[str], columns: list) -> dict:
    """Return the bars of one sid: how many, the first and last, sums, a hash of all of them, and some in full.

    A price is in thousandths. The hash is of lines ``label,open,high,low,close,volume``.
    """
    rows = []
    for at, label in enumerate(labels):
        values = [column[at] for column in columns]
        if values[3] == values[3]:  # NaN: no bar
            rows.append([label, *(round(value * 1000) for value in values[:4]), int(values[4])])
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    return {
        "rows": len(rows),
        "first": rows[0][0] if rows else None,
        "last": rows[-1][0] if rows else None,
        "sums": {field: sum(row[at + 1] for row in rows) for at, field in enumerate(FIELDS)},
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "samples": rows[:: max(len(rows) // 5, 1)],
    }


def _said(root: Path) -> dict:
    """Return what Zipline's readers say of the ingested bundle; minutes carry Zipline's names, their ends."""
    import pandas as pd
    from zipline.data.bundles import load

    with load(NAME, environ={**os.environ, "ZIPLINE_ROOT": str(root)}) as bundle:
        finder, days, minutes = bundle.asset_finder, bundle.equity_daily_bar_reader, bundle.equity_minute_bar_reader
        sids = [listing.sid for listing in LISTINGS]
        sessions = days.sessions
        daily = days.load_raw_arrays(list(FIELDS), sessions[0], sessions[-1], pd.Index(sids))
        labels = [str(session.date()) for session in sessions]
        said = {
            "bundle": NAME,
            "ingestion": INGESTION,
            "daily": {str(sid): _series(labels, [column[:, at] for column in daily]) for at, sid in enumerate(sids)},
            "minutes": {},
        }
        calendar = minutes.trading_calendar
        moments = [m for s in MINUTE_SESSIONS for m in calendar.session_minutes(pd.Timestamp(s))]
        for sid in sids:
            if _has_minutes(minutes, sid):
                columns = [[minutes.get_value(sid, moment, field) for moment in moments] for field in FIELDS]
                said["minutes"][str(sid)] = _series([moment.isoformat() for moment in moments], columns)
        said["assets"] = {
            str(asset.sid): {
                "symbol": asset.symbol,
                "name": asset.asset_name,
                "exchange": asset.exchange,
                "first": str(asset.start_date.date()),
                "last": str(asset.end_date.date()),
            }
            for asset in finder.retrieve_all(sids)
        }
        said["lookups"] = [
            [symbol, day, finder.lookup_symbol(symbol, pd.Timestamp(day)).sid]
            for symbol, day in (
                ("OLDN", "2016-05-02"),
                ("NEWN", "2017-10-02"),
                ("REU", "2016-05-02"),
                ("REU", "2017-10-02"),
                ("SPL", "2017-10-02"),
            )
        ]
        tables = bundle.adjustment_reader.unpack_db_to_component_dfs(convert_dates=True)
        said["adjustments"] = {
            name: [
                {key: _plain(value) for key, value in row.items()}
                for row in frame.sort_values(list(frame.columns)).to_dict("records")
            ]
            for name, frame in sorted(tables.items())
        }
    return said


def _has_minutes(reader, sid: int) -> bool:
    from zipline.data.bar_reader import NoDataForSid

    try:
        return reader.table_len(sid) > 0
    except NoDataForSid:
        return False


def _plain(value):
    import pandas as pd

    if value is pd.NaT:
        return None
    return str(value.date()) if isinstance(value, pd.Timestamp) else value


# -- packing ----------------------------------------------------------------------------------------------------------------


def _pack(root: Path, target: Path) -> None:
    """Pack the root with sorted names and fixed times, so that the same files make the same bytes."""
    folder = root / "data" / NAME
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    for database in folder.glob("*/assets-*.sqlite"):
        _settle(database)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as packed:
        for path in sorted(folder.rglob("*")):
            entry = tarfile.TarInfo(f"zipline/data/{path.relative_to(root / 'data').as_posix()}")
            if path.is_dir():
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                packed.addfile(entry)
            else:
                data = path.read_bytes()
                entry.size, entry.mode = len(data), 0o644
                packed.addfile(entry, io.BytesIO(data))
    with (
        target.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=9, mtime=0) as zipped,
    ):
        zipped.write(raw.getvalue())


def _settle(database: Path) -> None:
    """Make the indexes anew in the order of their names: SQLAlchemy makes them in the order of addresses in memory."""
    connection = sqlite3.connect(database, isolation_level=None)
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
    )
    indexes = rows.fetchall()
    for name, _ in indexes:
        connection.execute(f'DROP INDEX "{name}"')
    for _, sql in indexes:
        connection.execute(sql)
    connection.execute("VACUUM")
    connection.close()


def write(folder: Path) -> None:
    """Let Zipline ingest the bundle, pack it, and write down what Zipline's readers say of it."""
    with tempfile.TemporaryDirectory(prefix="zipline-bundle-") as root:
        _ingest(Path(root))
        said = _said(Path(root))
        _pack(Path(root), folder / FIXTURE.name)
    (folder / GOLDEN.name).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    size = (folder / FIXTURE.name).stat().st_size
    sys.stdout.write(f"zipline_bundle: {sum(part['rows'] for part in said['daily'].values())} days, {size} bytes\n")


if __name__ == "__main__":
    write(FIXTURE.parent)

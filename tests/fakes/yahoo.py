"""A stand-in for Yahoo Finance's chart service, with its cookie, its crumb and its habits.

Prices are adjusted for splits and printed as float32 widened to float64; the running session comes as a row stamped with
the last trade; weeks and months come without the running day, which follows as a row of its own; half days go on for a row
behind the close; an unknown ticker is "possibly delisted".
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from aiohttp import web

from tests.fakes import market
from tests.fakes.server import FakeServer

CRUMB = "invented.crumb"
COOKIE = "d=invented-cookie-of-the-fake&S=none"
HOSTS = ("query1.finance.yahoo.com", "query2.finance.yahoo.com")
EXCHANGES = {
    "XNAS": ("NMS", "NasdaqGS"),
    "XNYS": ("NYQ", "NYSE"),
    "ARCX": ("PCX", "NYSEArca"),
    "XLON": ("LSE", "LSE"),
    "XTKS": ("JPX", "Tokyo"),
}
MINUTES = {"1m": 1, "2m": 2, "5m": 5, "15m": 15, "30m": 30, "60m": 60, "1h": 60, "90m": 90}
LONG = ("1d", "5d", "1wk", "1mo", "3mo")
DEPTH_DAYS = {"1m": 30, "1h": 730, "60m": 730}
RANGES = {
    "1d": 1,
    "5d": 7,
    "1mo": 31,
    "3mo": 92,
    "6mo": 183,
    "1y": 366,
    "2y": 731,
    "5y": 1827,
    "10y": 3653,
    "max": 36_500,
}
COINS = {"BTC-USD": ("kraken", "BTC/USD", "Bitcoin USD")}
DAY = 86_400


def widened(value: Decimal | float) -> float:
    """What Yahoo prints for a price: the nearest float32, as a float64."""
    return struct.unpack("f", struct.pack("f", float(value)))[0]


class Refused(Exception):  # noqa: N818  an answer, not an error
    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(description)
        self.status, self.code, self.description = status, code, description


class YahooServer(FakeServer):
    """``server.now`` is its clock; ``null_days`` come as rows of nulls; ``repeats_last`` sends the last close twice."""

    data_paths = ("/v8/finance/chart/",)

    def __init__(self, *, now: float = market.NOW, **options) -> None:
        super().__init__(**options)
        self.now = now
        self.null_days: set[date] = set()
        self.repeats_last = False
        #: Splits that Yahoo learns of while the server runs, by symbol.
        self.new_splits: dict[str, market.Split] = {}

    def host_names(self) -> list[str]:
        return [*HOSTS, "fc.yahoo.com", "finance.yahoo.com", "guce.yahoo.com", "consent.yahoo.com"]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self._cookie),
            web.get("/v1/test/getcrumb", self._crumb),
            web.get("/v8/finance/chart/{ticker}", self._chart),
            web.get("/v10/finance/quoteSummary/{ticker}", self._summary),
        ]

    def error_response(self, status: int, headers: dict[str, str]) -> web.Response:
        if status == 404:
            return _refusal(Refused(404, "Not Found", "No data found, symbol may be delisted"))
        if status in (401, 403):
            return _finance_error(status, "Unauthorized", "Invalid Crumb")
        if status == 429:
            return web.Response(status=429, text="Too Many Requests\r\n", headers=headers)
        return web.Response(
            status=status, text="<html>Service Unavailable</html>", content_type="text/html", headers=headers
        )

    # -- the way in --------------------------------------------------------------------------------------------------

    async def _cookie(self, request: web.Request) -> web.Response:
        # The real one says 404 as well: all one wants of it is the cookie.
        response = web.Response(status=404, text="Not Found")
        where = "; Domain=.yahoo.com; Secure; SameSite=None" if request.host.endswith("yahoo.com") else ""
        response.headers["Set-Cookie"] = f"A3={COOKIE}; Max-Age={365 * DAY}; Path=/; HttpOnly{where}"
        return response

    async def _crumb(self, request: web.Request) -> web.Response:
        if "A3" not in request.cookies:
            return _finance_error(401, "Unauthorized", "Invalid Cookie")
        return web.Response(text=CRUMB)

    async def _summary(self, request: web.Request) -> web.Response:
        error = {"code": "Not Found", "description": f"Quote not found for symbol: {request.match_info['ticker']}"}
        return web.json_response({"quoteSummary": {"result": None, "error": error}}, status=404)

    async def _chart(self, request: web.Request) -> web.Response:
        if not request.headers.get("User-Agent", "").startswith("Mozilla/"):
            return web.Response(status=429, text="Edge: Too Many Requests")
        if request.query.get("crumb") != CRUMB:
            return _finance_error(401, "Unauthorized", "Invalid Crumb")
        try:
            return web.json_response({"chart": {"result": [self._result(request)], "error": None}})
        except Refused as refused:
            return _refusal(refused)

    # -- the answer --------------------------------------------------------------------------------------------------

    def _result(self, request: web.Request) -> dict:
        ticker = request.match_info["ticker"].upper()
        interval = request.query.get("interval", "1d")
        listing = self._listing(ticker)
        if interval not in MINUTES and interval not in LONG:
            raise Refused(422, "Unprocessable Entity", f"Invalid input - interval={interval} is not supported.")
        start, end = self._period(request)
        self._check_depth(interval, start, end)
        if end <= listing.first or (listing.last is not None and start > listing.last):
            raise Refused(400, "Bad Request", f"Data doesn't exist for startDate = {start}, endDate = {end}")
        rows = listing.intraday(interval, start, end) if interval in MINUTES else listing.days(interval, start, end)
        result: dict = {"meta": listing.meta(interval, start, end)}
        events = listing.events(start, end, request.query.get("events", ""))
        if not rows:
            return {**result, "indicators": {"quote": [{}], "adjclose": [{}]}}
        result["timestamp"] = [row[0] for row in rows]
        if events:
            result["events"] = events
        quote = {
            name: [row[at] for row in rows] for at, name in enumerate(("open", "high", "low", "close", "volume"), 1)
        }
        result["indicators"] = {"quote": [quote]}
        if interval not in MINUTES:
            result["indicators"]["adjclose"] = [{"adjclose": listing.adjusted(rows)}]
        return result

    def _listing(self, ticker: str) -> Listing | Coin:
        if ticker in COINS:
            return Coin(ticker, self)
        symbol = (
            ticker.replace("-", ".") if ticker.replace("-", ".") in market.EQUITIES and "." not in ticker else ticker
        )
        equity = market.EQUITIES.get(symbol)
        # A class of shares has a dash here and nowhere else.
        if equity is None or (ticker == "BRK.B"):
            raise Refused(404, "Not Found", "No data found, symbol may be delisted")
        return Listing(ticker, equity, self)

    def _period(self, request: web.Request) -> tuple[int, int]:
        query = request.query
        if "range" in query:
            return int(self.now) - RANGES[query["range"]] * DAY, int(self.now)
        start, end = int(query["period1"]), int(query["period2"])
        if start >= end:
            text = f"Invalid input - start date cannot be after end date. startDate = {start}, endDate = {end}"
            raise Refused(400, "Bad Request", text)
        return start, end

    def _check_depth(self, interval: str, start: int, end: int) -> None:
        if interval not in MINUTES:
            return
        text = f"{interval} data not available for startTime={start} and endTime={end}."
        days = DEPTH_DAYS.get(interval, 60)
        if interval == "1m" and end - start > 8 * DAY:
            text += " Only 8 days worth of 1m granularity data are allowed to be fetched per request."
            raise Refused(422, "Unprocessable Entity", text)
        if start < self.now - days * DAY:
            raise Refused(
                422, "Unprocessable Entity", f"{text} The requested range must be within the last {days} days."
            )


class Listing:
    """One stock as the server sees it at its `now`; rows are (stamp, open, high, low, close, volume)."""

    def __init__(self, ticker: str, equity: market.Equity, server: YahooServer) -> None:
        self.ticker, self.equity, self.server = ticker, equity, server
        self.zone = ZoneInfo(equity.timezone)
        self.today = datetime.fromtimestamp(server.now, self.zone).date()
        self.sessions = market.sessions(equity.calendar)
        # The market begins with its calendar.
        self.first = int(self.sessions[min(day for day in self.sessions if day >= equity.listed)][0].timestamp())
        self.last = None
        if equity.delisted is not None:
            self.last = int(self.sessions[max(day for day in self.sessions if day < equity.delisted)][1].timestamp())
        extra = server.new_splits.get(equity.symbol)
        self.splits = [*equity.splits, *([extra] if extra else [])]

    @property
    def is_open(self) -> bool:
        hours = self.sessions.get(self.today)
        return bool(hours) and self.last is None and hours[0].timestamp() <= self.server.now < hours[1].timestamp()

    @property
    def market_time(self) -> int:
        """When it last traded."""
        if self.last is not None:
            return self.last
        if self.is_open:
            return int(self.server.now) - 1
        days = sorted(self.sessions)
        at = bisect_left(days, self.today + timedelta(days=1)) - 1
        while self.sessions[days[at]][1].timestamp() > self.server.now:
            at -= 1
        return int(self.sessions[days[at]][1].timestamp()) + 1

    def factor(self, day: date) -> Decimal:
        """Shares of today that one of `day` became, by the splits that happened by now."""
        found = Decimal(1)
        for split in self.splits:
            if day < split.ex_date <= self.today:
                found = found * split.new / split.old
        return found

    def _row(self, stamp: int, day: date, row: market.Row, part: int = 1) -> tuple:
        """One bar; only a half of it has happened where `part` is 2."""
        factor = self.factor(day)
        close = row.close if part == 1 else (row.open + row.close) / 2
        high, low = (
            max(row.open, close, row.high if part == 1 else 0),
            min(row.open, close, row.low if part == 1 else close),
        )
        prices = [price / factor for price in (row.open, high, low, close)]
        return (stamp, *prices, int(row.volume * factor) // part)

    def _daily(self, start: int, end: int) -> list[tuple]:
        first = datetime.fromtimestamp(max(start, 631_200_000), self.zone).date()
        last = datetime.fromtimestamp(min(end, int(self.server.now)), self.zone).date()
        found = []
        for row in market.daily(self.equity.symbol, first, last):
            day = row.start.date()
            opened, closed = (int(at.timestamp()) for at in self.sessions[day])
            if not start <= opened < end or opened > self.server.now:
                continue
            live = closed > self.server.now
            found.append(self._row(self.market_time if live else opened, day, row, 2 if live else 1))
            if (
                self.server.repeats_last
                and not live
                and day == datetime.fromtimestamp(self.market_time, self.zone).date()
            ):
                _, *prices, volume = found[-1]
                found.append((self.market_time, *prices, volume + 17))
        return found

    def days(self, interval: str, start: int, end: int) -> list[tuple]:
        rows = self._daily(start, end)
        if interval in ("1wk", "1mo", "3mo"):
            rows = self._periods(rows, interval)
        return [self._printed(row) for row in rows]

    def _periods(self, rows: list[tuple], interval: str) -> list[tuple]:
        groups: dict[int, list[tuple]] = {}
        live = [rows.pop()] if rows and self.is_open and rows[-1][0] == self.market_time else []
        for row in rows:
            day = datetime.fromtimestamp(row[0], self.zone).date()
            if interval == "1wk":
                label = day - timedelta(days=day.weekday())
            else:
                label = day.replace(day=1, month=day.month if interval == "1mo" else day.month - (day.month - 1) % 3)
            stamp = int(market.local_midnight(label, self.equity.timezone).timestamp())
            groups.setdefault(stamp, []).append(row)
        found = [
            (
                stamp,
                of[0][1],
                max(row[2] for row in of),
                min(row[3] for row in of),
                of[-1][4],
                sum(row[5] for row in of),
            )
            for stamp, of in groups.items()
        ]
        return [*found, *live]

    def intraday(self, interval: str, start: int, end: int) -> list[tuple]:
        minutes = MINUTES[interval]
        first = datetime.fromtimestamp(start, self.zone).date()
        last = datetime.fromtimestamp(min(end, int(self.server.now)), self.zone).date()
        found = []
        for row in market.intraday(self.equity.symbol, minutes, first, last):
            stamp = int(row.start.timestamp())
            if stamp > self.market_time or not start <= stamp < end:
                continue
            day = row.start.astimezone(self.zone).date()
            forming = stamp + minutes * 60 > self.server.now
            found.append(self._row(stamp, day, row, 2 if forming else 1))
            closed = int(self.sessions[day][1].timestamp())
            local = self.sessions[day][1].astimezone(self.zone)
            if stamp + minutes * 60 >= closed and local.hour == 13 and closed < min(end, self.server.now):
                found.append((closed, *[found[-1][4]] * 4, 0))
        if found and self.is_open and start <= self.market_time < end:
            found.append((self.market_time, *[found[-1][4]] * 4, 0))
        return [self._printed(row) for row in found]

    def _printed(self, row: tuple) -> tuple:
        stamp, *prices, volume = row
        if datetime.fromtimestamp(stamp, self.zone).date() in self.server.null_days:
            return (stamp, None, None, None, None, None)
        return (stamp, *map(widened, prices), volume)

    def adjusted(self, rows: list[tuple]) -> list[float | None]:
        """Closes with dividends taken out."""
        found: list[float | None] = []
        factor, later = 1.0, {d.ex_date: float(d.amount / self.factor(d.ex_date)) for d in self.equity.dividends}
        for row in reversed(rows):
            if row[4] is None:
                found.append(None)
                continue
            found.append(row[4] * factor)
            amount = later.get(datetime.fromtimestamp(row[0], self.zone).date())
            factor *= 1 if amount is None else 1 - amount / row[4]
        return found[::-1]

    def events(self, start: int, end: int, wanted: str) -> dict:
        found: dict = {}
        for kind, items in (("dividends", self.equity.dividends), ("splits", self.splits)):
            for item in items:
                hours = self.sessions.get(item.ex_date)
                stamp = int(hours[0].timestamp()) if hours else 0
                if kind[:3] not in wanted and kind[:-1] not in wanted:
                    continue
                if not hours or not start <= stamp < end or stamp > self.server.now:
                    continue
                event = {"date": stamp}
                if kind == "dividends":
                    event["amount"] = float(round(item.amount / self.factor(item.ex_date), 6))
                else:
                    event |= {"numerator": float(item.new), "denominator": float(item.old)}
                    event["splitRatio"] = f"{item.new}:{item.old}"
                found.setdefault(kind, {})[str(stamp)] = event
        return found

    def meta(self, interval: str, start: int, end: int) -> dict:
        code, full = EXCHANGES[self.equity.mic]
        offset = int(datetime.fromtimestamp(self.server.now, self.zone).utcoffset().total_seconds())
        meta = {
            "currency": self.equity.currency,
            "symbol": self.ticker,
            "exchangeName": code,
            "fullExchangeName": full,
            "instrumentType": self.equity.kind.upper(),
            "firstTradeDate": self.first,
            "regularMarketTime": self.market_time,
            "hasPrePostMarketData": True,
            "gmtoffset": offset,
            "timezone": datetime.fromtimestamp(self.server.now, self.zone).tzname(),
            "exchangeTimezoneName": self.equity.timezone,
            "longName": self.equity.name,
            "shortName": self.equity.name[:20],
            "priceHint": 2,
            "currentTradingPeriod": {},
            "dataGranularity": "1h" if interval == "60m" else interval,
            "range": "",
            "validRanges": list(RANGES),
        }
        if interval in MINUTES:
            meta["tradingPeriods"] = [
                [{"timezone": meta["timezone"], "start": opened, "end": closed, "gmtoffset": offset}]
                for opened, closed in self._hours(start, min(end, int(self.server.now)))
            ]
        return meta

    def _hours(self, start: int, end: int) -> list[tuple[int, int]]:
        first, last = (datetime.fromtimestamp(at, UTC).date() for at in (start, end))
        return [
            (int(opened.timestamp()), int(closed.timestamp()))
            for day, (opened, closed) in self.sessions.items()
            if first <= day <= last
        ]


class Coin:
    """A coin: days from midnight to midnight UTC, a composite price of no venue."""

    last = None

    def __init__(self, ticker: str, server: YahooServer) -> None:
        self.ticker, self.server = ticker, server
        self.exchange, self.pair, self.name = COINS[ticker]
        self.first = int(market.PAIRS[self.exchange, self.pair].listed.timestamp())

    def _rows(self, seconds: int, start: int, end: int) -> list[tuple]:
        last = min(end - 1, int(self.server.now))
        candles = market.candles(
            self.exchange, self.pair, seconds, datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(last, UTC)
        )
        return [
            (int(c.start.timestamp()), *map(widened, (c.open, c.high, c.low, c.close)), int(c.volume)) for c in candles
        ]

    def days(self, interval: str, start: int, end: int) -> list[tuple]:
        assert interval == "1d", "weeks of coins are not made here"
        return self._rows(DAY, start, end)

    def intraday(self, interval: str, start: int, end: int) -> list[tuple]:
        return self._rows(MINUTES[interval] * 60, start, end)

    def adjusted(self, rows: list[tuple]) -> list[float]:
        return [row[4] for row in rows]

    def events(self, start: int, end: int, wanted: str) -> dict:
        return {}

    def meta(self, interval: str, start: int, end: int) -> dict:
        return {
            "currency": "USD",
            "symbol": self.ticker,
            "exchangeName": "CCC",
            "fullExchangeName": "CCC",
            "instrumentType": "CRYPTOCURRENCY",
            "firstTradeDate": self.first,
            "regularMarketTime": int(self.server.now),
            "gmtoffset": 0,
            "timezone": "UTC",
            "exchangeTimezoneName": "UTC",
            "longName": self.name,
            "dataGranularity": interval,
            "validRanges": list(RANGES),
        }


def _refusal(refused: Refused) -> web.Response:
    error = {"code": refused.code, "description": refused.description}
    return web.json_response({"chart": {"result": None, "error": error}}, status=refused.status)


def _finance_error(status: int, code: str, description: str) -> web.Response:
    error = {"code": code, "description": description}
    return web.json_response({"finance": {"result": None, "error": error}}, status=status)

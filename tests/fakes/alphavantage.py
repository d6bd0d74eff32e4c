"""A fake of Alpha Vantage: time series as CSV or JSON, the list of symbols, and messages that come with status 200.

What it does as the vendor does:

- everything goes through /query, and the key is in the address;
- limits, premium data, a wrong key and unknown symbols are JSON messages with status 200, whatever `datatype` says; the
  message about the day's limit repeats the key;
- rows come newest first; the current day, week and month are in them, half done;
- `compact` (the usual `outputsize`) is the newest 100 rows; weeks and months are labelled by their last session;
- intraday labels are New York's wall clock without a zone; `adjusted` and `extended_hours` are true unless one says otherwise;
- a symbol is found as BRK-B and as BRK.B; the list writes BRK-B.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from aiohttp import web

from tests.fakes import market
from tests.fakes.server import FakeServer, Recorded

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = "INVENTEDALPHAKEY1"
NEW_YORK = ZoneInfo("America/New_York")
COMPACT = 100
UNKNOWN = "Invalid API call. Please retry or visit the documentation (https://www.alphavantage.co/documentation/) for {function}."
BAD_KEY = (
    "the parameter apikey is invalid or missing. Please claim your free API key on "
    "(https://www.alphavantage.co/support/#api-key). It should take less than 20 seconds."
)
DAY_LIMIT = (
    "We have detected your API key as {key} and our standard API rate limit is 25 requests per day. Please subscribe to any "
    "of the premium plans at https://www.alphavantage.co/premium/ to instantly remove all daily rate limits."
)
BURST = (
    "Burst pattern detected. Please consider spreading out your free API requests more sparingly (1 request per second). You "
    "may subscribe to any of the premium plans at https://www.alphavantage.co/premium/ to lift the free key rate limit "
    "(25 requests per day), raise the per-second burst limit, and instantly unlock all premium endpoints"
)
MINUTE_LIMIT = (
    "Thank you for using Alpha Vantage! Our standard API call frequency is 5 calls per minute and 500 calls per day. Please "
    "visit https://www.alphavantage.co/premium/ if you would like to target a higher API call frequency."
)
PREMIUM = (
    "Thank you for using Alpha Vantage! This is a premium endpoint. You may subscribe to any of the premium plans at "
    "https://www.alphavantage.co/premium/ to instantly unlock all premium endpoints"
)
_EXCHANGES = {"XNAS": "NASDAQ", "XNYS": "NYSE", "ARCX": "NYSE ARCA", "XLON": "LON"}
_LENGTHS = {"1min": 1, "5min": 5, "15min": 15, "30min": 30, "60min": 60}
_PLAIN = ("timestamp", "open", "high", "low", "close", "volume")
_ADJUSTED = (*_PLAIN[:5], "adjusted_close", "volume", "dividend_amount", "split_coefficient")


class AlphaVantageServer(FakeServer):
    """Serves the fake market's listings in New York and London (VOD.LON).

    premium: whether the key may have full, adjusted and intraday series. day_limit: requests that the key has in all.
    """

    data_paths = ("/query",)

    def __init__(
        self,
        *,
        key: str = KEY,
        now: float = market.NOW,
        premium: bool = True,
        day_limit: int | None = None,
        **server: Any,
    ) -> None:
        super().__init__(**server)
        self.key = key
        self.now = now
        self.premium = premium
        self.day_limit = day_limit
        #: Called with the text of each series before it is sent; a test may spoil it.
        self.spoil: Any = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a client is let in."""
        return {"ALPHAVANTAGE_API_KEY": self.key}

    def host_names(self) -> list[str]:
        return ["www.alphavantage.co"]

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/query", self._query)]

    def is_data(self, request: web.Request) -> bool:
        return request.query.get("function", "").startswith("TIME_SERIES")

    def data_requests(self) -> list[Recorded]:
        return [r for r in self.requests if r.query.get("function", "").startswith("TIME_SERIES")]

    def error_response(self, status: int, headers: dict[str, str]) -> web.Response:
        if status in (401, 403):
            return _message("Error Message", BAD_KEY, headers)
        if status == 429:
            return _message("Information", BURST, headers)
        return web.Response(
            status=status, text="<html>Service Unavailable</html>", content_type="text/html", headers=headers
        )

    async def _query(self, request: web.Request) -> web.StreamResponse:
        asked = request.query
        function = asked.get("function", "")
        if asked.get("apikey") != self.key:
            return _message("Error Message", BAD_KEY)
        if self.day_limit is not None and len(self.requests) > self.day_limit:
            return _message("Information", DAY_LIMIT.format(key=self.key))
        if function == "LISTING_STATUS":
            return _csv(self.listing(asked.get("state", "active")))
        if function == "SYMBOL_SEARCH":
            return self._search(asked.get("keywords", ""), asked.get("datatype", "json"))
        equity = _listed(asked.get("symbol", ""))
        needs_premium = asked.get("outputsize") == "full" or function.endswith(("ADJUSTED", "INTRADAY"))
        if needs_premium and not self.premium:
            return _message("Information", PREMIUM)
        if equity is None:
            return _message("Error Message", UNKNOWN.format(function=function))
        table = self.table(equity, function, asked)
        if table is None:
            return _message("Error Message", UNKNOWN.format(function=function))
        columns, rows = table
        if asked.get("datatype", "json") == "json":
            return _json(function, asked.get("symbol", ""), columns, rows)
        text = "".join(",".join(row) + "\r\n" for row in (columns, *rows))
        return _csv(text if self.spoil is None else self.spoil(text))

    def table(
        self, equity: market.Equity, function: str, asked: Any
    ) -> tuple[Sequence[str], list[tuple[str, ...]]] | None:
        """Columns and rows, newest first; None for what cannot be asked."""
        today = datetime.fromtimestamp(self.now, ZoneInfo(equity.timezone)).date()
        if function == "TIME_SERIES_INTRADAY":
            return self._intraday(equity, asked, today)
        first = date(1999, 11, 1)
        daily = [row for row in market.daily(equity.symbol, first, today) if row.start.timestamp() <= self.now]
        compact = asked.get("outputsize", "compact") != "full"
        if function in ("TIME_SERIES_DAILY", "TIME_SERIES_DAILY_ADJUSTED"):
            rows = daily[::-1][: COMPACT if compact else None]
            if function == "TIME_SERIES_DAILY":
                return _PLAIN, [(f"{row.start:%Y-%m-%d}", *_numbers(row)) for row in rows]
            return _ADJUSTED, [_adjusted(equity, row) for row in rows]
        if function in ("TIME_SERIES_WEEKLY", "TIME_SERIES_MONTHLY"):
            return _PLAIN, [(f"{row.start:%Y-%m-%d}", *_numbers(row)) for row in _sums(daily, function)[::-1]]
        return None

    def _intraday(
        self, equity: market.Equity, asked: Any, today: date
    ) -> tuple[Sequence[str], list[tuple[str, ...]]] | None:
        minutes = _LENGTHS.get(asked.get("interval", ""))
        if minutes is None or equity.calendar != "XNYS":
            return None
        month = asked.get("month")
        first = datetime.strptime(month, "%Y-%m").date() if month else today - timedelta(days=30)
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1) if month else today
        rows = [
            (at, row)
            for day, (opened, closed) in market.sessions("XNYS").items()
            if first <= day <= last
            for at, row in _session(equity.symbol, minutes, day, opened, closed, asked.get("extended_hours") != "false")
            if at.timestamp() <= self.now
        ]
        if not rows:
            return None
        if asked.get("outputsize", "compact") != "full":
            rows = rows[-COMPACT:]
        return _PLAIN, [(f"{at.astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S}", *_numbers(row)) for at, row in rows[::-1]]

    def listing(self, state: str) -> str:
        """The list of US symbols, as CSV."""
        lines = ["symbol,name,exchange,assetType,ipoDate,delistingDate,status"]
        for equity in market.EQUITIES.values():
            if equity.calendar != "XNYS" or (equity.delisted is not None) != (state == "delisted"):
                continue
            name = f'"{equity.name}, Inc"' if equity.symbol == "GE" else equity.name
            kind = "ETF" if equity.kind == "etf" else "Stock"
            left = equity.delisted.isoformat() if equity.delisted else "null"
            symbol = equity.symbol.replace(".", "-")
            lines.append(
                f"{symbol},{name},{_EXCHANGES[equity.mic]},{kind},{equity.listed},{left},"
                f"{'Delisted' if equity.delisted else 'Active'}"
            )
        return "\r\n".join(lines) + "\r\n"

    def _search(self, keywords: str, datatype: str) -> web.Response:
        found = [e for e in market.EQUITIES.values() if e.mic in _EXCHANGES and keywords.lower() in e.name.lower()]
        if datatype == "csv":
            rows = "".join(f"{_spelling(e)},{e.name},Equity,{e.currency}\r\n" for e in found)
            return _csv(f"symbol,name,type,currency\r\n{rows}")
        matches = [
            {"1. symbol": _spelling(e), "2. name": e.name, "3. type": "Equity", "8. currency": e.currency}
            for e in found
        ]
        return web.json_response({"bestMatches": matches})


def _listed(symbol: str) -> market.Equity | None:
    for equity in market.EQUITIES.values():
        if equity.mic in _EXCHANGES and symbol in (_spelling(equity), equity.symbol):
            return equity
    return None


def _spelling(equity: market.Equity) -> str:
    if equity.mic == "XLON":
        return equity.symbol.replace(".L", ".LON")
    return equity.symbol.replace(".", "-")


def _numbers(row: market.Row) -> tuple[str, ...]:
    return (*(f"{value:.4f}" for value in (row.open, row.high, row.low, row.close)), f"{row.volume:f}")


def _adjusted(equity: market.Equity, row: market.Row) -> tuple[str, ...]:
    day = row.start.date()
    opened, high, low, close, volume = _numbers(row)
    paid = next((d.amount for d in equity.dividends if d.ex_date == day), Decimal(0))
    ratio = next((Decimal(s.new) / s.old for s in equity.splits if s.ex_date == day), Decimal(1))
    after = row.close / market.raw_factor(equity, day)
    shown = f"{ratio:.1f}" if ratio == ratio.to_integral_value() else f"{ratio:f}"
    return f"{day}", opened, high, low, close, f"{after:.4f}", volume, f"{paid:.4f}", shown


def _sums(daily: Sequence[market.Row], function: str) -> list[market.Row]:
    """Weeks or months, labelled by their last session."""
    groups: dict[object, list[market.Row]] = {}
    for row in daily:
        day = row.start.date()
        groups.setdefault(day.isocalendar()[:2] if function.endswith("WEEKLY") else (day.year, day.month), []).append(
            row
        )
    return [
        market.Row(
            rows[-1].start,
            rows[0].open,
            max(row.high for row in rows),
            min(row.low for row in rows),
            rows[-1].close,
            sum((row.volume for row in rows), Decimal(0)),
        )
        for rows in groups.values()
    ]


def _session(
    symbol: str, minutes: int, day: date, opened: datetime, closed: datetime, extended: bool
) -> list[tuple[datetime, market.Row]]:
    rows = market.intraday(symbol, minutes, day, day)
    if not rows:
        return []
    step = timedelta(minutes=minutes)
    found = [(row.start.astimezone(UTC), row) for row in rows]
    if extended:
        found = [(opened - step, rows[0]), *found, (closed, rows[-1]), (closed + step, rows[-1])]
    return found


def _message(name: str, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        text=json.dumps({name: text}, indent=4), content_type="application/json", headers=headers or None
    )


def _csv(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/x-download")


def _json(function: str, symbol: str, columns: Sequence[str], rows: list[tuple[str, ...]]) -> web.Response:
    names = [f"{number}. {name.replace('_', ' ')}" for number, name in enumerate(columns[1:], 1)]
    series = {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}
    meta = {"1. Information": function, "2. Symbol": symbol, "6. Time Zone": "US/Eastern"}
    return web.json_response({"Meta Data": meta, f"Time Series ({function})": series})

"""Binance's public spot interface: markets, bars and the clock over REST, bars as they form over a websocket.

As the real one: an answer holds at most 1000 bars whatever `limit` says; it begins with the first bar at or after
`startTime`, however much later that is; the bar that is still forming is in it; numbers are text with 8 decimals.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from tests.fakes.market import NOW, PAIRS, Row, candle
from tests.fakes.server import FakeServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.market import Pair

MOST = 1_000
SECONDS = {
    "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1_800, "1h": 3_600, "2h": 7_200, "4h": 14_400, "6h": 21_600,
    "8h": 28_800, "12h": 43_200, "1d": 86_400, "3d": 259_200, "1w": 604_800,
}  # fmt: skip
MONDAY = 4 * 86_400  # 1970-01-05

CODES = {
    401: (-2014, "API-key format invalid."),
    403: (0, "Forbidden"),
    404: (0, "Not found"),
    418: (-1003, "Way too much request weight used; IP banned until 1732896037000. Please use WebSocket Streams."),
    429: (-1003, "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."),
    451: (0, "Service unavailable from a restricted location according to 'b. Eligibility' in the terms of service."),
    500: (-1000, "An unknown error occurred while processing the request."),
    503: (-1001, "Internal error; unable to process your request. Please try again."),
}


def market_id(symbol: str) -> str:
    return symbol.replace("/", "")


def opens(pair: Pair, interval: str, first: float, last: float) -> Iterator[tuple[int, int]]:
    """Yield (open, length in seconds) of each bar that opens from `first` to `last`, since the listing."""
    last = min(last, pair.delisted.timestamp() - 1) if pair.delisted else last
    first = max(first, pair.listed.timestamp())
    if interval == "1M":
        month = datetime.fromtimestamp(first, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        while month.timestamp() <= last:
            after = (month + timedelta(days=31)).replace(day=1)
            if month.timestamp() >= first:
                yield int(month.timestamp()), int((after - month).total_seconds())
            month = after
        return
    step = SECONDS[interval]
    offset = MONDAY if interval == "1w" else 0
    at = int(-(-first // 1))
    at += (offset - at) % step
    while at <= last:
        yield at, step
        at += step


class BinanceServer(FakeServer):
    """Speaks as api.binance.com and stream.binance.com do."""

    data_paths = ("/api/v3/klines",)

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        #: Unix seconds; what the server takes as now.
        self.now: float = NOW
        #: A smaller cap than the documented one, as if it had been changed.
        self.most = MOST
        #: Whether a subscription is answered with the bar that is forming.
        self.greets = True
        #: What each open websocket subscribed to: ``btcusdt@kline_1m``.
        self.subscriptions: dict[web.WebSocketResponse, list[str]] = {}

    def host_names(self) -> list[str]:
        return ["api.binance.com", "stream.binance.com"]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v3/ping", self._ping),
            web.get("/api/v3/time", self._time),
            web.get("/api/v3/exchangeInfo", self._exchange_info),
            web.get("/api/v3/klines", self._klines),
            web.get("/ws", self._stream),
            web.get("/ws/{number}", self._stream),
        ]

    def error_response(self, status: int, headers: dict[str, str]) -> web.Response:
        code, text = CODES.get(status, (-1000, "An unknown error occurred."))
        return web.json_response({"code": code, "msg": text}, status=status, headers=headers)

    def pairs(self) -> dict[str, Pair]:
        return {market_id(name): pair for (exchange, name), pair in PAIRS.items() if exchange == "binance"}

    # -- REST --------------------------------------------------------------------------------------------------------

    async def _ping(self, request: web.Request) -> web.Response:
        return web.json_response({})

    async def _time(self, request: web.Request) -> web.Response:
        return web.json_response({"serverTime": int(self.now * 1_000)})

    async def _exchange_info(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "timezone": "UTC",
                "serverTime": int(self.now * 1_000),
                "rateLimits": [
                    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000}
                ],
                "exchangeFilters": [],
                "symbols": [self._market(name, pair) for name, pair in self.pairs().items()],
            }
        )

    def _market(self, name: str, pair: Pair) -> dict[str, object]:
        base, quote = pair.symbol.split("/")
        gone = pair.delisted is not None and pair.delisted.timestamp() <= self.now
        return {
            "symbol": name,
            "status": "BREAK" if gone else "TRADING",
            "baseAsset": base,
            "baseAssetPrecision": 8,
            "quoteAsset": quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"],
            "icebergAllowed": True,
            "isSpotTradingAllowed": not gone,
            "isMarginTradingAllowed": False,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.00000001", "maxPrice": "1000000.00000000",
                 "tickSize": "0.00000001"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
                {"filterType": "NOTIONAL", "minNotional": "5.00000000", "maxNotional": "9000000.00000000"},
            ],
            "permissions": [],
            "permissionSets": [["SPOT"]],
        }  # fmt: skip

    async def _klines(self, request: web.Request) -> web.Response:
        query = request.query
        for name in ("symbol", "interval"):
            if not query.get(name):
                return _refused(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        pair = self.pairs().get(query["symbol"])
        if pair is None:
            return _refused(-1121, "Invalid symbol.")
        interval = query["interval"]
        if interval not in SECONDS and interval != "1M":
            return _refused(-1120, "Invalid interval.")
        try:
            limit = min(int(query.get("limit", 500)), self.most)
            begin = int(query["startTime"]) if "startTime" in query else None
            end = int(query["endTime"]) if "endTime" in query else None
        except ValueError:
            return _refused(-1100, "Illegal characters found in a parameter.")
        last = self.now if end is None else min(self.now, end / 1_000)
        if begin is None:
            step = SECONDS.get(interval, 31 * 86_400)
            found = list(opens(pair, interval, last - (limit + 1) * step, last))[-limit:]
        else:
            found = []
            for bar in opens(pair, interval, begin / 1_000, last):
                found.append(bar)
                if len(found) == limit:
                    break
        return web.json_response([self.kline(pair, at, seconds) for at, seconds in found])

    def kline(self, pair: Pair, at: int, seconds: int) -> list[object]:
        """One bar as REST prints it; one that is forming has half of its volume so far."""
        row = self.row(pair, at, seconds)
        return [
            at * 1_000, *(f"{value:.8f}" for value in (row.open, row.high, row.low, row.close, row.volume)),
            (at + seconds) * 1_000 - 1, f"{row.volume * row.close:.8f}", 308, "0.00000000", "0.00000000", "0",
        ]  # fmt: skip

    def row(self, pair: Pair, at: int, seconds: int) -> Row:
        row = candle(pair, seconds, at)
        if at + seconds <= self.now:
            return row
        return Row(row.start, row.open, row.high, row.low, row.close, (row.volume / 2).quantize(Decimal("0.00000001")))

    # -- websocket ---------------------------------------------------------------------------------------------------

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        opened = await self.websocket(request)
        self.subscriptions[opened] = []
        try:
            async for message in opened:
                if message.type != WSMsgType.TEXT:
                    continue
                said = json.loads(message.data)
                if said.get("method") == "SUBSCRIBE":
                    self.subscriptions[opened] += said["params"]
                    await opened.send_json({"result": None, "id": said["id"]})
                    for stream in said["params"] if self.greets else ():
                        await opened.send_json(self._forming(stream))
                elif said.get("method") == "UNSUBSCRIBE":
                    self.subscriptions[opened] = [
                        stream for stream in self.subscriptions[opened] if stream not in said["params"]
                    ]
                    await opened.send_json({"result": None, "id": said["id"]})
        finally:
            self.subscriptions.pop(opened, None)
        return opened

    def _forming(self, stream: str) -> dict[str, object]:
        name, _, interval = stream.partition("@kline_")
        seconds = SECONDS[interval]
        return self.update(self.pairs()[name.upper()].symbol, interval, int(self.now // seconds * seconds))

    def update(
        self, symbol: str, interval: str, at: int, *, closed: bool = False, **numbers: object
    ) -> dict[str, object]:
        """Return one push: the bar that opens at the Unix second `at`; `numbers` (o, h, l, c, v) replace the market's."""
        pair, seconds = PAIRS["binance", symbol], SECONDS[interval]
        row = candle(pair, seconds, at) if closed else self.row(pair, at, seconds)
        values = {"o": row.open, "h": row.high, "l": row.low, "c": row.close, "v": row.volume, **numbers}
        name = market_id(symbol)
        return {
            "e": "kline",
            "E": int(self.now * 1_000),
            "s": name,
            "k": {
                "t": at * 1_000, "T": (at + seconds) * 1_000 - 1, "s": name, "i": interval, "f": 100, "L": 200, "n": 100,
                "x": closed, "q": "1.00000000", "V": "0.50000000", "Q": "0.50000000", "B": "0",
                **{key: f"{Decimal(str(value)):.8f}" for key, value in values.items()},
            },
        }  # fmt: skip

    def push(self, symbol: str, interval: str, at: int, *, closed: bool = False, **numbers: object) -> int:
        """Send one update to every websocket that subscribed to it, and return how many did."""
        message = self.update(symbol, interval, at, closed=closed, **numbers)
        stream = f"{market_id(symbol).lower()}@kline_{interval}"
        wanted = [opened for opened, streams in self.subscriptions.items() if stream in streams]

        async def send() -> None:
            for opened in wanted:
                await opened.send_json(message)

        self.run(send())
        return len(wanted)

    def wait_for_subscription(self, symbol: str, interval: str = "1m", seconds: float = 5.0) -> None:
        """Wait until somebody subscribed to the bars of `symbol`."""
        stream = f"{market_id(symbol).lower()}@kline_{interval}"
        patience = time.monotonic() + seconds
        while not any(stream in streams for streams in list(self.subscriptions.values())):
            assert time.monotonic() < patience, f"nobody subscribed to {stream}"
            time.sleep(0.005)


def _refused(code: int, text: str) -> web.Response:
    return web.json_response({"code": code, "msg": text}, status=400)

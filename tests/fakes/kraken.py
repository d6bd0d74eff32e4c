"""Kraken's public interface: the newest 720 bars whatever is asked for, and errors under the status 200."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from tests.fakes.market import NOW, PAIRS, Pair, candles
from tests.fakes.server import FakeServer

MOST = 720
MINUTES = (1, 5, 15, 30, 60, 240, 1_440, 10_080, 21_600)
#: Kraken's own names, with X for coins and Z for money where they are old.
IDS = {"BTC/USD": ("XXBTZUSD", "XBTUSD", "XXBT", "ZUSD"), "BTC/USDT": ("XBTUSDT", "XBTUSDT", "XXBT", "USDT")}


class KrakenServer(FakeServer):
    """Speaks as api.kraken.com does."""

    data_paths = ("/0/public/OHLC",)

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.now: float = NOW

    def host_names(self) -> list[str]:
        return ["api.kraken.com"]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/0/public/Time", self._time),
            web.get("/0/public/Assets", self._assets),
            web.get("/0/public/AssetPairs", self._pairs),
            web.get("/0/public/OHLC", self._ohlc),
        ]

    def error_response(self, status: int, headers: dict[str, str]) -> web.Response:
        """Return what Kraken says; that it is too much comes as 200 unless its front server says it, with Retry-After."""
        if status == 429 and "Retry-After" not in headers:
            return _refused("EGeneral:Too many requests")
        if status in (401, 403):
            return web.json_response({"error": ["EGeneral:Permission denied"]}, status=status, headers=headers)
        text = "<html><body>error code: 1015</body></html>" if status == 429 else "<html><body>Down</body></html>"
        return web.Response(status=status, text=text, content_type="text/html", headers=headers)

    async def _time(self, request: web.Request) -> web.Response:
        moment = datetime.fromtimestamp(self.now, UTC)
        return _answer({"unixtime": int(self.now), "rfc1123": f"{moment:%a, %d %b %y %H:%M:%S +0000}"})

    async def _assets(self, request: web.Request) -> web.Response:
        names = {"XXBT": ("XBT", 10), "ZUSD": ("USD", 4), "USDT": ("USDT", 8)}
        return _answer(
            {
                name: {
                    "aclass": "currency",
                    "altname": alt,
                    "decimals": digits,
                    "display_decimals": 5,
                    "status": "enabled",
                }
                for name, (alt, digits) in names.items()
            }
        )

    async def _pairs(self, request: web.Request) -> web.Response:
        return _answer({IDS[name][0]: _pair(name) for exchange, name in PAIRS if exchange == "kraken"})

    async def _ohlc(self, request: web.Request) -> web.Response:
        wanted = request.query.get("pair", "")
        symbol = next((name for name, ids in IDS.items() if wanted in ids[:2]), None)
        if symbol is None:
            return _refused("EQuery:Unknown asset pair")
        try:
            minutes, since = int(request.query.get("interval", 1)), int(float(request.query.get("since", 0)))
        except ValueError:
            return _refused("EGeneral:Invalid arguments")
        if minutes not in MINUTES:
            return _refused("EGeneral:Invalid arguments")
        pair = PAIRS["kraken", symbol]
        rows = [row for row in self.newest(pair, minutes * 60) if row[0] > since]
        # The id for polling: the last bar that will not change any more.
        last = int(self.now) // (minutes * 60) * minutes * 60 - minutes * 60
        return _answer({IDS[symbol][0]: rows, "last": last})

    def newest(self, pair: Pair, seconds: int) -> list[list[object]]:
        """Return the newest 720 bars, the last of which is still forming."""
        first = datetime.fromtimestamp(self.now - MOST * seconds, UTC)
        found = candles("kraken", pair.symbol, seconds, first, datetime.fromtimestamp(self.now, UTC))[-MOST:]
        return [
            [
                int(row.start.timestamp()),
                *(f"{value:.8f}" for value in (row.open, row.high, row.low, row.close, row.close, row.volume)),
                77,
            ]
            for row in found
        ]


def _pair(name: str) -> dict[str, object]:
    _, alt, base, quote = IDS[name]
    return {
        "altname": alt, "wsname": name.replace("BTC", "XBT"), "aclass_base": "currency", "base": base,
        "aclass_quote": "currency", "quote": quote, "lot": "unit", "cost_decimals": 8, "pair_decimals": 8,
        "lot_decimals": 8, "lot_multiplier": 1, "leverage_buy": [2, 3], "leverage_sell": [2, 3],
        "fees": [[0, 0.4], [10000, 0.35]], "fees_maker": [[0, 0.25], [10000, 0.2]], "fee_volume_currency": "ZUSD",
        "margin_call": 80, "margin_stop": 40, "ordermin": "0.00005", "costmin": "0.5", "tick_size": "0.00000001",
        "status": "online",
    }  # fmt: skip


def _answer(result: object) -> web.Response:
    return web.json_response({"error": [], "result": result})


def _refused(text: str) -> web.Response:
    return web.json_response({"error": [text]})

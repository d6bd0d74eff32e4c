"""A fake of Alpaca: bars of many symbols, corporate actions, the list of assets, and the websocket of minute bars.

What it does as the vendor does:

- `limit` counts the bars of all symbols of a page together; pages go through the symbols in order, then through time;
- a symbol that nobody knows has no bars and is no error; one that cannot be a symbol fails the whole request with 400;
- daily, weekly and monthly bars are labelled by midnight in New York, as an instant in UTC;
- minute bars include trading before and after the session; hours begin on the clock;
- corporate actions are selected by the day they are processed: a dividend's is the day of payment;
- SIP data of the last 15 minutes are refused on the basic plan with 403; 429 comes without a body;
- prices are JSON numbers.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgpack
from aiohttp import WSMsgType, web

from tests.fakes import market
from tests.fakes.server import FakeServer

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY_ID = "INVENTED-alpaca-key-id-for-tests"
SECRET = "invented-alpaca-secret-for-tests"
NEW_YORK = ZoneInfo("America/New_York")
MAX_LIMIT = 10_000
RECENT_TEXT = "subscription does not permit querying recent SIP data"
_EXCHANGES = {"XNAS": "NASDAQ", "XNYS": "NYSE", "ARCX": "ARCA"}
_MINUTES = {"1Min": 1, "5Min": 5, "15Min": 15, "30Min": 30, "1Hour": 60}
_BEFORE, _AFTER = 2, 3  # bars printed before the open and after the close
_WEIRD = re.compile(r"[^A-Z0-9./]")


class AlpacaServer(FakeServer):
    """Serves the fake market's New York listings.

    page_size: most bars, or events, of a page whatever `limit` says; small, so that answers have several pages.
    basic: the plan without recent SIP data. shows_assets: whether the key may see the trading API.
    """

    data_paths = ("/v2/stocks/bars",)

    def __init__(
        self,
        *,
        page_size: int = MAX_LIMIT,
        key_id: str = KEY_ID,
        secret: str = SECRET,
        now: float = market.NOW,
        basic: bool = True,
        shows_assets: bool = True,
        **server: Any,
    ) -> None:
        super().__init__(**server)
        self.page_size = page_size
        self.key_id = key_id
        self.secret = secret
        self.now = now
        self.basic = basic
        self.shows_assets = shows_assets
        #: Events beside those of the market, as the vendor writes them, by group: {"spin_offs": [...]}.
        self.more_actions: dict[str, list[dict[str, Any]]] = {}
        #: Called with each answer before it is sent; a test may spoil it.
        self.spoil: Any = None
        self.listeners: dict[web.WebSocketResponse, set[str]] = {}
        self.received: list[dict[str, Any]] = []
        #: What the websocket says instead of authenticating or subscribing: a code and a text.
        self.refuses_auth: tuple[int, str] | None = None
        self.refuses_subscription: tuple[int, str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a client is let in."""
        return {"APCA_API_KEY_ID": self.key_id, "APCA_API_SECRET_KEY": self.secret}

    def host_names(self) -> list[str]:
        return ["data.alpaca.markets", "api.alpaca.markets", "paper-api.alpaca.markets", "stream.data.alpaca.markets"]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v2/stocks/bars", self._bars),
            web.get("/v1/corporate-actions", self._actions),
            web.get("/v2/assets", self._assets),
            web.get("/v2/assets/{symbol}", self._asset),
            web.get("/v2/iex", self._stream),
            web.get("/v2/sip", self._stream),
        ]

    def error_response(self, status: int, headers: dict[str, str]) -> web.Response:
        texts = {401: '{"message": "unauthorized."}', 403: '{"message": "forbidden."}', 429: ""}
        text = texts.get(status, '{"message": "internal server error"}')
        return web.Response(status=status, text=text, content_type="application/json", headers=headers)

    # -- bars --------------------------------------------------------------------------------------------------------

    async def _bars(self, request: web.Request) -> web.StreamResponse:
        if not self._knows(request):
            return self.error_response(401, {})
        asked = request.query
        symbols = sorted({symbol for symbol in asked.get("symbols", "").split(",") if symbol})
        if not symbols:
            return _refusal(400, "symbols is required")
        for symbol in symbols:
            if _WEIRD.search(symbol):
                return _refusal(400, f"invalid symbol: {symbol}")
        timeframe = asked.get("timeframe", "")
        if timeframe not in (*_MINUTES, "1Day", "1Week", "1Month"):
            return _refusal(422, f"invalid timeframe: {timeframe}")
        if asked.get("adjustment", "raw") not in ("raw", "split", "dividend", "all"):
            return _refusal(400, "invalid adjustment")
        now = datetime.fromtimestamp(self.now, UTC)
        start = _instant(asked.get("start"), now.replace(hour=0, minute=0, second=0), end=False)
        end = _instant(asked.get("end"), now - timedelta(minutes=15 if self._is_delayed(asked) else 0), end=True)
        if end < start:
            return _refusal(400, "end should not be before start")
        if self._is_delayed(asked) and end > now - timedelta(minutes=15):
            return _refusal(403, RECENT_TEXT)
        limit = min(int(asked.get("limit", "1000")), MAX_LIMIT, self.page_size)
        if not _is_token(asked.get("page_token")):
            return _refusal(400, "invalid page token")
        answer = self.page(
            symbols, timeframe, start, end, asked.get("adjustment", "raw"), limit, asked.get("page_token")
        )
        if self.spoil is not None:
            answer = self.spoil(answer)
        return _answer(answer)

    def page(
        self,
        symbols: list[str],
        timeframe: str,
        start: datetime,
        end: datetime,
        adjustment: str,
        limit: int,
        token: str | None,
    ) -> dict[str, Any]:
        """One page; the token names the last bar given."""
        after = tuple(json.loads(base64.urlsafe_b64decode(token))) if token else ("", "")
        bars: dict[str, list[dict[str, Any]]] = {}
        count, last = 0, after
        for symbol in symbols:
            for stamp, row in self.rows(symbol, timeframe, start, end):
                if (symbol, stamp) <= after:
                    continue
                if count == limit:
                    return {
                        "bars": bars,
                        "next_page_token": base64.urlsafe_b64encode(json.dumps(last).encode()).decode(),
                    }
                bars.setdefault(symbol, []).append(_print(symbol, stamp, row, adjustment))
                count, last = count + 1, (symbol, stamp)
        return {"bars": bars, "next_page_token": None}

    def rows(self, symbol: str, timeframe: str, start: datetime, end: datetime) -> Iterable[tuple[str, market.Row]]:
        """The bars of a symbol with their label as text, up to now."""
        equity = market.EQUITIES.get(symbol)
        if equity is None or equity.mic not in _EXCHANGES:
            return []
        now = datetime.fromtimestamp(self.now, UTC)
        end = min(end, now)
        first, last = start.astimezone(NEW_YORK).date(), end.astimezone(NEW_YORK).date()
        if timeframe in _MINUTES:
            found = _around(symbol, _MINUTES[timeframe], first, last)
        else:
            found = [
                (market.local_midnight(day, "America/New_York").astimezone(UTC), row)
                for day, row in _periods(symbol, timeframe, first, last)
            ]
        return [(f"{at:%Y-%m-%dT%H:%M:%SZ}", row) for at, row in found if start <= at <= end]

    def _is_delayed(self, asked: Any) -> bool:
        return self.basic and asked.get("feed", "sip") == "sip"

    # -- corporate actions -------------------------------------------------------------------------------------------

    async def _actions(self, request: web.Request) -> web.StreamResponse:
        if not self._knows(request):
            return self.error_response(401, {})
        asked = request.query
        symbols = set(asked.get("symbols", "").split(","))
        types = set(asked.get("types", "").split(",")) - {""}
        first, last = date.fromisoformat(asked["start"]), date.fromisoformat(asked["end"])
        limit = min(int(asked.get("limit", "100")), 1_000, self.page_size)
        found = []
        for group, events in self._events().items():
            for event in events:
                of = event["source_symbol"] if group == "spin_offs" else event["symbol"]
                wanted = of in symbols and (not types or group.removesuffix("s") in types)
                if wanted and first <= date.fromisoformat(event["process_date"]) <= last:
                    found.append((event["process_date"], group, event))
        found.sort(key=lambda item: (item[1], item[0]))
        skip = int(asked.get("page_token") or 0)
        page: dict[str, list[dict[str, Any]]] = {}
        for _, group, event in found[skip : skip + limit]:
            page.setdefault(group, []).append(event)
        more = str(skip + limit) if skip + limit < len(found) else None
        return _answer({"corporate_actions": page, "next_page_token": more})

    def _events(self) -> dict[str, list[dict[str, Any]]]:
        groups: dict[str, list[dict[str, Any]]] = {name: list(events) for name, events in self.more_actions.items()}
        for equity in market.EQUITIES.values():
            if equity.mic not in _EXCHANGES:
                continue
            for split in equity.splits:
                group = "forward_splits" if split.new > split.old else "reverse_splits"
                groups.setdefault(group, []).append(
                    {
                        "symbol": equity.symbol,
                        "id": _uuid(equity.symbol, split.ex_date),
                        "cusip": "000000000",
                        "new_rate": Decimal(split.new),
                        "old_rate": Decimal(split.old),
                        "process_date": split.ex_date.isoformat(),
                        "ex_date": split.ex_date.isoformat(),
                        "payable_date": split.ex_date.isoformat(),
                    }
                )
            for paid in equity.dividends:
                groups.setdefault("cash_dividends", []).append(
                    {
                        "symbol": equity.symbol,
                        "id": _uuid(equity.symbol, paid.ex_date),
                        "cusip": "000000000",
                        "rate": paid.amount,
                        "special": False,
                        "foreign": False,
                        "process_date": paid.pay.isoformat(),
                        "ex_date": paid.ex_date.isoformat(),
                        "record_date": paid.record.isoformat(),
                        "payable_date": paid.pay.isoformat(),
                    }
                )
        return groups

    # -- assets ------------------------------------------------------------------------------------------------------

    async def _assets(self, request: web.Request) -> web.StreamResponse:
        if not self._knows(request) or not self.shows_assets:
            return self.error_response(401, {})
        status = request.query.get("status")
        return _answer([a for a in self.assets() if status in (None, "all", a["status"])])

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        if not self._knows(request) or not self.shows_assets:
            return self.error_response(401, {})
        for asset in self.assets():
            if asset["symbol"] == request.match_info["symbol"]:
                return _answer(asset)
        return _refusal(404, f"asset not found for {request.match_info['symbol']}")

    def assets(self) -> list[dict[str, Any]]:
        """The list as the vendor prints it, in no order; a former listing may share its symbol with an active one."""
        former = _print_asset("SPY", "A former user of a ticker", "NYSE", is_active=False)
        return [
            former,
            *(
                _print_asset(equity.symbol, equity.name, _EXCHANGES[equity.mic], is_active=equity.delisted is None)
                for equity in market.EQUITIES.values()
                if equity.mic in _EXCHANGES
            ),
        ]

    # -- stream ------------------------------------------------------------------------------------------------------

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        opened = await self.websocket(request)
        await _send(opened, [{"T": "success", "msg": "connected"}])
        frames = b""
        async for message in opened:
            if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
                continue
            frames = message.data if isinstance(message.data, bytes) else message.data.encode()
            said = msgpack.unpackb(frames)
            self.received.append(said)
            await self._reply(opened, said)
        self.listeners.pop(opened, None)
        return opened

    async def _reply(self, opened: web.WebSocketResponse, said: dict[str, Any]) -> None:
        if said["action"] == "auth":
            refusal = self.refuses_auth
            if refusal is None and (said["key"], said["secret"]) != (self.key_id, self.secret):
                refusal = (402, "auth failed")
            if refusal is not None:
                await _send(opened, [{"T": "error", "code": refusal[0], "msg": refusal[1]}])
            else:
                await _send(opened, [{"T": "success", "msg": "authenticated"}])
        elif said["action"] == "subscribe":
            if self.refuses_subscription is not None:
                code, text = self.refuses_subscription
                await _send(opened, [{"T": "error", "code": code, "msg": text}])
                return
            self.listeners.setdefault(opened, set()).update(said.get("bars", ()))
            bars = sorted(self.listeners[opened])
            await _send(opened, [{"T": "subscription", "trades": [], "quotes": [], "bars": bars}])

    def push(self, symbol: str, row: market.Row, kind: str = "b") -> None:
        """Send one bar to everyone who subscribed to it."""
        message = {
            "T": kind,
            "S": symbol,
            "o": float(row.open),
            "h": float(row.high),
            "l": float(row.low),
            "c": float(row.close),
            "v": int(row.volume),
            "t": msgpack.Timestamp.from_datetime(row.start),
            "n": 12,
            "vw": float(row.close),
        }

        async def send() -> None:
            for opened, symbols in list(self.listeners.items()):
                if symbol in symbols:
                    await _send(opened, [message])

        self.run(send())

    def say(self, message: dict[str, Any]) -> None:
        """Send any frame to everyone who listens."""

        async def send() -> None:
            for opened in list(self.listeners):
                await _send(opened, [message])

        self.run(send())

    def _knows(self, request: web.Request) -> bool:
        given = request.headers.get("APCA-API-KEY-ID"), request.headers.get("APCA-API-SECRET-KEY")
        return given == (self.key_id, self.secret)


async def _send(opened: web.WebSocketResponse, messages: list[dict[str, Any]]) -> None:
    await opened.send_bytes(msgpack.packb(messages))


def _around(symbol: str, minutes: int, first: date, last: date) -> list[tuple[datetime, market.Row]]:
    """Bars of the sessions, and some before and after them."""
    found = []
    for day, (opened, closed) in market.sessions("XNYS").items():
        if not first <= day <= last:
            continue
        rows = market.intraday(symbol, minutes, day, day)
        if not rows:
            continue
        step = timedelta(minutes=minutes)
        found += [(opened - step * n, rows[0]) for n in range(_BEFORE, 0, -1)]
        found += [(row.start, row) for row in rows]
        found += [(closed + step * n, rows[-1]) for n in range(_AFTER)]
    return found


def _periods(symbol: str, timeframe: str, first: date, last: date) -> list[tuple[date, market.Row]]:
    """Daily bars, or what they sum up to in weeks from Monday and in months; only days in the range count."""
    groups: dict[date, list[market.Row]] = {}
    for row in market.daily(symbol, first, last):
        day = row.start.date()
        if timeframe == "1Week":
            day -= timedelta(days=day.weekday())
        elif timeframe == "1Month":
            day = day.replace(day=1)
        groups.setdefault(day, []).append(row)
    return [
        (
            day,
            market.Row(
                rows[0].start,
                rows[0].open,
                max(row.high for row in rows),
                min(row.low for row in rows),
                rows[-1].close,
                sum((row.volume for row in rows), Decimal(0)),
            ),
        )
        for day, rows in groups.items()
    ]


def _print(symbol: str, stamp: str, row: market.Row, adjustment: str) -> dict[str, Any]:
    factor = Decimal(1)
    if adjustment in ("split", "all"):
        day = datetime.fromisoformat(stamp).astimezone(NEW_YORK).date()
        factor = market.raw_factor(market.EQUITIES[symbol], day)
    prices = {
        key: (value / factor).quantize(Decimal("0.0001")).normalize()
        for key, value in (("c", row.close), ("h", row.high), ("l", row.low), ("o", row.open))
    }
    volume = int(row.volume * factor)
    return {**prices, "n": 1_234, "t": stamp, "v": volume, "vw": prices["c"]}


def _print_asset(symbol: str, name: str, exchange: str, *, is_active: bool) -> dict[str, Any]:
    return {
        "id": "00000000-0000-0000-0000-000000000000",
        "class": "us_equity",
        "exchange": exchange,
        "symbol": symbol,
        "name": name,
        "status": "active" if is_active else "inactive",
        "tradable": is_active,
        "marginable": True,
        "shortable": True,
        "easy_to_borrow": True,
        "fractionable": True,
    }


def _uuid(*what: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, repr(what)))


def _is_token(text: str | None) -> bool:
    try:
        return not text or len(json.loads(base64.urlsafe_b64decode(text))) == 2
    except ValueError:
        return False


def _instant(text: str | None, usual: datetime, *, end: bool) -> datetime:
    if not text:
        return usual
    if len(text) == 10:
        day = datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)
        return day + timedelta(days=1, microseconds=-1) if end else day
    return datetime.fromisoformat(text)


def _refusal(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=json.dumps({"message": text}), content_type="application/json")


def _answer(value: Any) -> web.Response:
    """JSON whose numbers have the digits of their decimals."""
    return web.Response(text=_json(value), content_type="application/json")


def _json(value: Any) -> str:
    match value:
        case dict():
            return "{" + ",".join(f"{json.dumps(key)}:{_json(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_json, value)) + "]"
        case Decimal():
            return format(value, "f")
        case _:
            return json.dumps(value)

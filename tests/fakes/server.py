"""The server under every fake vendor: plain or TLS, behind a CONNECT proxy if wanted, with a queue of faults and a log.

It runs in a thread of its own, on 127.0.0.1, on a port that the system chooses. A fake vendor derives from `FakeServer` and
adds routes; what a route answers is what the vendor would answer.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

KINDS = ("429", "401", "403", "404", "418", "451", "500", "503", "malformed", "cut", "reset", "slow", "empty", "text")


@dataclass
class Fault:
    """One thing that goes wrong.

    kind: an HTTP status, ``malformed`` (broken JSON), ``cut`` (the body ends early), ``reset`` (the connection breaks),
    ``slow`` (answers after `seconds`), ``empty`` (200 without a body), ``text`` (200 with `body`).
    """

    kind: str
    times: int | None = 1  # None: for ever
    skip: int = 0  # matching requests that are answered well before it begins
    retry_after: float | None = None
    seconds: float = 5.0
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)
    where: Callable[[web.Request], bool] | None = None


@dataclass(frozen=True)
class Recorded:
    """One request as it arrived."""

    method: str
    host: str
    path: str
    path_qs: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    at: float


class FakeServer:
    """A web server with faults; use it as a context manager.

    `is_data(request)` tells requests for bars from others (cookies, lists of markets): faults hit the former unless a
    fault says `where`.
    """

    #: Path prefixes of requests for bars; empty means every request.
    data_paths: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        tls: bool = False,
        proxy: bool = False,
        latency_seconds: float = 0.0,
        port: int = 0,
        remembers: bool = False,
    ) -> None:
        self.tls = tls
        self.with_proxy = proxy
        self.latency_seconds = latency_seconds
        self.requests: list[Recorded] = []
        self.faults: list[Fault] = []
        self.most_parallel = 0
        self._parallel = 0
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="fake-vendor-")
        self._sockets: set[web.WebSocketResponse] = set()
        #: Answers to requests for bars by address, where the server shall cost nothing when asked again (`remembers`).
        self.remembered: dict[str, web.Response] | None = {} if remembers else None
        #: Called with each request and its answer; what it returns is sent instead.
        self.mutate: Callable[[web.Request, web.StreamResponse], web.StreamResponse] | None = None
        self.port = port
        self.proxy_port = 0

    # -- what a vendor adds ------------------------------------------------------------------------------------------

    def routes(self) -> list[web.RouteDef]:
        """Return the vendor's routes."""
        return []

    def is_data(self, request: web.Request) -> bool:
        return not self.data_paths or request.path.startswith(self.data_paths)

    # -- what a test uses --------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}"

    @property
    def proxy_url(self) -> str:
        """An HTTP proxy that tunnels every host and port to this server (start with ``proxy=True``)."""
        return f"http://127.0.0.1:{self.proxy_port}"

    @property
    def ca_bundle(self) -> str:
        """PEM file of the authority that signed this server's certificates (start with ``tls=True``)."""
        return str(Path(self._folder.name) / "ca.pem")

    def fail(self, kind: str, *, times: int | None = 1, skip: int = 0, **more: object) -> Fault:
        """Queue a fault; the queue is worked off in order."""
        assert kind in KINDS, kind
        fault = Fault(kind, times, skip, **more)  # type: ignore[arg-type]
        self.faults.append(fault)
        return fault

    def heal(self) -> None:
        """Forget all faults."""
        self.faults.clear()

    def data_requests(self) -> list[Recorded]:
        """Return the requests for bars so far, failed ones included."""
        prefixes = self.data_paths or ("/",)
        return [request for request in self.requests if request.path.startswith(prefixes)]

    def close_websockets(self, code: int = 1011) -> None:
        """Break every open websocket, as a vendor that restarts does."""

        async def close() -> None:
            for open_socket in list(self._sockets):
                await open_socket.close(code=code)

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(timeout=5)

    def run(self, coroutine: Awaitable[object]) -> object:
        """Run a coroutine on the server's loop and wait for it: pushing a message into a websocket, for instance."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)  # type: ignore[arg-type]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._serve, name=f"{type(self).__name__}", daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)
        self._folder.cleanup()

    # -- inside ------------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001  raised where the server was started
            self._failure = error
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        application = web.Application(middlewares=[self._middleware], client_max_size=2**24)
        application.add_routes([*self.routes(), web.get("/__requests", self._tell_requests)])
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        context = self._certificates() if self.tls else None
        site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=context)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        tunnel = None
        if self.with_proxy:
            tunnel = await asyncio.start_server(self._tunnel, "127.0.0.1", self.proxy_port)
            self.proxy_port = tunnel.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopped.wait()
        for open_socket in list(self._sockets):
            await open_socket.close()
        if tunnel is not None:
            tunnel.close()
        await runner.cleanup()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _certificates(self) -> ssl.SSLContext:
        import trustme

        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_bundle)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        names = ["127.0.0.1", "localhost", *self.host_names()]
        authority.issue_cert(*names).configure_cert(context)
        return context

    def host_names(self) -> list[str]:
        """Return the vendor's real host names, for the certificate when clients come through the proxy."""
        return []

    @web.middleware
    async def _middleware(self, request: web.Request, handler: Callable) -> web.StreamResponse:  # type: ignore[type-arg]
        if request.path == "/__requests":
            return await handler(request)
        self.requests.append(
            Recorded(
                request.method,
                request.host,
                request.path,
                request.path_qs,
                dict(request.query),
                dict(request.headers),
                time.monotonic(),
            )
        )
        self._parallel += 1
        self.most_parallel = max(self.most_parallel, self._parallel)
        try:
            if self.latency_seconds:
                await asyncio.sleep(self.latency_seconds)
            fault = self._next_fault(request)
            if fault is not None and fault.kind == "slow":
                await asyncio.sleep(fault.seconds)
            if fault is not None and fault.kind not in ("slow", "cut", "malformed"):
                return await self._broken(request, fault)
            response = await self._answer(request, handler)
            if fault is not None and fault.kind in ("cut", "malformed"):
                return await self._damaged(request, response, fault)
            return response if self.mutate is None else self.mutate(request, response)
        finally:
            self._parallel -= 1

    async def _answer(self, request: web.Request, handler: Callable) -> web.StreamResponse:  # type: ignore[type-arg]
        if self.remembered is None or not self.is_data(request):
            return await handler(request)
        known = self.remembered.get(request.path_qs)
        if known is None:
            known = await handler(request)
            if known.status == 200:
                self.remembered[request.path_qs] = known
        return web.Response(body=known.body, content_type=known.content_type)

    async def _tell_requests(self, _: web.Request) -> web.Response:
        """Answer what was asked so far, for whoever runs this server in another process."""
        return web.json_response([[request.method, request.path_qs] for request in self.requests])

    def _next_fault(self, request: web.Request) -> Fault | None:
        for fault in self.faults:
            if not (fault.where(request) if fault.where else self.is_data(request)):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                return None
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
            return fault
        return None

    async def _broken(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.kind == "reset":
            return self._reset(request)
        headers = dict(fault.headers)
        if fault.retry_after is not None:
            headers["Retry-After"] = f"{fault.retry_after:g}"
        if fault.kind == "empty":
            return web.Response(status=200, body=b"", headers=headers)
        if fault.kind == "text":
            return web.Response(status=200, text=fault.body, content_type="application/json", headers=headers)
        return self.error_response(int(fault.kind), headers)

    def error_response(self, status: int, headers: dict[str, str]) -> web.Response:
        """Return what the vendor sends with an HTTP error; vendors differ in the body."""
        return web.Response(status=status, text='{"error": "fault"}', content_type="application/json", headers=headers)

    def _reset(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        assert transport is not None
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        return web.Response()

    async def _damaged(self, request: web.Request, response: web.StreamResponse, fault: Fault) -> web.StreamResponse:
        """Answer half of the body: as if it were all (malformed), or breaking off (cut)."""
        assert isinstance(response, web.Response)
        body = bytes(response.body or b"")  # type: ignore[arg-type]
        half = body[: len(body) // 2]
        if fault.kind == "malformed":
            return web.Response(status=200, body=half, content_type=response.content_type)
        whole = web.StreamResponse(status=200)
        whole.content_type = response.content_type
        whole.content_length = len(body)
        await whole.prepare(request)
        await whole.write(half)
        assert request.transport is not None
        request.transport.close()
        return whole

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Accept a websocket and remember it, so that `close_websockets` can break it."""
        opened = web.WebSocketResponse(heartbeat=None)
        await opened.prepare(request)
        self._sockets.add(opened)
        return opened

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer CONNECT host:port, and carry bytes between the client and this server, whatever the host."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"CONNECT "):
                writer.write(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
                return
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(_carry(reader, inner_writer), _carry(inner_reader, writer))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a task of the stream protocol that ends cancelled is logged as an error
        finally:
            writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(2**16):
            writer.write(chunk)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()

"""A webhook sink on a socket: it keeps what it received, by path, and can be told to hang or to refuse."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, cast

import httptools

OK: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
UNAVAILABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Hit:
    """One request. `at` is in seconds of the machine's monotonic clock, the same in every process."""

    at: float
    path: str
    webhook_id: str
    body: dict[str, Any]
    accepted: bool

    @property
    def type(self) -> str:
        return str(self.body.get("type", ""))

    @property
    def incident(self) -> dict[str, Any]:
        return dict(self.body["data"]["incident"])

    @property
    def page(self) -> dict[str, Any]:
        return dict(self.body["data"].get("page") or {})


@dataclass
class Sink:
    """What came, in order. Paths in `hanging` never get an answer; paths in `refusing` get 503."""

    port: int = 0
    hits: list[Hit] = field(default_factory=list)
    hanging: set[str] = field(default_factory=set)
    refusing: set[str] = field(default_factory=set)
    heard: Callable[[Hit], None] | None = None

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def pages(self, path: str | None = None, *, key: str | None = None) -> list[Hit]:
        """The accepted pages, oldest first, narrowed to one recipient's path and one incident's dedup key."""
        return [
            hit
            for hit in self.hits
            if hit.accepted
            and hit.type == "page"
            and path in {None, hit.path}
            and (key is None or hit.incident["dedup_key"] == key)
        ]

    def answer(self, path: str, webhook_id: str, raw: bytes) -> bytes | None:
        hit = Hit(
            at=time.monotonic(),
            path=path,
            webhook_id=webhook_id,
            body=json.loads(raw) if raw else {},
            accepted=path not in self.hanging | self.refusing,
        )
        self.hits.append(hit)
        if self.heard is not None:
            self.heard(hit)
        if path in self.hanging:
            return None
        return UNAVAILABLE if path in self.refusing else OK


class _Connection(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.parser = httptools.HttpRequestParser(self)
        self.transport: asyncio.Transport | None = None
        self._begin()

    def _begin(self) -> None:
        self.path, self.webhook_id, self.body = "", "", bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        with suppress(httptools.HttpParserError):
            self.parser.feed_data(data)
            return
        assert self.transport is not None
        self.transport.close()

    def on_url(self, url: bytes) -> None:
        self.path += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"webhook-id":
            self.webhook_id = value.decode()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        answer = self.sink.answer(self.path, self.webhook_id, bytes(self.body))
        assert self.transport is not None
        if answer is not None:
            self.transport.write(answer)
        self._begin()


@asynccontextmanager
async def listening(sink: Sink) -> AsyncIterator[Sink]:
    """The sink on a free port of the loopback interface, until the end of the block."""
    loop = asyncio.get_running_loop()
    open_connections: set[asyncio.BaseTransport] = set()

    class Tracked(_Connection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            open_connections.add(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            open_connections.discard(self.transport)

    server = await loop.create_server(lambda: Tracked(sink), "127.0.0.1", sink.port)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        for transport in list(open_connections):
            transport.close()
        await server.wait_closed()

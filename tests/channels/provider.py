"""An HTTP server on a socket that plays a provider: a function answers what it is asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {
            name: values[0] for name, values in parse_qs(self.body.decode(), keep_blank_values=True).items()
        }


@dataclass
class Said:
    """One answer; `content` becomes JSON unless it is text already."""

    content: Any = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        text = self.content if isinstance(self.content, str) else json.dumps(self.content)
        named = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        body = text.encode()
        return f"HTTP/1.1 {self.status} Said\r\ncontent-length: {len(body)}\r\n{named}\r\n".encode() + body


async def _serve(answer: Callable[[Asked], Said], reader: Any, writer: Any) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            first, *lines = head.decode().split("\r\n")
            named = (line.partition(":") for line in lines if line)
            headers = {name.lower(): value.strip() for name, _, value in named}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, path, _ = first.split()
            writer.write(answer(Asked(method, path, headers, body)).raw)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


@asynccontextmanager
async def playing(answer: Callable[[Asked], Said]) -> AsyncIterator[str]:
    """The base URL of a provider that answers so."""
    server = await asyncio.start_server(lambda *sides: _serve(answer, *sides), "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()

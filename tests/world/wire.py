"""A small HTTP/1.1 client on bare sockets: one keep-alive connection, one request at a time.

The load generators use it because an HTTP library costs more per request than the servers they measure.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class BrokenConnectionError(ConnectionError):
    """The server hung up or answered something that is not HTTP; what became of the request is unknown."""


class Connection:
    """One connection, opened with the first request and again after it broke."""

    def __init__(self, url: str, *, headers: dict[str, str] | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.host, self.port = parts.hostname, parts.port or 80
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        self._head = f"Host: {self.host}:{self.port}\r\n{lines}"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(
        self, method: str, path: str, body: bytes = b"", *, timeout_seconds: float = 15
    ) -> Answer:
        """Raises BrokenConnectionError, OSError or TimeoutError; the next request opens a new connection."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._exchange(method, path, body)
        except asyncio.IncompleteReadError as err:
            self.close()
            raise BrokenConnectionError(f"{method} {path}: hung up") from err
        except (OSError, TimeoutError):
            self.close()
            raise

    async def _exchange(self, method: str, path: str, body: bytes) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{method} {path} HTTP/1.1\r\n{self._head}{length}\r\n".encode() + body)
        head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        status = int(head[0].split(b" ", 2)[1])
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in head[1:])
        }
        if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            content = await _chunks(reader)
        else:
            content = await reader.readexactly(int(headers.get(b"content-length", 0)))
        if headers.get(b"connection", b"").lower() == b"close":
            self.close()
        return Answer(status, content)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    content = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        content += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return bytes(content)

"""A webhook endpoint that answers 204 and keeps nothing, in a process of its own; prints its port.

Paths below /hangs are never answered, those below /fails get 503.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

import httptools
import uvloop

from tests.world.programs import REPOSITORY

_OK: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
_FAILS: Final = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_message_complete(self) -> None:
        assert self._transport is not None
        if not self._path.startswith(b"/hangs"):
            self._transport.write(_FAILS if self._path.startswith(b"/fails") else _OK)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def silent_sink() -> Iterator[str]:
    """Its address, for the time of the block."""
    argv = [sys.executable, "-m", "bench.silent_sink"]
    with subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


if __name__ == "__main__":
    uvloop.run(_serve())

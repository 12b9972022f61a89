"""A TCP proxy that can swallow: its connections stay, but nothing passes any more and nobody hears of it.

That is how a network looks from which a machine was cut off: neither FIN nor RST, and no data.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Pipe:
    """One connection that was made through the proxy."""

    open: asyncio.Event = field(default_factory=asyncio.Event)  # cleared: what comes is kept back


@dataclass
class Proxy:
    """Hands on to one server. Connections made after `swallow` pass, unless `new` says otherwise."""

    host: str
    target_port: int
    port: int = 0
    pipes: list[Pipe] = field(default_factory=list)
    passing_new: bool = True

    def swallow(self, *, new: bool = False) -> None:
        """Keep back everything on the connections that there are, and on `new` ones, too."""
        self.passing_new = not new
        for pipe in self.pipes:
            pipe.open.clear()

    def let_go(self) -> None:
        """What was kept back passes, late."""
        self.passing_new = True
        for pipe in self.pipes:
            pipe.open.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pipe = Pipe()
        if self.passing_new:
            pipe.open.set()
        self.pipes.append(pipe)
        try:
            beyond_reader, beyond_writer = await asyncio.open_connection(self.host, self.target_port)
            try:
                await asyncio.gather(
                    _hand_on(reader, beyond_writer, pipe), _hand_on(beyond_reader, writer, pipe)
                )
            finally:
                beyond_writer.transport.abort()
        finally:
            writer.transport.abort()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pipe: Pipe) -> None:
    with suppress(OSError):
        while block := await reader.read(65536):
            await pipe.open.wait()
            writer.write(block)
            await writer.drain()
        await pipe.open.wait()
    writer.close()


@asynccontextmanager
async def swallowing(host: str, port: int) -> AsyncIterator[Proxy]:
    """A proxy on a free port of the loopback interface, until the end of the block."""
    proxy = Proxy(host, port)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(proxy.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

"""Intake on a real socket within small bounds, and clients that write bytes by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from ladder.serving.bounds import Bounds
from ladder.serving.listener import Address, bind, serving
from ladder.web.host import assemble
from services.intake.app import build
from services.intake.settings import IntakeSettings
from shared.auth.failed_attempts import FailedAttempts
from tests.services.intake.fakes import SCRIPTS, FakeLog
from tests.waiting import until

EVENT: Final = b'{"title": "disk full"}'
HEAD: Final = (
    b"POST /v1/events HTTP/1.1\r\nHost: ladder\r\nContent-Type: application/json\r\nAuthorization: Bearer "
)


def post(key: str = SCRIPTS, body: bytes = EVENT, length: int | None = None, more: bytes = b"") -> bytes:
    """A whole post; `length` is what is announced where that is not what is sent."""
    size = len(body) if length is None else length
    return HEAD + key.encode() + b"\r\nContent-Length: %d\r\n" % size + more + b"\r\n" + body


@dataclass
class Wire:
    """One connection. `answer` reads one response; `ended` waits until the server closes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, seconds: float = 5) -> tuple[int, bytes]:
        async with asyncio.timeout(seconds):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            return int(head.split(b" ", 2)[1]), head + await self.reader.readexactly(length)

    async def ended(self, seconds: float = 5) -> bytes:
        """What came until the server closed."""
        async with asyncio.timeout(seconds):
            with suppress(ConnectionError):
                return await self.reader.read()
        return b""

    async def push(self, piece: bytes, times: int) -> int:
        """Send this so often, as fast as it is taken; how many bytes went before the server would not."""
        with suppress(ConnectionError):
            for number in range(times):
                self.writer.write(piece)
                await self.writer.drain()
                if self.writer.transport.is_closing():
                    return number * len(piece)
            return times * len(piece)
        return -1


@dataclass
class Door:
    """The listener, and the connections that were opened to it."""

    address: Address
    log: FakeLog
    opened: list[Wire] = field(default_factory=list)

    async def connect(self, source: str = "127.0.0.1") -> Wire:
        wire = Wire(
            *await asyncio.open_connection(
                self.address.host, self.address.port, local_addr=(source, 0), limit=1 << 20
            )
        )
        self.opened.append(wire)
        return wire

    async def posts(self, source: str = "127.0.0.1", key: str = SCRIPTS) -> tuple[int, float]:
        """Post on a connection of its own: the status, and the seconds it took."""
        began = asyncio.get_running_loop().time()
        wire = await self.connect(source)
        wire.send(post(key))
        status, _ = await wire.answer()
        return status, asyncio.get_running_loop().time() - began


@asynccontextmanager
async def door(*, failures: int = 30, log: FakeLog | None = None, **bounds: Any) -> AsyncIterator[Door]:
    """Intake behind a listener with these bounds; quick ones where none are given."""
    log = log or FakeLog()
    service = build(IntakeSettings(), log=log)
    app = assemble([service], loopback=True, guesses=FailedAttempts(failures))
    sock, address = bind(Address("127.0.0.1", 0))
    async with service.running(), serving(app, sock, address, Bounds(**bounds)):
        await until(lambda: not service.unready())
        opening = Door(address, log)
        try:
            yield opening
        finally:
            for wire in opening.opened:
                wire.writer.transport.abort()

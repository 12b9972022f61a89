"""A small HTTP server on a socket that keeps what it received and answers as it is told, per path."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from standardwebhooks import Webhook

HANG = "hang"


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    body: bytes
    at: datetime
    method: str = "POST"

    @property
    def content(self):
        return msgspec.json.decode(self.body)

    @property
    def event(self) -> str:
        return self.content["type"]

    def signed_with(self, key: bytes) -> bool:
        """Whether the signature is genuine and its time is not too old (the library checks both)."""
        Webhook(key).verify(self.body, self.headers)
        return True


@dataclass
class Receiver:
    """`answers[path]` are given one after the other, the last one for ever.

    An answer is a status, (status, headers), (status, headers, body), HANG, or a function of the request
    that gives one: what a provider would check.
    """

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    answers: dict[str, list] = field(default_factory=lambda: defaultdict(lambda: [200]))
    connections: int = 0

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def to(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    def next_answer(self, path: str):
        answers = self.answers[path]
        return answers.pop(0) if len(answers) > 1 else answers[0]


async def _serve(receiver: Receiver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    receiver.connections += 1
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = head.decode().split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            path = lines[0].split()[1]
            request = Request(path, headers, body, datetime.now(UTC), lines[0].split()[0])  # noqa: TID251 - a receiver's own clock
            receiver.requests.append(request)
            answer = receiver.next_answer(path)
            if callable(answer):
                answer = answer(request)
            if answer == HANG:
                await asyncio.Event().wait()
            given = answer if isinstance(answer, tuple) else (answer,)
            status, extra, said = given + ({}, b"ok")[len(given) - 1 :]
            rest = "".join(f"{name}: {value}\r\n" for name, value in extra.items())
            head = f"HTTP/1.1 {status} Said\r\ncontent-length: {len(said)}\r\n{rest}\r\n"
            writer.write(head.encode() + said)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free port of the loopback interface."""
    receiver = Receiver()
    serving: set[asyncio.Task] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await _serve(receiver, reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            serving.discard(task)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

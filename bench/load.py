"""The load generator and the webhook sink, in one process of their own, so that one clock times both ends.

Reads one JSON order a line, answers with one JSON line. The first line it prints is the sink's port.

closed: N connections, each posting again as soon as it is answered → requests a second.
paced: a fixed rate, whatever the answers; every page that reaches the sink is timed from its POST.
"""

import asyncio
import itertools
import json
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import httptools
import uvloop

from tests.waiting import until
from tests.world.bundle import customer
from tests.world.sink import Hit, Sink, listening
from tests.world.wire import Connection

IDLE_SECONDS = 2.0
REQUEST = (
    "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)


def event(key: str, number: int, customers: int) -> bytes:
    """A body of ordinary size, as a monitoring script sends it."""
    return json.dumps(
        {
            "dedup_key": key,
            "title": "Disk is nearly full on db-3.example",
            "description": "96% of /var is used, growing by 1 GB an hour; it is full in about 4 hours.",
            "severity": "error",
            "service": "steady",
            "customer": customer(number % customers),
            "source": "bench",
            "labels": {"host": "db-3.example", "region": "eu-central-1", "team": "storage"},
            "attributes": {"used": 0.96, "size_gb": 500, "mount": "/var"},
        }
    ).encode()


class Poster(asyncio.Protocol):
    """One keep-alive connection that posts the next body as soon as the last one is answered."""

    def __init__(self, asked: dict[str, Any], numbers: "itertools.count[int]") -> None:
        self.asked, self.numbers = asked, numbers
        self.parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport | None = None
        self.answered = self.refused = 0
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transport does not inherit from it
        self._post()

    def _post(self) -> None:
        number = next(self.numbers)
        body = event(f"{self.asked['prefix']}-{number}", number, self.asked["customers"])
        head = REQUEST.format(path=self.asked["path"], key=self.asked["key"], length=len(body))
        assert self.transport is not None
        self.transport.write(head.encode() + body)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self.parser.get_status_code() == 202:
            self.answered += 1
        else:
            self.refused += 1
        if self.ended:
            assert self.transport is not None
            self.transport.close()
        else:
            self._post()


def _same(poster: Poster) -> Poster:
    return poster


async def closed(asked: dict[str, Any]) -> dict[str, Any]:
    """How many requests `connections` connections get answered in `seconds`, after a warm-up of a fifth."""
    loop = asyncio.get_running_loop()
    numbers = itertools.count()
    posters = [Poster(asked, numbers) for _ in range(asked["connections"])]
    for poster in posters:
        await loop.create_connection(partial(_same, poster), "127.0.0.1", asked["port"])
    await asyncio.sleep(asked["seconds"] / 5)
    before, started = sum(p.answered for p in posters), time.monotonic()
    await asyncio.sleep(asked["seconds"])
    answered, took = sum(p.answered for p in posters) - before, time.monotonic() - started
    for poster in posters:
        poster.ended = True
    await asyncio.sleep(0.2)
    return {"per_second": answered / took, "refused": sum(p.refused for p in posters)}


@dataclass
class Paced:
    """Posts at a fixed rate and times the pages."""

    sink: Sink
    idle: list[tuple[float, Connection]] = field(default_factory=list)
    posted: dict[str, float] = field(default_factory=dict)
    arrived: dict[str, float] = field(default_factory=dict)

    async def run(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Post `rate` a second for `seconds`, then wait for the pages; milliseconds from POST to the sink."""
        self.sink.heard = self._heard
        total = int(asked["rate"] * asked["seconds"])
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(total):
                await asyncio.sleep(max(0.0, started + number / asked["rate"] - time.monotonic()))
                group.create_task(self._post(asked, number))
        with suppress(AssertionError):
            await until(lambda: len(self.arrived) >= len(self.posted), asked.get("patience", 20))
        for _, connection in self.idle:
            connection.close()
        self.idle.clear()
        timed = self.posted.keys() & self.arrived.keys()
        latencies = sorted((self.arrived[key] - self.posted[key]) * 1000 for key in timed)
        return {"milliseconds": latencies, "posted": total, "missing": total - len(latencies)}

    def _heard(self, hit: Hit) -> None:
        if hit.type == "page":
            self.arrived.setdefault(hit.incident["dedup_key"], hit.at)

    async def _post(self, asked: dict[str, Any], number: int) -> None:
        key = f"{asked['prefix']}-{number}"
        connection = self._connection(asked)
        self.posted[key] = time.monotonic()
        answer = await connection.request("POST", asked["path"], event(key, number, asked["customers"]))
        if answer.status != 202:
            del self.posted[key]
        self.idle.append((time.monotonic(), connection))

    def _connection(self, asked: dict[str, Any]) -> Connection:
        """The connection used last, unless the server may be about to close it for idleness."""
        if self.idle and self.idle[-1][0] > time.monotonic() - IDLE_SECONDS:
            return self.idle.pop()[1]
        url = f"http://127.0.0.1:{asked['port']}"
        return Connection(url, headers={"Authorization": f"Bearer {asked['key']}"})


async def main() -> None:
    async with listening(Sink()) as sink:
        print(json.dumps({"sink_port": sink.port}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked = json.loads(line)
            try:
                answer = await (Paced(sink).run(asked) if "rate" in asked else closed(asked))
            except (OSError, ExceptionGroup) as err:
                answer = {"failed": repr(err)}
            sink.hits.clear()
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main())

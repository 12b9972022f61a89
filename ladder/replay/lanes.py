"""Posting events in lanes: rows of one incident share a lane, and a lane has one request under way.

Lanes and batches depend on the file and the batch size alone, so that a restarted replay gives each batch the
same Idempotency-Key and duplicates nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final
from zlib import crc32

import httpx2
import msgspec

from ladder.client.connection import TRY_LATER, DeniedError, Remote, UnreachableError, read_answer
from shared.json_object import JsonObject

LANES: Final = 16
FIRST_PAUSE: Final = 0.25
AT_FIRST: Final = 3.0  # seconds, while nothing has been accepted: the address is probably wrong
LONGEST_PAUSE: Final = 5.0

Event = JsonObject


@dataclass(slots=True)
class Tally:
    """What has happened so far."""

    accepted: int = 0
    batches: int = 0
    retries: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How to post: events per request, requests at a time, events per second (0: as fast as it goes)."""

    run: str  # names this replay in the Idempotency-Keys
    batch: int = 200
    concurrency: int = 4
    rate: float = 0.0
    give_up_after: float = 300.0  # seconds for which one batch is tried


@dataclass(slots=True)
class _Lane:
    number: int
    waiting: list[Event] = field(default_factory=list)
    batches: "count[int]" = field(default_factory=count)


async def post(
    remote: Remote, events: Iterable[Event], pace: Pace, progress: Callable[[Tally], None] = lambda _: None
) -> Tally:
    """Post everything, in order per incident. Raises DeniedError, UnreachableError."""
    loop = asyncio.get_running_loop()
    tally, started = Tally(), loop.time()
    async with _workers(remote, pace, tally) as give:
        lanes = [_Lane(number) for number in range(LANES)]
        for given, event in enumerate(events, 1):
            lane = lanes[crc32(event["dedup_key"].encode()) % LANES]
            lane.waiting.append(event)
            if len(lane.waiting) == pace.batch:
                await give(lane)
            if pace.rate and (early := started + given / pace.rate - loop.time()) > 0:
                await asyncio.sleep(early)
            if given % pace.batch == 0:
                tally.seconds = loop.time() - started
                progress(tally)
        for lane in lanes:
            if lane.waiting:
                await give(lane)
    tally.seconds = loop.time() - started
    progress(tally)
    return tally


@asynccontextmanager
async def _workers(remote: Remote, pace: Pace, tally: Tally) -> AsyncIterator[Callable[[_Lane], Any]]:
    """Yields a function that hands a lane's waiting events to its worker; leaving waits for all workers."""
    number = min(pace.concurrency, LANES)
    queues: list[asyncio.Queue[tuple[str, list[Event]] | None]] = [
        asyncio.Queue(maxsize=4) for _ in range(number)
    ]

    async def give(lane: _Lane) -> None:
        name = f"{pace.run}/{pace.batch}/{lane.number}/{next(lane.batches)}"
        batch, lane.waiting = lane.waiting, []
        await queues[lane.number % number].put((name, batch))

    async def work(
        client: httpx2.AsyncClient, queue: "asyncio.Queue[tuple[str, list[Event]] | None]"
    ) -> None:
        while (job := await queue.get()) is not None:
            await _deliver(client, job, remote=remote, pace=pace, tally=tally)

    async with httpx2.AsyncClient(timeout=30) as client:
        try:
            async with asyncio.TaskGroup() as group:
                for queue in queues:
                    group.create_task(work(client, queue))
                yield give
                for queue in queues:
                    await queue.put(None)
        except BaseExceptionGroup as errors:
            raise _first(errors) from errors


def _first(errors: BaseExceptionGroup[Any]) -> BaseException:
    """The error that came first: one worker's failure ends them all."""
    inner = errors.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


async def _deliver(
    client: httpx2.AsyncClient, job: tuple[str, list[Event]], *, remote: Remote, pace: Pace, tally: Tally
) -> None:
    """Post one batch until it is accepted; retries carry the same Idempotency-Key."""
    loop = asyncio.get_running_loop()
    name, batch = job
    body, started, pause = msgspec.json.encode(batch), loop.time(), FIRST_PAUSE
    headers = {
        "authorization": f"Bearer {remote.intake_key}",
        "content-type": "application/json",
        "idempotency-key": name,
    }
    while True:
        asked: float | None = None
        gives_up = started + (pace.give_up_after if tally.batches else AT_FIRST)
        try:
            answer = await client.post(remote.intake_url + "/v1/events", content=body, headers=headers)
            accepted = read_answer(answer)
        except DeniedError as err:
            if err.status not in TRY_LATER or loop.time() > gives_up:
                raise
            asked = err.retry_after
        except httpx2.TransportError as err:
            if loop.time() > gives_up:
                raise UnreachableError(f"{remote.intake_url} does not answer ({err}).") from err
        else:
            tally.accepted += int(accepted["accepted"])
            tally.batches += 1
            return
        tally.retries += 1
        await asyncio.sleep(pause if asked is None else min(asked, LONGEST_PAUSE))
        pause = min(pause * 2, LONGEST_PAUSE)

"""Read-only connections with limits of their own: what somebody asks there delays no page.

Reads run in read-only transactions without helper processes of the server, each statement for a bounded time.
Nobody has every place: one key may use all but one, and what it asks beyond that waits behind its own. After
a read that took long the server rests from that key for as long again. What is made of the rows is made by
one request at a time, with as much rest as work, so that the event loop belongs to whoever pages.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, TypeVar

from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.database.connections import engine
from shared.database.url import Server
from shared.http.problems import Problem
from shared.steps import Steps

REFUSED: Final = Counter(
    "ladder_reads_refused_total", "Reads that were not answered, by reason: slow, busy, many", ["reason"]
)
_CANCELLED: Final = "57014"  # by statement_timeout
_WAITING_MOST: Final = 20  # of one key
_QUICK_SECONDS: Final = 0.02
_AT_A_STRETCH: Final = 0.001  # seconds
_SPARE_SECONDS: Final = 5.0  # for the server to end a statement by itself before the client does
_SESSION: Final = {
    "default_transaction_read_only": "on",
    "max_parallel_workers_per_gather": "0",
    "work_mem": "4MB",
    "idle_in_transaction_session_timeout": "60000",  # they hold no lock that anybody waits for
}
_reader: ContextVar[str] = ContextVar("reader", default="")

Given = TypeVar("Given")
Made = TypeVar("Made")


def read_by(key: str) -> None:
    """Whose key the reads of this request are made with."""
    _reader.set(key)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many reads run at once in a process, and how many seconds a statement of them may take."""

    places: int = 2
    seconds: float = 5.0
    report_seconds: float = 20.0


@dataclass(slots=True)
class _Reader:
    """One key's reads: under way, and waiting for that."""

    turns: asyncio.Semaphore
    wanting: int = 0


@dataclass(slots=True)
class _Places:
    """Who reads: at most `count` at once, and for one key one fewer (at least one).

    After a slow read the key's place rests for as long as the read took.
    """

    count: int
    free: asyncio.Semaphore = field(init=False)
    readers: dict[str, _Reader] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.free = asyncio.Semaphore(self.count)

    @asynccontextmanager
    async def one(self, key: str, seconds: float) -> AsyncIterator[None]:
        """A place, waited for at most `seconds`. Raises a 429 or a 503."""
        own = max(1, self.count - 1)
        reader = self.readers.setdefault(key, _Reader(asyncio.Semaphore(own)))
        if reader.wanting >= own + _WAITING_MOST:
            raise _many()
        reader.wanting += 1
        rest = 0.0
        try:
            await _in_time(reader.turns.acquire(), seconds)
            try:
                await _in_time(self.free.acquire(), seconds)
                began = perf_counter()
                try:
                    yield
                finally:
                    self.free.release()
                    rest = perf_counter() - began
            finally:
                _later(rest, reader.turns.release)
        finally:
            _later(rest, lambda: self._gone(key, reader))

    def _gone(self, key: str, reader: _Reader) -> None:
        reader.wanting -= 1
        if not reader.wanting:
            del self.readers[key]


def _later(seconds: float, do: Callable[[], None]) -> None:
    """At once where the read was quick."""
    if seconds < _QUICK_SECONDS:
        do()
    else:
        asyncio.get_running_loop().call_later(seconds, do)


class Reading:
    """The part of a `Database` for those who look. Connections are made when they are first needed."""

    def __init__(self, server: Server, application: str, limits: Limits) -> None:
        self.limits: Final = limits
        self.engine: AsyncEngine = engine(
            server,
            f"{application} read",
            patience_seconds=max(limits.seconds, limits.report_seconds) + _SPARE_SECONDS,
            settings=_SESSION | {"statement_timeout": str(round(limits.seconds * 1000))},
            pool_size=limits.places,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=True,  # nobody else finds out that the server was away: no reader is to pay for it
        )
        self._places = _Places(limits.places)
        self._desk = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self, narrower: str, *, report: bool = False) -> AsyncIterator[AsyncConnection]:
        """A read-only transaction.

        Raises a 503 where it takes too long, whose detail ends with `narrower` (what to ask instead), or
        where others read for too long; a 429 where one key asks for very much at once.
        """
        seconds = self.limits.report_seconds if report else self.limits.seconds
        async with self._places.one(_reader.get(), seconds):
            try:
                async with self.engine.begin() as connection:
                    if report:
                        await connection.execute(_FOR_REPORT, {"timeout": f"{round(seconds * 1000)}ms"})
                    yield connection
            except DBAPIError as err:
                if getattr(err.orig, "sqlstate", None) != _CANCELLED:
                    raise
                raise _slow(seconds, narrower) from err

    async def made(self, given: Iterable[Given], make: Callable[[Given], Made]) -> list[Made]:
        """Each as `make` makes it, in order; the event loop's other work comes first."""
        made = []
        async with self.unhurried() as breath:
            for each in given:
                made.append(make(each))
                await breath()
        return made

    async def result(self, steps: Generator[None, None, Made]) -> Made:
        """What a generator returns, that yields after each of its steps."""
        work = Steps(steps)
        async with self.unhurried() as breath:
            for _ in work:
                await breath()
        return work.result

    @asynccontextmanager
    async def unhurried(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """For work of many small steps: call what is given after each of them."""
        async with self._desk:
            since = perf_counter()

            async def breath() -> None:
                nonlocal since
                worked = perf_counter() - since
                if worked >= _AT_A_STRETCH:
                    await asyncio.sleep(worked)
                    since = perf_counter()

            yield breath

    async def close(self) -> None:
        await self.engine.dispose()


async def _in_time(place: Awaitable[bool], seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await place
    except TimeoutError as err:
        REFUSED.labels("busy").inc()
        raise Problem(
            503,
            "busy-reading",
            "Too much is being read at the moment",
            "Others read now, and pages do not wait for readers: ask again, and for less at a time.",
            headers={"Retry-After": "2"},
        ) from err


def _slow(seconds: float, narrower: str) -> Problem:
    REFUSED.labels("slow").inc()
    return Problem(
        503,
        "takes-too-long",
        "This takes too long to answer",
        f"It was given up after {seconds:g} seconds, so that nothing waits for it: {narrower}.",
        headers={"Retry-After": "10"},
    )


def _many() -> Problem:
    REFUSED.labels("many").inc()
    return Problem(
        429,
        "too-many-requests",
        "This key asks for too much at once",
        "Wait for answers before asking for more.",
        headers={"Retry-After": "1"},
    )


_FOR_REPORT: Final = text("SELECT set_config('statement_timeout', :timeout, true)")

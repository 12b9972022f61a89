"""The connections of an HTTP client, by where they lead: finding one costs the same however many there are.

httpcore2's own pool looks at every connection with each request and each answer, and asks every idle one of
them whether it still stands; with a hundred of them that costs more than the request, and so it keeps few.
Here a request takes the one of its own origin that was used last, and asks only that.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Final, Self, TypeAlias

import httpcore2

IDLE: Final = 128  # connections that are kept for the next request

Origin: TypeAlias = tuple[bytes, bytes, int]
_SCHEMES: Final = (b"http", b"https")


class Connections:
    """At most `most` are in use; `idle` more may wait to be used again. `connect` makes one for an origin."""

    def __init__(
        self,
        connect: Callable[[httpcore2.Origin], httpcore2.AsyncHTTPConnection],
        *,
        most: int,
        idle: int = IDLE,
    ) -> None:
        self._connect = connect
        self._places = asyncio.Semaphore(most)
        self._most_idle = idle
        self._idle: dict[Origin, list[httpcore2.AsyncHTTPConnection]] = {}
        self._oldest: OrderedDict[int, tuple[Origin, httpcore2.AsyncHTTPConnection]] = OrderedDict()

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        """The answer, whose body is still to come. Raises httpcore2's errors."""
        if request.url.scheme not in _SCHEMES:
            raise httpcore2.UnsupportedProtocol("neither http nor https")
        await self._place(request.extensions.get("timeout", {}).get("pool"))
        try:
            connection, response = await self._answered(request)
        except BaseException:
            self._places.release()
            raise
        body = _Body(response.stream, lambda: self._done(_key(request.url.origin), connection))
        return httpcore2.Response(
            response.status, headers=response.headers, content=body, extensions=response.extensions
        )

    async def aclose(self) -> None:
        """Close those that are idle."""
        while self._oldest:
            await self._pop_oldest().aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _place(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._places.acquire()
        except TimeoutError as err:
            raise httpcore2.PoolTimeout("no connection was free in time") from err

    async def _answered(
        self, request: httpcore2.Request
    ) -> tuple[httpcore2.AsyncHTTPConnection, httpcore2.Response]:
        origin = request.url.origin
        while True:
            connection = await self._waiting(_key(origin)) or self._connect(origin)
            with suppress(httpcore2.ConnectionNotAvailable):
                return connection, await _asked(connection, request)

    async def _waiting(self, origin: Origin) -> httpcore2.AsyncHTTPConnection | None:
        """The one of this origin that was used last, if it still stands."""
        while waiting := self._idle.get(origin):
            connection = waiting.pop()
            del self._oldest[id(connection)]
            if not waiting:
                del self._idle[origin]
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    async def _done(self, origin: Origin, connection: httpcore2.AsyncHTTPConnection) -> None:
        """Its body was read, or is not wanted."""
        self._places.release()
        if not connection.is_idle():
            await connection.aclose()
            return
        self._idle.setdefault(origin, []).append(connection)
        self._oldest[id(connection)] = (origin, connection)
        while len(self._oldest) > self._most_idle or self._is_oldest_expired():
            await self._pop_oldest().aclose()

    def _is_oldest_expired(self) -> bool:
        return bool(self._oldest) and next(iter(self._oldest.values()))[1].has_expired()

    def _pop_oldest(self) -> httpcore2.AsyncHTTPConnection:
        _, (origin, connection) = self._oldest.popitem(last=False)
        waiting = self._idle[origin]
        waiting.remove(connection)
        if not waiting:
            del self._idle[origin]
        return connection


class _Body:
    """The body of an answer; closing it, whether it was read or not, sets its connection free."""

    def __init__(self, stream: Any, done: Callable[[], Any]) -> None:
        self._stream = stream
        self._done = done
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                yield piece
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            await self._stream.aclose()
        finally:
            await self._done()


def _key(origin: httpcore2.Origin) -> Origin:
    return origin.scheme, origin.host, origin.port


async def _asked(connection: httpcore2.AsyncHTTPConnection, request: httpcore2.Request) -> httpcore2.Response:
    """The answer; a connection that gives none is closed."""
    try:
        return await connection.handle_async_request(request)
    except BaseException:
        await connection.aclose()
        raise

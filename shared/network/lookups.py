"""Addresses of names, asked for in threads of their own.

The system's resolver blocks, for many seconds where a name server is silent, and cannot be interrupted. In
the threads that everybody shares, such questions would hold up files, templates and other names. So each has
a thread that ends with it, and a name that is being asked for is asked for once, however many wait for it.
"""

import asyncio
import socket
from collections.abc import Callable
from threading import Thread
from typing import Any, Final, TypeAlias

_MOST: Final = 64  # names that are asked for at a time

Resolve: TypeAlias = Callable[[str], tuple[str, ...]]
"""Blocks until the addresses of a name are known. Raises OSError or UnicodeError."""


def by_system(host: str) -> tuple[str, ...]:
    """The addresses that the system's resolver has, in its order, each once."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


class Lookups:
    """Asks for names, for one event loop."""

    def __init__(self, resolve: Resolve = by_system, *, most: int = _MOST) -> None:
        self._resolve = resolve
        self._places = asyncio.Semaphore(most)
        self._asked: dict[str, asyncio.Task[tuple[str, ...]]] = {}

    async def of(self, host: str) -> tuple[str, ...]:
        """Its addresses. Raises OSError or UnicodeError as the resolver does; the caller sets the time."""
        task = self._asked.get(host)
        if task is None:
            task = self._asked[host] = asyncio.create_task(self._ask(host), name=f"look up {host}")
            task.add_done_callback(lambda _: self._asked.pop(host, None))
        return await asyncio.shield(task)

    async def _ask(self, host: str) -> tuple[str, ...]:
        async with self._places:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[tuple[str, ...]] = loop.create_future()
            asking = Thread(target=self._block, args=(loop, answer, host), daemon=True, name="look up")
            try:
                asking.start()
            except RuntimeError as err:  # the system has no thread left
                raise OSError(str(err)) from err
            return await answer

    def _block(self, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Any], host: str) -> None:
        try:
            found, error = self._resolve(host), None
        except Exception as err:  # noqa: BLE001 - it is raised where it is awaited
            found, error = (), err
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, answer, found, error)


def _settle(answer: asyncio.Future[Any], found: tuple[str, ...], error: Exception | None) -> None:
    if answer.done():  # nobody waits any more
        return
    if error is None:
        answer.set_result(found)
    else:
        answer.set_exception(error)

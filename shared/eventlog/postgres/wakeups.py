"""Who waits for news of what, in this process."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Wakeups:
    """Named bells. A waiter registers for names and gets one asyncio event that any of them sets."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def of(self, names: Iterable[str]) -> Iterator[asyncio.Event]:
        """An event that is set whenever one of the names is woken; the waiter clears it."""
        event, wanted = asyncio.Event(), tuple(names)
        for name in wanted:
            self._waiting[name].add(event)
        try:
            yield event
        finally:
            for name in wanted:
                self._waiting[name].discard(event)

    def wake(self, name: str) -> None:
        """Set the events that wait for this name; the empty name wakes everybody."""
        waiting = self._waiting.values() if not name else [self._waiting.get(name, set())]
        for events in waiting:
            for event in events:
                event.set()


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Return when the event is set, or after these seconds."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return

"""The stored inbox: messages that somebody reads by `GET /v1/inbox/{user}`.

Letters that come while a write is under way go together in the next one, so that a storm costs few commits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from services.notifier.channels.envelope import Envelope
from services.notifier.channels.results import Delivered, Result, Unavailable
from shared.database import fault_of

_MOST_AT_ONCE: Final = 500
Keep: TypeAlias = Callable[[Sequence[Envelope]], Awaitable[None]]


class InboxChannel:
    """Stores letters by `keep`, which writes them in one transaction and passes over those it has."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._waiting: list[tuple[Envelope, asyncio.Future[Result]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def send(self, envelope: Envelope) -> Result:
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((envelope, result))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all(), name="inbox channel")
        return await result

    async def close(self) -> None:
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_MOST_AT_ONCE], self._waiting[_MOST_AT_ONCE:]
            result = await self._written([envelope for envelope, _ in batch])
            for _, waiting in batch:
                if not waiting.done():
                    waiting.set_result(result)

    async def _written(self, envelopes: Sequence[Envelope]) -> Result:
        try:
            await self._keep(envelopes)
        except Exception as err:
            if fault_of(err) is None:
                raise
            return Unavailable(f"the database did not take it: {type(err).__name__}")
        return Delivered()

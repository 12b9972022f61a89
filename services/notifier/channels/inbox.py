"""The stored inbox: messages that somebody reads by `GET /v1/inbox/{user}`.

Messages that arrive during a write share the next one, so that a storm costs few commits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

from services.notifier.channels.envelope import Envelope
from services.notifier.channels.results import Delivered, Rejected, Result, Unavailable
from shared import telemetry
from shared.errors.bisect import bisect
from shared.errors.kinds import Kind, kind_of, words

log = telemetry.logger(__name__)

_MOST_AT_ONCE: Final = 500
Keep: TypeAlias = Callable[[Sequence[Envelope]], Awaitable[None]]


class InboxChannel:
    """Stores messages with `keep`, which writes them in one transaction and skips those it already has."""

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
            results = await self._written([envelope for envelope, _ in batch])
            for (_, waiting), result in zip(batch, results, strict=True):
                if not waiting.done():
                    waiting.set_result(result)

    async def _written(self, envelopes: Sequence[Envelope]) -> Sequence[Result]:
        """The result of each, in order: one that the database refuses does not hold up the others."""

        async def keep(some: Sequence[Envelope]) -> Sequence[Result]:
            await self._keep(some)
            return [Delivered()] * len(some)

        async def refuse(_: Envelope, err: Exception) -> Sequence[Result]:
            return [Rejected(f"the inbox cannot keep it: {words(err)}")]

        try:
            return await bisect(envelopes, keep, refuse)
        except Exception as err:
            if kind_of(err) is Kind.BROKEN:
                log.exception("inbox channel failed", action="inbox_failed")
            return [Unavailable(f"the inbox did not take it: {type(err).__name__}")] * len(envelopes)

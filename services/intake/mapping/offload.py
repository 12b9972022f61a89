"""Where a post is mapped: on the event loop if that is quick, otherwise in a thread, one post of an
integration at a time.

Expressions over a large body may take seconds. Meanwhile other senders, heartbeats and probes are answered;
only posts of this integration wait, and only a few, since each holds its body.
"""

import asyncio
from typing import Final

from services.intake.formats.contract import Post, Reading
from services.intake.mapping.transform import Transform, Transformed
from shared.http.problems import Problem

QUICK: Final = 16 * 1024  # bytes of a body whose one event is mapped at once
WAITING: Final = 16  # posts of one integration


class Offload:
    """For one integration: its expressions are used by one thread at a time."""

    def __init__(self, transform: Transform) -> None:
        self._transform: Final = transform
        self._turn: Final = asyncio.Lock()
        self._waiting = 0

    async def apply(self, read: Reading, post: Post, *, loose: bool, size: int) -> Transformed:
        """As `Transform.apply`; `size` of the body, in bytes. Raises Problem 503 if too many wait."""
        mapping = self._transform.mapping
        quick = mapping is None or (size <= QUICK and mapping.each is None)
        if mapping is None or (quick and not self._waiting):
            return self._transform.apply(read, post, loose=loose)
        if self._waiting >= WAITING:
            raise Problem(
                503,
                "mapping-busy",
                "Earlier posts of this integration are still being mapped; nothing was accepted",
                headers={"retry-after": "2"},
            )
        self._waiting += 1
        task = asyncio.create_task(self._in_turn(read, post, loose=loose), name="mapping")
        return await asyncio.shield(task)  # a client that hangs up does not release the lock while it is used

    async def _in_turn(self, read: Reading, post: Post, *, loose: bool) -> Transformed:
        try:
            async with self._turn:
                return await asyncio.to_thread(self._transform.apply, read, post, loose=loose)
        finally:
            self._waiting -= 1

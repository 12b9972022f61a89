"""Steps that are not cut in two by the end of the process."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")


async def shielded(step: Coroutine[Any, Any, Answer]) -> Answer:
    """Await the step; a cancellation in its middle waits for its end first.

    For steps that go on after a commit: cut between the two, what they claimed would lie there leased until
    somebody takes it over.
    """
    task = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise

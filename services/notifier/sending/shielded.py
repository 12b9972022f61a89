"""Steps that shutdown does not interrupt halfway."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Answer = TypeVar("Answer")


async def shielded(step: Coroutine[Any, Any, Answer]) -> Answer:
    """Await the step; a cancellation takes effect when the step has ended.

    For steps that go on after a commit: interrupted in between, what they claimed would stay leased until
    another notifier takes it over.
    """
    task = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise

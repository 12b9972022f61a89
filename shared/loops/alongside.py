"""What runs beside a block, from its beginning to its end."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def alongside(name: str, work: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Run the work as a task of this name; at the end of the block it is cancelled, and has ended.

    Meant for loops, which raise nothing: what other work raises is lost.
    """
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

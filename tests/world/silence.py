"""The opposite of waiting for something: watching that it does not happen."""

import asyncio
import time
from collections.abc import Callable


async def never(condition: Callable[[], object], *, for_seconds: float) -> None:
    """AssertionError as soon as the condition holds; returns when it has not held for that long."""
    deadline = time.monotonic() + for_seconds
    while time.monotonic() < deadline:
        seen = condition()
        assert not seen, f"this should not have happened: {seen!r}"
        await asyncio.sleep(0.02)

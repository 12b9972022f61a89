"""Waiting in tests: poll a condition with a deadline, never sleep for a guessed time."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

Value = TypeVar("Value")


async def until(condition: Callable[[], Value | Awaitable[Value]], seconds: float = 10) -> Value:
    """The condition's first true value; AssertionError when it is not true in time.

    The condition may be a plain function or a coroutine function. It is looked at every 10 ms.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        result = condition()
        value = await result if inspect.isawaitable(result) else result
        if value:
            return value
        if loop.time() > deadline:
            raise AssertionError(f"not within {seconds:g} s (last value: {value!r})")
        await asyncio.sleep(0.01)

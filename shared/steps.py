"""Work in steps: a generator that yields after each of them, and what it returns at the end."""

from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Steps(Generic[Result]):
    """Iterates the steps; `result` is there once they have come to their end."""

    result: Result

    def __init__(self, steps: Generator[None, None, Result]) -> None:
        self._steps = steps

    def __iter__(self) -> Iterator[None]:
        self.result = yield from self._steps


def at_once(steps: Generator[None, None, Result]) -> Result:
    """What they return, without a pause between them."""
    work = Steps(steps)
    for _ in work:
        pass
    return work.result

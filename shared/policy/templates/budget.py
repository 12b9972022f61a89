"""What one rendering may cost: every step is paid for by its size, and no value grows beyond a bound.

It costs the same on every machine. What makes more of what goes in is measured before it is begun.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from jinja2 import TemplateError

LARGEST: Final = 100_000  # characters, or members, of one value
UNITS: Final = 50_000  # one is a step of a loop with one node in it, or 64 characters
WIDEST: Final = 1_000
_MOST_BITS: Final = 1_000
_WIDTH: Final = re.compile(r"[0-9]{4,}|\*")


class TooCostlyError(TemplateError):
    """It would take more time, memory or room than a message is worth."""


class _Purse:
    def __init__(self) -> None:
        self.left = UNITS

    def pay(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise TooCostlyError("it takes too many steps")


_purse: ContextVar[_Purse | None] = ContextVar("_purse", default=None)


@contextmanager
def budget() -> Iterator[None]:
    """`UNITS` for what happens inside the block, which raises TooCostlyError when they are spent."""
    before = _purse.set(_Purse())
    try:
        yield
    finally:
        _purse.reset(before)


def pay(units: int) -> None:
    """Raises TooCostlyError where no more is left."""
    purse = _purse.get()
    if purse is not None:  # None: Jinja works out a constant while it compiles
        purse.pay(units)


def weighed(value: Any) -> Any:
    """The value, when all of it is within bounds; its size is paid for."""
    pay(1 + size_of(value) // 64)
    return value


def size_of(value: Any, room: int = LARGEST) -> int:
    """Characters and members, to the bottom. Raises TooCostlyError beyond the room."""
    match value:
        case str() | bytes():
            size = len(value)
        case int():
            size = value.bit_length() // 3
            if value.bit_length() > _MOST_BITS:
                raise TooCostlyError("a number becomes too large")
        case Mapping():
            size = _sum((each for pair in value.items() for each in pair), room)
        case list() | tuple() | set() | frozenset():
            size = _sum(value, room)
        case _:
            size = 8
    if size > room:
        raise TooCostlyError("a value becomes too large")
    return size


def _sum(members: Iterable[Any], room: int) -> int:
    size = 0
    for each in members:
        size += 8 + size_of(each, room - size)
    return size


def at_once(value: Any) -> Any:
    """What is lazy, as a list that is paid for; everything else as it is."""
    if not isinstance(value, Iterator):
        return value
    taken: list[Any] = []
    for each in value:
        pay(1)
        check_room(len(taken))
        taken.append(each)
    return taken


def check_growth(name: str, text: Any, arguments: tuple[Any, ...]) -> None:
    """A filter or method whose result would be too large is not begun. Raises TooCostlyError."""
    match name, arguments:
        case ("replace", (old, new, *_)):
            found = str(text).count(str(old)) if str(old) else len(str(text)) + 1
            check_room(len(str(text)) + found * len(str(new)))
        case ("join", (between, *_)) if isinstance(text, list | tuple):
            check_room(sum(len(str(each)) for each in text) + len(text) * len(str(between)))
        case ("format", _):
            check_widths(text)
        case ("indent", (width, *_)):
            _within(name, width if isinstance(width, int | float) else len(str(width)))
            lines = str(text).count("\n") + 1
            check_room(len(str(text)) + lines * (width if isinstance(width, int) else len(str(width))))
        case ("batch" | "slice" | "center" | "wordwrap" | "round", _):
            _within(name, *arguments)


def _within(name: str, *numbers: Any) -> None:
    for number in numbers:
        if isinstance(number, int | float) and abs(number) > WIDEST:
            raise TooCostlyError(f"{name}: a width or number beyond {WIDEST}")


def check_widths(pattern: Any) -> None:
    """Of a `%` format."""
    if isinstance(pattern, str | bytes) and _WIDTH.search(str(pattern)):
        raise TooCostlyError("format: a width of more than three digits, or one that is given apart")


def check_product(left: Any, right: Any) -> None:
    """Of `left * right`, numbers or a text or list repeated."""
    for many, times in ((left, right), (right, left)):
        if isinstance(times, int) and isinstance(many, str | bytes | list | tuple):
            check_room(size_of(many) * max(times, 0))
            return
    if isinstance(left, int) and isinstance(right, int):
        check_bits(left.bit_length() + right.bit_length())


def check_bits(bits: int) -> None:
    if bits > _MOST_BITS:
        raise TooCostlyError("a number becomes too large")


def check_room(size: int) -> None:
    if size > LARGEST:
        raise TooCostlyError("a text or list becomes too large")

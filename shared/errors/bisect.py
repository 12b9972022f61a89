"""Values handled together, and the one among them that is refused: its neighbours pass."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from shared.errors.kinds import Kind, kind_of

Value = TypeVar("Value")
Result = TypeVar("Result")

REFUSED: Final = frozenset({Kind.REFUSED})
WHOEVER: Final = frozenset({Kind.REFUSED, Kind.BROKEN})
"""For a fault of Ladder's own that lasts: whoever brings it out stands aside for a while, the others pass."""


async def bisect(
    values: Sequence[Value],
    apply: Callable[[Sequence[Value]], Awaitable[Sequence[Result]]],
    set_aside: Callable[[Value, Exception], Awaitable[Sequence[Result]]],
    culprits: frozenset[Kind] = REFUSED,
) -> list[Result]:
    """Apply all of them at once; where one is refused, halve until it stands alone and set that aside.

    Halves are applied in order, each by an `apply` of its own (a transaction). Every error that is not a
    refusal (or of another kind among `culprits`) is raised, as is one of `set_aside`: then what comes before
    it is done, and nothing after it.
    """
    if not values:
        return []
    try:
        return [*await apply(values)]
    except Exception as err:
        if kind_of(err) not in culprits:
            raise
        if len(values) == 1:
            return [*await set_aside(values[0], err)]
    middle = len(values) // 2
    return [
        *await bisect(values[:middle], apply, set_aside, culprits),
        *await bisect(values[middle:], apply, set_aside, culprits),
    ]

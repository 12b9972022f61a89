"""What is refused stands alone in the end, and its neighbours have passed, in order."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors.bisect import bisect
from shared.errors.kinds import AwayError, RefusedError


class Shelf:
    """Takes numbers in batches, all or none, but not these."""

    def __init__(self, refuses: frozenset[int], err: Exception | None = None) -> None:
        self.refuses = refuses
        self.err = err or RefusedError("this one")
        self.applied: list[int] = []
        self.aside: list[int] = []
        self.calls = 0

    async def apply(self, numbers: Sequence[int]) -> Sequence[str]:
        self.calls += 1
        if self.refuses & set(numbers):
            raise self.err
        self.applied += numbers
        return [f"took {number}" for number in numbers]

    async def set_aside(self, number: int, err: Exception) -> Sequence[str]:
        assert err is self.err
        self.aside.append(number)
        return [f"aside {number}"]


@given(st.lists(st.integers(0, 40), max_size=60, unique=True), st.frozensets(st.integers(0, 40), max_size=5))
async def test_exactly_what_is_refused_is_set_aside(numbers: list[int], refuses: frozenset[int]) -> None:
    """And what came of each stands in the order of the values."""
    shelf = Shelf(refuses)
    came = await bisect(numbers, shelf.apply, shelf.set_aside)
    assert shelf.applied == [number for number in numbers if number not in refuses]
    assert shelf.aside == [number for number in numbers if number in refuses]
    assert came == [f"{'aside' if number in refuses else 'took'} {number}" for number in numbers]


async def test_one_in_five_hundred_costs_few_transactions() -> None:
    """Two for each time that 500 can be halved, not 500."""
    shelf = Shelf(frozenset({317}))
    await bisect(range(500), shelf.apply, shelf.set_aside)
    assert shelf.calls <= 20


@pytest.mark.parametrize("err", [AwayError("away"), KeyError("acme"), TimeoutError()])
async def test_only_what_is_refused_is_divided(err: Exception) -> None:
    """A server that is away, or a fault of our own, is nobody's fault in the batch: it is raised as it is."""
    shelf = Shelf(frozenset({3}), err)
    with pytest.raises(type(err)):
        await bisect(range(500), shelf.apply, shelf.set_aside)
    assert (shelf.calls, shelf.applied, shelf.aside) == (1, [], [])

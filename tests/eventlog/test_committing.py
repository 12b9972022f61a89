"""Offsets stored beside the work."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.eventlog import LogUnavailableError, Partition, Received
from shared.eventlog.commits import Commits
from tests.waiting import until

AT = datetime(2026, 1, 7, tzinfo=UTC)


def record(number: int, offset: int) -> Received:
    return Received(Partition("t", number), offset, b"k", b"v", {}, AT)


class Offsets:
    """What a member stored; the first commits fail like this."""

    def __init__(self, *failures: Exception) -> None:
        self.stored: list[set[tuple[int, int]]] = []
        self._failures = list(failures)

    async def commit(self, records: Iterable[Received]) -> None:
        if self._failures:
            raise self._failures.pop(0)
        self.stored.append({(each.partition.number, each.offset) for each in records})


async def test_only_the_last_record_of_each_partition_is_stored():
    offsets: Any = Offsets()
    commits = Commits(offsets)
    commits.done([record(0, 1), record(0, 2), record(1, 7)])
    commits.done([record(0, 3)])
    await commits.store_once()
    await commits.store_once()
    assert offsets.stored == [{(0, 3), (1, 7)}]


async def test_what_is_done_is_stored_while_running_and_the_rest_on_leaving():
    offsets: Any = Offsets()
    async with Commits(offsets).running() as commits:
        commits.done([record(0, 1)])
        await until(lambda: offsets.stored == [{(0, 1)}])
        commits.done([record(0, 2)])
    assert offsets.stored[-1] == {(0, 2)}


@pytest.mark.parametrize("failure", [LogUnavailableError("gone"), KeyError("a fault of our own")])
async def test_an_offset_that_could_not_be_stored_is_stored_though_nothing_more_comes(failure: Exception):
    """Otherwise an idle consumer would be behind by it for ever, and older every second."""
    offsets: Any = Offsets(failure)
    async with Commits(offsets).running() as commits:
        commits.done([record(0, 1), record(1, 7)])
        await until(lambda: offsets.stored == [{(0, 1), (1, 7)}])


async def test_what_is_done_while_the_log_is_away_counts_and_no_offset_goes_back():
    offsets: Any = Offsets(LogUnavailableError("gone"))
    commits = Commits(offsets)
    commits.done([record(0, 1), record(1, 7)])
    assert not await commits.store_once()
    commits.done([record(0, 2)])
    assert await commits.store_once()
    assert offsets.stored == [{(0, 2), (1, 7)}]

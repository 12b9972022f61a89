"""Offsets stored beside the work."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from shared.eventlog import LogUnavailableError, Partition, Received
from shared.eventlog.committing import Commits
from tests.waiting import until

AT = datetime(2026, 1, 7, tzinfo=UTC)


def record(number: int, offset: int) -> Received:
    return Received(Partition("t", number), offset, b"k", b"v", {}, AT)


class Offsets:
    """What a member stored; `away` refuses the next one."""

    def __init__(self) -> None:
        self.stored: list[set[tuple[int, int]]] = []
        self.away = False

    async def commit(self, records: Iterable[Received]) -> None:
        if self.away:
            self.away = False
            raise LogUnavailableError("gone")
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


async def test_a_log_that_is_away_ends_nothing():
    offsets: Any = Offsets()
    offsets.away = True
    async with Commits(offsets).running() as commits:
        commits.done([record(0, 1)])
        await until(lambda: not offsets.away)
        commits.done([record(0, 2)])
    assert offsets.stored == [{(0, 2)}]

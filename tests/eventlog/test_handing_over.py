"""What a process has just committed goes out from memory; the table is what a crash leaves."""

from datetime import UTC, datetime

import pytest

from shared.database.pool import Database
from shared.eventlog import LogUnavailableError, Record
from shared.eventlog.packed_headers import pack
from shared.outbox import outbox
from shared.outbox.memory import BATCH, Memory, Row, Written
from shared.outbox.relay import Relay
from tests.eventlog.test_outbox import AbsentLog, database, end_the_lease, execute, rows_left
from tests.waiting import until

__all__ = ["database"]
AT = datetime(2026, 1, 5, 9, tzinfo=UTC)


def rows(*ids: int) -> list[Row]:
    return [Row(each, Record("t", b"k", b"%d" % each), AT) for each in ids]


def written(*ids: int, before: tuple[int, ...] = ()) -> Written:
    return Written(rows(*ids), frozenset(before))


def taken(memory: Memory) -> list[int]:
    return [row.id for row in memory.next_batch()]


@pytest.fixture
def memory() -> Memory:
    """Of a relay that has read its table, and found nothing."""
    made = Memory()
    made.incomplete = False
    return made


def test_what_is_handed_over_waits_in_its_order(memory: Memory) -> None:
    assert memory.hand(written(1, 2))
    assert memory.hand(written(3, before=(1, 2)))
    assert taken(memory) == [1, 2, 3]
    assert memory.hand(written(4, before=(2, 3))), "what was published may not be deleted yet"
    assert not memory.incomplete


def test_behind_a_row_that_only_the_table_has_nothing_is_handed_over(memory: Memory) -> None:
    assert memory.hand(written(1))
    assert not memory.hand(written(3, before=(1, 2)))
    assert memory.incomplete
    assert not memory.hand(written(4, before=(1, 2, 3)))

    memory.read(rows(1, 2, 3, 4))
    assert taken(memory) == [1, 2, 3, 4]


def test_a_row_that_the_table_brought_before_it_was_handed_over_goes_out_once(memory: Memory) -> None:
    memory.read(rows(1, 2))
    assert taken(memory) == [1, 2]
    assert memory.hand(written(2, before=(1,)))
    assert taken(memory) == []


def test_what_cannot_be_held_is_left_to_the_table(memory: Memory) -> None:
    for number in range(3):
        memory.hand(written(*range(number * BATCH, (number + 1) * BATCH)))
    assert memory.incomplete
    assert (taken(memory), taken(memory), taken(memory)) == (
        list(range(BATCH)),
        list(range(BATCH, 2 * BATCH)),
        [],
    )


async def write(database: Database, *values: bytes) -> Written | None:
    async with database.transaction() as connection:
        return await outbox.write(connection, "owner", [Record("t", b"k", value) for value in values])


async def leading(database: Database, log: AbsentLog) -> Relay:
    """A relay that leads and knows that nothing waits; it does not run by itself."""
    relay = Relay(database, log, "owner")
    assert await relay.relay_once() == 0
    assert relay.leading
    return relay


def values(log: AbsentLog) -> list[bytes]:
    return [record.value for record in log.records]


async def test_what_is_handed_over_is_not_read_again_and_is_deleted(database: Database) -> None:
    log = AbsentLog()
    log.there = True
    relay = await leading(database, log)
    handed = await write(database, b"1", b"2")
    await execute(database, "UPDATE owner.outbox SET value = 'as the table has it'")

    relay.hand(handed)

    assert await relay.relay_once() == 2
    assert values(log) == [b"1", b"2"]
    assert await rows_left(database) == 0
    await relay.close()


async def test_what_another_process_wrote_before_it_goes_out_before_it(database: Database) -> None:
    """Although the relay has not heard of it yet."""
    log = AbsentLog()
    log.there = True
    relay = await leading(database, log)
    one = (
        f"INSERT INTO owner.outbox (topic, key, value, headers) VALUES ('t', 'k', '1', '\\x{pack({}).hex()}')"
    )
    await execute(database, one)
    relay.hand(await write(database, b"2"))

    assert await relay.relay_once() == 2
    assert values(log) == [b"1", b"2"]
    await relay.close()


async def test_of_what_a_dead_relay_had_in_memory_nothing_is_lost(database: Database) -> None:
    """It ended between the commit and the publishing: whoever leads next reads it in the table."""
    log, next_log = AbsentLog(), AbsentLog()
    next_log.there = True
    dead = await leading(database, log)
    dead.hand(await write(database, b"1", b"2"))
    await end_the_lease(database)

    successor = Relay(database, next_log, "owner")
    assert await successor.relay_once() == 2
    assert values(next_log) == [b"1", b"2"]
    assert await rows_left(database) == 0
    await dead.close()
    await successor.close()


async def test_while_the_log_is_away_what_is_handed_over_stays_in_order_with_the_rest(
    database: Database,
) -> None:
    log = AbsentLog()
    relay = await leading(database, log)
    relay.hand(await write(database, b"1"))
    with pytest.raises(LogUnavailableError):
        await relay.relay_once()
    relay.hand(await write(database, b"2"))

    log.there = True
    assert await relay.relay_once() == 2
    assert values(log) == [b"1", b"2"]
    await relay.close()


async def test_a_running_relay_publishes_at_once_what_it_is_handed(database: Database) -> None:
    log = AbsentLog()
    log.there = True
    async with (relay := Relay(database, log, "owner")).running():
        await until(lambda: relay.leading)
        for number in range(50):
            relay.hand(await write(database, b"%d" % number))
        await until(lambda: len(log.records) == 50)
    assert values(log) == [b"%d" % number for number in range(50)]
    assert await rows_left(database) == 0

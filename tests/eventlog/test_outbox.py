"""The outbox and its relay, on a real PostgreSQL and both logs."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from shared import outbox
from shared.clock import utcnow
from shared.crash import EXIT_CODE
from shared.database import Database
from shared.eventlog import LogUnavailableError, Record
from shared.outbox import OLDEST_SECONDS, Relay
from tests.eventlog.places import Place, read, values
from tests.waiting import until

ROOT = Path(__file__).parents[2]


class AbsentLog:
    """A log that acknowledges nothing until `there` is set; what it took stands in `records`."""

    def __init__(self) -> None:
        self.there = False
        self.records: list[Record] = []

    async def publish(self, records: Sequence[Record], *, timeout_seconds: float = 4.0) -> None:
        if not self.there:
            raise LogUnavailableError("absent")
        self.records += records


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    async with opened.transaction() as connection:
        await connection.execute(text("CREATE SCHEMA owner"))
        await connection.execute(text(outbox.ddl("owner")))
    yield opened
    await opened.close()


async def write(database: Database, records: Sequence[Record]) -> None:
    async with database.transaction() as connection:
        await outbox.add(connection, "owner", records)


async def rows_left(database: Database) -> int:
    async with database.transaction() as connection:
        return (await connection.execute(text("SELECT count(*) FROM owner.outbox"))).scalar_one()


async def cut_relays(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ladder relay%'"
            )
        )


async def test_what_a_transaction_wrote_is_published_in_order_and_deleted(
    database: Database, place: Place
) -> None:
    async with place.log() as log, log.consumer("g", [place.topic]) as consumer:
        await write(database, [place.record("k", str(number)) for number in range(20)])
        await write(database, [place.record("k", str(number)) for number in range(20, 25)])
        relay = Relay(database, log, "owner")
        async with relay.running():
            got = await read(consumer, 25)
            await until(lambda: _is_empty(database))

    assert values(got) == [str(number) for number in range(25)]
    assert got[0].headers == {"ce_id": b"k"}


async def test_a_transaction_that_is_rolled_back_publishes_nothing(database: Database) -> None:
    log = AbsentLog()
    log.there = True
    relay = Relay(database, log, "owner")
    async with database.engine.connect() as connection:
        await outbox.add(connection, "owner", [Record("t", b"k", b"v")])
        await connection.rollback()

    assert await relay.relay_once(utcnow()) == 0
    await relay.close()
    assert log.records == []


async def test_a_relay_that_dies_after_publishing_sends_again(database: Database, place: Place) -> None:
    async with place.log() as log, log.consumer("g", [place.topic]) as consumer:
        await write(database, [place.record("k", "once or twice")])
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "tests.eventlog.relay",
                place.adapter,
                place.address,
                place.name,
                database.url,
            ),
            cwd=ROOT,
            env=os.environ | {"LADDER_CRASH_AT": "relay.published"},
        )
        assert await process.wait() == EXIT_CODE
        assert await rows_left(database) == 1

        relay = Relay(database, log, "owner")
        await until(lambda: relay.relay_once(utcnow()))  # the dead relay's lock goes with its connection
        await relay.close()

        assert values(await read(consumer, 2)) == ["once or twice"] * 2
        assert await rows_left(database) == 0


async def test_of_two_relays_one_is_active_and_the_other_takes_over(database: Database) -> None:
    log = AbsentLog()
    log.there = True
    first, second = Relay(database, log, "owner"), Relay(database, log, "owner")
    async with second.running():
        await until(lambda: second.leading)
        async with first.running():
            await write(database, [Record("t", b"k", b"1")])
            await until(lambda: len(log.records) == 1)
            assert not first.leading

            await until(lambda: _is_empty(database))
            await cut_relays(database)  # whoever is back first goes on
            await write(database, [Record("t", b"k", b"2")])
            await until(lambda: [record.value for record in log.records] == [b"1", b"2"])
            assert first.leading != second.leading
        await until(lambda: second.leading)


async def test_while_the_log_is_away_rows_stay_and_their_age_shows_and_go_out_after(
    database: Database,
) -> None:
    log = AbsentLog()
    relay = Relay(database, log, "owner")
    await write(database, [Record("t", b"k", b"1"), Record("t", b"k", b"2")])

    with pytest.raises(LogUnavailableError):
        await relay.relay_once(utcnow() + timedelta(seconds=60))
    assert await rows_left(database) == 2
    assert OLDEST_SECONDS.labels("owner")._value.get() >= 59

    log.there = True
    assert await relay.relay_once(utcnow()) == 2
    assert await relay.relay_once(utcnow()) == 0
    assert OLDEST_SECONDS.labels("owner")._value.get() == 0
    assert [record.value for record in log.records] == [b"1", b"2"]
    await relay.close()


async def test_a_running_relay_recovers_when_the_log_is_back(database: Database) -> None:
    log = AbsentLog()
    async with Relay(database, log, "owner").running():
        await write(database, [Record("t", b"k", b"1")])
        await until(lambda: OLDEST_SECONDS.labels("owner")._value.get() > 0)
        log.there = True
        await until(lambda: len(log.records) == 1)


async def test_a_running_relay_recovers_when_the_database_is_back(database: Database, postgres) -> None:
    log = AbsentLog()
    log.there = True
    async with Relay(database, log, "owner").running():
        await write(database, [Record("t", b"k", b"1")])
        await until(lambda: len(log.records) == 1)

        postgres.stop()
        postgres.start()

        async def written() -> bool:
            try:
                await write(database, [Record("t", b"k", b"2")])
            except Exception:  # noqa: BLE001 - the pool's connections died with the server
                return False
            return True

        await until(written)
        await until(lambda: [record.value for record in log.records][-1] == b"2")


@pytest.mark.parametrize("wake", [True, False], ids=["woken in the process", "woken by the commit"])
async def test_a_commit_is_published_within_milliseconds(database: Database, *, wake: bool) -> None:
    log = AbsentLog()
    log.there = True
    relay = Relay(database, log, "owner")
    loop = asyncio.get_running_loop()
    took = []
    async with relay.running():
        await until(lambda: relay.leading)
        for number in range(1, 21):
            await write(database, [Record("t", b"k", b"v")])
            started = loop.time()
            if wake:
                relay.wake()
            await until(lambda: len(log.records) == number)  # noqa: B023 - awaited in this round
            took.append(loop.time() - started)

    assert sorted(took)[10] < 0.1


async def test_a_batch_is_bounded_in_bytes(database: Database) -> None:
    log = AbsentLog()
    log.there = True
    relay = Relay(database, log, "owner")
    await write(database, [Record("t", b"k", b"x" * 1024 * 1024) for _ in range(6)])

    assert [await relay.relay_once(utcnow()) for _ in range(3)] == [4, 2, 0]
    await relay.close()


async def _is_empty(database: Database) -> bool:
    return await rows_left(database) == 0

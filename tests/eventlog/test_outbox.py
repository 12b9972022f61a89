"""The outbox and its relay, on a real PostgreSQL and both logs."""

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.engine import make_url

from shared.clock import stopwatch
from shared.crash import EXIT_CODE
from shared.database.pool import Database
from shared.eventlog import LogUnavailableError, Record, RecordTooLargeError, codec
from shared.eventlog.placement import check_size
from shared.events import INCIDENTS, IncidentEvent
from shared.outbox import lease, outbox
from shared.outbox.relay import Relay
from shared.outbox.watch import STALLED_AFTER, Watch
from tests.eventlog.places import LogPlace, read, values
from tests.servers.swallowing import swallowing
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
        for statement in (outbox.ddl("owner"), *lease.ddl("owner")):
            await connection.execute(text(statement))
    yield opened
    await opened.close()


async def write(database: Database, records: Sequence[Record]) -> None:
    async with database.transaction() as connection:
        await outbox.add(connection, "owner", records)


async def rows_left(database: Database) -> int:
    async with database.transaction() as connection:
        return (await connection.execute(text("SELECT count(*) FROM owner.outbox"))).scalar_one()


async def execute(database: Database, statement: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(statement))


async def value_of(database: Database, question: str) -> object:
    async with database.transaction() as connection:
        return (await connection.execute(text(question))).scalar_one()


def shown(metric: str) -> float:
    return REGISTRY.get_sample_value(metric, {"schema": "owner"}) or 0.0


async def end_the_lease(database: Database) -> None:
    """As its time would."""
    await execute(database, "UPDATE owner.outbox_lease SET until = now()")


async def cut_relays(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ladder relay%'"
            )
        )


async def test_what_a_transaction_wrote_is_published_in_order_and_deleted(
    database: Database, place: LogPlace
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

    assert await relay.relay_once() == 0
    await relay.close()
    assert log.records == []


async def test_a_relay_that_dies_after_publishing_sends_again(database: Database, place: LogPlace) -> None:
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
        await until(relay.relay_once)  # the dead relay's lease ends
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


class HeldLog(AbsentLog):
    """A log that takes what it is given and lets nobody know until `answers` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()

    async def publish(self, records: Sequence[Record], *, timeout_seconds: float = 4.0) -> None:
        self.records += records
        self.asked.set()
        await self.answers.wait()


async def test_a_relay_that_comes_back_to_life_deletes_nothing_and_publishes_nothing_more(
    database: Database,
) -> None:
    """Its lease went to another one meanwhile: what it had in hand is that one's now."""
    frozen, log = HeldLog(), AbsentLog()
    log.there = True
    dead, living = Relay(database, frozen, "owner"), Relay(database, log, "owner")
    await write(database, [Record("t", b"k", b"in hand")])
    standing_still = asyncio.create_task(dead.relay_once())
    await frozen.asked.wait()
    assert await living.relay_once() == 0

    await end_the_lease(database)
    log.there = False
    with pytest.raises(LogUnavailableError):
        await living.relay_once()
    frozen.answers.set()
    assert await standing_still == 0
    assert await rows_left(database) == 1, "not its to delete any more"
    assert (dead.leading, living.leading) == (False, True)

    log.there = True
    await write(database, [Record("t", b"k", b"behind it")])
    assert (await dead.relay_once(), await living.relay_once()) == (0, 2)
    assert [record.value for record in frozen.records] == [b"in hand"]
    assert [record.value for record in log.records] == [b"in hand", b"behind it"]
    await dead.close()
    await living.close()


async def test_a_relay_that_ends_cleanly_is_followed_at_once(database: Database) -> None:
    """Its lease is released, not waited for."""
    log = AbsentLog()
    log.there = True
    async with Relay(database, log, "owner").running():
        await until(lambda: _leads(database))
        follower = Relay(database, log, "owner")
        waiting = asyncio.create_task(_ends_leading(follower))
        await until(lambda: _listens(database, 2))
        assert not follower.leading
    loop = asyncio.get_running_loop()
    released = loop.time()
    await waiting
    assert loop.time() - released < 1


async def test_of_a_server_that_lost_the_last_second_no_two_leaders_come(database: Database) -> None:
    """The epoch alone is not trusted: the holder is named with it."""
    log = AbsentLog()
    log.there = True
    first, second = Relay(database, log, "owner"), Relay(database, log, "owner")
    await write(database, [Record("t", b"k", b"1")])
    assert await first.relay_once() == 1
    await execute(database, "UPDATE owner.outbox_lease SET epoch = epoch - 1, until = now(), holder = ''")
    assert await second.relay_once() == 0
    assert second.leading

    await write(database, [Record("t", b"k", b"2")])
    await first.relay_once()
    assert await rows_left(database) == 1
    await first.close()
    await second.close()


class NarrowLog(AbsentLog):
    """A log that refuses records of more than 100 bytes, wherever they stand in a batch."""

    async def publish(self, records: Sequence[Record], *, timeout_seconds: float = 4.0) -> None:
        for record in records:
            check_size(record, 1_000 if record.topic == INCIDENTS else 100)
        self.records += records


@pytest.mark.parametrize("place", [0, 3, 499])
async def test_a_record_that_the_log_never_takes_holds_up_nobody_and_somebody_is_told(
    database: Database, place: int
) -> None:
    """It is set aside whole, with its reason, its size and its hash; all others go out in their order."""
    log = NarrowLog()
    relay = Relay(database, log, "owner")
    values = [b"%d" % number for number in range(500)]
    values[place] = b"x" * 5_000
    await write(database, [Record("t", b"k", value) for value in values])

    while await relay.relay_once():
        pass

    others = [record.value for record in log.records if record.topic == "t"]
    assert others == values[:place] + values[place + 1 :]
    assert await rows_left(database) == 0
    (told,) = [record for record in log.records if record.topic == INCIDENTS]
    event = codec.decode(IncidentEvent, told.value, told.headers)
    assert (event.integration, event.severity, event.dedup_key) == (
        "ladder",
        "critical",
        "outbox-refused:t",
    )
    assert "5001 bytes" in (event.description or "")
    kept = "SELECT (value, size, sha256, reason <> '') FROM owner.outbox_refused"
    assert await value_of(database, kept) == (
        b"x" * 5_000,
        5_001,
        hashlib.sha256(b"x" * 5_000).hexdigest(),
        True,
    )
    await relay.close()


async def test_what_tells_of_a_refused_record_is_not_told_of_itself(database: Database) -> None:
    """A log that takes nothing at all does not fill the outbox."""
    log = AbsentLog()

    async def refuse(records: Sequence[Record], *, timeout_seconds: float = 4.0) -> None:
        raise RecordTooLargeError("everything")

    log.publish = refuse
    relay = Relay(database, log, "owner")
    await write(database, [Record("t", b"k", b"v"), Record("t", b"k", b"w")])

    for _ in range(4):
        await relay.relay_once()

    assert await rows_left(database) == 0
    assert await value_of(database, "SELECT count(*) FROM owner.outbox_refused") == 4
    await relay.close()


async def test_a_relay_that_has_not_moved_for_half_a_minute_is_seen_by_everybody(database: Database) -> None:
    """Not because rows are old, but because the same one stays: a backlog that shrinks is no fault."""
    await write(database, [Record("t", b"k", b"1"), Record("t", b"k", b"2")])
    watch = Watch(database, "owner")
    await watch.probe_once()
    assert watch.stalled() is None
    watch._since -= STALLED_AFTER
    await watch.probe_once()
    assert "nothing has left owner.outbox for 30 s" in (watch.stalled() or "")
    assert shown("ladder_outbox_stalled_seconds") >= 30

    await execute(database, "DELETE FROM owner.outbox WHERE id = (SELECT min(id) FROM owner.outbox)")
    await watch.probe_once()
    assert watch.stalled() is None
    assert shown("ladder_outbox_stalled_seconds") < 1


async def test_a_relay_that_waits_for_the_log_is_no_fault_of_the_relay(database: Database) -> None:
    """Then people can still act: the metric shows it, readiness does not."""
    async with Relay(database, AbsentLog(), "owner").running():
        watch = Watch(database, "owner")
        await write(database, [Record("t", b"k", b"1")])
        await until(lambda: _is_blocked(database))
        await watch.probe_once()
        watch._since -= STALLED_AFTER
        await watch.probe_once()
        assert watch.stalled() is None
        assert shown("ladder_outbox_stalled_seconds") >= 30


async def test_while_the_log_is_away_rows_stay_and_their_age_shows_and_go_out_after(
    database: Database,
) -> None:
    log = AbsentLog()
    relay = Relay(database, log, "owner")
    await write(database, [Record("t", b"k", b"1"), Record("t", b"k", b"2")])

    await execute(database, "UPDATE owner.outbox SET created_at = created_at - interval '60 seconds'")
    anybody = Watch(database, "owner")  # of a replica that does not lead

    with pytest.raises(LogUnavailableError):
        await relay.relay_once()
    await anybody.probe_once()
    assert await rows_left(database) == 2
    assert shown("ladder_outbox_oldest_seconds") >= 59

    log.there = True
    assert await relay.relay_once() == 2
    assert await relay.relay_once() == 0
    await anybody.probe_once()
    assert shown("ladder_outbox_oldest_seconds") == 0
    assert [record.value for record in log.records] == [b"1", b"2"]
    await relay.close()


async def test_a_running_relay_recovers_when_the_log_is_back(database: Database) -> None:
    log = AbsentLog()
    async with Relay(database, log, "owner").running():
        await write(database, [Record("t", b"k", b"1")])
        await until(lambda: shown("ladder_outbox_oldest_seconds") > 0)
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

    assert [await relay.relay_once() for _ in range(3)] == [4, 2, 0]
    await relay.close()


async def _is_empty(database: Database) -> bool:
    return await rows_left(database) == 0


async def _leads(database: Database) -> bool:
    return bool(await value_of(database, "SELECT until > clock_timestamp() FROM owner.outbox_lease"))


async def _is_blocked(database: Database) -> bool:
    return bool(await value_of(database, "SELECT blocked <> '' FROM owner.outbox_lease"))


async def _listens(database: Database, relays: int) -> bool:
    asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ladder relay owner'"
    return await value_of(database, asked) == relays


async def _ends_leading(relay: Relay) -> None:
    async with relay.running():
        await until(lambda: relay.leading)


async def test_a_relay_cut_off_from_its_database_is_followed_within_seconds(
    database: Database, database_url: str
) -> None:
    """Its session, and whatever lock it held, would stay for as long as TCP waits; a lease does not."""
    log = AbsentLog()
    log.there = True
    at = make_url(database_url)
    async with swallowing(at.host, at.port) as proxy:
        cut_off = Database(at.set(port=proxy.port).render_as_string(hide_password=False))
        leader, follower = Relay(cut_off, log, "owner"), Relay(database, log, "owner")
        async with leader.running():
            await until(lambda: leader.leading)
            async with follower.running():
                await write(database, [Record("t", b"k", b"before")])
                await until(lambda: _is_empty(database))
                proxy.swallow(new=True)
                started = stopwatch()
                await write(database, [Record("t", b"k", b"after")])
                await until(lambda: log.records[-1].value == b"after", 10)
                assert stopwatch() - started < 8
                assert (leader.leading, follower.leading) == (False, True)

                proxy.let_go()
                await write(database, [Record("t", b"k", b"last")])
                await until(lambda: log.records[-1].value == b"last")
        await cut_off.close()
    assert [record.value for record in log.records] == [b"before", b"after", b"last"]

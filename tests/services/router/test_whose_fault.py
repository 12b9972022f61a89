"""Whose fault it is: an event's, the database's, or Ladder's own – and what each may cost the others."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.batch.apply import BatchResult
from services.router.batch.engine import Engine
from services.router.batch.first_look import FirstLook
from services.router.batch.gather import Claim
from services.router.batch.inbound import InboundSignal
from services.router.domain.decide import decide
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Context
from services.router.domain.model.decision import Decision
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import ActionArguments, ActionTaken, Actor, Signal, TimerFired
from services.router.loops.consumer import EVENTS, Consuming
from services.router.loops.timers import Timers
from services.router.policy.compiled_cache import InForce
from shared.database.pool import Database
from shared.eventlog import EventLog, codec
from shared.eventlog.postgres.log import PostgresEventLog
from shared.eventlog.topics import ladder_topics
from shared.events import DEAD_LETTER, DeadLetter, HeartbeatReceived
from tests.domain.tale import bundle
from tests.services.router.desk import NOON, Desk, event, inbound
from tests.waiting import until


class Shaky(Engine):
    """The real engine, except that it breaks while a test says so, before anything is decided."""

    err: Exception | None = None
    broke = 0

    async def within(
        self, signals: Sequence[InboundSignal], *given: Any, look: FirstLook | None = None
    ) -> BatchResult:
        if self.err is not None:
            self.broke += 1
            raise self.err
        return await super().within(signals, *given, look=look)


@pytest.fixture
async def log(database: Database) -> AsyncIterator[EventLog]:
    made = PostgresEventLog(database, topics=ladder_topics(1))
    async with made.running():
        await made.create_topics()
        yield made


@asynccontextmanager
async def consuming(log: EventLog, engine: Engine) -> AsyncIterator[None]:
    task = asyncio.create_task(Consuming(log, engine, EVENTS).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def keys(desk: Desk) -> set[str]:
    return {each.dedup_key for each in await desk.incidents()}


async def letters(desk: Desk) -> list[DeadLetter]:
    rows = await desk.sql("SELECT value FROM router.outbox WHERE topic = :t ORDER BY id", t=DEAD_LETTER)
    return [msgspec.json.decode(row.value, type=DeadLetter) for row in rows]


@pytest.mark.parametrize("err", [KeyError("acme"), ValueError("acme")])
async def test_an_error_of_the_shell_is_never_blamed_on_the_event(
    database: Database, log: EventLog, err: Exception
) -> None:
    """It waits until the shell works again, and is decided then: no dead letter, nothing lost."""
    engine = Shaky(database)
    desk = Desk(database, engine)
    await desk.put_in_force(bundle())
    engine.err = err
    await log.publish([codec.encode(event(f"k{number}")) for number in range(3)])
    async with consuming(log, engine):
        await until(lambda: engine.broke >= 2)
        assert await desk.incidents() == []
        engine.err = None
        await until(lambda: _all(desk, {"k0", "k1", "k2"}))
    assert await letters(desk) == []


async def _all(desk: Desk, wanted: set[str]) -> bool:
    return wanted <= await keys(desk)


async def test_a_heartbeat_with_a_nul_in_its_name_stops_nobody(desk: Desk, log: EventLog) -> None:
    """It becomes a dead letter; events and other heartbeats of its partition pass, before and after it."""
    await desk.put_in_force(
        bundle(heartbeats={"backup": {"every": "24h", "late_after": "2h", "event": {"title": "Late"}}})
    )
    now = (await desk.sql("SELECT now() AS now"))[0].now
    beats = [
        HeartbeatReceived(beat_id=str(uuid.uuid4()), name=name, at=now, by="scripts")
        for name in ("nightly\0", "backup")
    ]
    messages = [event("before"), *beats, event("after")]
    await log.publish([codec.encode(each) for each in messages])
    async with consuming(log, desk.engine):
        await until(lambda: _all(desk, {"before", "after", "dead-letter:ladder.incidents"}))
        rows = await until(lambda: desk.sql("SELECT name FROM router.heartbeat WHERE beat_at IS NOT NULL"))
    assert [row.name for row in rows] == ["backup"]
    (letter,) = await letters(desk)
    assert codec.decode(HeartbeatReceived, letter.record_value, letter.record_headers).name == "nightly\0"
    assert "it cannot be stored" in letter.reason


async def test_what_is_wrong_with_heartbeats_does_not_keep_events_waiting(desk: Desk, log: EventLog) -> None:
    """Not even while their table is not there at all."""
    await desk.sql("ALTER TABLE router.heartbeat RENAME TO heartbeat_away")
    beat = HeartbeatReceived(beat_id="b", name="backup", at=NOON, by="scripts")
    await log.publish([codec.encode(beat), codec.encode(event("beside"))])
    async with consuming(log, desk.engine):
        await until(lambda: _all(desk, {"beside"}))
    assert await letters(desk) == []


def refused_for(key: str) -> Any:
    """The real decide, except that timers of this incident decide what no database takes."""

    def odd(
        incident: Incident | None, signal: Signal, context: Context, policy: CompiledBundle, now: datetime
    ) -> Decision:
        decision = decide(incident, signal, context, policy, now)
        if isinstance(signal, TimerFired) and incident is not None and incident.dedup_key == key:
            assert decision.incident is not None
            return Decision(msgspec.structs.replace(decision.incident, title="\x00"), decision.entries)
        return decision

    return odd


async def test_what_a_timer_decided_and_the_database_refuses_is_told_to_last_resort(
    database: Database,
) -> None:
    """Its incident is stuck with the reason and tried again more and more rarely; the others go on."""
    desk = Desk(database, Engine(database, decide=refused_for("bad")))
    await desk.put_in_force(bundle())
    await desk.accept(*(event(key) for key in ("a", "bad", "c")))
    await desk.sql("DELETE FROM router.outbox")
    await desk.make_due()
    assert await desk.engine.fire() == 3
    found = {each.dedup_key: each for each in await desk.incidents()}
    assert (found["a"].stuck, found["c"].stuck) == (None, None)
    stuck = found["bad"].stuck
    assert stuck is not None
    assert "the database refuses what its timer decided" in stuck.error
    assert found["bad"].next_due_at == stuck.retry_at
    last = [page for page in await desk.pages() if page.through == "last_resort"]
    assert [page.recipient.name for page in last] == ["karel"]
    assert "refuses" in last[0].reason
    told = await desk.sql("SELECT text FROM router.timeline WHERE kind = 'stuck'")
    assert "could not be decided (try 1)" in told[0].text

    await desk.make_due()
    assert await desk.engine.fire() == 3
    again = {each.dedup_key: each for each in await desk.incidents()}["bad"].stuck
    assert again is not None
    assert (again.tries, again.since) == (2, stuck.since)
    assert again.retry_at - stuck.retry_at > stuck.retry_at - stuck.since, "it waits longer each time"


async def test_a_stuck_timer_goes_on_once_the_database_takes_what_it_decides(database: Database) -> None:
    """Nothing of it is lost, and nobody has to lend a hand."""
    desk = Desk(database, Engine(database, decide=refused_for("bad")))
    await desk.put_in_force(bundle())
    await desk.accept(event("bad"))
    await desk.make_due()
    await desk.engine.fire()
    await desk.sql(
        "UPDATE router.incident SET state = jsonb_set(CAST(state AS jsonb), '{stuck,retry_at}',"
        " to_jsonb(CAST('2026-01-01T00:00:00Z' AS text)))::json"
    )
    mended = Desk(database, Engine(database))
    await mended.make_due()
    assert await mended.engine.fire() == 1
    incident = await mended.only()
    assert (incident.stuck, incident.title) == (None, "Checkout is down")


async def test_a_loop_of_the_router_that_stays_broken_is_told_to_last_resort(database: Database) -> None:
    """By an incident about Ladder itself, which ends when the loop comes on again."""
    desk = Desk(database, Engine(database))
    await desk.put_in_force(bundle())
    await desk.engine.tell("router timers", "KeyError: 'acme'")
    incident = await desk.only()
    assert (incident.integration, incident.status) == ("ladder", "triggered")
    assert "router timers" in incident.title
    assert "karel" in {page.recipient.name for page in await desk.pages() if page.through == "last_resort"}
    await desk.engine.tell("router timers", "")
    assert (await desk.only()).status == "resolved"


async def test_what_a_person_did_and_cannot_be_stored_is_no_dead_letter(desk: Desk) -> None:
    """Whoever acted is there to hear it, and its neighbours pass."""
    await desk.accept(event())
    said = ActionTaken("note", Actor("user:ana", "responder", "ana"), ActionArguments(note="a \x00 in it"))
    with pytest.raises(DBAPIError):
        await desk.engine.accept([InboundSignal(said, (await desk.only()).id)])
    assert await letters(desk) == []


class BreaksOver(Engine):
    """The real engine, except that whatever it does about this key breaks it by a fault of its own."""

    key = "bad"

    async def within(
        self, signals: Sequence[InboundSignal], *given: Any, look: FirstLook | None = None
    ) -> BatchResult:
        if any(isinstance(each.address, tuple) and each.address[1] == self.key for each in signals):
            raise KeyError(self.key)
        return await super().within(signals, *given, look=look)

    async def _due(
        self, claim: Claim, connection: AsyncConnection, now: datetime, in_force: InForce
    ) -> BatchResult:
        batch = await super()._due(claim, connection, now, in_force)
        decided = [each.decision.incident for each in batch.results if each.decision is not None]
        if any(each is not None and each.dedup_key == self.key for each in decided):
            raise KeyError(self.key)
        return batch


async def test_a_fault_of_the_shell_that_one_event_brings_out_stops_nobody_elses_pages(
    database: Database,
) -> None:
    """Once it has lasted: the others are decided, that one is kept, tried again and told to last_resort."""
    engine = BreaksOver(database)
    desk = Desk(database, engine)
    await desk.put_in_force(bundle())
    given = [inbound(event(key)) for key in ("a", "bad", "c")]
    with pytest.raises(KeyError):
        await engine.accept(given)
    await engine.accept(given, apart=True)
    found = {each.dedup_key: each for each in await desk.incidents()}
    assert (found["a"].stuck, found["c"].stuck) == (None, None)
    assert found["bad"].stuck is not None
    assert "KeyError" in found["bad"].stuck.error
    assert {page.recipient.name for page in await desk.pages() if page.through == "last_resort"} == {"karel"}
    assert await letters(desk) == []

    engine.key = "mended"
    await desk.sql(
        "UPDATE router.incident SET state = jsonb_set(CAST(state AS jsonb), '{stuck,retry_at}',"
        " to_jsonb(CAST('2026-01-01T00:00:00Z' AS text)))::json WHERE stuck"
    )
    await desk.make_due()
    await engine.fire()
    open_ones = {each.dedup_key: each for each in await desk.incidents() if each.is_open}
    assert open_ones["bad"].stuck is None
    assert open_ones["bad"].chain.policy, "it is decided as if nothing had been"


async def test_a_fault_of_the_shell_that_one_timer_brings_out_stops_no_other_timer(
    database: Database,
) -> None:
    engine = BreaksOver(database)
    engine.key = ""
    desk = Desk(database, engine)
    await desk.put_in_force(bundle())
    await desk.accept(*(event(key) for key in ("a", "bad", "c")))
    await desk.sql("DELETE FROM router.outbox")
    await desk.make_due()
    engine.key = "bad"
    with pytest.raises(KeyError):
        await engine.fire()
    assert await engine.fire(apart=True) == 3
    found = {each.dedup_key: each for each in await desk.incidents()}
    assert (found["a"].stuck, found["c"].stuck) == (None, None)
    assert found["bad"].stuck is not None
    assert await _nothing_due(desk)
    assert "karel" in {page.recipient.name for page in await desk.pages() if page.through == "last_resort"}


async def test_timers_go_on_after_a_fault_of_the_shell(database: Database) -> None:
    """The loop does not end, and what was due is done."""

    class Broken(Engine):
        broke = 0

        async def fire(self, most: int = 500, *, apart: bool = False) -> int:
            if self.broke < 2:
                self.broke += 1
                raise KeyError("acme")
            return await super().fire(most, apart=apart)

    engine = Broken(database)
    desk = Desk(database, engine)
    await desk.put_in_force(bundle())
    await desk.accept(event())
    await desk.make_due()
    firing = asyncio.create_task(Timers(engine).run())
    await until(lambda: _nothing_due(desk))
    firing.cancel()
    await asyncio.gather(firing, return_exceptions=True)
    assert engine.broke == 2


async def _nothing_due(desk: Desk) -> bool:
    return not await desk.sql("SELECT 1 FROM router.incident WHERE next_due_at <= now()")

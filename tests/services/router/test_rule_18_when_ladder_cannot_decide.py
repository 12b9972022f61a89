"""When Ladder cannot decide, read or store something: nothing is lost, neighbours pass, somebody is told."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from services.router.batch import last_resort
from services.router.batch.engine import Engine
from services.router.batch.inbound import InboundSignal, read
from services.router.domain.decide import decide
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Context
from services.router.domain.model.decision import Decision
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import ActionTaken, Actor, EventReceived, Signal, TimerFired
from shared.database.pool import Database
from shared.eventlog import Partition, Received
from shared.events import DEAD_LETTER, INCIDENTS, DeadLetter
from tests.domain.tale import bundle
from tests.services.router.desk import NOON, Desk, event, inbound

PERSON = Actor("user:ana", "responder", "ana")


class Broken:
    """The real decide, except that it raises for signals that a test picks while it is broken."""

    def __init__(self, when: Callable[[Signal], bool]) -> None:
        self.when = when
        self.broken = True

    def __call__(
        self,
        incident: Incident | None,
        signal: Signal,
        context: Context,
        policy: CompiledBundle,
        now: datetime,
    ) -> Decision:
        if self.broken and self.when(signal):
            raise ZeroDivisionError("the rule divides by zero")
        return decide(incident, signal, context, policy, now)


def says(word: str) -> Callable[[Signal], bool]:
    return lambda signal: isinstance(signal, EventReceived) and signal.event.title == word


@pytest.fixture
def broken() -> Broken:
    return Broken(says("poison"))


@pytest.fixture
async def shaky(database: Database, broken: Broken) -> Desk:
    made = Desk(database, Engine(database, decide=broken))
    await made.put_in_force(bundle())
    return made


async def by_key(desk: Desk) -> dict[str, Incident]:
    return {each.dedup_key: each for each in await desk.incidents()}


async def try_again(desk: Desk) -> None:
    """As if the time to try again had come: in the row and in the record."""
    rows = await desk.sql("SELECT id, state::text AS state FROM router.incident WHERE stuck")
    for row in rows:
        state = msgspec.json.decode(row.state)
        past = (datetime.fromisoformat(state["opened_at"]) - timedelta(seconds=1)).isoformat()
        state["stuck"]["retry_at"] = state["next_due_at"] = past
        await desk.sql(
            "UPDATE router.incident SET state = CAST(:state AS json), next_due_at = :past WHERE id = :id",
            state=msgspec.json.encode(state).decode(),
            past=datetime.fromisoformat(past),
            id=row.id,
        )
    await desk.engine.fire()


async def test_an_exception_for_one_signal_leaves_its_neighbours_alone(shaky: Desk) -> None:
    await shaky.accept(event("before"), event("bad", title="poison"), event("after"))
    found = await by_key(shaky)
    assert found["before"].stuck is None
    assert found["after"].stuck is None
    stuck = found["bad"].stuck
    assert stuck is not None
    assert "divides by zero" in stuck.error
    assert found["bad"].next_due_at == stuck.retry_at


async def test_last_resort_is_paged_for_what_cannot_be_decided(shaky: Desk) -> None:
    await shaky.accept(event("bad", title="poison"))
    (page,) = await shaky.pages()
    assert (page.recipient.name, page.through) == ("karel", "last_resort")
    assert "divides by zero" in page.reason


async def test_a_broken_rule_does_not_page_ten_thousand_times(shaky: Desk) -> None:
    await shaky.accept(*(event(f"bad{number}", title="poison") for number in range(50)))
    await shaky.accept(*(event(f"worse{number}", title="poison") for number in range(50)))
    (page,) = await shaky.pages()
    assert "49 more" in page.reason
    held_back = (await shaky.sql("SELECT held_back FROM router.last_resort"))[0].held_back
    assert held_back == 50


async def test_once_the_rule_works_the_event_is_decided_as_if_nothing_had_been(
    shaky: Desk, broken: Broken
) -> None:
    await shaky.accept(event("bad", title="poison"))
    broken.broken = False
    await try_again(shaky)
    stand_in, real = await shaky.incidents()
    assert (stand_in.status, stand_in.stuck) == ("closed", None)
    assert (real.status, real.title, real.chain.policy) == ("triggered", "poison", "main")
    assert [page.recipient.name for page in await shaky.pages()] == ["karel", "ana"]
    assert await shaky.count("set_aside") == 0


async def test_while_it_fails_it_is_tried_with_growing_pauses(shaky: Desk) -> None:
    await shaky.accept(event("bad", title="poison"))
    for tries in (2, 3, 4):
        await try_again(shaky)
        stuck = (await shaky.only()).stuck
        assert stuck is not None
        assert stuck.tries == tries
    assert await shaky.count("set_aside") == 1
    assert last_resort.backoff(4) == timedelta(minutes=4)


async def test_what_follows_a_set_aside_event_of_a_new_key_waits_behind_it(
    shaky: Desk, broken: Broken
) -> None:
    await shaky.accept(event("bad", title="poison"), event("bad", action="resolve"))
    assert await shaky.count("set_aside") == 2
    broken.broken = False
    await shaky.accept(event("bad"))
    found = await shaky.incidents()
    assert [each.status for each in found] == ["closed", "triggered"]
    assert await shaky.count("set_aside") == 0


async def test_a_known_incident_goes_on_while_one_of_its_events_is_set_aside(
    shaky: Desk, broken: Broken
) -> None:
    await shaky.accept(event())
    await shaky.accept(event(title="poison"))
    incident = await shaky.only()
    assert incident.stuck is not None
    await shaky.accept(event(description="more is known"))
    assert (await shaky.only()).description == "more is known"
    broken.broken = False
    await try_again(shaky)
    incident = await shaky.only()
    assert (incident.stuck, incident.title) == (None, "poison")
    assert await shaky.count("set_aside") == 0


async def test_an_event_set_aside_does_not_reopen_what_was_resolved_meanwhile(
    shaky: Desk, broken: Broken
) -> None:
    await shaky.accept(event())
    await shaky.accept(event(title="poison"))
    await shaky.accept(event(action="resolve"))
    broken.broken = False
    await try_again(shaky)
    incident = await shaky.only()
    assert (incident.status, incident.stuck) == ("resolved", None)


async def test_a_timer_that_fails_is_tried_again_and_does_not_spin(database: Database) -> None:
    broken = Broken(lambda signal: isinstance(signal, TimerFired))
    desk = Desk(database, Engine(database, decide=broken))
    await desk.put_in_force(bundle())
    await desk.accept(event())
    await desk.make_due()
    assert await desk.engine.fire() == 1
    assert await desk.engine.fire() == 0
    assert (await desk.only()).stuck is not None
    broken.broken = False
    await try_again(desk)
    assert (await desk.only()).stuck is None


async def test_a_person_can_take_and_resolve_what_ladder_cannot_decide(shaky: Desk) -> None:
    await shaky.accept(event("bad", title="poison"))
    incident = await shaky.only()
    for action, status in (("acknowledge", "acknowledged"), ("resolve", "closed")):
        (done,) = await shaky.engine.accept([InboundSignal(ActionTaken(action, PERSON), incident.id)])
        assert done.decision is not None
        assert (await shaky.only()).status == status
    assert [message.settled is not None for message in await shaky.messages()] == [False, True, True]


def record(value: bytes, offset: int = 3) -> Received:
    return Received(Partition(INCIDENTS, 5), offset, b"test:checkout", value, {}, NOON)


async def letters(desk: Desk) -> list[DeadLetter]:
    rows = await desk.sql("SELECT value FROM router.outbox WHERE topic = :t ORDER BY id", t=DEAD_LETTER)
    return [msgspec.json.decode(row.value, type=DeadLetter) for row in rows]


async def test_an_unreadable_record_becomes_a_dead_letter_and_an_incident(desk: Desk) -> None:
    bad = read(record(b"{not json"))
    await desk.engine.accept([inbound(event("before")), bad, inbound(event("after"))])
    await desk.engine.accept([bad])  # delivered again
    (letter,) = await letters(desk)
    assert (letter.record_value, letter.offset, letter.partition) == (b"{not json", 3, 5)
    found = await by_key(desk)
    assert set(found) == {"before", "after", "dead-letter:ladder.incidents"}
    assert "karel" in {page.recipient.name for page in await desk.pages() if page.through == "last_resort"}
    assert await desk.count("dead_letter") == 1


async def test_ten_unreadable_records_are_one_incident_that_counts(desk: Desk) -> None:
    await desk.engine.accept([read(record(b"[]", offset)) for offset in range(10)])
    assert (await desk.only()).events == 10
    assert len([page for page in await desk.pages() if page.through == "last_resort"]) == 1
    assert len(await letters(desk)) == 10


@pytest.mark.parametrize(
    "refused",
    [
        {"title": "a \x00 in it"},  # 22021: the database takes no NUL in text
        {"attributes": {}, "customer": "x\x00"},
    ],
)
async def test_a_value_that_the_database_refuses_is_set_aside_and_its_neighbours_pass(
    desk: Desk, refused: dict[str, Any]
) -> None:
    events = [event(f"k{number}") for number in range(9)]
    events[4] = event("k4", **refused)
    await desk.accept(*events)
    found = await by_key(desk)
    assert set(found) == {f"k{n}" for n in range(9) if n != 4} | {"dead-letter:ladder.incidents"}
    (letter,) = await letters(desk)
    assert letter.record_key == b"test:k4"
    assert "it cannot be stored" in letter.reason


async def test_a_policy_that_no_longer_compiles_stops_only_the_incidents_that_started_with_it(
    desk: Desk,
) -> None:
    await desk.accept(event("old"))
    await desk.put_in_force(bundle(last_resort=["user:petra"]))
    old_hash = (await desk.only()).policy_hash
    await desk.sql("UPDATE router.policy SET bundle = '{}' WHERE hash = :hash", hash=old_hash)
    fresh = Desk(desk.database, Engine(desk.database))
    await fresh.accept(event("old"), event("new"))
    found = await by_key(fresh)
    assert found["old"].stuck is not None
    assert found["new"].stuck is None
    assert "petra" in {page.recipient.name for page in await fresh.pages()}


async def test_what_cannot_even_be_written_does_not_hold_up_the_rest(database: Database) -> None:
    """A decision whose result no encoder takes: its signal is set aside, the others pass."""

    def odd(
        incident: Incident | None, signal: Signal, context: Context, policy: CompiledBundle, now: datetime
    ) -> Decision:
        decision = decide(incident, signal, context, policy, now)
        assert isinstance(signal, EventReceived)
        if signal.event.title != "poison" or decision.incident is None:
            return decision
        strange = msgspec.structs.replace(decision.incident, attributes={"x": object()})
        return Decision(strange, decision.entries, decision.message)

    desk = Desk(database, Engine(database, decide=odd))
    await desk.put_in_force(bundle())
    await desk.accept(event("before"), event("bad", title="poison"), event("after"))
    assert set(await by_key(desk)) == {"before", "after", "dead-letter:ladder.incidents"}

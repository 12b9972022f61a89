"""Where a round robin stands, kept in PostgreSQL (docs/rules.md, rule 19)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text

from services.router.batch.engine import Engine
from services.router.domain.decide import decide
from services.router.domain.model.decision import Decision
from shared.policy import Bundle
from tests.domain.tale import bundle, on_main
from tests.services.router.desk import Desk, event
from tests.waiting import until

CREW = [f"user:{name}" for name in ("ana", "petra", "karel")]
FIRST = {"name": "desk", "notify": CREW, "acknowledge_within": "5m", "mode": "round_robin"}
SECOND = {"name": "experts", "notify": ["user:petra"], "acknowledge_within": "5m"}


def rotating(**parts: Any) -> Bundle:
    return bundle(**on_main(**({"levels": [FIRST, SECOND]} | parts)))


@pytest.fixture
async def crew(desk: Desk) -> Desk:
    await desk.put_in_force(rotating())
    return desk


async def asked(desk: Desk) -> list[str]:
    return [page.recipient.name for page in await desk.pages()]


async def test_each_incident_of_a_batch_is_the_next_ones_turn(crew: Desk) -> None:
    await crew.accept(event("a"), event("b"))
    await crew.accept(event("c"), event("d"))
    assert await asked(crew) == ["ana", "petra", "karel", "ana"]


async def test_batches_at_once_ask_different_people(crew: Desk) -> None:
    """Six replicas, eighteen transactions, thirty-six pages: twelve for each of three."""
    replicas = [crew, *(Desk(crew.database, Engine(crew.database)) for _ in range(5))]
    for turn in range(3):
        batches = [[event(f"{turn}-{batch}-{number}") for number in range(2)] for batch in range(6)]
        await asyncio.gather(*(each.accept(*batch) for each, batch in zip(replicas, batches, strict=True)))
    assert Counter(await asked(crew)) == {"ana": 12, "petra": 12, "karel": 12}


async def test_timers_and_events_at_once_ask_different_people(crew: Desk) -> None:
    await crew.put_in_force(rotating(levels=[SECOND, FIRST]))
    await crew.accept(*(event(f"old-{number}") for number in range(6)))
    await crew.sql("DELETE FROM router.outbox")
    overdue = """jsonb_set(state::jsonb, '{chain,due}', '\"2026-01-01T00:00:00Z\"')"""
    await crew.sql(f"UPDATE router.incident SET state = {overdue}")
    await crew.make_due()
    other = Desk(crew.database, Engine(crew.database))
    await crew.put_in_force(rotating(levels=[FIRST, SECOND]))
    new = [event(f"new-{number}") for number in range(6)]
    await asyncio.gather(
        crew.engine.fire(3), other.engine.fire(3), crew.accept(*new[:3]), other.accept(*new[3:])
    )
    while await crew.engine.fire(3):
        pass
    assert Counter(await asked(crew)) == {"ana": 4, "petra": 4, "karel": 4}


async def test_it_survives_a_change_of_policy_and_goes_on_by_name(crew: Desk) -> None:
    await crew.accept(event("a"), event("b"))
    await crew.put_in_force(rotating(levels=[FIRST | {"notify": ["user:karel", *CREW[:2]]}, SECOND]))
    await crew.accept(event("c"))
    assert await asked(crew) == ["karel"]


async def test_a_repeated_event_moves_nothing(crew: Desk) -> None:
    said = event("a")
    await crew.accept(said, said)
    await crew.accept(said, event("a"))
    assert await asked(crew) == ["ana"]
    assert [row.name for row in await crew.sql("SELECT name FROM router.rotation")] == ["ana"]


async def test_policies_without_a_rotation_lock_nothing(desk: Desk) -> None:
    await desk.accept(event("a"), event("b"))
    assert await desk.count("rotation") == 0


LAST = rotating(levels=[SECOND, FIRST])  # asked in turn, but only after five minutes


async def test_a_level_asked_in_turn_keeps_nobody_waiting_who_pages_another(desk: Desk) -> None:
    """Somebody is taking a turn and does not come to an end; whoever pages another level goes on."""
    await desk.put_in_force(LAST)
    async with locking(desk, "ana"):
        async with asyncio.timeout(20):
            await desk.accept(event("a"), event("b"))
            await desk.accept(event("a", "acknowledge"))
            await desk.make_due()
            await desk.engine.fire()
    assert await asked(desk) == ["petra", "petra"]


async def test_whoever_was_overtaken_asks_the_next_one(crew: Desk) -> None:
    """Another router asks Petra while this one decides: it waits only for that commit, and asks Karel."""
    async with locking(crew, "petra"):
        paging = asyncio.create_task(crew.accept(event("a"), event("b")))
        await waits_for_a_lock(crew)
    await paging
    assert await asked(crew) == ["karel", "ana"]
    assert "after Petra" in " ".join(row.text for row in await crew.sql("SELECT text FROM router.timeline"))


async def test_a_timer_that_was_overtaken_asks_the_next_one(desk: Desk) -> None:
    await desk.put_in_force(LAST)
    await desk.accept(event("a"))
    overdue = """jsonb_set(state::jsonb, '{chain,due}', '\"2026-01-01T00:00:00Z\"')"""
    await desk.sql(f"UPDATE router.incident SET state = {overdue}")
    await desk.make_due()
    async with locking(desk, "petra"):
        firing = asyncio.create_task(desk.engine.fire())
        await waits_for_a_lock(desk)
    await firing
    assert await asked(desk) == ["petra", "karel"]


async def test_what_fails_in_a_batch_that_decides_again_is_set_aside_once(crew: Desk) -> None:
    """Deciding once more starts from what was gathered: nothing of the first time is left."""

    def broken(incident: Any, signal: Any, context: Any, policy: Any, now: Any) -> Decision:
        if signal.event.dedup_key == "bad":
            raise RuntimeError("broken")
        return decide(incident, signal, context, policy, now)

    other = Desk(crew.database, Engine(crew.database, decide=broken))
    async with locking(crew, "petra"):
        paging = asyncio.create_task(other.accept(event("bad"), event("a"), event("a"), event("b")))
        await waits_for_a_lock(crew)
    await paging
    assert await crew.count("set_aside") == 1
    assert await crew.count("incident") == 3
    assert Counter(await asked(crew)) == {"karel": 2, "ana": 1}  # in turn, and Karel as last_resort


@asynccontextmanager
async def locking(desk: Desk, last: str) -> AsyncIterator[None]:
    """Another router is between its decision and its commit: it has asked this one."""
    given = {"policy": "main", "level": "desk", "name": last}
    async with desk.database.transaction() as connection:
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(_TAKES_A_TURN, given)
        yield


async def waits_for_a_lock(desk: Desk) -> None:
    async def waits() -> bool:
        return bool(
            await desk.sql(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )

    await until(waits)


_TAKES_A_TURN = text("""
    INSERT INTO router.rotation (policy, level, name, at) VALUES (:policy, :level, :name, now())
    ON CONFLICT (policy, level) DO UPDATE SET name = excluded.name
""")

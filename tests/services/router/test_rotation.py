"""Where a round robin stands, kept in PostgreSQL (POLICY.md, rule 19)."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from services.router.engine import Engine
from shared.policy import Bundle
from tests.domain.tale import bundle, on_main
from tests.services.router.desk import Desk, event

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
    await crew.take(event("a"), event("b"))
    await crew.take(event("c"), event("d"))
    assert await asked(crew) == ["ana", "petra", "karel", "ana"]


async def test_batches_at_once_ask_different_people(crew: Desk) -> None:
    """Six replicas, eighteen transactions, thirty-six pages: twelve for each of three."""
    replicas = [crew, *(Desk(crew.database, Engine(crew.database)) for _ in range(5))]
    for turn in range(3):
        batches = [[event(f"{turn}-{batch}-{number}") for number in range(2)] for batch in range(6)]
        await asyncio.gather(*(each.take(*batch) for each, batch in zip(replicas, batches, strict=True)))
    assert Counter(await asked(crew)) == {"ana": 12, "petra": 12, "karel": 12}


async def test_timers_and_events_at_once_ask_different_people(crew: Desk) -> None:
    await crew.put_in_force(rotating(levels=[SECOND, FIRST]))
    await crew.take(*(event(f"old-{number}") for number in range(6)))
    await crew.sql("DELETE FROM router.outbox")
    overdue = """jsonb_set(state::jsonb, '{chain,due}', '\"2026-01-01T00:00:00Z\"')"""
    await crew.sql(f"UPDATE router.incident SET state = {overdue}")
    await crew.make_due()
    other = Desk(crew.database, Engine(crew.database))
    await crew.put_in_force(rotating(levels=[FIRST, SECOND]))
    new = [event(f"new-{number}") for number in range(6)]
    await asyncio.gather(crew.engine.fire(3), other.engine.fire(3), crew.take(*new[:3]), other.take(*new[3:]))
    while await crew.engine.fire(3):
        pass
    assert Counter(await asked(crew)) == {"ana": 4, "petra": 4, "karel": 4}


async def test_it_survives_a_change_of_policy_and_goes_on_by_name(crew: Desk) -> None:
    await crew.take(event("a"), event("b"))
    await crew.put_in_force(rotating(levels=[FIRST | {"notify": ["user:karel", *CREW[:2]]}, SECOND]))
    await crew.take(event("c"))
    assert await asked(crew) == ["karel"]


async def test_a_repeated_event_moves_nothing(crew: Desk) -> None:
    said = event("a")
    await crew.take(said, said)
    await crew.take(said, event("a"))
    assert await asked(crew) == ["ana"]
    assert [row.name for row in await crew.sql("SELECT name FROM router.rotation")] == ["ana"]


async def test_policies_without_a_rotation_lock_nothing(desk: Desk) -> None:
    await desk.take(event("a"), event("b"))
    assert await desk.count("rotation") == 0

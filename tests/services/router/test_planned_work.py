"""Planned work is announced once when it begins and once when it is over, by whichever router looks."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec

from services.router.loops.planned_work import PlannedWork
from shared.clock import utcnow
from shared.events import Announced
from tests.domain.tale import bundle
from tests.services.router.api import Api, keys

BOARD: Any = {"who": [{"email": "board@example.com"}], "events": ["maintenance"]}


async def titles(api: Api) -> list[str]:
    rows = await api.desk.sql("SELECT value FROM router.outbox ORDER BY id")
    await api.desk.sql("DELETE FROM router.outbox")
    return [msgspec.json.decode(row.value, type=Announced).title for row in rows]


async def plan(api: Api, begins: float, ends: float) -> str:
    now = utcnow()
    body = {
        "name": "upgrade",
        "when": "service == 'checkout'",
        "from": (now + timedelta(minutes=begins)).isoformat(),
        "to": (now + timedelta(minutes=ends)).isoformat(),
    }
    headers = {"Authorization": "Bearer lead"}
    made = await api.client.post("/v1/maintenance", json=body, headers=headers)
    assert made.status_code == 201, made.text
    await api.desk.sql("DELETE FROM router.outbox")
    return str(made.json()["id"])


async def test_it_is_told_once_when_it_begins_and_once_when_somebody_ends_it(served: Api) -> None:
    await served.desk.put_in_force(bundle(api_keys=keys(), subscriptions=[BOARD]))
    watch = PlannedWork(served.desk.engine)
    await plan(served, 30, 60)
    work = await plan(served, -1, 60)
    await asyncio.gather(*(PlannedWork(served.desk.engine).look_once() for _ in range(3)))
    assert await titles(served) == ["Planned work has begun: upgrade"]
    await served.client.delete(f"/v1/maintenance/{work}", headers={"Authorization": "Bearer lead"})
    await served.desk.sql("DELETE FROM router.outbox")
    for _ in range(2):
        await watch.look_once()
    assert await titles(served) == ["Planned work is over: upgrade"]


async def test_its_end_is_told_although_every_router_was_away_for_hours(served: Api) -> None:
    await served.desk.put_in_force(bundle(api_keys=keys(), subscriptions=[BOARD]))
    watch = PlannedWork(served.desk.engine)
    work = await plan(served, -1, 60)
    await watch.look_once()
    await titles(served)
    await served.desk.sql(
        "UPDATE router.maintenance SET until = now() - interval '5 h' WHERE id = CAST(:id AS uuid)", id=work
    )
    await served.desk.sql("UPDATE router.office SET revision = revision + 1")
    await watch.look_once()
    assert await titles(served) == ["Planned work is over: upgrade"]


async def test_where_nobody_subscribed_nothing_is_kept(served: Api) -> None:
    await plan(served, -1, 60)
    assert await PlannedWork(served.desk.engine).look_once() == 0
    assert await served.desk.count("planned_work") == 0

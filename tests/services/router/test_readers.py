"""Whoever only looks keeps nobody's page waiting, and gets an answer that says what to ask instead."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.router.api import queries
from services.router.batch.engine import Engine
from shared.database.pool import Database
from shared.database.readers import Limits, read_by
from tests.domain.tale import bundle
from tests.services.router.api import Api, api_of, keys
from tests.services.router.desk import Desk
from tests.waiting import until

PLACES = 2
SECONDS = 3.0


@pytest.fixture
async def served(router_url: str) -> AsyncIterator[Api]:
    database = Database(router_url, reading=Limits(PLACES, seconds=SECONDS, report_seconds=SECONDS))
    async with api_of(Desk(database, Engine(database)), keys()) as made:
        yield made
    await database.close()


@asynccontextmanager
async def endless_reads(served: Api) -> AsyncIterator[list["asyncio.Task[httpx2.Response]"]]:
    """Every place is taken by a read that does not come to an end, and more of them wait."""
    async with served.desk.database.transaction() as connection:
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(text("LOCK TABLE router.customer IN ACCESS EXCLUSIVE MODE"))
        asking = [
            asyncio.create_task(served.get("/v1/customers", key=key))
            for key in ("viewer", "viewer", "lead", "lead")
        ]
        await until(lambda: reads_under_way(served) == PLACES)
        yield asking
    await asyncio.gather(*asking)


def reads_under_way(served: Api) -> int:
    found: int = served.desk.database.reading.engine.sync_engine.pool.checkedout()  # type: ignore[attr-defined]
    return found


async def test_while_everybody_reads_an_event_is_paged_and_taken(served: Api) -> None:
    """Every place of those who read is taken; what comes in is decided, and a person acts on it."""
    async with endless_reads(served) as asking:
        incident = await served.opened("checkout")
        assert [page.recipient.name for page in await served.desk.pages()]
        taken = await served.act(incident, "acknowledge")
        assert (taken.status_code, taken.json()["status"]) == (200, "acknowledged")
        assert not any(each.done() for each in asking)


async def test_who_asks_too_much_is_told_what_to_ask_instead(served: Api) -> None:
    async with endless_reads(served) as asking:
        answer = await asking[0]
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "10"
    assert answer.json()["type"] == "urn:ladder:problem:takes-too-long"
    assert "given up after 3 seconds" in answer.json()["detail"]
    assert "narrow it by `q`, `tier` or `owner`" in answer.json()["detail"]
    assert "cannot be reached" not in answer.text


async def test_a_report_that_takes_too_long_is_given_up(served: Api) -> None:
    async with served.desk.database.transaction() as connection:
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(text("LOCK TABLE router.outcome IN ACCESS EXCLUSIVE MODE"))
        answer = await served.get("/v1/reports/sla")
    assert (answer.status_code, answer.json()["title"]) == (503, "This takes too long to answer")
    assert "shorter time, fewer groups" in answer.json()["detail"]


async def test_one_key_in_a_loop_leaves_a_place_for_others(served: Api) -> None:
    """A viewer's key asks for the heaviest again and again; another one lists incidents meanwhile."""
    async with served.desk.database.transaction() as connection:
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(text("LOCK TABLE router.customer IN ACCESS EXCLUSIVE MODE"))
        asking = [asyncio.create_task(served.get("/v1/customers")) for _ in range(30)]
        await until(lambda: reads_under_way(served) == 1)
        other = await served.get("/v1/incidents", key="lead")
        assert other.status_code == 200
        refused = await until(lambda: [each.result() for each in asking if each.done()])
    assert {each.status_code for each in refused} == {429}
    assert refused[0].headers["retry-after"] == "1"
    assert "Wait for answers" in refused[0].json()["detail"]
    assert {(await each).status_code for each in asking} <= {200, 429, 503}


async def test_after_a_slow_read_its_key_rests_and_others_do_not(served: Api) -> None:
    """As much rest as work: one key in a loop leaves the server half of the time, and others all of it."""
    reading, order = served.desk.database.reading, []

    async def read(key: str, seconds: float) -> None:
        read_by(key)
        async with reading.transaction("") as connection:
            order.append(f"{key} begins")
            await connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})
        order.append(f"{key} ends")

    await asyncio.create_task(read("often", 0.5))
    again = asyncio.create_task(read("often", 0))
    await asyncio.create_task(read("seldom", 0))
    await again
    expected = ["often begins", "often ends", "seldom begins", "seldom ends", "often begins", "often ends"]
    assert order == expected


async def test_a_read_writes_nothing_and_gets_no_helpers(served: Api) -> None:
    async with served.desk.database.reading.transaction("") as connection:
        shown = "SELECT current_setting('max_parallel_workers_per_gather'), current_setting('work_mem')"
        assert tuple((await connection.execute(text(shown))).one()) == ("0", "4MB")
    with pytest.raises(DBAPIError, match="read-only"):
        async with served.desk.database.reading.transaction("") as connection:
            await connection.execute(text("UPDATE router.office SET customers = customers"))


async def test_a_crowd_at_the_door_takes_one_of_the_connections_that_page(served: Api) -> None:
    """Fifty requests with a wrong key: whose key it is, is looked up for all of them together."""
    pool: Any = served.desk.database.engine.sync_engine.pool
    asking = [asyncio.create_task(served.get("/v1/incidents", key="wrong")) for _ in range(50)]
    most = 0
    while not all(each.done() for each in asking):
        most = max(most, pool.checkedout())
        await asyncio.sleep(0)
    assert {each.result().status_code for each in asking} == {401}
    assert most == 1


async def test_a_key_that_is_gone_opens_nothing_whoever_looked_at_the_same_time(served: Api) -> None:
    """Looking together never means looking earlier."""
    without = {name: key for name, key in keys().items() if name != "viewer"}
    for crowd in range(4):
        asking = [asyncio.create_task(served.get("/v1/incidents")) for _ in range(crowd)]
        await served.desk.put_in_force(bundle(api_keys=without))
        assert (await served.get("/v1/incidents")).status_code == 401
        await asyncio.gather(*asking)
        await served.desk.put_in_force(bundle(api_keys=keys()))
        assert (await served.get("/v1/incidents")).status_code == 200


async def test_a_long_search_goes_on_where_it_stopped(served: Api) -> None:
    """A text that only the oldest has: years of history are not read in one go, and it is found."""
    await served.opened("needle", title="The needle of this haystack")
    await _hay(served.desk, queries.SCANNED + 5)
    first = (await served.get("/v1/incidents", q="NEEDLE of")).json()
    assert (first["items"], first["partial"]) == ([], True)
    rest = (await served.get("/v1/incidents", q="NEEDLE of", cursor=first["next"])).json()
    assert [each["dedup_key"] for each in rest["items"]] == ["needle"]
    assert (rest["partial"], rest["next"]) == (False, None)


async def test_a_dedup_key_is_found_however_old(served: Api) -> None:
    """Somebody has nothing but the key of an old incident: an index finds it, whichever integration sent it."""
    await served.opened("needle")
    await _hay(served.desk, queries.SCANNED + 5)
    for more in ({}, {"sort": "pressing"}, {"integration": "test"}):
        found = (await served.get("/v1/incidents", dedup_key="needle", **more)).json()
        assert ([each["dedup_key"] for each in found["items"]], found["partial"]) == (["needle"], False)


async def _hay(desk: Desk, straws: int) -> None:
    """So many incidents that are like the one that there is, each newer."""
    columns = [
        row.name
        for row in await desk.sql("""
            SELECT column_name AS name FROM information_schema.columns
            WHERE table_schema = 'router' AND table_name = 'incident' AND is_identity = 'NO'
        """)
    ]
    changed = {
        "id": "gen_random_uuid()",
        "dedup_key": "'straw-' || n",
        "title": "'straw'",
        "opened_at": "opened_at + n * interval '1 second'",
    }
    chosen = ", ".join(changed.get(name, f'"{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    await desk.sql(
        f"INSERT INTO router.incident ({names}) SELECT {chosen} FROM router.incident, generate_series(1, :n) AS n",
        n=straws,
    )

"""A batch of events is two statements: what it needs, and what it decided."""

import asyncio

from services.router.policy.compiled_cache import moment, required
from tests.domain.tale import bundle
from tests.services.router.desk import Desk, event, inbound
from tests.services.router.test_lock_order import order_of, watching
from tests.services.router.test_relations import GROUPING
from tests.waiting import until


async def test_a_batch_of_events_is_two_statements(desk: Desk) -> None:
    await desk.accept(event("known"))
    with watching(desk.database) as transactions:
        results = await desk.accept(event("new"), event("known", "acknowledge"), event("new", "resolve"))

    assert all(result.decision is not None for result in results)
    (statements,) = transactions
    assert len(statements) == 2
    assert order_of(statements)[:2] == ["inbox", "incident"]


async def test_what_came_before_is_neither_decided_nor_locked_again(desk: Desk) -> None:
    first, second = event("a"), event("b")
    await desk.accept(first)
    results = await desk.accept(first, second, second)
    assert [result.repeated for result in results] == [True, False, True]
    assert [incident.events for incident in await desk.incidents()] == [1, 1]


async def test_a_policy_that_begins_to_group_does_so_with_its_first_batch(desk: Desk) -> None:
    """Although the batch before it, by which the next one begins, knew of no groups."""
    await desk.accept(event("a", service="checkout"))
    await desk.put_in_force(bundle(**GROUPING))
    await desk.accept(event("b", service="checkout"), event("c", service="checkout"))
    one, two, three = await desk.incidents()
    assert (one.parent, two.parent, three.parent) == ("", "", two.id)


async def test_what_another_router_is_just_opening_is_seen_by_whoever_waited_for_it(desk: Desk) -> None:
    """A partition changes hands in the middle of a batch: the resolve that the next owner read with it counts."""
    opens, resolves = event("a"), event("a", "resolve")
    async with desk.database.transaction() as connection:
        now, in_force = await moment(connection)
        await desk.engine.within([inbound(opens)], connection, now, required(in_force))
        taking = asyncio.create_task(desk.accept(opens, resolves))
        await until(lambda: _somebody_waits(desk))
    results = await taking
    assert [result.repeated for result in results] == [True, False]
    assert [incident.status for incident in await desk.incidents()] == ["resolved"]


async def _somebody_waits(desk: Desk) -> bool:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await desk.sql(waiting))

"""Gather, decide, apply on a real PostgreSQL."""

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.exc import IntegrityError
from structlog.testing import capture_logs

from services.router.batch.engine import Engine
from services.router.loops.timers import Timers
from shared.clock import utcnow
from tests.domain.tale import bundle
from tests.services.router.desk import NOON, Desk, event


async def test_an_event_becomes_an_incident_a_timeline_and_a_page_in_one_transaction(desk: Desk) -> None:
    await desk.accept(event())
    incident = await desk.only()
    assert incident.status == "triggered"
    assert incident.next_due_at is not None
    assert [page.recipient.name for page in await desk.pages()] == ["ana"]
    row = (await desk.sql("SELECT * FROM router.incident"))[0]
    assert (row.title, row.level, row.policy, row.priority) == ("Checkout is down", "desk", "main", 2)
    kinds = [each.kind for each in await desk.sql("SELECT kind FROM router.timeline ORDER BY seq")]
    assert kinds[0] == "opened"
    assert "paged" in kinds


async def test_each_decision_is_one_line_in_the_log_with_incident_and_event(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    opening, nothing = event(), event("other", action="resolve")
    with capture_logs() as lines:
        await desk.accept(opening, opening, nothing)
    decided, orphaned = lines
    incident = await desk.only()
    assert (decided["action"], decided["incident"], decided["event_id"]) == (
        "decided",
        incident.id,
        opening.event_id,
    )
    assert (decided["version"], "opened" in decided["changes"]) == (incident.version, True)
    assert (orphaned["action"], orphaned["event_id"]) == ("orphaned", nothing.event_id)


async def test_the_same_event_twice_changes_nothing(desk: Desk) -> None:
    said = event()
    first = await desk.accept(said, said)
    again = await desk.accept(said)
    assert [each.repeated for each in (*first, *again)] == [False, True, True]
    assert (await desk.only()).events == 1
    assert len(await desk.messages()) == 1


async def test_a_later_signal_of_a_batch_sees_what_an_earlier_one_decided(desk: Desk) -> None:
    await desk.accept(event(), event(), event(action="resolve"))
    incident = await desk.only()
    assert (incident.status, incident.events) == ("resolved", 3)
    versions = [message.incident.version for message in await desk.messages()]
    assert versions == sorted(versions)


async def test_a_key_can_be_opened_resolved_and_opened_anew_in_one_batch(desk: Desk) -> None:
    """PagerDuty's senders expect a new incident after a resolve, never a reopened one."""
    keys = [{"sha256": "0" * 64}]
    await desk.put_in_force(bundle(integrations={"pager": {"kind": "pagerduty", "keys": keys}}))
    said = [event(integration="pager", action=action) for action in ("trigger", "resolve", "trigger")]
    await desk.accept(*said)
    assert [each.status for each in await desk.incidents()] == ["resolved", "triggered"]
    await desk.accept(event(integration="pager", action="resolve"), event(integration="pager"))
    assert [each.status for each in await desk.incidents()] == ["resolved", "resolved", "triggered"]


async def test_a_trigger_from_before_a_remembered_resolve_opens_is_counted_and_pages_two_minutes_later(
    desk: Desk,
) -> None:
    """A resolve that meets no incident is remembered, in the batch and after it (rule 16)."""
    counted = REGISTRY.get_sample_value("ladder_triggers_held_total", {"integration": "test"}) or 0
    early = {"occurred_at": NOON - timedelta(minutes=1)}
    ahead = event("ahead", action="resolve", occurred_at=NOON + timedelta(minutes=20))
    same_batch = [event("batch", action="resolve", occurred_at=NOON), event("batch", **early)]
    await desk.accept(event(action="resolve", occurred_at=NOON), ahead, *same_batch)
    await desk.accept(event(**early), event("ahead", occurred_at=NOON + timedelta(minutes=5)))
    held, at_once, after = await desk.incidents()
    assert [each.dedup_key for each in (held, at_once, after)] == ["batch", "ahead", "checkout"]
    assert [page.since for page in await desk.pages()] == [at_once.opened_at]
    assert held.next_due_at == held.opened_at + timedelta(minutes=2)
    value = REGISTRY.get_sample_value("ladder_triggers_held_total", {"integration": "test"})
    assert value == counted + 2
    due = "to_jsonb(now() - interval '1 ms')"
    await desk.sql(
        f"UPDATE router.incident SET next_due_at = now() - interval '1 ms', state = jsonb_set(jsonb_set("
        f"CAST(state AS jsonb), '{{late,until}}', {due}), '{{chain,due}}', {due})::json WHERE dedup_key = 'batch'"
    )
    await Timers(desk.engine).fire_once(utcnow())
    assert [page.since for page in await desk.pages()] == [at_once.opened_at, held.opened_at]


async def test_a_resolve_that_the_last_release_remembered_with_a_time_ahead_swallows_nothing(
    desk: Desk,
) -> None:
    await desk.accept(event(action="resolve", occurred_at=NOON))
    await desk.sql(
        "UPDATE router.orphan SET at = :noon, occurred_at = :year", noon=NOON, year=NOON.replace(year=2999)
    )
    await desk.accept(event(occurred_at=NOON))
    assert len(await desk.pages()) == 1


async def test_two_replicas_that_open_one_key_at_once_make_one_incident(desk: Desk) -> None:
    """Around a change of partitions two consumers may hold events of one key."""
    other = Desk(desk.database, Engine(desk.database))
    await asyncio.gather(*(each.accept(event()) for each in [desk, other] * 4))
    assert (await desk.only()).events == 8
    assert len(await desk.pages()) == 1


async def test_batches_that_cross_each_other_do_not_block_each_other(desk: Desk) -> None:
    keys = [f"k{number}" for number in range(40)]
    batches = [keys, keys[::-1], keys[20:] + keys[:20], keys[::2] + keys[1::2]]
    await asyncio.gather(*(desk.accept(*(event(key) for key in batch)) for batch in batches))
    found = await desk.incidents()
    assert len(found) == 40
    assert {each.events for each in found} == {4}


async def test_nothing_stands_still_not_even_by_mistake(desk: Desk) -> None:
    await desk.accept(event())
    with pytest.raises(IntegrityError, match="nothing_stands_still"):
        await desk.sql("UPDATE router.incident SET next_due_at = NULL")


async def test_attributes_stay_as_they_were_sent(desk: Desk) -> None:
    sent = {"zeta": 1, "alpha": 2.0, "big": 12345678901234567890, "nested": {"b": [1, 2.5], "a": None}}
    await desk.accept(event(attributes=sent))
    await desk.accept(event())
    kept = (await desk.only()).attributes
    assert kept == sent
    assert list(kept) == list(sent)
    assert isinstance(kept["alpha"], float)


async def test_a_due_incident_takes_its_step_once_however_many_replicas_look(desk: Desk) -> None:
    await desk.accept(*(event(f"k{number}") for number in range(30)))
    await desk.sql("DELETE FROM router.outbox")
    await desk.make_due()
    other = Desk(desk.database, Engine(desk.database))
    fired = await asyncio.gather(*(each.engine.fire(7) for each in [desk, other] * 4))
    fired += [await desk.engine.fire(100)]
    assert sum(fired) == 30
    assert await desk.engine.fire(100) == 0


async def test_urgent_incidents_are_claimed_first(desk: Desk) -> None:
    await desk.accept(event("low", severity="info"), event("high", severity="critical"))
    await desk.make_due()
    await desk.sql("UPDATE router.incident SET next_due_at = now() - interval '1 h' WHERE dedup_key = 'low'")
    assert await desk.engine.fire(1) == 1
    late = await desk.sql("SELECT dedup_key FROM router.incident WHERE next_due_at < now()")
    assert [row.dedup_key for row in late] == ["low"]

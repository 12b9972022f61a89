"""Groups, causes, merges and what many are told, on a real PostgreSQL: an incident never writes another one."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec

from services.router.batch.engine import Engine
from services.router.batch.inbound import InboundSignal
from services.router.domain.model.compiled_bundle import compile_sized
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import ActionArguments, ActionTaken, Actor, RelatedMessage
from services.router.loops.fan_out import STEP, FanOut
from services.router.policy import store
from shared.events import INCIDENTS, RelatedChanged
from tests.domain.tale import bundle
from tests.services.router.desk import Desk, event

GROUPING = {"grouping": [{"name": "one per service", "by": ["service"], "within": "5m"}]}
CAUSES = {
    "services": {"checkout": {}, "payments": {}},
    "suppress": [
        {"name": "payments", "when": "service == 'checkout'", "while_open": "service == 'payments'"}
    ],
}


async def told(desk: Desk) -> list[RelatedChanged]:
    """What incidents told each other and the log has not taken yet, in order."""
    rows = await desk.sql("SELECT value FROM router.outbox WHERE topic = :t ORDER BY id", t=INCIDENTS)
    return [msgspec.json.decode(row.value, type=RelatedChanged) for row in rows]


async def hand_on(desk: Desk) -> int:
    """Hand on what incidents told each other, as the log does, until all is said; how much it was."""
    said = 0
    while True:
        while await FanOut(desk.engine).fan_out_once() >= 0:
            pass
        messages = await told(desk)
        if not messages:
            return said
        await desk.sql("DELETE FROM router.outbox WHERE topic = :t", t=INCIDENTS)
        said += len(messages)
        for first in range(0, len(messages), 500):
            batch = messages[first : first + 500]
            await desk.engine.accept(
                [InboundSignal(RelatedMessage(each), each.to, each.message_id) for each in batch]
            )


async def act(desk: Desk, incident: Incident, action: str, **arguments: Any) -> Any:
    signal = ActionTaken(action, Actor("user:petra", "lead", "petra"), ActionArguments(**arguments))
    return (await desk.engine.accept([InboundSignal(signal, incident.id)]))[0].decision


async def by_key(desk: Desk) -> dict[str, Incident]:
    return {incident.dedup_key: incident for incident in await desk.incidents()}


async def test_a_member_tells_its_parent_through_the_outbox_in_the_transaction_in_which_it_joins(
    desk: Desk,
) -> None:
    await desk.put_in_force(bundle(**GROUPING))
    await desk.accept(event("a", service="checkout"))
    await desk.accept(event("b", service="checkout", severity="critical"))
    found = await by_key(desk)
    assert (found["b"].parent, found["a"].members) == (found["a"].id, 0)
    assert [(each.relation, each.to) for each in await told(desk)] == [("joined", found["a"].id)]
    await hand_on(desk)
    found = await by_key(desk)
    assert (found["a"].members, found["a"].priority) == (1, 1)
    assert [page.recipient.name for page in await desk.pages()] == ["ana"]
    rows = await desk.sql("SELECT parent FROM router.incident WHERE dedup_key = 'b'")
    assert str(rows[0].parent) == found["a"].id


async def test_two_routers_that_open_a_group_at_once_make_one_parent(desk: Desk) -> None:
    await desk.put_in_force(bundle(**GROUPING))
    others = [Desk(desk.database, Engine(desk.database)) for _ in range(3)]
    await asyncio.gather(
        *(
            each.accept(event(f"k{number}", service="checkout"))
            for number, each in enumerate([desk, *others] * 5)
        )
    )
    found = await desk.incidents()
    parents = [incident for incident in found if not incident.parent]
    assert len(parents) == 1
    assert {incident.parent for incident in found if incident.parent} == {parents[0].id}
    await hand_on(desk)
    assert (await by_key(desk))[parents[0].dedup_key].members == 19
    assert len(await desk.pages()) == 1


async def test_batches_that_meet_in_several_groups_do_not_block_each_other(desk: Desk) -> None:
    await desk.put_in_force(bundle(**GROUPING, services={f"s{n}": {} for n in range(6)}))
    names = [f"s{number}" for number in range(6)]
    orders = [names, names[::-1], names[3:] + names[:3], names[::2] + names[1::2]]
    await asyncio.gather(
        *(
            desk.accept(*(event(f"{turn}-{name}", service=name) for name in order))
            for turn, order in enumerate(orders)
        )
    )
    found = await desk.incidents()
    assert len([incident for incident in found if not incident.parent]) == 6
    assert len(found) == 24


async def test_a_group_opened_earlier_in_the_batch_is_joined_later_in_it(desk: Desk) -> None:
    await desk.put_in_force(bundle(**GROUPING))
    await desk.accept(event("a", service="checkout"), event("b", service="checkout"))
    found = await by_key(desk)
    assert found["b"].parent == found["a"].id
    await desk.accept(event("a", "resolve"), event("b", "resolve"))
    await hand_on(desk)
    await desk.accept(event("c", service="checkout"))
    assert (await by_key(desk))["c"].parent == "", "the parent was over"


async def test_over_a_thousand_members_hear_of_their_parents_end_step_by_step(desk: Desk) -> None:
    await desk.put_in_force(bundle(**GROUPING))
    await desk.accept(event("a", service="checkout"))
    for first in range(0, 1200, 400):
        await desk.accept(*(event(f"m{n}", service="checkout") for n in range(first, first + 400)))
    await hand_on(desk)
    parent = (await by_key(desk))["a"]
    assert (parent.members, parent.members_open) == (1200, 1200)
    await act(desk, parent, "resolve")
    assert await FanOut(desk.engine).fan_out_once() == STEP
    await hand_on(desk)
    assert {incident.status for incident in await desk.incidents()} == {"resolved"}
    assert await desk.count("spread") == 0


async def test_what_cannot_be_told_to_many_does_not_hold_up_what_is_told_after_it(desk: Desk) -> None:
    """It becomes a dead letter, of which `last_resort` hears."""
    await desk.put_in_force(bundle(**GROUPING))
    for name in ("checkout", "search"):
        await desk.accept(event(f"{name}-parent", service=name), event(f"{name}-member", service=name))
    await hand_on(desk)
    open_now = await by_key(desk)
    refused, later = open_now["checkout-parent"], open_now["search-parent"]
    await desk.sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'no such value' USING ERRCODE = '22000'; END $$"
    )
    await desk.sql(
        "CREATE TRIGGER refuses BEFORE INSERT ON router.outbox FOR EACH ROW WHEN (NEW.topic = 'ladder.incidents'"
        f" AND convert_from(NEW.value, 'UTF8') LIKE '%{refused.id}%') EXECUTE FUNCTION refuse()"
    )
    await act(desk, refused, "resolve")
    await act(desk, later, "resolve")
    await hand_on(desk)
    found = await by_key(desk)
    assert (found["search-member"].status, found["checkout-member"].status) == ("resolved", "triggered")
    assert found["dead-letter:ladder.incidents"].status == "triggered"
    assert await desk.count("spread") == 0


async def test_what_is_open_hears_of_a_cause_and_of_its_end(desk: Desk) -> None:
    await desk.put_in_force(bundle(**CAUSES))
    await desk.accept(event("c", service="checkout"), event("x", service="other"))
    await desk.accept(event("p", service="payments"))
    assert (await by_key(desk))["c"].suppressed_by == ""
    await hand_on(desk)
    assert (await by_key(desk))["c"].suppressed_by == "rule payments"
    assert (await by_key(desk))["x"].suppressed_by == ""
    assert await desk.count("cause") == 1
    await desk.accept(event("p", "resolve"))
    await hand_on(desk)
    quiet = (await by_key(desk))["c"]
    ended = (await desk.sql("SELECT ended FROM router.cause"))[0].ended
    assert quiet.suppression.until == ended + timedelta(minutes=2)


async def test_a_cause_that_opens_in_the_same_batch_is_seen(desk: Desk) -> None:
    await desk.put_in_force(bundle(**CAUSES))
    await desk.accept(event("p", service="payments"), event("c", service="checkout"))
    assert (await by_key(desk))["c"].suppressed_by == "rule payments"
    assert len(await desk.pages()) == 1


async def test_the_cause_of_a_service_it_depends_on_is_named_in_the_page(desk: Desk) -> None:
    await desk.put_in_force(bundle(services={"checkout": {"depends_on": ["payments"]}, "payments": {}}))
    await desk.accept(event("p", service="payments", title="Payments are down"))
    await desk.accept(event("c", service="checkout"))
    last = (await desk.messages())[-1]
    assert [each.title for each in last.incident.may_follow_from] == ["Payments are down"]


async def test_a_merged_incident_passes_its_events_on_and_stands_again_when_its_parent_is_over(
    desk: Desk,
) -> None:
    await desk.accept(event("a"), event("b"))
    found = await by_key(desk)
    decision = await act(desk, found["b"], "merge", into=found["a"].id)
    assert decision.refusal is None
    await hand_on(desk)
    await desk.accept(event("b", title="again"))
    await hand_on(desk)
    found = await by_key(desk)
    assert (found["b"].status, found["b"].merged, found["a"].events) == ("closed", True, 3)
    assert len(found) == 2
    await act(desk, found["a"], "resolve")
    await desk.accept(event("b"))
    await hand_on(desk)
    found = await by_key(desk)
    assert (found["b"].status, found["b"].merged) == ("triggered", False)
    assert found["b"].next_due_at is not None


async def test_a_resolved_incident_is_merged_into_an_open_one(desk: Desk) -> None:
    await desk.accept(event("a"), event("b"), event("b", "resolve"))
    found = await by_key(desk)
    decision = await act(desk, found["b"], "merge", into=found["a"].id)
    assert decision.refusal is None
    await hand_on(desk)
    await desk.accept(event("b", title="again"))
    await hand_on(desk)
    found = await by_key(desk)
    assert (found["b"].status, found["b"].parent, found["a"].events) == ("closed", found["a"].id, 4)


async def test_merging_into_what_is_not_there_or_over_is_refused(desk: Desk) -> None:
    await desk.accept(event("a"), event("b"), event("c", "trigger"))
    found = await by_key(desk)
    await act(desk, found["c"], "resolve")
    for into, kind in ((found["c"].id, "conflict"), (found["b"].id, "conflict"), ("nothing", "invalid")):
        decision = await act(desk, found["b"], "merge", into=into)
        assert decision.refusal is not None
        assert decision.refusal.kind == kind


async def test_a_signal_between_incidents_on_which_deciding_fails_is_kept_for_the_next_try(
    desk: Desk,
) -> None:
    await desk.put_in_force(bundle(**GROUPING))
    await desk.accept(event("a", service="checkout"))
    await desk.accept(event("b", service="checkout"))
    sound, failing = desk.engine, Engine(desk.database, decide=_fails)
    desk.engine = failing
    await hand_on(desk)
    assert (await by_key(desk))["a"].stuck is not None
    assert [row.kind for row in await desk.sql("SELECT kind FROM router.set_aside")] == ["related"]
    desk.engine = sound
    await desk.sql("""
        UPDATE router.incident SET next_due_at = now() - interval '1 ms',
            state = jsonb_set(state::jsonb, '{stuck,retry_at}', to_jsonb(now()))::json
        WHERE dedup_key = 'a'
    """)
    await desk.engine.fire()
    assert (await by_key(desk))["a"].members == 1


def _fails(*_: Any) -> Any:
    raise RuntimeError("a broken rule")


async def test_what_a_rule_kept_quiet_is_paged_as_soon_as_the_rule_is_gone_from_the_policy(
    desk: Desk,
) -> None:
    """Not only when the rule's window would have closed: whoever takes it out wants to hear of it."""
    always = {"days": "mon-sun"}
    await desk.put_in_force(bundle(suppress=[{"name": "quiet", "when": "true", "window": always}]))
    await desk.accept(event("c"))
    assert (await by_key(desk))["c"].suppressed_by == "rule quiet"
    bundles = desk.engine.bundles
    async with desk.database.transaction() as connection:
        await store.replace(connection, bundles, compile_sized(bundle())[0], source="api", by="ana")
    await desk.sql("DELETE FROM router.outbox WHERE topic <> :t", t=INCIDENTS)
    assert await hand_on(desk) == 1
    assert (await by_key(desk))["c"].suppressed_by == ""
    assert len(await desk.pages()) == 1

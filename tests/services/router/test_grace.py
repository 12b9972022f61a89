"""Automation first, on a real database: the call goes out, its result comes back, what it saved is counted."""

from prometheus_client import REGISTRY

from services.router.batch.inbound import InboundSignal
from services.router.domain.model.signals import DeliveryReported
from shared.events import DeliveryReport
from tests.domain.tale import bundle, on_main
from tests.services.router.desk import NOON, Desk, event

CALLS = {"restart": {"webhook": "https://automation.example/restart"}}


async def graceful(desk: Desk) -> None:
    grace = {"wait": "2m", "call": "restart"}
    await desk.put_in_force(bundle(calls=CALLS, **on_main(grace=grace)))


def avoided() -> float:
    return REGISTRY.get_sample_value("ladder_escalations_avoided_total") or 0.0


async def told(desk: Desk, kind: str) -> list[str]:
    rows = await desk.sql("SELECT text FROM router.timeline WHERE kind = :kind ORDER BY seq", kind=kind)
    return [row.text for row in rows]


async def test_the_call_goes_out_instead_of_a_page_and_what_it_solves_is_counted(desk: Desk) -> None:
    await graceful(desk)
    before = avoided()
    await desk.accept(event())
    (message,) = await desk.messages()
    assert message.pages == ()
    assert [(notice.event, notice.recipient.kind) for notice in message.notices] == [("call", "call")]
    await desk.accept(event(action="resolve"))
    assert (await desk.only()).avoided
    assert await told(desk, "avoided") == ["escalation avoided: it was resolved before anybody was paged"]
    assert avoided() == before + 1


async def test_what_became_of_the_call_stands_in_the_timeline(desk: Desk) -> None:
    await graceful(desk)
    await desk.accept(event())
    incident = await desk.only()
    report = DeliveryReport(
        report_id="r",
        incident_id=incident.id,
        notice_id="n",
        recipient="restart",
        event="call",
        outcome="delivered",
        at=NOON,
    )
    await desk.engine.accept([InboundSignal(DeliveryReported(report), incident.id, report.id)])
    assert (await told(desk, "call"))[-1] == "call restart reached its automation"
    assert await desk.pages() == []


async def test_when_the_time_is_over_people_are_paged(desk: Desk) -> None:
    await graceful(desk)
    await desk.accept(event())
    overdue = """jsonb_set(state::jsonb, '{chain,due}', '"2026-01-01T00:00:00Z"')"""
    await desk.sql(f"UPDATE router.incident SET state = {overdue}")
    assert [row.level for row in await desk.sql("SELECT level FROM router.incident")] == ["grace"]
    await desk.make_due()
    assert await desk.engine.fire(1) == 1
    assert [page.recipient.name for page in await desk.pages()] == ["ana"]
    assert [row.level for row in await desk.sql("SELECT level FROM router.incident")] == ["desk"]

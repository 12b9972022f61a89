"""SLA clocks, calendars and closing on a real database and over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from prometheus_client import REGISTRY

from services.router.batch.inbound import InboundSignal
from services.router.domain.model.clock import Interval
from services.router.domain.model.signals import RelatedMessage
from services.router.domain.model.stored import encode
from shared.events import INCIDENTS, RelatedChanged
from shared.policy import Bundle
from tests.domain.tale import bundle, on_main
from tests.services.router.api import api_of, keys
from tests.services.router.desk import Desk

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def opens_in_three_days() -> tuple[datetime, dict[str, Any]]:
    """When a calendar opens that is shut until then, and that calendar."""
    opens = (datetime.now(UTC) + timedelta(days=3)).replace(hour=0, minute=0, second=0, microsecond=0)  # noqa: TID251
    return opens, {"timezone": "UTC", "hours": [{"days": DAYS[opens.weekday()]}]}


def office(calendar: dict[str, Any], **sections: Any) -> Bundle:
    slas = [
        {"name": "urgent", "when": "priority == 1", "acknowledge": "5m"},
        {"name": "office", "calendar": "office", "acknowledge": "1h", "resolve": "4h"},
    ]
    given = {"slas": slas, "calendars": {"office": calendar}, "api_keys": keys()} | sections
    return bundle(**given)


async def related(desk: Desk) -> list[RelatedChanged]:
    """What incidents have told each other and the log has not carried yet."""
    rows = await desk.sql("SELECT value FROM router.outbox WHERE topic = :t ORDER BY id", t=INCIDENTS)
    return [msgspec.json.decode(row.value, type=RelatedChanged) for row in rows]


async def test_the_api_shows_clocks_on_the_calendar_that_the_incident_started_with(desk):
    opens, calendar = opens_in_three_days()
    async with api_of(desk, keys()) as api:
        await desk.put_in_force(office(calendar))
        opened = await api.opened("slow", severity="warning")
        await desk.put_in_force(office({"timezone": "UTC", "hours": [{"from": "00:00", "to": "24:00"}]}))
        one = (await api.get(f"/v1/incidents/{opened}")).json()
        (listed,) = await api.items()
        acted = (await api.act(opened, "note", text="looking")).json()
    for shown in (one, listed, acted):
        clock = next(clock for clock in shown["clocks"] if clock["target"] == "resolve")
        assert clock["elapsed_seconds"] == 0
        assert datetime.fromisoformat(clock["due_at"]) == opens + timedelta(hours=4)


async def test_the_most_pressing_is_the_one_whose_promise_ends_first_on_its_calendar(desk):
    _, calendar = opens_in_three_days()
    slas = [
        {"name": "office", "when": "kind == 'incident'", "calendar": "office", "resolve": "1h"},
        {"name": "always", "resolve": "8h"},
    ]
    async with api_of(desk, keys()) as api:
        await desk.put_in_force(office(calendar, slas=slas, kinds={"other": {}}))
        await api.opened("in three days")
        await api.opened("today", kind="other")
        pressing = await api.items(sort="pressing")
    assert [item["dedup_key"] for item in pressing] == ["today", "in three days"]


async def test_turns_of_clocks_stand_in_timeline_message_and_metric_by_the_same_word(desk):
    def counted(word: str) -> float:
        labels = {"target": "acknowledge", "event": word}
        return REGISTRY.get_sample_value("ladder_clock_events_total", labels) or 0

    before = {word: counted(word) for word in ("activate", "fulfil")}
    async with api_of(desk, keys()) as api:
        await desk.put_in_force(office(opens_in_three_days()[1]))
        opened = await api.opened(severity="critical")
        await api.act(opened, "acknowledge")
        timeline = (await api.get(f"/v1/incidents/{opened}/timeline")).json()["items"]
    assert [item["kind"] for item in timeline if item["kind"] in before] == ["activate", "fulfil"]
    events = [each for message in await desk.messages() for each in message.clock_events]
    assert [(each.target, each.event) for each in events] == [
        ("acknowledge", "activate"),
        ("acknowledge", "fulfil"),
    ]
    assert {word: counted(word) - before[word] for word in before} == {"activate": 1, "fulfil": 1}


async def test_what_was_broken_and_may_take_longer_now_is_shown_running_and_is_less_pressing_than_before(
    desk,
):
    slas = [{"name": "urgent", "when": "priority == 1", "resolve": "1h"}, {"name": "s", "resolve": "1d"}]
    async with api_of(desk, keys()) as api:
        await desk.put_in_force(office(opens_in_three_days()[1], slas=slas))
        opened = await api.opened("broken", severity="critical")
        (stored,) = await desk.incidents()
        began = stored.opened_at - timedelta(hours=2)
        clocks = tuple(replace(clock, intervals=(Interval(began),)) for clock in stored.clocks)
        await desk.sql(
            "UPDATE router.incident SET state = CAST(:state AS json)",
            state=encode(replace(stored, clocks=clocks)).decode(),
        )
        await desk.make_due()
        await desk.engine.fire(1)
        await api.opened("other", severity="info")
        before = (await api.get(f"/v1/incidents/{opened}")).json()["clocks"][0]
        (now,) = (await api.act(opened, "set", "lead", priority=4)).json()["clocks"]
        coming = (await api.get(f"/v1/incidents/{opened}/explain")).json()
        pressing = [item["dedup_key"] for item in await api.items(sort="pressing")]
    assert (before["state"], before["broken_before"], before["breaches"]) == ("breached", False, 1)
    assert (now["state"], now["breached"], now["broken_before"]) == ("running", True, True)
    assert datetime.fromisoformat(now["due_at"]) == began + timedelta(days=1)
    assert any(step["what"].startswith("breach: resolve") for step in coming["next"])
    assert pressing == ["broken", "other"]
    assert (await desk.messages())[-1].incident.clocks[0].state == "running"


@pytest.fixture
def unconfirmed() -> Bundle:
    """The same key opens a new incident at once; what is resolved waits three days for the customer."""
    return bundle(api_keys=keys(), **on_main(close={"after": "3d"}, reopen_within="0s"))


async def test_what_was_not_confirmed_is_closed_when_the_same_problem_comes_back(desk, unconfirmed):
    async with api_of(desk, keys()) as api:
        await desk.put_in_force(unconfirmed)
        old = await api.opened(customer="acme")
        await api.act(old, "resolve")
        new = await api.opened()
        (told,) = await related(desk)
        await desk.engine.accept(
            [InboundSignal(RelatedMessage(told), told.to, told.id, origin=(INCIDENTS, 0, 8))]
        )
        refused = await api.act(old, "refuse")
        first = (await api.get(f"/v1/incidents/{old}")).json()
    assert (told.to, told.incident_id) == (old, new)
    assert first["status"] == "closed"
    assert refused.status_code == 409


async def test_refusing_what_came_back_a_moment_ago_is_a_conflict(desk, unconfirmed):
    async with api_of(desk, keys()) as api:
        await desk.put_in_force(unconfirmed)
        old = await api.opened()
        await api.act(old, "resolve")
        await api.opened()
        refused = await api.act(old, "refuse")
    assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (409, "conflict")
    assert "a newer incident" in refused.json()["detail"]

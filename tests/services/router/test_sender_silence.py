"""Silences of senders on a real PostgreSQL: what Ladder has listened to, and groups of alerts that were cut."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.router.loops.heartbeats import Watch
from shared.policy import Bundle
from tests.domain.tale import bundle
from tests.services.router.desk import NOON, Desk, event
from tests.services.router.test_relations import act, by_key, hand_on

GROUP = {"alert_group": '{}:{alertname="down"}'}


def with_silence(after: str = "6h", then: str = "resolve") -> Bundle:
    keys = [{"sha256": "0" * 64}]
    return bundle(
        integrations={"test": {"kind": "native", "keys": keys, "silent_after": after, "then": then}}
    )


MINUTE = timedelta(minutes=1)


async def look(desk: Desk, canary_every: timedelta = MINUTE) -> None:
    await Watch(desk.engine, lambda: True, canary_every=canary_every).look_once(NOON)


async def canary(desk: Desk, *, ago: str = "0 s") -> None:
    """One has come in through intake."""
    name = (await desk.sql("SELECT 'canary ' || clock_timestamp() AS name"))[0].name
    await desk.sql(
        "INSERT INTO router.canary (name, page_id, let_in_at, taken_at, incident)"
        " SELECT :name, :name, now() - CAST(CAST(:ago AS text) AS interval), now() - CAST(CAST(:ago AS text) AS interval), '{}'",
        name=name,
        ago=ago,
    )


async def heard_since(desk: Desk) -> datetime:
    since: datetime = (await desk.sql("SELECT heard_since FROM router.heartbeat_watch"))[0].heard_since
    return since


async def pass_time(desk: Desk, span: str, *, listening: bool = True) -> None:
    """As if so much time had gone by since the sender spoke, with Ladder listening all along or not."""
    await desk.sql(
        "UPDATE router.incident SET state = CAST(jsonb_set(jsonb_set(CAST(state AS jsonb),"
        " '{last_event_at}', to_jsonb(CAST(state ->> 'last_event_at' AS timestamptz) - CAST(CAST(:s AS text) AS interval))),"
        " '{quiet_from}', 'null') AS json)",
        s=span,
    )
    if listening:
        await desk.sql(
            "UPDATE router.heartbeat_watch SET heard_since = heard_since - CAST(CAST(:s AS text) AS interval),"
            " looked_at = now() + interval '1 minute', let_in_at = now() + interval '1 minute'",
            s=span,
        )
    await desk.make_due()
    await desk.engine.fire()


@pytest.fixture
async def room(desk: Desk) -> Desk:
    """A desk whose integration may be silent for six hours, and that listens."""
    await desk.put_in_force(with_silence())
    await canary(desk)
    await look(desk)
    return desk


async def test_an_incident_whose_sender_has_been_silent_is_resolved(room: Desk) -> None:
    await room.accept(event())
    await pass_time(room, "5 hours 59 minutes")
    assert (await room.only()).status == "triggered"
    await pass_time(room, "2 minutes")
    assert (await room.only()).status == "resolved"


async def test_nobody_is_resolved_because_ladder_was_down(room: Desk) -> None:
    await room.accept(event())
    await room.sql("UPDATE router.heartbeat_watch SET looked_at = now() - interval '8 hours'")
    await pass_time(room, "8 hours", listening=False)  # the timers fire before anything is read
    assert (await room.only()).status == "triggered"
    await look(room)
    await pass_time(room, "2 minutes")
    assert (await room.only()).status == "triggered"
    await pass_time(room, "6 hours")
    assert (await room.only()).status == "resolved"


async def test_a_replica_that_does_not_keep_up_makes_the_silence_count_anew(room: Desk) -> None:
    watch = Watch(room.engine, lambda: False)
    since = await heard_since(room)
    await watch.look_once(NOON)
    assert await heard_since(room) == since
    await watch.look_once(NOON.replace(minute=1))
    assert await heard_since(room) > since


async def test_nobody_is_resolved_because_intake_was_down_while_the_router_read(room: Desk) -> None:
    """Its senders were refused: no canary came in either. It is listened anew from when one does."""
    await room.accept(event())
    since = await heard_since(room)
    await look(room)
    assert await heard_since(room) == since
    await room.sql(
        "UPDATE router.canary SET let_in_at = now() - interval '7 h', taken_at = now() - interval '7 h'"
    )
    await room.sql(
        "UPDATE router.heartbeat_watch SET heard_since = now() - interval '9 h',"
        " let_in_at = now() - interval '7 h', looked_at = now()"
    )
    await pass_time(room, "8 hours", listening=False)  # as it stands a moment after the last look
    assert (await room.only()).status == "triggered"
    await look(room)
    assert await heard_since(room) > since
    await canary(room)
    back = await heard_since(room)
    await look(room)
    assert await heard_since(room) == back
    await pass_time(room, "5 hours 59 minutes")
    assert (await room.only()).status == "triggered"
    await pass_time(room, "2 minutes")
    assert (await room.only()).status == "resolved"


async def test_where_canaries_are_switched_off_a_silence_resolves_nothing_and_asks(desk: Desk) -> None:
    await desk.put_in_force(with_silence())
    await look(desk, canary_every=timedelta(0))
    await desk.accept(event())
    await act(desk, await desk.only(), "acknowledge")
    await pass_time(desk, "7 hours")
    assert ((await desk.only()).status, (await desk.only()).still_asked) == ("acknowledged", True)
    assert await desk.count("timeline WHERE text LIKE '%could not reach Ladder%'") == 1
    await canary(desk)
    await look(desk)  # switched on: from now on it is known
    assert await heard_since(desk) > (await desk.only()).opened_at


async def test_a_new_policys_silences_count_at_once_for_what_is_open(desk: Desk) -> None:
    await look(desk)
    await desk.accept(event())
    await act(desk, await desk.only(), "acknowledge")
    before = (await desk.only()).next_due_at
    await desk.put_in_force(with_silence("90m"))
    await look(desk)
    await hand_on(desk)
    after = (await desk.only()).next_due_at
    assert before is not None
    assert after is not None
    assert after < before
    await desk.put_in_force(with_silence("90m"))
    await look(desk)
    assert await desk.count("spread") == 0  # nothing else of silences: nobody has to look


async def test_siblings_that_a_cut_group_does_not_name_hear_of_it(desk: Desk) -> None:
    said: dict[str, Any] = GROUP | {"left_out": 2}
    await desk.accept(*(event(key, **said) for key in "abc"), event("d", alert_group="other"))
    await desk.accept(event("a", "resolve", **said), event("b", "resolve", alert_group_over=True, **said))
    await hand_on(desk)
    found = await by_key(desk)
    assert [found[key].status for key in "abcd"] == ["resolved", "resolved", "triggered", "triggered"]
    assert [bool(found[key].doubt) for key in "abcd"] == [False, False, True, False]
    lines = await desk.sql("SELECT incident_id, text FROM router.timeline WHERE kind = 'silent'")
    assert [(str(line.incident_id), "left 2 out" in line.text) for line in lines] == [(found["c"].id, True)]


async def test_a_cut_group_whose_own_incident_is_not_known_is_heard_of_too(desk: Desk) -> None:
    await desk.accept(event("c", **GROUP))
    await desk.accept(event("unknown", "resolve", alert_group_over=True, left_out=1, **GROUP))
    await hand_on(desk)
    assert (await desk.only()).doubt is not None

"""Heartbeats on a real PostgreSQL: late is an incident, the next beat its end."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.router.batch.engine import Engine
from services.router.batch.inbound import Key
from services.router.domain.heartbeats import HeartbeatState, missed, on_beat, on_signal
from services.router.loops import heartbeats
from services.router.loops.heartbeats import Watch
from shared.eventlog import Partition, Received, codec
from shared.events import INCIDENTS, HeartbeatReceived, HeartbeatSignalled
from shared.policy import Bundle
from tests.domain.tale import bundle
from tests.services.router.desk import NOON, Desk, event

BACKUP = {
    "every": "24h",
    "late_after": "2h",
    "event": {"title": "Backup is late", "severity": "critical", "labels.host": "db-1", "attributes.n": 5},
}
PULSE = {"every": "30s", "late_after": "30s", "event": {"title": "No pulse"}}
KEY: Key = ("heartbeat", "backup")


def with_heartbeats(**given: Any) -> Bundle:
    return bundle(heartbeats=given)


@pytest.fixture
async def room(desk: Desk) -> Desk:
    """A desk that watches a backup, and has looked just now."""
    await desk.put_in_force(with_heartbeats(backup=BACKUP, pulse=PULSE))
    await look(desk)
    return desk


async def look(desk: Desk, *, hears: bool = True) -> None:
    await Watch(desk.engine, lambda: hears).look_once(NOON)


async def beat(desk: Desk, name: str = "backup", ago: timedelta = timedelta(0), by: str = "scripts") -> None:
    now = (await desk.sql("SELECT now() AS now"))[0].now
    await heartbeats.accept(
        desk.engine, [HeartbeatReceived(beat_id=f"{name} {ago}", name=name, at=now - ago, by=by)]
    )


async def signal(desk: Desk, said: Any, ago: timedelta = timedelta(0), **more: Any) -> None:
    now = (await desk.sql("SELECT now() AS now"))[0].now
    given = {"beat_id": f"{said} {ago} {now}", "name": "backup", "at": now - ago, "by": "scripts"} | more
    await heartbeats.accept(desk.engine, [HeartbeatSignalled(signal=said, **given)])


async def pass_time(desk: Desk, span: str, *, looking: bool = True) -> None:
    """As if so much time had gone by for every heartbeat, with Ladder looking all along (or not)."""
    await desk.sql(
        "UPDATE router.heartbeat SET since = since - CAST(:span AS text)::interval,"
        " beat_at = beat_at - CAST(:span AS text)::interval,"
        " due_at = due_at - CAST(:span AS text)::interval,"
        " late_at = late_at - CAST(:span AS text)::interval,"
        " started_at = started_at - CAST(:span AS text)::interval,"
        " failed_at = failed_at - CAST(:span AS text)::interval",
        span=span,
    )
    if not looking:
        await desk.sql(
            "UPDATE router.heartbeat_watch SET looked_at = looked_at - CAST(:span AS text)::interval",
            span=span,
        )


async def row(desk: Desk, name: str = "backup") -> Any:
    return (await desk.sql("SELECT * FROM router.heartbeat WHERE name = :name", name=name))[0]


async def statuses(desk: Desk, name: str = "backup") -> list[str]:
    return [each.status for each in await desk.incidents() if each.dedup_key == name]


async def test_a_late_heartbeat_is_an_incident_and_the_next_beat_resolves_it(room: Desk) -> None:
    await beat(room)
    await pass_time(room, "25 hours 59 minutes")
    await look(room)
    assert await statuses(room) == []
    await pass_time(room, "2 minutes")
    await look(room)
    (late,) = [each for each in await room.incidents() if each.key == KEY]
    assert (late.title, late.severity, late.status) == ("Backup is late", "critical", "triggered")
    assert (late.labels, late.attributes) == ({"host": "db-1"}, {"n": 5})
    assert "ana" in [page.recipient.name for page in await room.pages()]
    texts = [each.text for each in await room.sql("SELECT text FROM router.timeline ORDER BY seq")]
    assert any("one is expected every 1 d, late after 2 h" in text for text in texts)
    await beat(room)
    assert await statuses(room) == ["resolved"]
    texts = [each.text for each in await room.sql("SELECT text FROM router.timeline ORDER BY seq")]
    assert any(text.startswith("it beats again, sent by scripts") for text in texts)
    assert (await row(room)).late_at is None


async def test_a_beat_costs_no_incident_and_no_orphan(room: Desk) -> None:
    for minutes in (3, 2, 1):
        await beat(room, ago=timedelta(minutes=minutes))
    assert await room.incidents() == []
    assert await room.count("orphan") == 0
    assert await room.count("timeline") == 0


async def test_one_that_never_beat_is_late_a_period_after_it_came_into_force(room: Desk) -> None:
    assert (await row(room)).beat_at is None
    await pass_time(room, "25 hours")
    await look(room)
    assert await statuses(room) == []
    await pass_time(room, "61 minutes")
    await look(room)
    assert await statuses(room) == ["triggered"]


async def test_a_beat_that_comes_before_anybody_looked_counts(desk: Desk) -> None:
    await desk.put_in_force(with_heartbeats(backup=BACKUP))
    await beat(desk)
    await beat(desk, "nobody")
    (found,) = await desk.sql("SELECT name, beat_at FROM router.heartbeat")
    assert (found.name, found.beat_at is not None) == ("backup", True)
    await look(desk)
    assert (await row(desk)).beat_at == found.beat_at


async def test_while_it_stays_late_it_repeats_and_reopens_what_was_resolved_in_spite_of_it(
    room: Desk,
) -> None:
    await pass_time(room, "1 hour")
    await look(room)
    await look(room)
    (pulse,) = await room.incidents()
    assert pulse.events == 1  # not with each look
    await pass_time(room, "1 hour")
    await look(room)
    (pulse,) = await room.incidents()
    assert pulse.events == 2
    pages = len(await room.pages())
    await room.accept(event("pulse", action="resolve", integration="heartbeat"))
    await pass_time(room, "1 hour")
    await look(room)
    assert await statuses(room, "pulse") == ["triggered"]
    assert len(await room.pages()) > pages


async def test_after_an_outage_only_what_may_have_beaten_unheard_gets_a_full_period(room: Desk) -> None:
    await beat(room)
    await beat(room, "pulse")
    await pass_time(room, "25 hours", looking=False)  # both were due while nobody could hear them
    await look(room)
    assert await room.incidents() == []
    now = (await room.sql("SELECT now() AS now"))[0].now
    assert (await row(room)).due_at - now > timedelta(hours=25, minutes=59)
    assert timedelta(seconds=55) < (await row(room, "pulse")).due_at - now <= timedelta(minutes=1)
    before = (await row(room)).due_at
    await pass_time(room, "1 hour", looking=False)  # nothing of the backup was expected in this one
    await look(room)
    assert before - (await row(room)).due_at >= timedelta(minutes=59)


async def test_what_was_late_before_an_outage_is_told_after_it(room: Desk) -> None:
    """Its time had passed before the gap began: nothing that came in the gap could have been in time."""
    await pass_time(room, "27 hours")
    await room.sql("UPDATE router.heartbeat_watch SET looked_at = now() - interval '10 minutes'")
    await look(room)
    assert await statuses(room) == ["triggered"]


CAVEATS = [
    ("2 hours", "backup may have beaten unheard: Ladder itself may not have been reached before"),
    ("0 s", "backup may have beaten unheard: nothing of Ladder's own has come in through intake since"),
    ("20 hours", None),  # intake was back before it was to beat
]


@pytest.mark.parametrize(("heard_for", "said"), CAVEATS)
async def test_it_pages_also_when_intake_was_away_and_says_that_it_may_have_beaten(
    room: Desk, heard_for: str, said: str | None
) -> None:
    """A missing beat is a page: whoever gets it reads that Ladder itself may not have been reached."""
    await beat(room)
    await pass_time(room, "30 hours")
    await room.sql(
        "INSERT INTO router.canary (name, page_id, let_in_at, taken_at, incident)"
        " SELECT 'c', 'c', at, at, '{}' FROM (SELECT now() - CAST(:ago AS interval) AS at)",
        ago=timedelta(hours=29) if heard_for == "0 s" else timedelta(seconds=1),
    )
    await room.sql(
        "UPDATE router.heartbeat_watch SET canary_every = '1 min',"
        " heard_since = now() - CAST(CAST(:span AS text) AS interval)",
        span=heard_for,
    )
    await Watch(room.engine, lambda: True, canary_every=timedelta(minutes=1)).look_once(NOON)
    (late,) = [each for each in await room.incidents() if each.key == KEY]
    assert late.status == "triggered"
    assert late.description.startswith(said) if said else late.description == ""
    assert "ana" in [page.recipient.name for page in await room.pages()]


async def test_nothing_is_late_while_beats_cannot_be_taken(room: Desk) -> None:
    await pass_time(room, "27 hours")
    looked = (await room.sql("SELECT looked_at FROM router.heartbeat_watch"))[0].looked_at
    await look(room, hears=False)
    assert await room.incidents() == []
    assert (await room.sql("SELECT looked_at FROM router.heartbeat_watch"))[0].looked_at == looked


async def test_one_that_leaves_the_policy_takes_its_incident_with_it(room: Desk) -> None:
    await pass_time(room, "27 hours")
    await look(room)
    assert await statuses(room) == ["triggered"]
    await room.put_in_force(with_heartbeats(pulse=PULSE))
    await look(room)
    assert await statuses(room) == ["resolved"]
    assert [each.name for each in await room.sql("SELECT name FROM router.heartbeat")] == ["pulse"]
    await beat(room)  # a sender that does not know yet
    assert await statuses(room) == ["resolved"]


async def test_a_changed_promise_counts_from_the_change(room: Desk) -> None:
    await beat(room)
    await pass_time(room, "20 hours")
    await room.put_in_force(with_heartbeats(backup=BACKUP | {"every": "1h", "late_after": "5m"}))
    await look(room)
    assert await statuses(room) == []
    now = (await room.sql("SELECT now() AS now"))[0].now
    assert timedelta(minutes=64) < (await row(room)).due_at - now <= timedelta(minutes=65)


async def test_two_replicas_find_a_late_one_once(room: Desk) -> None:
    await pass_time(room, "27 hours")
    other = Desk(room.database, Engine(room.database))
    await asyncio.gather(*(look(each) for each in (room, other) * 3))
    (backup,) = [each for each in await room.incidents() if each.key == KEY]
    assert backup.events == 1


async def test_a_beat_that_comes_twice_or_late_resolves_nothing_anew(room: Desk) -> None:
    await beat(room, ago=timedelta(hours=27))
    await pass_time(room, "27 hours")
    await look(room)
    await beat(room, ago=timedelta(hours=30))  # from before its own lateness
    assert await statuses(room) == ["triggered"]
    await beat(room)
    await beat(room)
    (backup,) = [each for each in await room.incidents() if each.key == KEY]
    assert (backup.status, backup.events) == ("resolved", 2)


async def test_a_job_that_fails_opens_its_incident_at_once_in_its_own_words(room: Desk) -> None:
    await beat(room, ago=timedelta(minutes=5))
    await signal(room, "fail", text="pg_dump: no space left on device", exit_status=3)
    (failed,) = await room.incidents()
    assert (failed.title, failed.description) == (
        "backup failed with exit status 3",
        "pg_dump: no space left on device",
    )
    assert (failed.severity, failed.labels, failed.status) == ("critical", {"host": "db-1"}, "triggered")
    texts = [each.text for each in await room.sql("SELECT text FROM router.timeline ORDER BY seq")]
    assert any(text.startswith("it says itself that it failed with exit status 3") for text in texts)
    assert (await heartbeats_now(room)).state == "failed"
    await beat(room)
    assert await statuses(room) == ["resolved"]
    assert (await heartbeats_now(room)).state == "beating"


async def heartbeats_now(desk: Desk) -> HeartbeatState:
    async with desk.database.transaction() as connection:
        return (await heartbeats.every(connection))["backup"]


async def test_a_run_that_does_not_end_within_late_after_is_late(room: Desk) -> None:
    await beat(room)
    await signal(room, "start")
    await pass_time(room, "1 hour 59 minutes")
    await look(room)
    assert await statuses(room) == []
    await pass_time(room, "2 minutes")
    await look(room)
    assert await statuses(room) == ["triggered"]
    texts = [each.text for each in await room.sql("SELECT text FROM router.timeline ORDER BY seq")]
    assert any("it began at" in text and "takes longer than 2 h" in text for text in texts)
    await beat(room)
    assert await statuses(room) == ["resolved"]


async def test_a_run_says_how_long_it_took(room: Desk) -> None:
    await signal(room, "start")
    assert (await heartbeats_now(room)).started_at is not None
    await pass_time(room, "37 minutes")
    await beat(room)
    now = await heartbeats_now(room)
    assert now.took is not None
    assert timedelta(minutes=37) <= now.took < timedelta(minutes=38)
    assert now.started_at is None
    assert now.due_at - now.beat_at == timedelta(hours=26)  # from its end, as ever


async def test_start_and_end_in_one_batch_are_taken_in_their_order(room: Desk) -> None:
    now = (await room.sql("SELECT now() AS now"))[0].now
    about = {"name": "backup", "by": "scripts"}
    await heartbeats.accept(
        room.engine,
        [
            HeartbeatReceived(beat_id="2", at=now - timedelta(minutes=1), **about),
            HeartbeatSignalled(beat_id="1", at=now - timedelta(minutes=9), signal="start", **about),
            HeartbeatSignalled(beat_id="3", at=now, signal="fail", **about),
        ],
    )
    seen = await heartbeats_now(room)
    assert (seen.state, seen.started_at) == ("failed", None)
    assert await statuses(room) == ["triggered"]


async def test_a_remark_changes_nothing_but_what_is_shown(room: Desk) -> None:
    await beat(room, ago=timedelta(minutes=1))
    before = await row(room)
    await signal(room, "log", text="halfway")
    after = await row(room)
    assert (after.said, after.due_at, after.late_at) == ("halfway", before.due_at, None)
    assert await room.incidents() == []
    await signal(room, "fail")
    await signal(room, "log", text="restored by hand")
    texts = [each.text for each in await room.sql("SELECT text FROM router.timeline WHERE kind = 'note'")]
    assert texts == ["restored by hand"]


WATCHED = HeartbeatState(
    name="pulse",
    every=timedelta(seconds=30),
    late_after=timedelta(seconds=30),
    since=NOON,
    due_at=NOON + timedelta(minutes=1),
)


def test_the_same_beats_and_looks_say_the_same_bytes() -> None:
    heartbeat = with_heartbeats(pulse=PULSE).heartbeats["pulse"]
    late_at = NOON + timedelta(minutes=1)
    said = [missed(WATCHED, heartbeat, late_at)[1] for _ in range(2)]
    assert msgspec.json.encode(said[0]) == msgspec.json.encode(said[1])
    late, _ = missed(WATCHED, heartbeat, late_at)
    again, resolve = on_beat(late, late_at + timedelta(seconds=1), "scripts", late_at + timedelta(minutes=1))
    assert (resolve.action, again.state) == ("resolve", "beating")


def test_an_old_beat_after_a_newer_one_changes_nothing() -> None:
    newer, _ = on_beat(WATCHED, NOON + timedelta(seconds=20), "scripts", NOON + timedelta(seconds=20))
    older = NOON + timedelta(seconds=10)
    assert on_beat(newer, older, "crm", NOON + timedelta(seconds=30)) == (newer, None)


def test_a_beat_of_the_future_counts_as_of_now() -> None:
    after, _ = on_beat(WATCHED, NOON + timedelta(days=3), "", NOON)
    assert after.beat_at == NOON


def test_a_record_that_only_claims_to_be_a_beat_is_left_to_the_dead_letters() -> None:
    good = codec.encode(HeartbeatReceived(beat_id="1", name="pulse", at=NOON))
    given = {"partition": Partition(INCIDENTS, 0), "offset": 0, "key": good.key, "at": NOON}
    beat = heartbeats.read(Received(value=good.value, headers=good.headers, **given))
    assert beat == HeartbeatReceived(beat_id="1", name="pulse", at=NOON)
    assert heartbeats.read(Received(value=b"{", headers=good.headers, **given)) is None
    other = codec.encode(event())
    assert heartbeats.read(Received(value=other.value, headers=other.headers, **given)) is None


SOON = timedelta(seconds=10)


def said(signal: str, after: timedelta, run: str = "") -> HeartbeatReceived:
    about = {"beat_id": f"{signal} {after}", "name": "pulse", "at": NOON + after, "run": run}
    if signal == "beat":
        return HeartbeatReceived(**about)
    return HeartbeatSignalled(signal=signal, **about)


def after(*signals: HeartbeatReceived) -> HeartbeatState:
    """The heartbeat when it has heard these, each as it came."""
    watched, pulse = WATCHED, with_heartbeats(pulse=PULSE).heartbeats["pulse"]
    for each in signals:
        watched, _ = on_signal(watched, each, pulse, each.at)
    return watched


def test_signals_that_come_twice_or_late_change_nothing() -> None:
    whole = [said("start", SOON), said("beat", 2 * SOON), said("fail", 3 * SOON), said("beat", 4 * SOON)]
    once = after(*whole)
    for again in whole:
        watched, event = on_signal(once, again, None, NOON + 5 * SOON)
        assert (watched, event) == (once, None), again


def test_a_start_arms_late_after_and_its_end_counts_the_whole_period() -> None:
    running = after(said("start", SOON))
    assert running.due_at == NOON + SOON + timedelta(seconds=30)
    assert after(said("start", SOON), said("beat", 2 * SOON)).due_at == NOON + 2 * SOON + timedelta(minutes=1)


def test_the_end_of_another_run_leaves_the_one_that_is_known_by_its_name() -> None:
    running = after(said("start", SOON, "a"), said("beat", 2 * SOON, "b"))
    assert (running.started_at, running.took) == (NOON + SOON, None)
    assert running.due_at == NOON + SOON + timedelta(seconds=30)
    assert after(said("start", SOON, "a"), said("beat", 3 * SOON, "a")).took == 2 * SOON


async def test_a_job_that_fails_without_a_word_does_not_keep_the_words_of_an_earlier_failure(
    room: Desk,
) -> None:
    await signal(room, "fail", ago=timedelta(minutes=9), text="pg_dump: no space left on device")
    await signal(room, "fail", ago=timedelta(minutes=5))
    (failed,) = await room.incidents()
    assert (failed.title, failed.description, failed.events) == ("backup failed", "", 2)


def test_one_that_falls_silent_after_a_failure_keeps_its_words_and_after_a_beat_it_does_not() -> None:
    every = timedelta(hours=1)
    watched = HeartbeatState(name="backup", every=every, late_after=every, since=NOON, due_at=NOON)
    heartbeat = with_heartbeats(backup=BACKUP).heartbeats["backup"]
    said = HeartbeatSignalled(signal="fail", beat_id="1", name="backup", at=NOON, text="disk full")
    failed, event = on_signal(watched, said, heartbeat, NOON)
    assert event is not None
    assert event.description == "disk full"
    silent, event = missed(failed, heartbeat, NOON + 5 * every)
    assert event.description is None  # as it was
    beaten_again, _ = on_beat(silent, NOON + 6 * every, "scripts", NOON + 6 * every)
    _, event = missed(beaten_again, heartbeat, NOON + 9 * every)
    assert event.description == ""

"""Putting policies in force: by file, by a person, across restarts."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from services.router.batch.engine import Engine
from services.router.loops.policy_watch import PolicyWatch
from services.router.policy import store
from services.router.policy.compiled_cache import InForce, NoPolicyError
from shared.database.pool import Database
from shared.events import POLICY, PolicyPublished
from shared.policy import Bundle, content_hash, dump_json
from tests.domain.tale import bundle
from tests.services.router.desk import Desk, event

ONE = bundle()
TWO = bundle(last_resort=["user:petra"])
THREE = bundle(last_resort=["user:ana"])


class WatchedPolicy:
    """A database, and a file with a policy."""

    def __init__(self, database: Database, file: Path) -> None:
        self.database = database
        self.file = file
        self.desk = Desk(database, Engine(database))

    def replica(self) -> PolicyWatch:
        """A router that has just started."""
        return PolicyWatch(self.database, Engine(self.database).bundles, self.file, lambda: None)

    def write(self, policy: Bundle | str) -> None:
        self.file.write_bytes(policy.encode() if isinstance(policy, str) else dump_json(policy))

    async def apply(self, policy: Bundle) -> None:
        async with self.database.transaction() as connection:
            await store.switch(connection, policy, source="api", by="petra")

    async def published(self) -> list[PolicyPublished]:
        rows = await self.desk.sql("SELECT value FROM router.outbox WHERE topic = :t ORDER BY id", t=POLICY)
        return [msgspec.json.decode(row.value, type=PolicyPublished) for row in rows]


@pytest.fixture
def place(database: Database, tmp_path: Path) -> WatchedPolicy:
    made = WatchedPolicy(database, tmp_path / "policy.yaml")
    made.write(ONE)
    return made


async def hash_after(watch: PolicyWatch) -> str:
    found = await watch.watch_once()
    assert found is not None
    return found.hash


async def test_the_file_is_taken_at_start_and_published(place: WatchedPolicy) -> None:
    assert await hash_after(place.replica()) == content_hash(ONE)
    first = (await place.published())[0]
    assert (first.hash, first.revision, bytes(first.bundle)) == (content_hash(ONE), 1, dump_json(ONE))


async def test_a_restart_publishes_it_again_under_the_same_revision(place: WatchedPolicy) -> None:
    await hash_after(place.replica())
    await hash_after(place.replica())
    assert {each.revision for each in await place.published()} == {1}
    assert len(await place.published()) >= 2


async def test_a_change_of_the_file_is_taken_and_so_is_taking_it_back(place: WatchedPolicy) -> None:
    watch = place.replica()
    for policy in (ONE, TWO, ONE):
        place.write(policy)
        assert await hash_after(watch) == content_hash(policy)
    assert (await place.published())[-1].revision == 3


async def test_a_restart_does_not_undo_what_a_person_applied(place: WatchedPolicy) -> None:
    await hash_after(place.replica())
    await place.apply(TWO)
    assert await hash_after(place.replica()) == content_hash(TWO)


async def test_an_older_replica_does_not_undo_a_newer_file(place: WatchedPolicy) -> None:
    await hash_after(place.replica())
    place.write(TWO)
    await hash_after(place.replica())
    place.write(ONE)
    assert await hash_after(place.replica()) == content_hash(TWO)


async def test_a_replica_that_sees_the_change_late_does_not_undo_what_was_applied_since(
    place: WatchedPolicy,
) -> None:
    early, late = place.replica(), place.replica()
    await hash_after(early)
    await hash_after(late)
    place.write(TWO)
    await hash_after(early)
    await place.apply(THREE)
    assert await hash_after(late) == content_hash(THREE)


async def test_a_new_file_is_taken_after_a_person_applied_something(place: WatchedPolicy) -> None:
    watch = place.replica()
    await hash_after(watch)
    await place.apply(TWO)
    place.write(THREE)
    assert await hash_after(watch) == content_hash(THREE)


async def test_a_broken_file_is_refused_and_the_last_good_one_stays(place: WatchedPolicy) -> None:
    watch = place.replica()
    await hash_after(watch)
    place.write("version: 1\nlast_resort: [user:nobody]\n")
    assert await hash_after(watch) == content_hash(ONE)
    assert "last_resort" in watch.refused
    place.write(TWO)
    assert await hash_after(watch) == content_hash(TWO)
    assert watch.refused == ""


async def test_a_folder_is_watched_whole(place: WatchedPolicy, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.yaml").write_bytes(dump_json(ONE))
    place.file = folder
    watch = place.replica()
    await hash_after(watch)
    (folder / "b.yaml").write_text("users: {dora: {name: Dora, contacts: {box: {inbox: dora}}}}\n")
    assert await hash_after(watch) != content_hash(ONE)


async def test_an_incident_keeps_the_policy_it_started_with(place: WatchedPolicy) -> None:
    await place.apply(ONE)
    await place.desk.accept(event())
    await place.apply(TWO)
    await place.desk.accept(event(), event("new"))
    hashes = {each.dedup_key: each.policy_hash for each in await place.desk.incidents()}
    assert hashes == {"checkout": content_hash(ONE), "new": content_hash(TWO)}


async def test_without_a_policy_nothing_is_decided_and_nothing_is_lost(place: WatchedPolicy) -> None:
    with pytest.raises(NoPolicyError):
        await place.desk.accept(event())
    await place.apply(ONE)
    await place.desk.accept(event())
    assert (await place.desk.only()).status == "triggered"


async def test_a_router_that_starts_while_the_policy_is_switched_publishes_nothing_older_behind_it(
    place: WatchedPolicy,
) -> None:
    """The last record of the topic is the policy in force: what begins with it never has older keys."""
    await place.apply(ONE)
    async with place.database.transaction() as switching:
        await store.switch(switching, TWO, source="api", by="petra")
        starting = asyncio.create_task(again(place.database))
        with pytest.raises(TimeoutError):  # it waits for the switch, which is not committed yet
            await asyncio.wait_for(asyncio.shield(starting), 0.5)
    assert (await starting).hash == content_hash(TWO)
    assert [each.revision for each in await place.published()] == [1, 2, 2]


async def test_a_switch_waits_for_a_router_that_is_publishing_the_policy_before_it(
    place: WatchedPolicy,
) -> None:
    """The other way round: what is published again comes before the switch that overtakes it."""
    await place.apply(ONE)
    async with place.database.transaction() as starting:
        await store.publish_again(starting)
        switching = asyncio.create_task(place.apply(TWO))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(switching), 0.5)
    await switching
    assert [each.revision for each in await place.published()] == [1, 1, 2]


async def again(database: Database) -> InForce:
    async with database.transaction() as connection:
        found = await store.publish_again(connection)
    assert found is not None
    return found


async def test_a_file_that_lacks_what_stands_is_taken_and_the_log_says_what(place: WatchedPolicy) -> None:
    layer = {"rotation": ["ana"], "shift": "1w", "starts": "2026-01-05T08:00"}
    schedules = {"desk": {"timezone": "UTC", "layers": [layer]}}
    place.write(bundle(schedules=schedules))
    watch = place.replica()
    await hash_after(watch)
    await place.desk.sql(
        """INSERT INTO router.override (id, schedule, "user", begins, ends, by, made_at)
        VALUES (gen_random_uuid(), 'desk', 'eva', now(), now() + interval '1 day', 'x', now())"""
    )
    place.write(bundle(schedules=schedules, last_resort=["user:petra"]))
    with capture_logs() as lines:
        await hash_after(watch)
    [told] = [each for each in lines if each["action"] == "policy_lacks"]
    assert "eva is no user of the policy in force" in told["event"]
    assert len(told["warnings"]) == 1

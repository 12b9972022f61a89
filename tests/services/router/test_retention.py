"""What is old goes, all of it; what is open or named by something stays; and no table grows for ever."""

from datetime import timedelta

from services.notifier.storage import retention as notifiers
from services.router import retention_periods
from services.router.loops import retention
from services.router.tables import SCHEMA
from shared import migrations
from shared.clock import utcnow
from shared.database.retention import BATCH, delete_expired
from tests.domain.tale import bundle
from tests.services.router.api import Api
from tests.services.router.conftest import VERSIONS
from tests.services.router.desk import Desk, event

DAY = timedelta(days=1)
EVENTS = 20_000  # of a day's 17,280,000
_IDS = "INSERT INTO router.inbox SELECT gen_random_uuid(), CAST(:at AS timestamptz) FROM generate_series(1, :rows)"
_INCIDENTS = """
    INSERT INTO router.incident (id, integration, dedup_key, status, priority, tier, customer, service, kind,
        assignee, title, policy, policy_hash, level, opened_at, closed_at, version, events, updated_at, state)
    SELECT gen_random_uuid(), 'test', 'key ' || n, 'closed', 3, '', '', '', 'incident', '', 'Old', 'main', 'none',
        '', CAST(:at AS timestamptz) - interval '1 h', :at, 1, 1, :at, '{}'
    FROM generate_series(1, :rows) AS n
"""
_ENTRIES = """
    INSERT INTO router.timeline (incident_id, at, kind, actor, text)
    SELECT id, closed_at, 'note', 'ladder', repeat('x', 80)
    FROM router.incident, generate_series(1, 8) WHERE status = 'closed'
"""
_OUTCOMES = """
    INSERT INTO router.outcome (incident_id, opened_at, promises, flags, reopened, rating, priority, tier,
        service, customer, policy)
    SELECT id, opened_at, 0, 3, 0, 0, 3, '', '', '', 'main' FROM router.incident
"""
_CLOSED = """
    UPDATE router.incident SET status = 'closed', next_due_at = NULL, closed_at = :at WHERE dedup_key = :key
"""


async def size(desk: Desk, *tables: str) -> int:
    """Bytes, with indexes."""
    sizes = [f"pg_total_relation_size('router.{table}')" for table in tables]
    return int((await desk.sql(f"SELECT {' + '.join(sizes)} AS bytes"))[0].bytes)


async def vacuum(desk: Desk, *tables: str) -> None:
    """As autovacuum does after a fiftieth of the rows. No transaction may surround it."""
    async with desk.database.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        for table in tables * 2:  # pages of an index are free at the second time only
            await connection.exec_driver_sql(f"VACUUM router.{table}")


async def test_24_hours_of_200_events_a_second_squeezed_leave_flat_tables(desk: Desk) -> None:
    """Day after day is written and forgotten: not a row is left over, and the tables stay as large as they were."""
    tables, now, sizes = ("inbox", "incident", "timeline"), utcnow(), []
    for day in range(4):
        today = now + day * DAY
        await desk.sql(_IDS, at=today - timedelta(days=9), rows=EVENTS)
        await desk.sql(_INCIDENTS, at=today - timedelta(days=401), rows=EVENTS // 20)
        await desk.sql(_ENTRIES)
        sizes.append(await size(desk, *tables))
        assert await retention.delete_expired_once(desk.database, today) == EVENTS + 9 * EVENTS // 20
        assert [await desk.count(table) for table in tables] == [0, 0, 0]
        await vacuum(desk, *tables)
    assert EVENTS > 3 * BATCH
    assert max(sizes) <= 1.1 * sizes[0], sizes


async def test_an_incident_that_is_open_stays_whatever_its_age(desk: Desk) -> None:
    """Nothing that has no end yet is forgotten, nor is what it belongs to."""
    await desk.accept(event("open"), event("parent"), event("closed"))
    await desk.sql("UPDATE router.incident SET opened_at = opened_at - interval '3000 days'")
    for key in ("parent", "closed"):
        await desk.sql(_CLOSED, at=utcnow() - timedelta(days=2000), key=key)
    await desk.sql(
        "UPDATE router.incident SET parent = (SELECT id FROM router.incident WHERE dedup_key = 'parent')"
        " WHERE dedup_key = 'open'"
    )
    await retention.delete_expired_once(desk.database, utcnow())
    assert [row.dedup_key for row in await desk.sql("SELECT dedup_key FROM router.incident ORDER BY 1")] == [
        "open",
        "parent",
    ]
    told = await desk.sql("SELECT DISTINCT incident_id FROM router.timeline")
    assert len(told) == 2


async def test_what_reports_are_made_of_outlives_its_incident(desk: Desk) -> None:
    """Last year's report is still there when its incidents are not; in the end that goes, too."""
    await desk.sql(_INCIDENTS, at=utcnow() - timedelta(days=500), rows=3)
    await desk.sql(_OUTCOMES)
    await retention.delete_expired_once(desk.database, utcnow())
    assert (await desk.count("incident"), await desk.count("outcome")) == (0, 3)
    await retention.delete_expired_once(desk.database, utcnow() + timedelta(days=601))
    assert await desk.count("outcome") == 0


async def test_a_policy_stays_as_long_as_an_incident_names_it(desk: Desk) -> None:
    """An incident goes on by the policy that it started with, however many came after."""
    await desk.accept(event("follows"))
    for name in ("Ada", "Bea"):
        await desk.put_in_force(bundle(users={"ana": {"name": name, "contacts": {"box": {"inbox": "ana"}}}}))
    assert await desk.count("policy") == 3
    long_ago = "now() - interval '401 days'"
    await desk.sql(f"UPDATE router.policy SET loaded_at = {long_ago}")
    await retention.delete_expired_once(desk.database, utcnow())
    assert await desk.count("policy") == 3  # the last switch was a moment ago
    await desk.sql(f"UPDATE router.policy_in_force SET at = {long_ago}")
    await retention.delete_expired_once(desk.database, utcnow())
    assert await desk.count("policy") == 2  # in force, and followed by the incident
    await desk.sql(_CLOSED, at=utcnow(), key="follows")
    await retention.delete_expired_once(desk.database, utcnow())
    assert await desk.count("policy") == 2
    await retention.delete_expired_once(desk.database, utcnow() + timedelta(days=401))
    assert (await desk.count("policy"), await desk.count("incident")) == (1, 0)


async def test_a_very_long_timeline_goes_part_by_part(desk: Desk) -> None:
    """No transaction grows with what one incident has been through."""
    await desk.sql(_INCIDENTS, at=utcnow() - timedelta(days=401), rows=2)
    for _ in range(3):
        await desk.sql(_ENTRIES)
    gone = await delete_expired(
        desk.database, SCHEMA, retention_periods.tables(retention_periods.DEFAULT), utcnow(), batch=10
    )
    assert gone["router.incident"] == 2 + 48
    assert await desk.count("timeline") == 0


async def test_one_replica_forgets_at_a_time(desk: Desk) -> None:
    """Two would wait for each other's rows; the second leaves it to the first, until that one ends."""
    await desk.sql(_IDS, at=utcnow() - timedelta(days=9), rows=5)
    async with desk.database.transaction() as connection:
        await connection.exec_driver_sql(
            "SELECT pg_advisory_xact_lock(hashtextextended('retention router', 0))"
        )
        assert await retention.delete_expired_once(desk.database, utcnow()) == 0
    assert await retention.delete_expired_once(desk.database, utcnow()) == 5


async def _tables(desk: Desk, schema: str) -> set[str]:
    rows = await desk.sql("SELECT tablename FROM pg_tables WHERE schemaname = :schema", schema=schema)
    return {f"{schema}.{row.tablename}" for row in rows} - {f"{schema}.alembic_version"}


async def test_every_table_says_how_long_its_rows_stay(desk: Desk) -> None:
    """A table that nobody thought of would grow for ever."""
    await migrations.upgrade(desk.database, "notifier", VERSIONS.parents[1] / "notifier" / "migrations")
    kept = {each.table for each in retention_periods.tables(retention_periods.DEFAULT)}
    bounded = {f"router.{name}" for name in retention_periods.STAYS}
    assert kept | bounded == await _tables(desk, "router")
    assert not kept & bounded
    theirs = {each.table for each in notifiers.tables(timedelta(days=30))}
    assert theirs | {f"notifier.{name}" for name in notifiers.STAYS} == await _tables(desk, "notifier")


async def test_what_leads_to_a_forgotten_incident_says_that_it_is_no_longer_kept(
    served: Api, desk: Desk
) -> None:
    """Old links, members and reports of it are answered, and no one stumbles."""
    await desk.accept(event("parent"), event("member"))
    member, parent = sorted(await desk.incidents(), key=lambda each: each.dedup_key)
    await desk.sql("UPDATE router.incident SET parent = :id WHERE dedup_key = 'member'", id=parent.id)
    for key in ("parent", "member"):
        await desk.sql(_CLOSED, at=utcnow() - timedelta(days=399), key=key)
    await desk.sql(_CLOSED, at=utcnow() - timedelta(days=401), key="parent")
    await retention.delete_expired_once(desk.database, utcnow())
    assert [each.id for each in await desk.incidents()] == [member.id]
    for path in ("", "/timeline", "/explain", "/members"):
        answer = await served.get(f"/v1/incidents/{parent.id}{path}")
        assert answer.status_code == 404, path
        assert "no longer kept" in answer.json()["detail"]
    assert (await served.act(parent.id, "note", text="?")).status_code == 404
    assert (await served.get(f"/v1/incidents/{member.id}")).status_code == 200
    for path in ("/timeline", "/explain", "/members"):
        assert (await served.get(f"/v1/incidents/{member.id}{path}")).status_code == 200, path
    await desk.accept(event("parent"))  # the key is free again
    assert len(await desk.incidents()) == 2

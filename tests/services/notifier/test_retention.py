"""What is old goes, what is open stays."""

from datetime import timedelta

from services.notifier.storage import backlog, mailbox, retention
from services.notifier.storage.tables import SCHEMA
from shared.clock import utcnow
from shared.database.retention import delete_expired
from tests.channels.envelopes import envelope
from tests.services.notifier.building import bundle, changed, incident, page
from tests.services.notifier.inside import office
from tests.waiting import until

KEEP = timedelta(days=30)


async def forgotten(place, now):
    return sum((await delete_expired(place.database, SCHEMA, retention.tables(KEEP), now)).values())


async def counted(place, table):
    rows = await place.rows() if table == "delivery" else None
    if rows is not None:
        return len(rows)
    async with place.database.engine.connect() as connection:
        return (await connection.exec_driver_sql(f"SELECT count(*) FROM notifier.{table}")).scalar_one()


async def test_finished_deliveries_read_messages_and_quiet_incidents_go_after_the_time_to_keep(database_url):
    async with office(database_url, bundle({"ana": {"box": {"inbox": "ana"}}})) as place:
        await place.hear(changed(page()))
        await until(lambda: place.rows("state = 'delivered'"))
        assert await forgotten(place, utcnow() + KEEP - timedelta(hours=1)) == 1  # the id of the message
        assert await counted(place, "delivery") == 1
        await forgotten(place, utcnow() + KEEP + timedelta(hours=1))
        for table in ("delivery", "inbox_message", "incident", "inbox"):
            assert await counted(place, table) == 0, table


async def test_a_delivery_that_is_not_finished_stays_and_so_does_its_incident(database_url):
    async with office(database_url, bundle(), sending=False) as place:
        await place.hear(changed(page(), incident=incident(id="open")), age=timedelta(seconds=2))
        await forgotten(place, utcnow() + KEEP + timedelta(hours=1))
        assert await place.states() == {"pending": 1}
        assert await counted(place, "incident") == 1


async def test_a_letter_stored_twice_is_there_once(database_url):
    async with office(database_url, bundle(), sending=False) as place:
        letter = envelope("ana")
        await mailbox.keep(place.database, [letter, letter])
        await mailbox.keep(place.database, [letter])
        assert await counted(place, "inbox_message") == 1


async def test_what_waits_is_counted(database_url):
    async with office(database_url, bundle(), sending=False) as place:
        now = utcnow()
        await place.hear(changed(page()), age=timedelta(seconds=2), now=now)
        async with place.database.transaction() as connection:
            assert await backlog.count_pending(connection) == 1
            assert await backlog.oldest_due_seconds(connection, now) == 0
            assert await backlog.oldest_due_seconds(connection, now + timedelta(seconds=65)) == 60

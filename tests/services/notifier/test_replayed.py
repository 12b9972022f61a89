"""What was set aside and is sent again on purpose counts, although its id was done with."""

from dataclasses import replace

from shared.clock import utcnow
from shared.events import REPLAYED
from shared.outbox import processed_messages
from tests.services.notifier.building import bundle, changed, page, received
from tests.services.notifier.inside import office


async def test_a_message_that_was_set_aside_and_is_sent_again_pages(database_url):
    """Its id was done with when it was set aside: the mark of a replay makes it count once more, once."""
    async with office(database_url, bundle(), sending=False) as place:
        message = changed(page())
        record = received(message, at=utcnow())
        async with place.database.transaction() as connection:
            await processed_messages.new_ids(connection, "notifier", [message.message_id], utcnow())
        await place.consumption.apply_once([record], utcnow())
        assert await place.rows() == []
        again = replace(record, headers={**record.headers, REPLAYED: b"letter"})
        for _ in range(2):
            await place.consumption.apply_once([again], utcnow())
        assert len(await place.rows()) == 1

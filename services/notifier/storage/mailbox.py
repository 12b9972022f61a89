"""The stored inbox: what the `inbox` channel keeps."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import text

from services.notifier.channels import Envelope
from shared.database.pool import Database


async def keep(database: Database, envelopes: Sequence[Envelope]) -> None:
    """Store these messages for the users that their addresses name; those already stored are skipped."""
    statement = text("""
        INSERT INTO notifier.inbox_message
            (id, "user", at, event, title, text, reason, incident_id, page_id, links)
        SELECT id, "user", at, event, title, text, reason, incident_id, page_id, CAST(links AS json)
        FROM unnest(CAST(:id AS uuid[]), CAST(:user AS text[]), CAST(:at AS timestamptz[]),
                    CAST(:event AS text[]), CAST(:title AS text[]), CAST(:text AS text[]),
                    CAST(:reason AS text[]), CAST(:incident_id AS text[]), CAST(:page_id AS text[]),
                    CAST(:links AS text[])) WITH ORDINALITY
             AS m (id, "user", at, event, title, text, reason, incident_id, page_id, links, place)
        ORDER BY place
        ON CONFLICT (id) DO NOTHING
    """)
    values = {
        "id": [one.delivery.id for one in envelopes],
        "user": [one.address for one in envelopes],
        "at": [one.at for one in envelopes],
        "event": [one.delivery.event for one in envelopes],
        "title": [one.rendered.title for one in envelopes],
        "text": [one.rendered.text for one in envelopes],
        "reason": [one.rendered.reason for one in envelopes],
        "incident_id": [one.delivery.incident_id for one in envelopes],
        "page_id": [one.delivery.page_id for one in envelopes],
        "links": [msgspec.json.encode(dict(one.rendered.links)).decode() for one in envelopes],
    }
    async with database.transaction() as connection:
        await connection.execute(statement, values)

"""The notifier's tables: how long their rows are kept and why, and which of them need no limit."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.storage.tables import SCHEMA
from shared.database.retention import Deleted, RetentionRule, older_rows
from shared.events import canary
from shared.outbox import processed_messages

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)

STAYS: Final[Mapping[str, str]] = {
    "outbox": "a row goes when the log has acknowledged it",
    "outbox_lease": "one row",
    "oldest_code": "one row",
    "digest": "a row a subscription and address, until its time is over",
    "digest_item": "goes with its digest",
    "endpoint_disabled": "a row an address that is switched off, until it is switched on",
}
"""Tables that need no end, each with what bounds it."""


async def _forget_canaries(
    connection: AsyncConnection, before: datetime, since: datetime, most: int
) -> Deleted:
    """By their incident, which is one for all of them: they are few, and the others many."""
    del since, most
    values = {"canary": canary.ID, "before": before}
    return Deleted((await connection.execute(_CANARIES, values)).rowcount, None)


_CANARIES: Final = text("""
    DELETE FROM notifier.delivery
    WHERE incident_id = :canary AND created_at < :before
      AND state IN ('sent', 'delivered', 'failed', 'cancelled')
""")


def tables(keep: timedelta) -> Sequence[RetentionRule]:
    """What is forgotten, in the order of a round: deliveries before the incidents that they belong to."""
    return (
        processed_messages.retention_rule(SCHEMA),
        RetentionRule(
            "notifier.delivery", _HOUR, "what became of canaries: nobody asks for it", _forget_canaries
        ),
        RetentionRule(
            "notifier.delivery",
            keep,
            "what became of each message, once it is finished",
            older_rows(
                "notifier.delivery",
                "created_at",
                only="t.state IN ('sent', 'delivered', 'failed', 'cancelled')",
            ),
        ),
        RetentionRule(
            "notifier.inbox_message",
            keep,
            "messages of the stored inbox",
            older_rows("notifier.inbox_message", changes=False),
        ),
        RetentionRule(
            "notifier.incident",
            keep,
            "which pages of an incident are wanted, after its last message and with no delivery left",
            older_rows(
                "notifier.incident",
                "updated_at",
                only="NOT EXISTS (SELECT FROM notifier.delivery AS d WHERE d.incident_id = t.id)",
            ),
        ),
        RetentionRule(
            "notifier.conversation",
            keep,
            "what was sent first about each incident to each place, after its last change",
            older_rows("notifier.conversation", "updated_at", changes=True),
        ),
        RetentionRule(
            "notifier.bucket",
            _DAY,
            "how often an address was written to: long since full again",
            older_rows("notifier.bucket", "full_at"),
        ),
        RetentionRule(
            "notifier.outbox_refused",
            keep,
            "what the log refused for good: to be looked at",
            older_rows("notifier.outbox_refused", changes=False),
        ),
    )

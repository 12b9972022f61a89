"""One delivery, as it stands and as it goes out once more. Nothing here commits."""

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.delivery import Delivery
from services.notifier.domain.redelivery import Standing
from services.notifier.storage.deliveries import FIELDS, delivery_of
from shared.events import LOOKING, canary


async def locked(connection: AsyncConnection, delivery_id: str) -> tuple[Delivery, Standing] | None:
    """Lock it, after its incident: whoever settles its page waits, or has done it; None: there is none."""
    given = {"id": delivery_id, "canary": canary.ID, "looking": sorted(LOOKING)}
    settled = (await connection.execute(_INCIDENT, given)).one_or_none()
    row = (await connection.execute(_DELIVERY, given)).one_or_none() if settled is not None else None
    if settled is None or row is None:
        return None
    beside = ("state", "waits", "newer")
    standing = Standing(
        state=row.state,
        waits_for_others=row.waits,
        settled=settled.version > row.version,
        settled_why=settled.why,
        settled_by=settled.by,
        superseded_by=row.newer or "",
    )
    return delivery_of(row, *beside), standing


async def disabled_because(connection: AsyncConnection, endpoint: str) -> str:
    """Why this endpoint is sent nothing; '' where it is not disabled."""
    statement = text("SELECT reason FROM notifier.endpoint_disabled WHERE endpoint = :endpoint")
    return (await connection.execute(statement, {"endpoint": endpoint})).scalar_one_or_none() or ""


async def send_again(connection: AsyncConnection, delivery: Delivery, by: str, now: datetime) -> None:
    """A row that `locked` has locked is due, to where the delivery says; `by` asked for it."""
    given = {
        "id": delivery.id,
        "address": delivery.address,
        "secret": delivery.secret,
        "endpoint": delivery.endpoint,
        "host": delivery.host,
        "at": delivery.next_attempt_at,
        "until": delivery.give_up_at,
        "by": by,
        "now": now,
    }
    await connection.execute(_SEND_AGAIN, given)


_INCIDENT: Final = text("""
    SELECT i.settled_version AS version, i.settled_why AS why, i.settled_by AS by
    FROM notifier.incident AS i
    WHERE i.id = (SELECT d.incident_id FROM notifier.delivery AS d WHERE d.id = CAST(:id AS uuid))
      AND i.id <> :canary
    FOR SHARE
""")
_DELIVERY: Final = text(f"""
    SELECT {FIELDS}, d.state, d.held IS NOT NULL AS waits, (
        SELECT n.page_id FROM notifier.delivery AS n
        WHERE d.page_id <> '' AND n.incident_id = d.incident_id AND n.page_id <> ''
          AND n.version > d.version AND n.recipient = d.recipient AND n.contact = d.contact
          AND n.recipient_kind = d.recipient_kind
          AND n.state IN ('pending', 'sending', 'sent', 'delivered')
          AND (d.quiet_until IS NOT NULL OR n.quiet_until IS NULL OR n.state <> 'pending')
          AND (coalesce(d.content -> 'page' ->> 'through', '') = ANY(CAST(:looking AS text[]))
               OR coalesce(n.content -> 'page' ->> 'through', '') <> ALL(CAST(:looking AS text[])))
        ORDER BY n.version DESC LIMIT 1
    ) AS newer
    FROM notifier.delivery AS d WHERE d.id = CAST(:id AS uuid) FOR UPDATE OF d
""")
_SEND_AGAIN: Final = text("""
    UPDATE notifier.delivery
    SET state = 'pending', lease_until = NULL, held = NULL, quiet_until = NULL,
        next_attempt_at = :at, give_up_at = :until,
        bucket = '', message_id = NULL,  -- at once, alone, under its own id
        address = :address, secret = :secret, endpoint = :endpoint, host = :host,
        retried_at = :now, retried_by = :by
    WHERE id = CAST(:id AS uuid)
""")

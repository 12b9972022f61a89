"""Recording the outcomes of attempts, a batch at a time: the state of each delivery, and of its page.

Nothing here commits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.delivery import Delivery, State
from services.notifier.storage.deliveries import FIELDS, delivery_of


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """The outcome of one attempt, to be recorded."""

    delivery: Delivery
    state: State
    at: datetime
    started_at: datetime
    error: str = ""
    next_attempt_at: datetime | None = None
    reference: str = ""  # the provider's own id of the message
    tried: bool = True  # False: it was not its turn, which is no attempt at it


_RECORD: Final = text("""
    UPDATE notifier.delivery AS d SET
        state = CASE WHEN r.state = 'pending' AND (d.page_id <> '' OR d.event = 'call')
                          AND i.settled_version > d.version
                     THEN 'cancelled' ELSE r.state END,
        lease_until = NULL,
        -- tried again, it goes with whatever failed there: as another message, unless that is the same again
        message_id = CASE WHEN r.state = 'pending' THEN NULL ELSE d.message_id END,
        next_attempt_at = coalesce(r.next_attempt_at, d.next_attempt_at),
        last_error = r.error,
        first_attempt_at = CASE WHEN r.tried THEN coalesce(d.first_attempt_at, r.started_at)
                           ELSE d.first_attempt_at END,
        sent_at = CASE WHEN r.state IN ('sent', 'delivered') THEN r.started_at ELSE d.sent_at END,
        reference = CASE WHEN r.reference <> '' THEN r.reference ELSE d.reference END,
        -- what has had its bucket's token asks for no other
        attempts = CASE WHEN r.tried THEN d.attempts WHEN d.bucket = '' THEN d.attempts - 1
                        ELSE greatest(d.attempts - 1, 1) END
    FROM unnest(CAST(:id AS uuid[]), CAST(:incident_id AS text[]), CAST(:attempts AS integer[]),
                CAST(:state AS text[]), CAST(:error AS text[]), CAST(:next AS timestamptz[]),
                CAST(:started AS timestamptz[]), CAST(:reference AS text[]), CAST(:tried AS boolean[]))
         AS r (id, incident_id, attempts, state, error, next_attempt_at, started_at, reference, tried)
         JOIN notifier.incident AS i ON i.id = r.incident_id
    WHERE d.id = r.id AND (d.state = 'sending' AND d.attempts = r.attempts
                           OR r.state IN ('sent', 'delivered') AND d.state IN ('pending', 'sending'))
    RETURNING d.id::text, d.state, i.settled_version > d.version AS settled
""")


@dataclass(frozen=True, slots=True)
class StateAfter:
    """The state of a delivery after an attempt, and whether its incident's pages were settled meanwhile."""

    state: str
    settled: bool


async def record(connection: AsyncConnection, outcomes: Sequence[AttemptOutcome]) -> Mapping[str, StateAfter]:
    """Record outcomes; the state of each delivery afterwards, by id.

    The outcome of a claim that another one replaced is ignored, unless the message went out.
    """
    values = {
        "id": [one.delivery.id for one in outcomes],
        "incident_id": [one.delivery.incident_id for one in outcomes],
        "attempts": [one.delivery.attempts for one in outcomes],
        "state": [one.state for one in outcomes],
        "error": [one.error for one in outcomes],
        "next": [one.next_attempt_at for one in outcomes],
        "started": [one.started_at for one in outcomes],
        "reference": [one.reference for one in outcomes],
        "tried": [one.tried for one in outcomes],
    }
    return {row.id: StateAfter(row.state, row.settled) for row in await connection.execute(_RECORD, values)}


async def lock_pages(connection: AsyncConnection, deliveries: Iterable[Delivery]) -> None:
    """Lock all deliveries of these pages, so that the last failure of a page is recognised as the last."""
    statement = text("""
        SELECT 1 FROM notifier.delivery
        WHERE incident_id = ANY(CAST(:incidents AS text[])) AND page_id = ANY(CAST(:pages AS text[]))
        ORDER BY id FOR UPDATE
    """)
    await connection.execute(statement, _pages(deliveries))


async def unreachable_pages(connection: AsyncConnection, deliveries: Iterable[Delivery]) -> set[str]:
    """The pages among these whose deliveries have all failed for good.

    What has arrived and then went once more by hand has reached somebody, whatever becomes of that.
    """
    statement = text("""
        SELECT page_id FROM notifier.delivery
        WHERE incident_id = ANY(CAST(:incidents AS text[])) AND page_id = ANY(CAST(:pages AS text[]))
        GROUP BY page_id HAVING bool_and(state = 'failed' AND (retried_at IS NULL OR sent_at IS NULL))
    """)
    return set((await connection.execute(statement, _pages(deliveries))).scalars())


def _pages(deliveries: Iterable[Delivery]) -> dict[str, list[str]]:
    listed = [delivery for delivery in deliveries if delivery.is_page]
    return {
        "incidents": sorted({delivery.incident_id for delivery in listed}),
        "pages": sorted({delivery.page_id for delivery in listed}),
    }


async def overdue(connection: AsyncConnection, now: datetime) -> list[Delivery]:
    """Lock pending deliveries whose time is up, at most 500."""
    statement = text(f"""
        SELECT {FIELDS} FROM notifier.delivery AS d
        WHERE d.state = 'pending' AND d.give_up_at <= :now LIMIT 500 FOR UPDATE SKIP LOCKED
    """)
    return [delivery_of(row) for row in await connection.execute(statement, {"now": now})]


async def fail(connection: AsyncConnection, ids: Sequence[str], error: str) -> None:
    """Mark rows that `overdue` has locked as failed."""
    statement = text("""
        UPDATE notifier.delivery SET state = 'failed', held = NULL,
               last_error = CASE WHEN last_error = '' THEN :error ELSE :error || ': ' || last_error END
        WHERE id = ANY(CAST(:ids AS uuid[]))
    """)
    await connection.execute(statement, {"ids": ids, "error": error})

"""The later steps of pages: those that start early, and those that an answer calls off. None commits."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.delivery import Delivery
from services.notifier.domain.personal_rules import StepState, early
from services.notifier.storage import deliveries
from services.notifier.storage.deliveries import IncidentVersion

_MOST: Final = 500  # pages looked at in one round, because their endpoints rest


async def start_early(
    connection: AsyncConnection, failing: Iterable[Delivery], resting: Collection[str], now: datetime
) -> int:
    """Start the next steps of the pages of these deliveries, where all earlier ones get nowhere; how many.

    `resting`: the endpoints that are sent nothing for now.
    """
    pages = [delivery for delivery in failing if delivery.is_page and delivery.later]
    if not pages:
        return 0
    given = {
        "incidents": sorted({delivery.incident_id for delivery in pages}),
        "pages": sorted({delivery.page_id for delivery in pages}),
        "now": now,
    }
    steps = [StepState(**row._mapping) for row in await connection.execute(_STEPS, given)]  # noqa: SLF001 - the public name of a row's mapping
    ids = sorted(early(steps, resting, now))
    if ids:
        await connection.execute(_START, {"ids": ids, "now": now})
    return len(ids)


async def kept_back(connection: AsyncConnection, resting: Collection[str], now: datetime) -> list[Delivery]:
    """Pages that are due and not tried, since their endpoint rests, and that have later steps."""
    given = {"endpoints": sorted(resting), "now": now, "most": _MOST}
    return [deliveries.delivery_of(row) for row in await connection.execute(_KEPT_BACK, given)]


async def answered(
    connection: AsyncConnection, seen: Sequence[IncidentVersion], pages: Sequence[str]
) -> None:
    """Call off what has not been sent of these pages, which belong to incidents among `seen`."""
    if pages:
        given = {"incidents": [one.incident_id for one in seen], "pages": sorted(pages)}
        await connection.execute(_ANSWERED, given)


_STEPS: Final = text("""
    SELECT id::text, page_id, later, state, attempts, next_attempt_at, last_error, endpoint,
           coalesce(quiet_until > :now, false) AS quiet
    FROM notifier.delivery
    WHERE incident_id = ANY(CAST(:incidents AS text[])) AND page_id = ANY(CAST(:pages AS text[]))
    ORDER BY id FOR UPDATE
""")
_START: Final = text("""
    UPDATE notifier.delivery
    SET next_attempt_at = :now, delayed_by = delayed_by || ', started early: nothing before it gets through'
    WHERE id = ANY(CAST(:ids AS uuid[]))
""")
_KEPT_BACK: Final = text(f"""
    SELECT {deliveries.FIELDS} FROM notifier.delivery AS d
    WHERE d.state = 'pending' AND (d.page_id = '') = false AND d.next_attempt_at <= :now
      AND d.later > 0 AND d.attempts = 0 AND d.endpoint = ANY(CAST(:endpoints AS text[]))
      AND EXISTS (
          SELECT FROM notifier.delivery AS w
          WHERE w.incident_id = d.incident_id AND w.page_id = d.page_id AND w.later < d.later
            AND w.state = 'pending' AND w.attempts = 0 AND w.next_attempt_at > :now
      )
    ORDER BY d.next_attempt_at LIMIT :most
""")
_ANSWERED: Final = text("""
    UPDATE notifier.delivery SET state = 'cancelled', held = NULL, last_error = 'its reader has answered'
    WHERE id IN (
        SELECT id FROM notifier.delivery
        WHERE incident_id = ANY(CAST(:incidents AS text[])) AND page_id = ANY(CAST(:pages AS text[]))
          AND state = 'pending'
        ORDER BY id FOR UPDATE
    )
""")

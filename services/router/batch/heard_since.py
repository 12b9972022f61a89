"""Since when Ladder has heard its senders without a break: only then does their silence mean something.

The row is that of heartbeats (`heartbeat_watch`): `looked_at` moves while events are read, `heard_since` is
set when that started anew. A replica that cannot keep up with its share says so, too: what it has not read
may be any sender's event.

That the router reads proves nothing about intake: with intake away senders are refused, and the log is quiet.
So canaries count as well (shared.events.canary): one is let in every minute while posts are accepted, and if
one is missing, listening starts anew from there. With canaries switched off nothing proves it, and no silence
resolves anything.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router import fan_out_queue
from services.router.domain.draft.draft import derived_id
from services.router.domain.heartbeats import Deaf
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import Heard
from services.router.domain.model.decision import Spread
from services.router.domain.model.related import Look
from services.router.policy.compiled_cache import Bundles
from shared.events import RelatedChanged

GAP: Final = timedelta(seconds=30)  # after not looking for longer, something may have gone unheard
KEEPS_UP: Final = timedelta(seconds=10)  # everything older than this has been read
_NOTICED: Final = GAP + KEEPS_UP  # by then a break has been noticed at the latest
_FAR: Final = datetime.max.replace(tzinfo=UTC)


async def heard(connection: AsyncConnection, now: datetime, *, ahead: bool = False) -> Heard:
    """From when until when it has listened. `ahead`: assume that it goes on listening."""
    row = (await connection.execute(_HEARD)).one_or_none()
    if row is None or row.heard_since is None or row.looked_at is None:
        return Heard(now, _FAR if ahead else now)
    proven = row.canary_every is not None
    if ahead:
        return Heard(row.heard_since, _FAR, proven=proven)
    until = row.looked_at - _NOTICED
    return Heard(
        row.heard_since, min(until, row.let_in_at or row.heard_since) if proven else until, proven=proven
    )


async def goes_on(connection: AsyncConnection, now: datetime, canary_every: timedelta) -> Deaf:
    """Events are being read now; the caller holds the row and has not moved `looked_at` yet.

    `canary_every`: how often a canary comes in; zero: never. Returns until when senders may not have been
    heard.
    """
    values = {
        "now": now,
        "before": now - GAP,
        "canary_every": canary_every or None,
        "overdue": now - canary_every - GAP,
    }
    row = (await connection.execute(_GOES_ON, values)).one()
    return Deaf(row.heard_since, row.let_in_at, now_too=bool(canary_every) and row.is_overdue)


async def breaks(connection: AsyncConnection, now: datetime) -> None:
    """A replica is not keeping up: listening starts anew from now."""
    await connection.execute(_BREAKS, {"now": now})


async def policy_changed(
    connection: AsyncConnection, bundles: Bundles, before: str, live: CompiledBundle, now: datetime
) -> None:
    """After a policy change, open incidents whose silence rule differs are checked again."""
    known = (await bundles.get(connection, [before])).get(before) if before else None
    if _silences(live) == (_silences(known) if isinstance(known, CompiledBundle) else {}):
        return
    message = RelatedChanged(
        message_id=derived_id("silences", live.hash, now),
        to="",
        incident_id="",
        relation=Look.relation,
        at=now,
    )
    await fan_out_queue.add(connection, [Spread("matching", "true", message)], now)


def _silences(policy: CompiledBundle) -> dict[str, tuple[timedelta, str]]:
    return {
        name: (each.silent_after, each.on_silence)
        for name, each in policy.spec.integrations.items()
        if each.silent_after is not None
    }


# One row.
_HEARD: Final = text("SELECT heard_since, looked_at, canary_every, let_in_at FROM router.heartbeat_watch")
# One row; index canary_pkey. A canary that was taken late proves nothing of the time in which it lay in the
# log.
_GOES_ON: Final = text("""
    WITH last AS (SELECT let_in_at, taken_at FROM router.canary ORDER BY ordinal DESC LIMIT 1),
    known AS (
        SELECT (SELECT least(let_in_at, taken_at) FROM last) AS let_in_at,
               coalesce((SELECT taken_at FROM last) < :overdue, true) AS is_overdue
    )
    UPDATE router.heartbeat_watch AS watch
    SET canary_every = CAST(:canary_every AS interval),
        let_in_at = known.let_in_at,
        heard_since = CASE
            WHEN heard_since IS NULL OR looked_at IS NULL OR looked_at < :before
                OR (CAST(:canary_every AS interval) IS NOT NULL
                    AND (canary_every IS NULL OR known.is_overdue))
            THEN :now ELSE heard_since END
    FROM known
    RETURNING watch.heard_since, watch.let_in_at, known.is_overdue
""")
# One row.
_BREAKS: Final = text("""
    UPDATE router.heartbeat_watch SET heard_since = :now WHERE heard_since < CAST(:now AS timestamptz)
""")

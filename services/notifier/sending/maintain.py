"""Looking after what is under way: leases, what is overdue, and the figures of the backlog."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier import metrics
from services.notifier.domain.delivery_outcome import digest_reports, report
from services.notifier.sending import leases
from services.notifier.sending.claim import LEASE
from services.notifier.sending.concurrency import ConcurrencyLimits
from services.notifier.sending.disabled_endpoints import DisabledEndpoints
from services.notifier.sending.record import first_time
from services.notifier.sending.still_wanted import Claims
from services.notifier.storage import attempt_outcomes, backlog, digests, later_steps, superseded_pages
from services.notifier.storage.tables import SCHEMA
from shared import telemetry
from shared.clock import stopwatch
from shared.database.pool import Database
from shared.eventlog.codec import encode
from shared.outbox import outbox

log = telemetry.logger(__name__)


class Maintenance:
    """Renews this process's leases, takes over those of the dead, and gives up what is overdue."""

    def __init__(
        self, database: Database, claims: Claims, disabled: DisabledEndpoints, concurrency: ConcurrencyLimits
    ) -> None:
        self._database = database
        self._claims = claims
        self._disabled = disabled
        self._concurrency = concurrency
        self._last_at: datetime | None = None

    async def maintain_once(self, now: datetime) -> int:
        """One round; how many sends were taken over or start early, which are due now."""
        asked_at = stopwatch()
        # After an outage others may hold results that they have not written down yet: give them a moment.
        steady = self._last_at is None or now - self._last_at < LEASE
        async with self._database.transaction() as connection:
            await self._claims.renew(connection, now, asked_at)
            reclaimed = await leases.reclaim(connection, now) if steady else []
            reports = await superseded_pages.supersede(connection, reclaimed, now)
            await outbox.add(connection, SCHEMA, [encode(one) for one in reports])
            await self._disabled.refresh(connection)
            metrics.PENDING.set(await backlog.count_pending(connection))
            metrics.OLDEST_PENDING_SECONDS.set(await backlog.oldest_due_seconds(connection, now))
        self._last_at = now
        resting = self._concurrency.open_breakers(now)
        metrics.OPEN_BREAKERS.set(len(resting))
        async with self._database.transaction() as connection:  # its own: leases must not depend on it
            early = await _give_up_overdue(connection, resting, now)
            if resting:
                kept_back = await later_steps.kept_back(connection, resting, now)
                early += await later_steps.start_early(connection, kept_back, resting, now)
        if reclaimed:
            log.warning(
                "leases of another notifier expired: its sends are due again",
                action="leases_reclaimed",
                count=len(reclaimed),
            )
        async with self._database.transaction() as connection:
            early += await digests.send(connection, now)
        return len(reclaimed) + early


async def _give_up_overdue(connection: AsyncConnection, resting: Collection[str], now: datetime) -> int:
    """Fail what is overdue; how many later steps start early instead."""
    overdue = await attempt_outcomes.overdue(connection, now)
    if not overdue:
        return 0
    await attempt_outcomes.lock_pages(connection, overdue)
    why = "given up: its time is over"
    await attempt_outcomes.fail(connection, [delivery.id for delivery in overdue], why)
    unreachable = await attempt_outcomes.unreachable_pages(connection, overdue)
    reports = [
        report(one, "failed", why, unreachable=first_time(unreachable, one.page_id), now=now)
        for one in overdue
    ]
    reports += [each for one in overdue for each in digest_reports(one, "failed", why, now)]
    await outbox.add(connection, SCHEMA, [encode(one) for one in reports if one is not None])
    return await later_steps.start_early(connection, overdue, resting, now)

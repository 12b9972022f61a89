"""One batch in the caller's transaction: gather, decide, apply."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.router import metrics
from services.router.batch import gather
from services.router.batch.apply import BatchResult, apply
from services.router.batch.deciding import Decide, decide_all, mark_all_stuck
from services.router.batch.first_look import FirstLook
from services.router.batch.inbound import InboundSignal
from services.router.batch.unit_of_work import UnitOfWork
from services.router.domain.decide import decide
from services.router.policy.compiled_cache import Bundles, InForce


async def handle(
    connection: AsyncConnection,
    signals: Sequence[InboundSignal],
    *,
    bundles: Bundles,
    in_force: InForce,
    now: datetime,
    decide: Decide = decide,
    look: FirstLook | None = None,
) -> BatchResult:
    """Handle signals from outside. Repeats are dropped by id; results are in the order of the signals.

    `look`: how the transaction began, if with these signals.
    """
    unit = await gather.for_signals(
        connection, signals, bundles=bundles, in_force=in_force, now=now, seen=look.seen if look else None
    )
    decided = await decide_all(connection, unit, decide)
    return await apply(connection, decided)


async def handle_due(
    connection: AsyncConnection,
    claim: gather.Claim,
    *,
    bundles: Bundles,
    in_force: InForce,
    now: datetime,
    decide: Decide = decide,
) -> BatchResult:
    """Handle the timers of incidents that are due."""
    unit = await gather.for_timers(connection, claim, bundles=bundles, in_force=in_force, now=now)
    _observe_lateness(unit)
    decided = await decide_all(connection, unit, decide)
    return await apply(connection, decided)


async def mark_stuck(
    connection: AsyncConnection,
    claim: gather.Claim,
    error: str,
    *,
    bundles: Bundles,
    in_force: InForce,
    now: datetime,
) -> BatchResult:
    """Decide nothing: mark each incident as stuck by this error, to be tried again (rule 18)."""
    unit = await gather.for_timers(connection, claim, bundles=bundles, in_force=in_force, now=now)
    decided = await mark_all_stuck(connection, unit, error, decide)
    return await apply(connection, decided)


def _observe_lateness(unit: UnitOfWork) -> None:
    for incident in unit.incidents.values():
        if incident.next_due_at is not None:
            metrics.TIMER_LATENESS.observe(max(0.0, (unit.now - incident.next_due_at).total_seconds()))

"""Loops that never die: a step that fails is tried again, more slowly each time, and is seen.

A server that is away is expected: the step is tried again after at most two seconds, and the outage is said
once for all loops. Anything else is a fault of the program: it is logged with its stack, counted, and tried
again after at most ten seconds, because a notifier that limps still pages somebody and one that ended does
not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from services.notifier import metrics
from shared import telemetry
from shared.database import Database, Fault, fault_of
from shared.eventlog import LogUnavailableError

log = telemetry.logger(__name__)
Answer = TypeVar("Answer")
_LONGEST_AWAY: Final = 2.0
_LONGEST_FAULT: Final = 10.0


async def for_ever(name: str, step: Callable[[], Awaitable[None]], database: Database) -> None:
    """Repeat the step until cancelled."""
    failures = 0
    while True:
        try:
            await step()
        except asyncio.CancelledError:
            raise
        except Exception as err:  # noqa: BLE001 - see above
            failures += 1
            await asyncio.sleep(_pause(name, err, failures, database))
        else:
            database.trouble.is_over(f"notifier {name}")
            failures = 0


async def unbroken(step: Coroutine[Any, Any, Answer]) -> Answer:
    """Await the step; a cancellation in its middle waits for its end first.

    For steps that go on after a commit: cut between the two, what they claimed would lie there leased until
    somebody takes it over.
    """
    task = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


def _pause(name: str, err: Exception, failures: int, database: Database) -> float:
    fault = fault_of(err)
    away = isinstance(err, LogUnavailableError) or fault is Fault.AWAY
    metrics.LOOP_FAILURES.labels(name, "away" if away else "fault").inc()
    if fault is not None:
        database.trouble.is_on(err, f"notifier {name}")
    elif away:
        log.debug("step failed", action="loop_waits", loop=name, failures=failures, error=str(err)[:300])
    else:
        log.error("step failed", action="loop_failed", loop=name, failures=failures, exc_info=err)
    pause: float = 0.1 * 2 ** min(failures, 10)
    return min(pause, _LONGEST_AWAY if away else _LONGEST_FAULT)

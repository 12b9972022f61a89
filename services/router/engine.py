"""One batch, one transaction: opened here, tried again where that helps, split where one value is refused.

Consumer, timers and API all go through it. After a commit the relay is woken, and the timers when something
is due earlier than they know.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from time import perf_counter
from typing import Final, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router import dead_letters, metrics, store
from services.router.arrivals import Arrival
from services.router.domain.decide import decide
from services.router.domain.signals import ActionTaken
from services.router.handle import Batch, Decide, Handled, handle, handle_due
from services.router.policies import InForce, NoPolicyError, Policies, UnusablePolicyError, moment, required
from shared import telemetry
from shared.crash import crash_point
from shared.database import Database, Fault, fault_of

log = telemetry.logger(__name__)

_TRIES: Final = 8
_PAUSE_SECONDS: Final = 0.01
_CONFLICTS: Final = frozenset({"40001", "40P01"})

Result = TypeVar("Result")


class Alarm:
    """When the timers look next; set to an earlier time by whoever wrote an earlier due time."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._at: datetime | None = None

    def earlier(self, due: datetime | None) -> None:
        """Something is due then."""
        if due is not None and (self._at is None or due < self._at):
            self._at = due
            self._rung.set()

    def begin(self, latest: datetime) -> None:
        """The timers look now, and will again then at the latest. What comes up meanwhile is remembered."""
        self._at = latest
        self._rung.clear()

    def plan(self, due: datetime) -> datetime:
        """The timers will look then, or earlier for what came up since `begin`; when that is."""
        self._at = due if self._at is None else min(due, self._at)
        self._rung.clear()
        return self._at

    async def wait(self, seconds: float) -> None:
        """Return after so many seconds, or when something earlier has come up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._rung.wait()


class Engine:
    """Takes signals and lets timers fire. `wake_relay` is called after each commit that may publish."""

    def __init__(
        self, database: Database, *, wake_relay: Callable[[], None] = lambda: None, decide: Decide = decide
    ) -> None:
        self.database: Final = database
        self.policies: Final = Policies()
        self.alarm: Final = Alarm()
        self.wake_relay: Final = wake_relay
        self.spread: Final = asyncio.Event()  # many are to be told something
        self._decide = decide

    async def take(self, arrivals: Sequence[Arrival]) -> Sequence[Handled]:
        """Decide about these and store the result; when it returns, all of it is committed.

        A signal that the database refuses is set aside as a dead letter, its neighbours pass. Raises
        NoPolicyError, and the database's errors when it is away: then nothing happened, try again.
        """
        try:
            batch = await self.transaction(lambda *given: self.within(arrivals, *given))
        except Exception as err:
            if not _is_culprits(err) or not _divisible(arrivals):
                raise
            if len(arrivals) == 1:
                return await self._refuse(arrivals[0], err)
        else:
            self.committed(batch)
            return batch.handled
        middle = len(arrivals) // 2
        return [*await self.take(arrivals[:middle]), *await self.take(arrivals[middle:])]

    async def fire(self, most: int = 500) -> int:
        """Let every incident whose time has come take its step, up to a number; how many did."""
        try:
            batch = await self.transaction(lambda *given: self._fire(most, *given))
        except Exception as err:
            if not _is_culprits(err):
                raise
            if most == 1:
                await self._postpone(err)
                return 1
        else:
            self.committed(batch)
            return len(batch.handled)
        fired = 0
        while fired < most and await self.fire(1):
            fired += 1
        return fired

    async def within(
        self, arrivals: Sequence[Arrival], connection: AsyncConnection, now: datetime, in_force: InForce
    ) -> Batch:
        """Decide inside a transaction that somebody else opened; call `committed` after its commit."""
        return await handle(
            connection,
            arrivals,
            policies=self.policies,
            in_force=in_force,
            now=now,
            decide=self._decide,
        )

    def committed(self, batch: Batch) -> None:
        """A batch is stored: what it published may go out, what it planned may be due."""
        self.wake_relay()
        self.alarm.earlier(batch.earliest)
        if batch.spreads:
            self.spread.set()
        if telemetry.tells():
            _note(batch.handled)

    async def transaction(
        self, work: Callable[[AsyncConnection, datetime, InForce], Awaitable[Result]]
    ) -> Result:
        """Run `work` in a transaction with its time and the policy in force; once more after a conflict."""
        for attempt in range(1, _TRIES + 1):
            started = perf_counter()
            try:
                async with self.database.transaction() as connection:
                    now, in_force = await moment(connection)
                    result = await work(connection, now, required(in_force))
                    crash_point("router.decided")
            except Exception as err:
                reason = _conflict(err)
                if reason is None or attempt == _TRIES:
                    raise
                metrics.RETRIES.labels(reason).inc()
                await asyncio.sleep(_PAUSE_SECONDS * attempt)
            else:
                crash_point("router.committed")
                metrics.BATCH_SECONDS.observe(perf_counter() - started)
                return result
        raise AssertionError("the last try returns or raises")

    async def _fire(self, most: int, connection: AsyncConnection, now: datetime, in_force: InForce) -> Batch:
        return await handle_due(
            connection,
            most,
            policies=self.policies,
            in_force=in_force,
            now=now,
            decide=self._decide,
        )

    async def _refuse(self, arrival: Arrival, err: BaseException) -> Sequence[Handled]:
        """The database will never take this one: it goes to the dead letters, and somebody is told."""
        reason = f"it cannot be stored: {str(getattr(err, 'orig', None) or repr(err))[:300]}"
        log.error("signal refused", action="dead_letter", event_id=arrival.id, reason=reason)
        told = dead_letters.of_refused(arrival, reason)
        return await self.take([told])

    async def _postpone(self, err: BaseException) -> None:
        """The database refuses what a timer decided: leave that incident for a minute, the others go on."""
        async with self.database.transaction() as connection:
            due = await store.due(connection, 1)
            ids = list(due.incidents)
            await connection.execute(_POSTPONE, {"ids": ids, "delay": timedelta(minutes=1)})
        log.error("timer refused by the database", action="timer_refused", incident=ids, exc_info=err)


def _note(handled: Sequence[Handled]) -> None:
    """One line for each decision that changed something, by which an event is followed through the logs."""
    for each in handled:
        decision = each.decision
        if decision is None or decision.refusal is not None:
            continue
        said: dict[str, object] = {"signal": each.arrival.kind}
        if each.arrival.id:
            said["event_id"] = each.arrival.id
        if decision.orphan is not None:
            log.info("no incident for it", action="orphaned", why=decision.orphan.reason, **said)
        elif decision.incident is not None and decision.changed:
            changes = decision.message.changes if decision.message is not None else ()
            log.info(
                "decided",
                action="decided",
                incident=decision.incident.id,
                version=decision.incident.version,
                changes=list(changes),
                **said,
            )


def _is_culprits(err: Exception) -> bool:
    """Whether one value of the batch is to blame: refused by the database, or not to be written at all.

    Where everything fails alike the dead letter fails, too, and with it the whole: it stops and tries again.
    """
    return fault_of(err) in {None, Fault.POISON} and not isinstance(err, NoPolicyError | UnusablePolicyError)


def _divisible(arrivals: Sequence[Arrival]) -> bool:
    """Whether refused values may be set aside: not what a person did, and not a dead letter itself."""
    return (
        not any(isinstance(arrival.signal, ActionTaken) or arrival.letter is not None for arrival in arrivals)
        or len(arrivals) > 1
    )


def _conflict(err: BaseException) -> str | None:
    """Two transactions met and this one gave way: in one word, when trying again will do."""
    if store.is_race(err):
        return "race"
    cause = getattr(err, "orig", err)
    return "deadlock" if getattr(cause, "sqlstate", None) in _CONFLICTS else None


_POSTPONE: Final = text("""
    UPDATE router.incident SET next_due_at = transaction_timestamp() + :delay
    WHERE id = ANY(CAST(:ids AS uuid[]))
""")

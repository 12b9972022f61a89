"""The engine runs a batch in a transaction, retries after a conflict, and splits off what is refused.

Consumer, timers and API all go through it. After a commit it wakes the relay, and the timers if something is
due earlier than they know.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import Final, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router import metrics
from services.router.batch import incident_store, last_resort, rotation_store, stalled_loop
from services.router.batch.apply import BatchResult
from services.router.batch.deciding import Decide, SignalResult
from services.router.batch.expression_failures import ExpressionFailures
from services.router.batch.first_look import FirstLook, InTurnError
from services.router.batch.gather import Claim
from services.router.batch.handle import handle, handle_due, mark_stuck
from services.router.batch.inbound import InboundSignal, refused, telling_of
from services.router.domain.decide import decide
from services.router.domain.model.decision import Decision
from services.router.domain.model.signals import ActionTaken
from services.router.policy.compiled_cache import Bundles, InForce, moment, required
from shared import telemetry
from shared.crash import crash_point
from shared.database.pool import Database
from shared.errors.bisect import REFUSED, WHOEVER, bisect
from shared.errors.kinds import Kind, kind_of, sqlstate, words
from shared.events import DeadLetter
from shared.outbox.memory import Written

log = telemetry.logger(__name__)

_TRIES: Final = 8
_PAUSE_SECONDS: Final = 0.01
_CONFLICTS: Final = frozenset({"40001", "40P01"})

Result = TypeVar("Result")


class Alarm:
    """When the timers look next; whoever writes an earlier due time moves it forward."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._at: datetime | None = None

    def earlier(self, due: datetime | None) -> None:
        """Something is due at this time."""
        if due is not None and (self._at is None or due < self._at):
            self._at = due
            self._rung.set()

    def begin(self, latest: datetime) -> None:
        """The timers look now, and again at `latest`; what comes up meanwhile is remembered."""
        self._at = latest
        self._rung.clear()

    def plan(self, due: datetime) -> datetime:
        """Plan the next look, or an earlier one for what came up since `begin`; returns when that is."""
        self._at = due if self._at is None else min(due, self._at)
        self._rung.clear()
        return self._at

    async def wait(self, seconds: float) -> None:
        """Return after this many seconds, or when something earlier has come up."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._rung.wait()


class Engine:
    """Accepts signals and fires timers.

    `hand_over` is given what a batch has written for the relay, after its commit; `wake_relay` is called for
    what others have written.
    """

    def __init__(
        self,
        database: Database,
        *,
        wake_relay: Callable[[], None] = lambda: None,
        hand_over: Callable[[Written | None], None] = lambda _: None,
        decide: Decide = decide,
    ) -> None:
        self.database: Final = database
        self.bundles: Final = Bundles()
        self.alarm: Final = Alarm()
        self.wake_relay: Final = wake_relay
        self.failures: Final = ExpressionFailures(database)
        self.spread: Final = asyncio.Event()  # something is to be told to many
        self._hand_over = hand_over
        self._decide = decide

    async def accept(
        self, signals: Sequence[InboundSignal], *, apart: bool = False
    ) -> Sequence[SignalResult]:
        """Decide these signals and store the result; when it returns, everything is committed.

        A signal that the database refuses becomes a dead letter, and the others pass. Raises faults that are
        not the signals' own (`shared.errors.kinds`): they come again, and what is committed is not decided
        twice. A refused action of a person is raised, too.

        `apart`: a fault of Ladder's own has lasted for a while. The signal that brings it out is treated as
        undecidable (docs/rules.md, rule 18) – kept, tried again, reported to `last_resort` –, and the others
        do not wait for it.
        """
        return await bisect(signals, self._accept, self._refuse, WHOEVER if apart else REFUSED)

    async def _accept(self, signals: Sequence[InboundSignal]) -> Sequence[SignalResult]:
        look = FirstLook(signals, self.bundles)
        work = partial(self.within, signals, look=look)
        batch = await self.transaction(work, begin=look.begin)
        self.committed(batch)
        return batch.results

    async def fire(self, most: int = 500, *, apart: bool = False) -> int:
        """Fire the timers of up to `most` due incidents; returns how many there were.

        An incident whose decision the database refuses is marked as stuck (docs/rules.md, rule 18); with
        `apart`, so is one whose step fails by a fault of Ladder's own.
        """
        claim = Claim(most)
        try:
            batch = await self.transaction(lambda *given: self._due(claim, *given))
        except Exception as err:
            culprits = WHOEVER if apart else REFUSED
            if kind_of(err) not in culprits or not claim.claimed:
                raise
            return sum(await bisect(claim.claimed, self._fire_these, self._stick, culprits))
        self.committed(batch)
        return len(batch.results)

    async def _fire_these(self, ids: Sequence[str]) -> Sequence[int]:
        batch = await self.transaction(lambda *given: self._due(Claim(len(ids), among=ids), *given))
        self.committed(batch)
        return [len(batch.results)]

    async def _stick(self, incident_id: str, err: Exception) -> Sequence[int]:
        """Mark an incident as stuck whose timer step cannot be taken."""
        refused = kind_of(err) is Kind.REFUSED
        said = "the database refuses what its timer decided" if refused else "its timer's step fails"
        why = f"{said}: {words(err)}"
        log.error(
            "a timer failed: the incident is marked as stuck",
            action="timer_refused",
            incident=incident_id,
            error=why,
        )

        async def work(connection: AsyncConnection, now: datetime, in_force: InForce) -> BatchResult:
            claim = Claim(1, among=[incident_id])
            return await mark_stuck(connection, claim, why, bundles=self.bundles, in_force=in_force, now=now)

        try:
            batch = await self.transaction(work)
        except Exception as again:
            if kind_of(again) not in WHOEVER:
                raise
            log.exception(
                "the incident could not be marked as stuck: its timer is postponed",
                action="timer_postponed",
                incident=incident_id,
            )
            await self._postpone(incident_id)
            return [1]
        self.committed(batch)
        return [len(batch.results)]

    async def within(
        self,
        signals: Sequence[InboundSignal],
        connection: AsyncConnection,
        now: datetime,
        in_force: InForce,
        *,
        look: FirstLook | None = None,
    ) -> BatchResult:
        """Decide inside the caller's transaction; call `committed` after its commit."""
        return await handle(
            connection,
            signals,
            bundles=self.bundles,
            in_force=in_force,
            now=now,
            decide=self._decide,
            look=look,
        )

    def committed(self, batch: BatchResult) -> None:
        """A batch is stored: what it published may go out, and what it planned may be due."""
        self._hand_over(batch.written)
        self.alarm.earlier(batch.earliest)
        self.failures.add(batch.failures)
        if batch.spreads:
            self.spread.set()
        if telemetry.tells():
            _note(batch.results)

    async def transaction(
        self,
        work: Callable[[AsyncConnection, datetime, InForce], Awaitable[Result]],
        *,
        begin: Callable[[AsyncConnection], Awaitable[tuple[datetime, InForce | None]]] = moment,
    ) -> Result:
        """Run `work` in a transaction with its time and the policy in force; retry after a conflict."""
        for attempt in range(1, _TRIES + 1):
            started = perf_counter()
            try:
                async with self.database.transaction() as connection:
                    now, in_force = await begin(connection)
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

    async def _due(
        self, claim: Claim, connection: AsyncConnection, now: datetime, in_force: InForce
    ) -> BatchResult:
        return await handle_due(
            connection,
            claim,
            bundles=self.bundles,
            in_force=in_force,
            now=now,
            decide=self._decide,
        )

    async def _refuse(self, inbound: InboundSignal, err: Exception) -> Sequence[SignalResult]:
        """The database will never accept this signal: it becomes a dead letter, and somebody is told.

        A person's action, and an event that itself reports a dead letter, is raised.
        """
        if isinstance(inbound.signal, ActionTaken) or inbound.dead_letter is not None:
            raise err
        if kind_of(err) is not Kind.REFUSED:
            return await self._keep_for_later(inbound, err)
        reason = f"it cannot be stored: {words(err)}"
        log.error(
            "the database refused a signal: moved to the dead letters",
            action="dead_letter",
            event_id=inbound.id,
            reason=reason,
        )
        return await self._accept([refused(inbound, reason)])

    async def _keep_for_later(self, inbound: InboundSignal, err: Exception) -> Sequence[SignalResult]:
        """As when deciding fails: the signal is kept, its incident is stuck. Raises if even that fails."""

        def fails(*_: object, **__: object) -> Decision:
            raise err

        async def work(connection: AsyncConnection, now: datetime, in_force: InForce) -> BatchResult:
            return await handle(
                connection, [inbound], bundles=self.bundles, in_force=in_force, now=now, decide=fails
            )

        log.error(
            "a signal could not be applied: kept, and its incident is marked as stuck",
            action="kept_for_later",
            event_id=inbound.id,
            exc_info=err,
        )
        batch = await self.transaction(work)
        self.committed(batch)
        return batch.results

    async def dead_letter(self, letter: DeadLetter) -> Sequence[SignalResult]:
        """Publish a dead letter, with the incident about it. Raises if that fails, too."""
        return await self._accept([telling_of(letter)])

    async def tell(self, name: str, why: str) -> None:
        """Tell `last_resort` that a loop of this router is stalled or, without a reason, runs again."""
        await self._accept([stalled_loop.telling(name, why, self.database.now())])

    async def _postpone(self, incident_id: str) -> None:
        async with self.database.transaction() as connection:
            given = {"id": incident_id, "delay": last_resort.backoff(1)}
            await connection.execute(_POSTPONE, given)


def _note(results: Sequence[SignalResult]) -> None:
    """One log line per decision that changed something, so that an event can be followed through the logs."""
    for each in results:
        decision = each.decision
        if decision is None or decision.refusal is not None:
            continue
        said: dict[str, object] = {"signal": each.inbound.kind}
        if each.inbound.id:
            said["event_id"] = each.inbound.id
        if decision.orphan is not None:
            log.info("no incident matches the signal", action="orphaned", why=decision.orphan.reason, **said)
        elif decision.incident is not None and decision.changed:
            changes = decision.message.changes if decision.message is not None else ()
            log.info(
                "incident changed",
                action="decided",
                incident=decision.incident.id,
                version=decision.incident.version,
                changes=list(changes),
                **said,
            )


def _conflict(err: BaseException) -> str | None:
    """If two transactions met and this one lost, one word for it: trying again will do."""
    if incident_store.is_race(err):
        return "race"
    if isinstance(err, InTurnError):
        return err.reason
    gave_way = isinstance(err, rotation_store.OutOfOrderError) or sqlstate(err) in _CONFLICTS
    return "deadlock" if gave_way else None


# Index incident_pkey.
_POSTPONE: Final = text("""
    UPDATE router.incident SET next_due_at = transaction_timestamp() + :delay WHERE id = CAST(:id AS uuid)
""")

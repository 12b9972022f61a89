"""Sending what is due: claim, check that it is still wanted, carry, write down, report.

A claim flips pending → sending and holds a lease that is renewed while the send is under way; a cancellation
flips pending only. A send whose process died is pending again when its lease ends, and goes out again with
the same id; should that process come back to life, it asks before it sends. `now` is the database's time.
Results are written down in groups, so that a storm costs few commits.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias, assert_never

from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier import metrics
from services.notifier.channels import Delivered, Rejected, Result, Unavailable
from services.notifier.domain.delivery import Delivery, State, without_secrets
from services.notifier.domain.delivery_outcome import Verdict, after_failure, report
from services.notifier.sending import disabled_endpoints, leases
from services.notifier.sending.attempt import Transport
from services.notifier.sending.concurrency import ConcurrencyLimits
from services.notifier.sending.shielded import shielded
from services.notifier.sending.still_wanted import Claims, StillWanted
from services.notifier.storage import backlog, end_notices, superseded_pages
from services.notifier.storage import deliveries as store
from services.notifier.storage.deliveries import AttemptOutcome
from services.notifier.storage.tables import SCHEMA
from shared import telemetry
from shared.clock import stopwatch
from shared.database.pool import Database
from shared.errors.bisect import bisect
from shared.errors.kinds import Kind, kind_of, words
from shared.eventlog.codec import encode
from shared.events import DeliveryReport, canary
from shared.loops.pulse import Pulses, unwatched
from shared.loops.repeat import for_ever
from shared.outbox import outbox

LEASE: Final = timedelta(seconds=6)
_BATCH: Final = 500
_MOST_CLAIMED: Final = 200
_IDLE_SECONDS: Final = 0.5
_LONGEST_IDLE_SECONDS: Final = 30.0
_TEND_SECONDS: Final = 1.0
_GATHER_SECONDS: Final = 0.02  # results that come so close together share one commit
_FRESH_SECONDS: Final = 0.5  # a claim so young needs no second look at the database
_LEAVING_SECONDS: Final = 3.0
_UNTOLD: Final = "what became of it cannot be stored"
log = telemetry.logger(__name__)


@dataclass(frozen=True, slots=True)
class Unwanted:
    """The page was settled before its send began."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One finished attempt."""

    delivery: Delivery
    result: Result | Unwanted
    started_at: datetime
    finished_at: datetime


Outcome: TypeAlias = tuple[Attempt, Verdict]


class Sender:
    """Sends deliveries. `sent` is called after outcomes were committed (it wakes the relay); `sends` are the
    channels by which people can be reached.
    """

    def __init__(
        self,
        database: Database,
        transport: Transport,
        concurrency: ConcurrencyLimits,
        *,
        sent: Callable[[], None],
        sends: tuple[str, ...] = (),
        pulses: Pulses | None = None,
    ) -> None:
        self._database = database
        self._sends = sends
        self._transport = transport
        self._concurrency = concurrency
        self._sent = sent
        names = ("claim", "tend", "record")
        self._beats = {name: pulses.beat_of(f"notifier {name}") if pulses else unwatched for name in names}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._finished: list[Attempt] = []
        self._wanted = StillWanted(database)
        self._claims = Claims(database, LEASE)
        self._disabled: frozenset[str] = frozenset()
        self._due = asyncio.Event()
        self._results = asyncio.Event()
        self._tended_at: datetime | None = None

    # What the consumer hands over

    def reserve(self, deliveries: Iterable[Delivery], now: datetime) -> frozenset[str]:
        """The ids of those that can start at once; each holds a place until `start` or `release`."""
        return frozenset(delivery.id for delivery in deliveries if self._concurrency.acquire(delivery, now))

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """Give back places that were reserved and are not used."""
        for delivery in deliveries:
            self._concurrency.release(delivery)

    def start(self, deliveries: Iterable[Delivery], asked_at: float) -> None:
        """Send these, which hold places and are leased since `asked_at` (by the stopwatch)."""
        for delivery in deliveries:
            self._claims.hold(delivery, asked_at)
            task = asyncio.create_task(self._deliver(delivery, asked_at), name=f"send {delivery.id}")
            self._under_way[delivery.id] = task
        metrics.IN_FLIGHT.set(len(self._under_way))

    def settle(self, incident_id: str, version: int) -> None:
        """Pages of this incident before this version are off, from now on."""
        self._wanted.settle(incident_id, version)

    def wake(self) -> None:
        """Something may be due."""
        self._due.set()

    # One delivery

    async def _deliver(self, delivery: Delivery, asked_at: float) -> None:
        try:
            attempt = await self._attempted(delivery, asked_at)
        finally:
            self._under_way.pop(delivery.id, None)
            metrics.IN_FLIGHT.set(len(self._under_way))
            if self._concurrency.release(delivery):
                self._due.set()
        if attempt is None:
            self._claims.drop(delivery)
            return
        self._finished.append(attempt)
        self._results.set()

    async def _attempted(self, delivery: Delivery, asked_at: float) -> Attempt | None:
        """None where it is another process's to send by now."""
        wanted = not delivery.is_urgent or await self._still_wanted(delivery, asked_at)
        if wanted and not await self._claims.stands(delivery):
            log.warning("left to another notifier", action="claim_lost", delivery=delivery.id)
            return None
        now = self._database.now()
        if not wanted:
            return Attempt(delivery, Unwanted(), now, now)
        if delivery.endpoint in self._disabled:
            return Attempt(delivery, Rejected("the endpoint said 410 Gone and is disabled"), now, now)
        if delivery.is_page and delivery.attempts <= 1 and delivery.caused_at is not None:
            metrics.FIRST_ATTEMPT_SECONDS.observe(max(0.0, (now - delivery.caused_at).total_seconds()))
        result = await self._transport.deliver_once(delivery, now)
        finished_at = self._database.now()
        self._judge_endpoint(delivery, result, finished_at)
        metrics.SEND_SECONDS.labels(delivery.channel).observe((finished_at - now).total_seconds())
        return Attempt(delivery, result, now, finished_at)

    async def _still_wanted(self, delivery: Delivery, asked_at: float) -> bool:
        if not self._wanted.at_once(delivery):
            return False
        return stopwatch() - asked_at < _FRESH_SECONDS or await self._wanted.surely(delivery)

    def _judge_endpoint(self, delivery: Delivery, result: Result, now: datetime) -> None:
        match result:
            case Unavailable():
                self._concurrency.failed(delivery.endpoint, now)
            case Delivered() | Rejected():
                self._concurrency.answered(delivery.endpoint)
            case _:
                assert_never(result)

    # Claiming

    async def claim_once(self, now: datetime) -> int:
        """Claim what is due and start it; how many."""
        asked_at = stopwatch()
        most = min(self._concurrency.free, _MOST_CLAIMED)
        if most <= 0:
            return 0
        taken: list[Delivery] = []
        try:
            async with self._database.transaction() as connection:
                found = await store.due(
                    connection,
                    now,
                    endpoints=self._concurrency.full_endpoints(now),
                    hosts=self._concurrency.full_hosts(),
                    each=most,
                    most=most,
                )
                taken = [delivery for delivery in found if self._concurrency.acquire(delivery, now)]
                if taken:
                    await store.claim(connection, [delivery.id for delivery in taken], now + LEASE)
        except BaseException:
            self.release(taken)
            raise
        self.start([_once_more(delivery) for delivery in taken], asked_at)
        return len(taken)

    # Writing down

    async def record_once(self, now: datetime) -> int:
        """Write down what has finished, with the reports for the router; how many."""
        batch = self._finished[:_BATCH]
        if not batch:
            return 0
        outcomes = [(attempt, _verdict(attempt, random.random(), now)) for attempt in batch]  # noqa: S311 - jitter
        await bisect(
            outcomes, lambda some: self._record(some, now), lambda one, err: self._refuse(one, err, now)
        )
        return len(batch)

    async def _record(
        self, outcomes: Sequence[Outcome], now: datetime, *, telling: bool = True
    ) -> Sequence[None]:
        await self._write_down(outcomes, now, telling=telling)
        self._forget([attempt for attempt, _ in outcomes])
        self._sent()
        for attempt, verdict in outcomes:
            _observe(attempt, verdict)
            if verdict.next_attempt_at is not None:
                wait = (verdict.next_attempt_at - now).total_seconds()
                asyncio.get_running_loop().call_later(max(0.0, wait), self._due.set)
        return ()

    def _forget(self, attempts: Sequence[Attempt]) -> None:
        gone = set(map(id, attempts))
        self._finished = [attempt for attempt in self._finished if id(attempt) not in gone]
        for attempt in attempts:
            self._claims.drop(attempt.delivery)

    async def _refuse(self, outcome: Outcome, err: Exception, now: datetime) -> Sequence[None]:
        """The database refuses this outcome: the state alone is written, with a reason of our own words.

        First with the report for the router, then without it. When not even that can be, its lease ends and
        it is sent again, until its time is over: others do not wait for it.
        """
        attempt, verdict = outcome
        why = words(err)
        log.error("outcome refused", action="outcome_refused", delivery=attempt.delivery.id, error=why)
        plain = (
            replace(attempt, result=Rejected(_UNTOLD)) if isinstance(attempt.result, Rejected) else attempt
        )
        for telling in (True, False):
            try:
                await self._record([(plain, replace(verdict, reason=_UNTOLD))], now, telling=telling)
            except Exception as again:
                if kind_of(again) is not Kind.REFUSED:
                    raise
            else:
                break
        self._forget([attempt])
        return ()

    async def _write_down(self, batch: Sequence[Outcome], now: datetime, *, telling: bool) -> None:
        outcomes = [
            AttemptOutcome(
                attempt.delivery,
                verdict.state,
                at=attempt.finished_at,
                started_at=attempt.started_at,
                error=verdict.reason,
                next_attempt_at=verdict.next_attempt_at,
            )
            for attempt, verdict in batch
        ]
        failed = [outcome.delivery for outcome in outcomes if outcome.state == "failed"]
        async with self._database.transaction() as connection:
            if failed:
                await store.lock_pages(connection, failed)
            after = await store.record(connection, outcomes)
            lost = await store.unreachable_pages(connection, failed) if failed else set()
            reports = [
                report(
                    outcome.delivery,
                    after[outcome.delivery.id].state if outcome.delivery.id in after else "",
                    outcome.error,
                    unreachable=_first_time(lost, outcome.delivery.page_id),
                    now=now,
                )
                for outcome in outcomes
                if telling
            ]
            again = [one.delivery for one in outcomes if _is_in(after, one.delivery, "pending")]
            reports += await superseded_pages.supersede(connection, [one.incident_id for one in again], now)
            told = [self._with_what_is_sent(one) for one in reports if one is not None]
            await outbox.add(connection, SCHEMA, [encode(one) for one in told])
            ended = [one.delivery.incident_id for one in outcomes if _is_over(after, one.delivery)]
            if ended:
                await end_notices.judge(connection, ended, now)
            for attempt, _ in batch:
                if isinstance(attempt.result, Rejected) and attempt.result.disable:
                    await disabled_endpoints.disable(
                        connection, attempt.delivery.endpoint, attempt.result.reason, now
                    )
                    self._disabled |= {attempt.delivery.endpoint}

    def _with_what_is_sent(self, report: DeliveryReport) -> DeliveryReport:
        """The canary's report says by which channels people can be reached from here."""
        return structs.replace(report, sends=self._sends) if report.channel == canary.CHANNEL else report

    # Looking after what is under way

    async def maintain_once(self, now: datetime) -> None:
        """Renew leases, take over those of the dead, fail what is overdue, learn what is disabled."""
        asked_at = stopwatch()
        # After an outage others may hold results that they have not written down yet: give them a moment.
        steady = self._tended_at is None or now - self._tended_at < LEASE
        async with self._database.transaction() as connection:
            await self._claims.renew(connection, now, asked_at)
            reclaimed = await leases.reclaim(connection, now) if steady else []
            reports = await superseded_pages.supersede(connection, reclaimed, now)
            await outbox.add(connection, SCHEMA, [encode(one) for one in reports])
            self._disabled = await disabled_endpoints.disabled_endpoints(connection)
            metrics.PENDING.set(await backlog.count_pending(connection))
            metrics.OLDEST_PENDING_SECONDS.set(await backlog.oldest_due_seconds(connection, now))
        self._tended_at = now
        metrics.OPEN_BREAKERS.set(len(self._concurrency.open_breakers(now)))
        async with self._database.transaction() as connection:  # its own: leases must not depend on it
            await self._give_up(connection, now)
        if reclaimed:
            log.warning("sends taken over", action="leases_reclaimed", count=len(reclaimed))
            self._due.set()

    async def _give_up(self, connection: AsyncConnection, now: datetime) -> None:
        overdue = await store.overdue(connection, now)
        if not overdue:
            return
        await store.lock_pages(connection, overdue)
        why = "given up: its time is over"
        await store.fail(connection, [delivery.id for delivery in overdue], why)
        lost = await store.unreachable_pages(connection, overdue)
        reports = [
            report(one, "failed", why, unreachable=_first_time(lost, one.page_id), now=now) for one in overdue
        ]
        await outbox.add(connection, SCHEMA, [encode(one) for one in reports if one is not None])

    # Running

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Claim, send, record and tend until the end of the block; then finish what is under way."""
        loops = [
            asyncio.create_task(
                for_ever(f"notifier {name}", step, self._database.trouble, beat=self._beats[name]),
                name=f"notifier {name}",
            )
            for name, step in (("claim", self._claim_step), ("tend", self._tend_step))
        ]
        recording = asyncio.create_task(
            for_ever(
                "notifier record", self._record_step, self._database.trouble, beat=self._beats["record"]
            ),
            name="notifier record",
        )
        try:
            yield
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self._finish()
            recording.cancel()
            await asyncio.gather(recording, return_exceptions=True)
            await self._record_the_rest()

    async def _finish(self) -> None:
        """Give what is under way a moment; what is left is broken off and given back to others."""
        if self._under_way:
            await asyncio.wait(self._under_way.values(), timeout=_LEAVING_SECONDS)
        left = self._claims.of(self._under_way)
        await self.abandon()
        if left:
            await self._give_back(left)

    async def _give_back(self, claims: Mapping[str, int]) -> None:
        try:
            async with asyncio.timeout(_LEAVING_SECONDS), self._database.transaction() as connection:
                await leases.give_back(connection, claims, self._database.now())
        except Exception as err:  # noqa: BLE001 - their leases end soon
            log.warning("sends not given back", action="sends_kept", count=len(claims), error=str(err)[:300])

    async def abandon(self) -> None:
        """Break off what is under way."""
        left = list(self._under_way.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _record_the_rest(self) -> None:
        try:
            async with asyncio.timeout(_LEAVING_SECONDS):
                while await self.record_once(self._database.now()):
                    pass
        except Exception as err:  # noqa: BLE001 - those messages go out again, with the same ids
            log.warning(
                "results not written", action="results_lost", count=len(self._finished), error=str(err)
            )

    async def _claim_step(self) -> None:
        self._due.clear()
        if await shielded(self.claim_once(self._database.now())) == 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(_IDLE_SECONDS):
                    await self._due.wait()

    async def _record_step(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_IDLE_SECONDS):
                await self._results.wait()
        if not self._results.is_set():
            return  # it came round: there was nothing to record
        await asyncio.sleep(_GATHER_SECONDS)
        self._results.clear()
        try:
            while await self.record_once(self._database.now()):
                pass
        except BaseException:
            self._results.set()
            raise

    async def _tend_step(self) -> None:
        await self.maintain_once(self._database.now())
        await asyncio.sleep(_TEND_SECONDS)


def _is_in(after: Mapping[str, store.StateAfter], page: Delivery, state: State) -> bool:
    return page.is_page and page.id in after and after[page.id].state == state


def _is_over(after: Mapping[str, store.StateAfter], page: Delivery) -> bool:
    """Whether it was a page under way when its incident was settled: somebody's end waited for it."""
    return page.is_page and page.id in after and after[page.id].settled


def _once_more(delivery: Delivery) -> Delivery:
    return replace(delivery, attempts=delivery.attempts + 1)


def _first_time(pages: set[str], page_id: str) -> bool:
    """Whether this page is among them; true once a page, so that one report says it."""
    if page_id not in pages:
        return False
    pages.discard(page_id)
    return True


def _verdict(attempt: Attempt, jitter: float, now: datetime) -> Verdict:
    result = attempt.result
    match result:
        case Unwanted():
            return Verdict("cancelled", "settled before it was sent")
        case Delivered(confirmed=confirmed):
            return Verdict("delivered" if confirmed else "sent")
        case Rejected(reason=reason):
            return Verdict("failed", _clean(reason))
        case Unavailable(reason=reason, retry_after=retry_after):
            return after_failure(attempt.delivery, _clean(reason), retry_after, jitter, now)
        case _:
            assert_never(result)


def _clean(reason: str) -> str:
    """What a provider said, as the database takes it."""
    return reason.encode(errors="replace").decode().replace("\0", "�")[:500]


def _observe(attempt: Attempt, verdict: Verdict) -> None:
    delivery = attempt.delivery
    sort = "page" if delivery.is_page else "call" if delivery.is_call else "notice"
    result = type(attempt.result).__name__.lower()
    metrics.DELIVERIES.labels(delivery.channel, sort, result).inc()
    if delivery.is_page and verdict.state != "pending":
        metrics.PAGES.labels(delivery.channel, verdict.state).inc()
    say = log.info if verdict.state in ("sent", "delivered", "cancelled") else log.warning
    say(
        f"{sort} {verdict.state if verdict.state != 'pending' else 'will be tried again'}",
        action=f"{sort}_{verdict.state}",
        incident=delivery.incident_id,
        delivery=delivery.id,
        sort=delivery.event,
        recipient=f"{delivery.recipient_kind}:{without_secrets(delivery.recipient)}",
        channel=delivery.channel,
        contact=delivery.contact,
        attempt=delivery.attempts,
        why=verdict.reason or (delivery.content.page.reason if delivery.content.page else ""),
    )

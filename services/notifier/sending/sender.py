"""Sending deliveries: claim what is due, check that it is still wanted, attempt it, record the outcome.

A claim moves a delivery from pending to sending and holds a lease, renewed while the send is under way;
a cancellation touches pending ones only. A send whose process died is pending again when its lease ends, and
goes out again with the same id; should that process come back to life, it asks before it sends. `now` is the
database's time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Final, assert_never

from services.notifier import metrics
from services.notifier.channels import Delivered, Rejected, Result, Unavailable
from services.notifier.domain.conversation import Conversation, Pointless
from services.notifier.domain.delivery import Delivery
from services.notifier.domain.dispatch import Dispatch
from services.notifier.sending import leases
from services.notifier.sending.attempt import Attempt, Transport, Unwanted
from services.notifier.sending.claim import LEASE, claim
from services.notifier.sending.concurrency import ConcurrencyLimits
from services.notifier.sending.conversations import Conversations, Later
from services.notifier.sending.disabled_endpoints import DisabledEndpoints
from services.notifier.sending.maintain import Maintenance
from services.notifier.sending.pace import Pace
from services.notifier.sending.record import Recorder
from services.notifier.sending.shielded import shielded
from services.notifier.sending.still_wanted import Claims, StillWanted
from shared import telemetry
from shared.clock import stopwatch
from shared.database.pool import Database
from shared.loops.pulse import Pulses, unwatched
from shared.loops.repeat import for_ever
from shared.outbox.memory import Written

__all__ = ["LEASE", "Sender"]

_IDLE_SECONDS: Final = 0.5
_GATHER_SECONDS: Final = 0.02  # slots that come free this close together are filled by one claim
_MAINTENANCE_SECONDS: Final = 1.0
_FRESH_SECONDS: Final = 0.5  # a claim this young needs no second look at the database
_LEAVING_SECONDS: Final = 3.0
_ASKING_SECONDS: Final = 2.0
log = telemetry.logger(__name__)


class Sender:
    """Sends deliveries. `sent` is given what the relay may take over, after outcomes were committed; `sends`
    are the channels by which people can be reached, `converses` those that keep conversations.
    """

    def __init__(
        self,
        database: Database,
        transport: Transport,
        concurrency: ConcurrencyLimits,
        pace: Pace,
        *,
        sent: Callable[[Written | None], None],
        sends: tuple[str, ...] = (),
        converses: Collection[str] = (),
        pulses: Pulses | None = None,
    ) -> None:
        self._database = database
        self._transport = transport
        self._concurrency = concurrency
        self._pace = pace
        names = ("claim", "tend", "record")
        self._beats = {name: pulses.beat_of(f"notifier {name}") if pulses else unwatched for name in names}
        self._under_way: dict[str, tuple[Dispatch, asyncio.Task[None]]] = {}
        self._wanted = StillWanted(database)
        self._claims = Claims(database, LEASE)
        self._disabled = DisabledEndpoints()
        self._conversations = Conversations(database, converses)
        self._due = asyncio.Event()
        self._recorder = Recorder(
            database,
            self._claims,
            self._disabled,
            committed=sent,
            due=self._due,
            sends=sends,
            resting=concurrency.open_breakers,
        )
        self._maintenance = Maintenance(database, self._claims, self._disabled, concurrency)

    # What the consumer hands over

    def reserve(self, deliveries: Iterable[Delivery], now: datetime) -> frozenset[str]:
        """The ids of those that can start at once; each holds a slot until it is sent or released."""
        first = self._pace.startable(deliveries, now)
        return frozenset(delivery.id for delivery in first if self._concurrency.acquire(delivery, now))

    def release(self, deliveries: Iterable[Delivery]) -> None:
        """Free slots that were reserved and are not used."""
        for delivery in deliveries:
            self._concurrency.release(delivery)
            self._pace.refused(delivery, self._database.now())

    def start(self, deliveries: Iterable[Delivery], asked_at: float) -> None:
        """Send these, which hold slots and are leased since `asked_at` (by the stopwatch)."""
        now = self._database.now()
        for delivery in deliveries:
            self._pace.started(delivery, now)
            self._begin(Dispatch(delivery.id, (delivery,)), asked_at)
        metrics.IN_FLIGHT.set(len(self._under_way))

    def settle(self, incident_id: str, version: int) -> None:
        """From now on pages of this incident before this version are no longer wanted."""
        self._wanted.settle(incident_id, version)

    def wake(self) -> None:
        """Something may be due."""
        self._due.set()

    # One message

    def _begin(self, dispatch: Dispatch, asked_at: float) -> None:
        for member in dispatch.members:
            self._claims.add(member, asked_at)
        task = asyncio.create_task(self._deliver(dispatch, asked_at), name=f"send {dispatch.id}")
        self._under_way[dispatch.id] = dispatch, task

    async def _deliver(self, dispatch: Dispatch, asked_at: float) -> None:
        first = dispatch.first
        try:
            attempts = await self._attempted(dispatch, asked_at)
        finally:
            self._under_way.pop(dispatch.id, None)
            metrics.IN_FLIGHT.set(len(self._under_way))
            if self._concurrency.release(first):
                self._due.set()
        if attempts is None:
            for member in dispatch.members:
                self._claims.drop(member)
        else:
            for attempt in attempts:
                self._recorder.add(attempt)

    async def _attempted(self, dispatch: Dispatch, asked_at: float) -> list[Attempt] | None:
        """One attempt at each member; None where another process has claimed them meanwhile."""
        members, first = await self._still_wanted(dispatch, asked_at), dispatch.first
        if members and not await self._claims.stands(first):
            log.warning(
                "the claim was lost: left to another notifier", action="claim_lost", delivery=first.id
            )
            return None
        now = self._database.now()
        gone: list[Attempt] = []
        if len(members) < len(dispatch.members):
            ids = {member.id for member in members}
            gone = [Attempt(one, Unwanted(), now, now) for one in dispatch.members if one.id not in ids]
        if not members:
            return gone
        if first.endpoint in self._disabled and await self._still_disabled(first.endpoint):
            refused = Rejected("the endpoint said 410 Gone and is disabled")
            return [*gone, *(Attempt(member, refused, now, now) for member in members)]
        left = Dispatch(dispatch.id, tuple(members))
        if not left.is_legible:
            why = "what it would list was settled meanwhile: the rest is listed anew"
            return [*gone, *(Attempt(member, Unavailable(why), now, now) for member in members)]
        if left.about_one:
            lead = await self._in_conversation(left, asked_at)
            others = [one for one in members if one.id != lead.delivery.id]
            # what shares a message with a page that was settled meanwhile goes without it
            same = replace(lead, result=Later(0.0)) if isinstance(lead.result, Unwanted) else lead
            return [*gone, lead, *(replace(same, delivery=one, conversation=None) for one in others)]
        result = await self._sent(left, now)
        finished_at = self._database.now()
        return [*gone, *(Attempt(member, result, now, finished_at) for member in members)]

    async def _in_conversation(self, dispatch: Dispatch, asked_at: float) -> Attempt:
        """The attempt at what is about one incident, where and when its conversation has a place for it."""
        delivery = dispatch.lead
        joined, now = await self._conversations.join(delivery), self._database.now()
        if isinstance(joined, Later):
            return Attempt(delivery, joined, now, now)
        if isinstance(joined, Pointless):
            return Attempt(delivery, Unwanted(joined.why), now, now)
        if joined is not None and delivery not in await self._still_wanted(dispatch, asked_at):
            return Attempt(delivery, Unwanted(), now, now, joined)
        result = await self._sent(dispatch, now, joined)
        return Attempt(delivery, result, now, self._database.now(), joined)

    async def _still_disabled(self, endpoint: str) -> bool:
        try:
            async with asyncio.timeout(_ASKING_SECONDS), self._database.transaction() as connection:
                return await self._disabled.still(connection, endpoint)
        except Exception as err:  # noqa: BLE001 - as far as is known, it is
            log.debug("cannot ask for an endpoint", action="recheck_failed", error=str(err)[:300])
            return True

    async def _sent(
        self, dispatch: Dispatch, now: datetime, conversation: Conversation | None = None
    ) -> Result:
        first = dispatch.first
        for page in dispatch.members:
            if page.is_page and page.attempts <= 1 and page.caused_at is not None:
                metrics.FIRST_ATTEMPT_SECONDS.observe(max(0.0, (now - page.caused_at).total_seconds()))
        result = await self._transport.deliver_once(dispatch, now, conversation)
        finished_at = self._database.now()
        self._update_breaker(first, result, finished_at)
        metrics.SEND_SECONDS.labels(first.channel).observe((finished_at - now).total_seconds())
        return result

    async def _still_wanted(self, dispatch: Dispatch, asked_at: float) -> list[Delivery]:
        """Those that are; a page that was settled meanwhile leaves the message that it is in."""
        members = dispatch.members
        known = [one for one in members if not one.is_urgent or self._wanted.as_known_here(one)]
        if stopwatch() - asked_at < _FRESH_SECONDS:
            return known
        urgent = [one for one in known if one.is_urgent]
        stored = await asyncio.gather(*(self._wanted.as_stored(one) for one in urgent))
        gone = {one.id for one, wanted in zip(urgent, stored, strict=True) if not wanted}
        return [one for one in known if one.id not in gone]

    def _update_breaker(self, delivery: Delivery, result: Result, now: datetime) -> None:
        match result:
            case Unavailable() if delivery.shares_endpoint and result.spares_others:
                self._concurrency.answered(delivery.endpoint)
            case Unavailable():
                self._concurrency.failed(delivery.endpoint, now)
            case Delivered() | Rejected():
                self._concurrency.answered(delivery.endpoint)
            case _:
                assert_never(result)

    # The steps of its loops

    async def claim_once(self, now: datetime) -> int:
        """Claim what is due and start it; how many messages."""
        asked_at = stopwatch()
        with self._pace.claiming():
            claimed = await claim(self._database, self._concurrency, self._pace, now)
        for dispatch in claimed:
            self._begin(dispatch, asked_at)
        metrics.IN_FLIGHT.set(len(self._under_way))
        return len(claimed)

    async def record_once(self, now: datetime) -> int:
        """Write down what has finished, with the reports for the router; how many."""
        return await self._recorder.record_once(now)

    async def maintain_once(self, now: datetime) -> None:
        """Renew leases, take over those of the dead, fail what is overdue, learn what is disabled."""
        if await self._maintenance.maintain_once(now):
            self._due.set()

    async def _claim_step(self) -> None:
        self._due.clear()
        if await shielded(self.claim_once(self._database.now())) == 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(_IDLE_SECONDS):
                    await self._due.wait()
        else:
            await asyncio.sleep(_GATHER_SECONDS)

    async def _maintenance_step(self) -> None:
        await self.maintain_once(self._database.now())
        await asyncio.sleep(_MAINTENANCE_SECONDS)

    # Running

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Claim, send, record and maintain until the end of the block; then finish what is under way."""
        loops = [self._loop("claim", self._claim_step), self._loop("tend", self._maintenance_step)]
        recording = self._loop("record", self._recorder.step)
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

    def _loop(self, name: str, step: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        endless = for_ever(f"notifier {name}", step, self._database.outage, beat=self._beats[name])
        return asyncio.create_task(endless, name=f"notifier {name}")

    async def _finish(self) -> None:
        """Give sends under way a moment to end; the rest is interrupted and released to other notifiers."""
        if self._under_way:
            tasks = [task for _, task in self._under_way.values()]
            await asyncio.wait(tasks, timeout=_LEAVING_SECONDS)
        left = self._claims.of(one.id for each, _ in self._under_way.values() for one in each.members)
        await self.abandon()
        if left:
            await self._give_back(left)

    async def _give_back(self, claims: Mapping[str, int]) -> None:
        try:
            async with asyncio.timeout(_LEAVING_SECONDS), self._database.transaction() as connection:
                await leases.give_back(connection, claims, self._database.now())
        except Exception as err:  # noqa: BLE001 - their leases end soon
            log.warning(
                "could not release claimed sends: they wait for their leases to expire",
                action="sends_kept",
                count=len(claims),
                error=str(err)[:300],
            )

    async def abandon(self) -> None:
        """Interrupt the sends under way."""
        left = [task for _, task in self._under_way.values()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _record_the_rest(self) -> None:
        try:
            async with asyncio.timeout(_LEAVING_SECONDS):
                await self._recorder.record_all()
        except Exception as err:  # noqa: BLE001 - those messages go out again, with the same ids
            count = self._recorder.waiting
            log.warning(
                "results could not be recorded: these sends may be repeated",
                action="results_lost",
                count=count,
                error=str(err),
            )

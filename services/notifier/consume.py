"""From the router's messages to deliveries: one batch, one transaction, then the sends begin.

Deliveries that may start now are written as already claimed and sent right after the commit; the rest wait in
the database. While a partition is behind, an acknowledgement may follow further on in it: its pages wait
until it has caught up, for five seconds at most.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier import metrics
from services.notifier.batch import (
    Planned,
    ReadRecord,
    dead_letter_of,
    first_of_each,
    incident_versions,
    is_by,
    last_settling,
    outgoing,
    parked,
    refused,
)
from services.notifier.domain import conversation
from services.notifier.domain.announcements import as_change
from services.notifier.domain.delivery import Delivery
from services.notifier.domain.digest import is_digested
from services.notifier.domain.plan import (
    Plan,
    ordered,
    outdated,
    plan,
    told_who_took_it,
    unknown_recipients,
)
from services.notifier.domain.rates import PROGRAMS, ChannelRates, Rates
from services.notifier.sending.shielded import shielded
from services.notifier.storage import (
    conversations,
    digests,
    end_notices,
    later_steps,
    quiet_notices,
    superseded_pages,
)
from services.notifier.storage import deliveries as store
from services.notifier.storage.deliveries import IncidentVersion, NewDelivery
from services.notifier.storage.tables import SCHEMA
from shared import telemetry
from shared.clock import stopwatch
from shared.crash import crash_point
from shared.database.pool import Database
from shared.errors.bisect import REFUSED, WHOEVER, bisect
from shared.errors.kinds import Kind, kind_of, words
from shared.eventlog import Received
from shared.eventlog.codec import UnreadableRecordError, decode, encode
from shared.events import Announced, IncidentChanged
from shared.outbox import outbox
from shared.outbox.memory import Written
from shared.policy import Bundle

MOST: Final = 500  # records in a batch
BEHIND: Final = timedelta(seconds=0.5)
LONGEST_HOLD: Final = timedelta(seconds=5)
log = telemetry.logger(__name__)


class SendQueue(Protocol):
    """Takes deliveries to be sent (`sending.sender.Sender`)."""

    def reserve(self, deliveries: Iterable[Delivery], now: datetime) -> frozenset[str]: ...
    def release(self, deliveries: Iterable[Delivery]) -> None: ...
    def start(self, deliveries: Iterable[Delivery], asked_at: float) -> None: ...
    def settle(self, incident_id: str, version: int) -> None: ...
    def wake(self) -> None: ...


class Consumption:
    """Applies batches.

    `bundle` gives the policy in force, `newer_policy` waits a moment for another one, `committed` is given
    what the relay may take over after each commit, `lease` is that of what starts at once, `rates` say how
    often each channel may be used; `converses` are the channels whose first message about an incident shows
    where it stands.
    """

    def __init__(
        self,
        database: Database,
        send_queue: SendQueue,
        *,
        bundle: Callable[[], Bundle],
        newer_policy: Callable[[], Awaitable[None]],
        lease: timedelta,
        committed: Callable[[Written | None], None],
        rates: Rates,
        converses: Collection[str] = (),
    ) -> None:
        self._database = database
        self._converses = frozenset(converses)
        self._send_queue = send_queue
        self._bundle = bundle
        self._newer_policy = newer_policy
        self._lease = lease
        self._committed = committed
        self._rates = rates
        self._catching_up: set[int] = set()
        self._began = 0.0
        self._strangers: frozenset[str] = frozenset()

    @property
    def waiting(self) -> bool:
        """Whether pages wait for a partition to catch up."""
        return bool(self._catching_up)

    async def apply_once(
        self,
        records: Sequence[Received],
        now: datetime,
        oldest: timedelta | None = None,
        *,
        apart: bool = False,
    ) -> None:
        """Apply a batch in log order. Raises the database's errors when it is unavailable.

        `now` is the database's time. `oldest`: the greatest age that these records can have, where the reader
        has seen the end of the log; the log's clock may differ from the database's.

        A record that cannot be read or applied becomes a dead letter with its reason; the others are applied.
        `apart`: an internal error has lasted for a while; records that cause it become dead letters, too.
        """
        self._began = stopwatch()
        bundle, planned = await self._planned_with_everybody(records, now)
        behind = set[int]() if oldest is not None and oldest <= BEHIND else _partitions_behind(records, now)
        present = {record.partition.number for record in records}
        # a batch that is not full is all there was: a partition that is not in it has caught up
        caught_up = (self._catching_up & present if len(records) >= MOST else set(self._catching_up)) - behind
        self._catching_up = (self._catching_up | behind) - caught_up
        await self._apply(planned, bundle, behind, now, WHOEVER if apart else REFUSED)
        await self._release(caught_up, now)

    async def _planned_with_everybody(
        self, records: Sequence[Received], now: datetime
    ) -> tuple[Bundle, list[Planned]]:
        """The plans, made with a policy that knows everybody they name.

        Somebody whom the policy lacks may be in a newer one that is still on its way. It is waited for, once
        for each name, before the router is told that nobody can be reached.
        """
        bundle = self._bundle()
        planned = [self._planned(record, bundle, now) for record in records]
        strangers = frozenset().union(
            *(unknown_recipients(one.read.message, bundle) for one in planned if one.read is not None)
        )
        if strangers <= self._strangers:
            return bundle, planned
        self._strangers |= strangers
        await self._newer_policy()
        bundle = self._bundle()
        return bundle, [self._planned(record, bundle, now) for record in records]

    async def caught_up(self, now: datetime) -> None:
        """The end of the log is reached: what waited for that is due."""
        await self._release(set(self._catching_up), now)
        self._catching_up.clear()

    async def _release(self, partitions: set[int], now: datetime) -> None:
        if not partitions:
            return
        async with self._database.transaction() as connection:
            await store.release_waiting(connection, sorted(partitions), now)
        self._send_queue.wake()

    @staticmethod
    def _planned(record: Received, bundle: Bundle, now: datetime) -> Planned:
        try:
            message = _decoded(record)
        except UnreadableRecordError as err:
            return Planned(None, Plan((), ()), dead_letter_of(record, f"cannot be read: {err}", now))
        read = ReadRecord(record, message)
        try:
            return Planned(read, plan(message, bundle, now))
        except Exception as err:
            log.exception(
                "message cannot be planned: moved to the dead letters",
                action="set_aside",
                incident=message.incident.id,
            )
            return parked(read, f"cannot be planned: {err!r}", now)

    async def _apply(
        self,
        planned: Sequence[Planned],
        bundle: Bundle,
        behind: set[int],
        now: datetime,
        culprits: frozenset[Kind],
    ) -> None:
        """Commit; records that are refused become dead letters, the others are applied."""

        async def commit(some: Sequence[Planned]) -> Sequence[None]:
            await shielded(self._commit(some, bundle, behind, now))
            return ()

        async def refuse(culprit: Planned, err: Exception) -> Sequence[None]:
            if culprit.read is None:
                raise err
            why = words(err)
            log.warning("message cannot be applied: moved to the dead letters", action="set_aside", error=why)
            said = "refused by the database" if kind_of(err) is Kind.REFUSED else "cannot be applied"
            return await commit([refused(culprit.read, f"{said}: {why}", now)])

        await bisect(planned, commit, refuse, culprits)

    async def _commit(
        self, planned: Sequence[Planned], bundle: Bundle, behind: set[int], now: datetime
    ) -> None:
        startable = {
            delivery.id: delivery
            for one in planned
            if one.read is not None and one.read.record.partition.number not in behind
            for delivery in one.plan.deliveries
            if not delivery.is_end_notice and delivery.next_attempt_at <= now and not is_digested(delivery)
        }
        for name in outdated(startable.values()):
            del startable[name]
        reserved = self._send_queue.reserve(ordered(startable.values()), now)
        started: list[Delivery] = []
        asked_at = stopwatch()
        until = now + timedelta(seconds=asked_at - self._began) + self._lease
        leased = dict.fromkeys(reserved, until)
        try:
            started, settled, written = await self._write(planned, bundle, behind, leased, now)
        finally:
            going = {delivery.id for delivery in started}
            self._send_queue.release(startable[name] for name in reserved - going)
        for one in settled:
            self._send_queue.settle(one.incident_id, one.settled_version)
        crash_point("notifier.committed")
        self._send_queue.start(started, asked_at)
        self._committed(written)
        if len(started) < len(startable) or settled or self._moved(planned):  # more may be due
            self._send_queue.wake()

    async def _write(
        self,
        planned: Sequence[Planned],
        bundle: Bundle,
        behind: set[int],
        leased: Mapping[str, datetime],
        now: datetime,
    ) -> tuple[list[Delivery], Sequence[IncidentVersion], Written | None]:
        """The transaction: what starts now of what is leased (until then), what was settled, and what
        the relay may take over.
        """
        seen = incident_versions([one.read.message for one in planned if one.read is not None])
        rows = [row for one in planned for row in self._rows(one, behind, leased, now)]
        settled = [one for one in seen if one.settled_version]
        ids = [one.identity for one in planned]
        bound = {row.delivery.incident_id for row in rows if row.delivery.is_end_notice}
        again = {row.delivery.incident_id for row in rows if row.delivery.is_repeat}
        answered = [page for one in planned if one.read is not None for page in one.read.message.answered]
        quiet = {
            row.delivery.incident_id for row in rows if row.delivery.quiet_until and not row.delivery.is_page
        }
        moved = self._moved(planned)
        handed: Written | None = None
        told = any(one.dead_letter or one.plan.reports for one in planned)
        collects = any(is_digested(each) for one in planned for each in one.plan.deliveries)
        if settled or moved or bound or again or answered or quiet or told or collects:
            async with self._database.transaction() as connection:
                written = await store.insert(connection, ids, seen, rows, now)
                fresh = first_of_each(planned, written.fresh)
                if collects:
                    collected = [each for one in fresh for each in one.plan.deliveries if is_digested(each)]
                    await digests.add(connection, collected, now)
                await store.cancel(connection, settled)
                await later_steps.answered(connection, seen, answered)
                await quiet_notices.keep_newest(connection, quiet)
                await self._tell_the_paged(connection, settled, planned, bundle, now)
                if moved:
                    await conversations.change(connection, moved, self._converses, now)
                if bound:
                    await end_notices.judge(connection, bound, now)
                if any(row.delivery.is_repeat and row.delivery.delayed_by for row in rows):
                    await superseded_pages.inherit(connection, again)
                messages = [*outgoing(fresh), *await superseded_pages.supersede(connection, again, now)]
                handed = await outbox.write(connection, SCHEMA, [encode(message) for message in messages])
        else:  # a single statement is its own transaction: the fast path of a page
            async with self._database.engine.connect() as plain:
                connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
                written = await store.insert(connection, ids, seen, rows, now)
                fresh = first_of_each(planned, written.fresh)
        _count(planned, fresh)
        claimed = {row.delivery.id: row.delivery for row in rows if row.lease_until}
        states = written.states
        started = [_claimed(one) for name, one in claimed.items() if states.get(name) == "sending"]
        return started, settled, handed

    async def _tell_the_paged(
        self,
        connection: AsyncConnection,
        settled: Sequence[IncidentVersion],
        planned: Sequence[Planned],
        bundle: Bundle,
        now: datetime,
    ) -> None:
        """Tell whoever is being paged at this moment why that is over, except the one who did it.

        Nothing is sent here about what the router itself tells everybody who was paged.
        """
        last = last_settling(one.read.message for one in planned if one.read is not None)
        settled = [one for one in settled if not _is_told(last[one.incident_id])]
        if not settled:
            return
        told = [
            told_who_took_it(page, last[page.incident_id], bundle, now)
            for page in await end_notices.paged_at_that_moment(connection, settled)
            if not is_by(page, last[page.incident_id])
        ]
        if told:
            incidents = [IncidentVersion(one.incident_id, one.version) for one in settled]
            rows = [NewDelivery(one.id, one, rates=self._rates_of(one)) for one in told]
            await store.insert(connection, [delivery.id for delivery in told], incidents, rows, now)

    def _moved(self, planned: Sequence[Planned]) -> Sequence[IncidentChanged]:
        """The newest messages of incidents that stand elsewhere now, where anything shows it."""
        if not self._converses:
            return ()
        return conversation.newest(one.read.message for one in planned if one.read is not None)

    def _rates_of(self, delivery: Delivery) -> ChannelRates:
        return self._rates.get(delivery.channel, PROGRAMS)

    def _rows(
        self, one: Planned, behind: set[int], leased: Mapping[str, datetime], now: datetime
    ) -> Iterable[NewDelivery]:
        for delivery in one.plan.deliveries:
            assert one.read is not None
            partition = one.read.record.partition.number
            if is_digested(delivery):
                continue  # it goes out with others, when their time is over
            row = NewDelivery(one.identity, delivery, rates=self._rates_of(delivery))
            if delivery.id in leased:
                yield replace(row, lease_until=leased[delivery.id])
            elif delivery.is_end_notice:
                waits = replace(delivery, next_attempt_at=now + end_notices.LONGEST_WAIT)
                yield replace(row, delivery=waits, waits_for=end_notices.WAITS)
            elif partition in behind and delivery.is_urgent:
                yield _until_caught_up(row, partition, now)
            else:
                yield row


def _until_caught_up(row: NewDelivery, partition: int, now: datetime) -> NewDelivery:
    """It waits for the partition, unless its own time comes later anyway."""
    longest, delivery = now + LONGEST_HOLD, row.delivery
    if delivery.next_attempt_at > now:
        later = max(delivery.next_attempt_at, longest)
        return replace(row, delivery=replace(delivery, next_attempt_at=later))
    return replace(row, delivery=replace(delivery, next_attempt_at=longest), waits_for=partition)


def _partitions_behind(records: Sequence[Received], now: datetime) -> set[int]:
    """Those whose newest record of this batch is older than half a second."""
    newest: dict[int, datetime] = {}
    for record in records:
        newest[record.partition.number] = record.at
    return {number for number, at in newest.items() if now - at > BEHIND}


def _decoded(record: Received) -> IncidentChanged:
    """What the record says. Raises UnreadableRecordError."""
    if record.headers.get("ce_type") == Announced.type.encode():
        return as_change(decode(Announced, record.value, record.headers))
    return decode(IncidentChanged, record.value, record.headers)


def _is_told(message: IncidentChanged) -> bool:
    return message.settled is not None and message.settled.told


def _claimed(delivery: Delivery) -> Delivery:
    return replace(delivery, attempts=1)


def _count(planned: Sequence[Planned], fresh: Sequence[Planned]) -> None:
    parked = sum(one.dead_letter is not None for one in fresh)
    metrics.MESSAGES.labels("set_aside").inc(parked)
    metrics.MESSAGES.labels("applied").inc(len(fresh) - parked)
    metrics.MESSAGES.labels("repeated").inc(len(planned) - len(fresh))

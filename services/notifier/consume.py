"""From the router's messages to deliveries: one batch, one transaction, then the sends begin.

Deliveries for which there is a place are written as already claimed and start right after the commit; the
rest waits in the database. While a partition is behind, an acknowledgement may stand further on in it: its
pages are held until it has caught up, five seconds at most.
"""

import itertools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import uuid5

from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier import metrics, store
from services.notifier.domain.announcing import as_change
from services.notifier.domain.plan import (
    NAMESPACE,
    Plan,
    ordered,
    plan,
    set_aside,
    told_who_took_it,
    unknown_recipients,
)
from services.notifier.domain.values import Delivery
from services.notifier.store import Row, Seen
from services.notifier.tables import SCHEMA
from services.notifier.unbroken import unbroken
from shared import outbox, telemetry
from shared.bisect import REFUSED, WHOEVER, bisect
from shared.clock import stopwatch
from shared.codec import UnreadableRecordError, decode, encode
from shared.crash import crash_point
from shared.database import Database
from shared.errors import Kind, kind_of, words
from shared.eventlog import Received
from shared.events import REPLAYED, Announced, DeadLetter, DeliveryReport, IncidentChanged, Message
from shared.letters import fitted
from shared.policy import Bundle

GROUP: Final = "ladder-notifier"
MOST: Final = 500  # records in a batch
BEHIND: Final = timedelta(seconds=0.5)
LONGEST_HOLD: Final = timedelta(seconds=5)
log = telemetry.logger(__name__)


class Desk(Protocol):
    """Where deliveries are handed to be sent (`deliver.Sender`)."""

    def reserve(self, deliveries: Iterable[Delivery], now: datetime) -> frozenset[str]: ...
    def release(self, deliveries: Iterable[Delivery]) -> None: ...
    def start(self, deliveries: Iterable[Delivery], asked_at: float) -> None: ...
    def settle(self, incident_id: str, version: int) -> None: ...
    def wake(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Read:
    """A record that could be read."""

    record: Received
    message: IncidentChanged


@dataclass(frozen=True, slots=True)
class Planned:
    """What one record comes to: its message's plan, or the letter with which it is set aside."""

    read: Read | None
    plan: Plan
    letter: DeadLetter | None = None

    @property
    def identity(self) -> str:
        if self.read is not None:
            again = self.read.record.headers.get(REPLAYED, b"")
            # a letter that somebody sends again was done with under its own id
            return self.read.message.message_id + (
                f" again {again.decode(errors='replace')}" if again else ""
            )
        assert self.letter is not None
        return self.letter.letter_id


class Consumption:
    """Applies batches.

    `bundle` gives the policy in force, `newer_policy` waits a moment for another one, `committed` is called
    after each commit, `lease` is that of what starts at once.
    """

    def __init__(
        self,
        database: Database,
        desk: Desk,
        *,
        bundle: Callable[[], Bundle],
        newer_policy: Callable[[], Awaitable[None]],
        lease: timedelta,
        committed: Callable[[], None],
    ) -> None:
        self._database = database
        self._desk = desk
        self._bundle = bundle
        self._newer_policy = newer_policy
        self._lease = lease
        self._committed = committed
        self._held: set[int] = set()
        self._began = 0.0
        self._strangers: frozenset[str] = frozenset()

    @property
    def holding(self) -> bool:
        """Whether pages wait for a partition to catch up."""
        return bool(self._held)

    async def apply_once(
        self,
        records: Sequence[Received],
        now: datetime,
        oldest: timedelta | None = None,
        *,
        apart: bool = False,
    ) -> None:
        """Apply a batch in the order of the log. Raises the database's errors when it is away.

        `now` is the database's time. `oldest`: what the reader knows of how old the records can be at most,
        where it has seen the log empty; the log's clock may be another one than the database's.

        A record that cannot be read or applied goes to the dead letter with its reason; its neighbours pass.
        `apart`: a fault of Ladder's own has lasted for a while; whoever brings it out counts as one of those.
        """
        self._began = stopwatch()
        bundle, planned = await self._planned_with_everybody(records, now)
        behind = set[int]() if oldest is not None and oldest <= BEHIND else _partitions_behind(records, now)
        present = {record.partition.number for record in records}
        # a batch that is not full brought all there was: a partition that is not in it has nothing more
        caught_up = (self._held & present if len(records) >= MOST else set(self._held)) - behind
        self._held = (self._held | behind) - caught_up
        await self._apply(planned, bundle, behind, now, WHOEVER if apart else REFUSED)
        await self._release(caught_up, now)

    async def _planned_with_everybody(
        self, records: Sequence[Received], now: datetime
    ) -> tuple[Bundle, list[Planned]]:
        """The plans by a policy that knows everybody in them.

        A person whom the policy lacks may stand in a newer one that is still on its way: it is waited for,
        once a name, before the router hears that nobody can be reached.
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
        """Nothing more is there to read: what was held is due."""
        await self._release(set(self._held), now)
        self._held.clear()

    async def _release(self, partitions: set[int], now: datetime) -> None:
        if not partitions:
            return
        async with self._database.transaction() as connection:
            await store.release_held(connection, sorted(partitions), now)
        self._desk.wake()

    @staticmethod
    def _planned(record: Received, bundle: Bundle, now: datetime) -> Planned:
        try:
            message = _decoded(record)
        except UnreadableRecordError as err:
            return Planned(None, Plan((), ()), _letter(record, f"cannot be read: {err}", now))
        read = Read(record, message)
        try:
            return Planned(read, plan(message, bundle, now))
        except Exception as err:
            log.exception("message set aside", action="set_aside", incident=message.incident.id)
            return _aside(read, f"cannot be planned: {err!r}", now)

    async def _apply(
        self,
        planned: Sequence[Planned],
        bundle: Bundle,
        behind: set[int],
        now: datetime,
        culprits: frozenset[Kind],
    ) -> None:
        """Commit; what is refused is set aside, its neighbours pass."""

        async def commit(some: Sequence[Planned]) -> Sequence[None]:
            await unbroken(self._commit(some, bundle, behind, now))
            return ()

        async def refuse(culprit: Planned, err: Exception) -> Sequence[None]:
            if culprit.read is None:
                raise err
            why = words(err)
            log.warning("message set aside", action="set_aside", error=why)
            said = "refused by the database" if kind_of(err) is Kind.REFUSED else "cannot be applied"
            return await commit([_refused(culprit.read, f"{said}: {why}", now)])

        await bisect(planned, commit, refuse, culprits)

    async def _commit(
        self, planned: Sequence[Planned], bundle: Bundle, behind: set[int], now: datetime
    ) -> None:
        startable = {
            delivery.id: delivery
            for one in planned
            if one.read is not None and one.read.record.partition.number not in behind
            for delivery in one.plan.deliveries
        }
        reserved = self._desk.reserve(ordered(startable.values()), now)
        started: list[Delivery] = []
        asked_at = stopwatch()
        until = now + timedelta(seconds=asked_at - self._began) + self._lease
        leased = dict.fromkeys(reserved, until)
        try:
            started, settled = await self._write(planned, bundle, behind, leased, now)
        finally:
            going = {delivery.id for delivery in started}
            self._desk.release(startable[name] for name in reserved - going)
        for one in settled:
            self._desk.settle(one.incident_id, one.settled_version)
        crash_point("notifier.committed")
        self._desk.start(started, asked_at)
        self._committed()
        if len(reserved) < len(startable) or settled:
            self._desk.wake()

    async def _write(
        self,
        planned: Sequence[Planned],
        bundle: Bundle,
        behind: set[int],
        leased: Mapping[str, datetime],
        now: datetime,
    ) -> tuple[list[Delivery], Sequence[Seen]]:
        """The transaction: what starts now of what is leased (until then), and what was settled."""
        seen = _folded([one.read.message for one in planned if one.read is not None])
        rows = [row for one in planned for row in self._rows(one, behind, leased, now)]
        settled = [one for one in seen if one.settled_version]
        ids = [one.identity for one in planned]
        if settled or any(one.letter or one.plan.reports for one in planned):
            async with self._database.transaction() as connection:
                written = await store.write(connection, ids, seen, rows, now)
                fresh = _first_of_each(planned, written.fresh)
                await store.cancel(connection, settled)
                await self._tell_the_paged(connection, settled, planned, bundle, now)
                await outbox.add(connection, SCHEMA, [encode(message) for message in _said(fresh)])
        else:  # one statement is a transaction of its own: the quick way to a page
            async with self._database.engine.connect() as plain:
                connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
                written = await store.write(connection, ids, seen, rows, now)
                fresh = _first_of_each(planned, written.fresh)
        _count(planned, fresh)
        claimed = {row.delivery.id: row.delivery for row in rows if row.lease_until}
        states = written.states
        return [_claimed(one) for name, one in claimed.items() if states.get(name) == "sending"], settled

    async def _tell_the_paged(
        self,
        connection: AsyncConnection,
        settled: Sequence[Seen],
        planned: Sequence[Planned],
        bundle: Bundle,
        now: datetime,
    ) -> None:
        """Whoever is paged at this very moment hears who took it – except the one who did."""
        last = _settling(one.read.message for one in planned if one.read is not None)
        told = [
            told_who_took_it(page, last[page.incident_id], bundle, now)
            for page in await store.paged_at_that_moment(connection, settled)
            if not _is_by(page, last[page.incident_id])
        ]
        if told:
            incidents = [Seen(one.incident_id, one.version) for one in settled]
            rows = [Row(delivery.id, delivery) for delivery in told]
            await store.write(connection, [delivery.id for delivery in told], incidents, rows, now)

    @staticmethod
    def _rows(one: Planned, behind: set[int], leased: Mapping[str, datetime], now: datetime) -> Iterable[Row]:
        for delivery in one.plan.deliveries:
            assert one.read is not None
            partition = one.read.record.partition.number
            if delivery.id in leased:
                yield Row(one.identity, delivery, lease_until=leased[delivery.id])
            elif partition in behind and delivery.is_urgent:
                held = replace(delivery, next_attempt_at=now + LONGEST_HOLD)
                yield Row(one.identity, held, held=partition)
            else:
                yield Row(one.identity, delivery)


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


def _claimed(delivery: Delivery) -> Delivery:
    return replace(delivery, attempts=1)


def _said(fresh: Iterable[Planned]) -> list[Message]:
    """What the router hears of a batch at once, and what is set aside."""
    letters: list[Message] = [one.letter for one in fresh if one.letter]
    return letters + [report for one in fresh for report in one.plan.reports]


def _first_of_each(planned: Sequence[Planned], fresh: frozenset[str]) -> list[Planned]:
    """Those that are new, each once, in the log's order."""
    left = set(fresh)
    taken = []
    for one in planned:
        if one.identity in left:
            left.discard(one.identity)
            taken.append(one)
    return taken


def _folded(messages: Iterable[IncidentChanged]) -> list[Seen]:
    """What a batch says of each incident in the end, sorted by id (the order in which rows are locked)."""
    ordered_messages = sorted(messages, key=lambda message: message.incident.id)
    return [
        _last(list(group))
        for _, group in itertools.groupby(ordered_messages, key=lambda message: message.incident.id)
    ]


def _last(messages: Sequence[IncidentChanged]) -> Seen:
    incident_id = messages[0].incident.id
    version = max(message.incident.version for message in messages)
    settling = _settling(messages).get(incident_id)
    if settling is None or settling.settled is None:
        return Seen(incident_id, version)
    settled = settling.settled
    return Seen(incident_id, version, settling.incident.version, settling.at, settled.why, settled.by)


def _settling(messages: Iterable[IncidentChanged]) -> Mapping[str, IncidentChanged]:
    """The newest settling message of each incident."""
    last: dict[str, IncidentChanged] = {}
    for message in messages:
        before = last.get(message.incident.id)
        if message.settled and (before is None or message.incident.version >= before.incident.version):
            last[message.incident.id] = message
    return last


def _is_by(page: Delivery, message: IncidentChanged) -> bool:
    return (
        message.settled is not None
        and page.recipient_kind == "user"
        and page.recipient == message.settled.by.removeprefix("user:")
    )


def _aside(read: Read, reason: str, now: datetime) -> Planned:
    reports: tuple[DeliveryReport, ...] = set_aside(read.message, reason[:500], now)
    return Planned(read, Plan((), reports), _letter(read.record, reason, now))


def _refused(read: Read, reason: str, now: datetime) -> Planned:
    """Like `_aside`, and nothing of the message goes into the tables again."""
    aside = _aside(read, reason, now)
    return replace(aside, read=None)


def _letter(record: Received, reason: str, now: datetime) -> DeadLetter:
    place = f"{record.partition.topic}:{record.partition.number}:{record.offset}"
    letter = DeadLetter(
        letter_id=str(uuid5(NAMESPACE, place)),
        at=now,
        service="notifier",
        reason=reason.replace("\0", "�")[:2_000],
        from_topic=record.partition.topic,
        partition=record.partition.number,
        offset=record.offset,
        record_key=record.key,
        record_headers=dict(record.headers),
        record_value=record.value,
    )
    return fitted(letter)


def _count(planned: Sequence[Planned], fresh: Sequence[Planned]) -> None:
    aside = sum(one.letter is not None for one in fresh)
    metrics.MESSAGES.labels("set_aside").inc(aside)
    metrics.MESSAGES.labels("applied").inc(len(fresh) - aside)
    metrics.MESSAGES.labels("repeated").inc(len(planned) - len(fresh))

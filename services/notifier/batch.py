"""What a batch of records comes to: a plan or a dead letter each, and the last version of each incident."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import uuid5

from services.notifier.domain.delivery import Delivery
from services.notifier.domain.plan import NAMESPACE, Plan, park
from services.notifier.storage.deliveries import IncidentVersion
from shared.eventlog import Received
from shared.eventlog.dead_letters import fit_into_record
from shared.events import REPLAYED, DeadLetter, DeliveryReport, IncidentChanged, Message


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """A record that could be read."""

    record: Received
    message: IncidentChanged


@dataclass(frozen=True, slots=True)
class Planned:
    """What one record comes to: its message's plan, or the dead letter that sets it aside."""

    read: ReadRecord | None
    plan: Plan
    dead_letter: DeadLetter | None = None

    @property
    def identity(self) -> str:
        if self.read is not None:
            again = self.read.record.headers.get(REPLAYED, b"")
            # a dead letter that is replayed was already processed under its own id
            return self.read.message.message_id + (
                f" again {again.decode(errors='replace')}" if again else ""
            )
        assert self.dead_letter is not None
        return self.dead_letter.letter_id


def outgoing(fresh: Iterable[Planned]) -> list[Message]:
    """What a batch publishes at once: dead letters, and reports for the router."""
    letters: list[Message] = [one.dead_letter for one in fresh if one.dead_letter]
    return letters + [report for one in fresh for report in one.plan.reports]


def first_of_each(planned: Sequence[Planned], fresh: frozenset[str]) -> list[Planned]:
    """The new ones, each once, in the log's order."""
    left = set(fresh)
    chosen = []
    for one in planned:
        if one.identity in left:
            left.discard(one.identity)
            chosen.append(one)
    return chosen


def incident_versions(messages: Iterable[IncidentChanged]) -> list[IncidentVersion]:
    """The final version of each incident in a batch, sorted by id: the order in which rows are locked."""
    ordered_messages = sorted(messages, key=lambda message: message.incident.id)
    return [
        _last(list(group))
        for _, group in itertools.groupby(ordered_messages, key=lambda message: message.incident.id)
    ]


def _last(messages: Sequence[IncidentChanged]) -> IncidentVersion:
    incident_id = messages[0].incident.id
    version = max(message.incident.version for message in messages)
    last = last_settling(messages).get(incident_id)
    if last is None or last.settled is None:
        return IncidentVersion(incident_id, version)
    settled = last.settled
    return IncidentVersion(incident_id, version, last.incident.version, last.at, settled.why, settled.by)


def last_settling(messages: Iterable[IncidentChanged]) -> Mapping[str, IncidentChanged]:
    """The newest settling message of each incident."""
    last: dict[str, IncidentChanged] = {}
    for message in messages:
        before = last.get(message.incident.id)
        if message.settled and (before is None or message.incident.version >= before.incident.version):
            last[message.incident.id] = message
    return last


def is_by(page: Delivery, message: IncidentChanged) -> bool:
    """Whether it was this page's reader who settled it."""
    return (
        message.settled is not None
        and page.recipient_kind == "user"
        and page.recipient == message.settled.by.removeprefix("user:")
    )


def parked(read: ReadRecord, reason: str, now: datetime) -> Planned:
    """A message that cannot be processed: it becomes a dead letter, and none of its pages reached anybody."""
    reports: tuple[DeliveryReport, ...] = park(read.message, reason[:500], now)
    return Planned(read, Plan((), reports), dead_letter_of(read.record, reason, now))


def refused(read: ReadRecord, reason: str, now: datetime) -> Planned:
    """Like `parked`, but nothing of the message is written to the tables."""
    return replace(parked(read, reason, now), read=None)


def dead_letter_of(record: Received, reason: str, now: datetime) -> DeadLetter:
    """The dead letter of a record of the log."""
    place = f"{record.partition.topic}:{record.partition.number}:{record.offset}"
    dead_letter = DeadLetter(
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
    return fit_into_record(dead_letter)

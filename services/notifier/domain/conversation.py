"""Conversations: what is sent about an incident to one place goes beneath the first message there.

A place is one address of one channel. The first message shows where the incident stands: when that changes it
is changed, by a delivery of its own kind (`STATE`) that nobody is notified by and no report speaks of.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import uuid5

import msgspec

from services.notifier.domain.delivery import STATE, Content, Delivery
from services.notifier.domain.plan import NAMESPACE, trimmed
from services.notifier.domain.retries import gives_up_at
from shared.events import IncidentChanged, Notice, Page

HELD_FOR: Final = timedelta(seconds=25)  # longer than a send and the writing down of its outcome
STANDING: Final = frozenset(
    {
        "avoided",
        "awake",
        "closed",
        "decided",
        "dropped",
        "escalated",
        "grouped",
        "left",
        "merged",
        "priority",
        "reopened",
        "resolved",
        "resumed",
        "snoozed",
        "suppressed",
        "taken",
        "unacknowledged",
        "waiting",
    }
)
"""The changes of an incident after which it stands elsewhere than its first message says."""


class FirstMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first message in a place, as far as it takes to show it again when the incident has moved on."""

    event: str
    recipient_kind: str
    recipient: str
    contact: str
    page: Page | None = None
    notice: Notice | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A conversation as it is stored. `reference` None: nothing was sent yet; '': none is kept there."""

    reference: str | None = None
    shown_version: int = 0
    first: FirstMessage | None = None
    busy: str = ""
    busy_until: datetime | None = None

    def is_held(self, delivery: Delivery, now: datetime) -> bool:
        """Whether another delivery is about to send the first message, or to change it."""
        held = self.busy_until is not None and now < self.busy_until
        return held and self.busy != delivery.id


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a channel has to know of it.

    `root`: the provider's id of the first message, '' where this is the first; `edits`: this changes the
    first message instead of adding one; `holds`: others wait for its outcome.
    """

    root: str = ""
    edits: bool = False
    holds: bool = False
    first: FirstMessage | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """Another delivery is about to send the first message, or to change it.

    `for_first`: it is still to be sent, and whoever waits for it is woken when it has gone.
    """

    for_first: bool = False


@dataclass(frozen=True, slots=True)
class Pointless:
    """There is nothing to change; `why` in words."""

    why: str


Turn: TypeAlias = Conversation | Wait | Pointless


def turn(delivery: Delivery, stored: Stored, *, coming: bool, now: datetime) -> Turn:
    """What this delivery does in its place. `coming`: a first message is still to be sent there."""
    if delivery.is_state:
        return _changing(delivery, stored, coming=coming, now=now)
    if stored.reference is not None:
        return Conversation(root=stored.reference)
    return Wait() if stored.is_held(delivery, now) else Conversation(holds=True)


def _changing(delivery: Delivery, stored: Stored, *, coming: bool, now: datetime) -> Turn:
    if stored.reference == "":
        return Pointless("no conversation is kept there")
    if stored.reference is None:
        return Wait(for_first=True) if coming else Pointless("no message has reached that place")
    if stored.shown_version >= delivery.version:
        return Pointless("the first message shows this or something newer already")
    if stored.is_held(delivery, now):
        return Wait()
    return Conversation(root=stored.reference, edits=True, holds=True, first=stored.first)


def place_of(channel: str, address: str) -> str:
    """What stands for the place, as a UUID."""
    return str(uuid5(NAMESPACE, f"{channel} {address}"))


def first_message(delivery: Delivery) -> FirstMessage:
    """What is kept of the message that began the conversation."""
    return FirstMessage(
        event=delivery.event,
        recipient_kind=delivery.recipient_kind,
        recipient=delivery.recipient,
        contact=delivery.contact,
        page=delivery.content.page,
        notice=delivery.content.notice,
    )


def as_first(delivery: Delivery, first: FirstMessage) -> Delivery:
    """The first message again, about the incident as this delivery has it, under this delivery's id."""
    content = msgspec.structs.replace(delivery.content, page=first.page, notice=first.notice)
    return replace(
        delivery,
        event=first.event,
        recipient_kind=first.recipient_kind,
        recipient=first.recipient,
        contact=first.contact,
        page_id=first.page.page_id if first.page else "",
        notice_id=first.notice.notice_id if first.notice else "",
        content=content,
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where something about an incident was sent, or is about to be, and to whom."""

    incident_id: str
    channel: str
    address: str
    recipient_kind: str
    recipient: str
    contact: str


def newest(messages: Iterable[IncidentChanged]) -> list[IncidentChanged]:
    """The last message of each incident that stands elsewhere now, by incident."""
    last: dict[str, IncidentChanged] = {}
    for message in messages:
        before = last.get(message.incident.id)
        moved = message.incident.id and not STANDING.isdisjoint(message.changes)
        if moved and (before is None or message.incident.version > before.incident.version):
            last[message.incident.id] = message
    return [last[name] for name in sorted(last)]


def updates(
    messages: Sequence[IncidentChanged], places: Iterable[Place], now: datetime
) -> Iterator[Delivery]:
    """The deliveries that change the first messages in these places; `messages` as `newest` gives them."""
    contents = {
        message.incident.id: (
            message,
            Content(at=message.at, incident=trimmed(message.incident), actor=message.actor),
        )
        for message in messages
    }
    for place in places:
        message, content = contents[place.incident_id]
        where = place_of(place.channel, place.address)
        identity = str(uuid5(NAMESPACE, f"{message.message_id}/{STATE}/{where}"))
        yield Delivery(
            id=identity,
            incident_id=place.incident_id,
            version=message.incident.version,
            notice_id=identity,
            recipient_kind=place.recipient_kind,
            recipient=place.recipient,
            channel=place.channel,
            contact=place.contact,
            address=place.address,
            event=STATE,
            content=content,
            created_at=now,
            next_attempt_at=now,
            give_up_at=gives_up_at(is_page=False, created_at=now, act_by=None),
        )

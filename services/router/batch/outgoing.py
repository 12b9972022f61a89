"""Messages as records that fit the log: one that outgrows a record is split, or cut with a remark.

An incident's message grows with the people it tells: a level may notify a team of ten thousand. All of them
are told, in as many messages as it takes, each of the same version of the incident; what is settled and
changed stands in the first. The incident itself outgrows a record only by megabytes of labels and attributes:
a message then carries the beginning of each, and the API has them whole.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from services.router.domain.draft.draft import derived_id
from shared.eventlog import Record, codec
from shared.eventlog.placement import size_of
from shared.events import LARGEST_RECORD, IncidentChanged, IncidentSnapshot, Message, Notice, Page
from shared.json_object import JsonObject

_LARGEST_INCIDENT: Final = 256 * 1024  # within a message that outgrows a record
_LARGEST_ATTRIBUTES: Final = 64 * 1024
_LONGEST_DESCRIPTION: Final = 4096
_LONGEST_LABEL: Final = 255
_WHY_TOLD: Final = 100  # sentences
_LONGEST_WHY: Final = 1000
_SLACK: Final = 4096  # brackets, commas, a longer id
_json: Final = msgspec.json.Encoder()


def records_of(messages: Sequence[Message]) -> list[Record]:
    """The records that carry these messages, in order.

    A message of another kind that is too large stays so: the outbox refuses it.
    """
    records: list[Record] = []
    for message in messages:
        record = codec.encode(message)
        if isinstance(message, IncidentChanged) and size_of(record) > LARGEST_RECORD:
            records += map(codec.encode, parts_of(message, size_of(record)))
        else:
            records.append(record)
    return records


def parts_of(message: IncidentChanged, size: int) -> Iterator[IncidentChanged]:
    """The message in parts that fit; `size` is that of the whole, in bytes."""
    first = replace(message, pages=(), notices=())
    if len(_json.encode(first)) > _LARGEST_INCIDENT:
        first = _cut(first, size)
    later = replace(first, changes=(), why=(), settled=None, clock_events=())
    room = LARGEST_RECORD - size_of(codec.encode(first)) - _SLACK
    for number, (pages, notices) in enumerate(_portions(message, room)):
        if number == 0:
            yield replace(first, pages=pages, notices=notices)
        else:
            part = derived_id(message.message_id, "part", number)
            yield replace(later, message_id=part, pages=pages, notices=notices)


def _portions(message: IncidentChanged, room: int) -> Iterator[tuple[tuple[Page, ...], tuple[Notice, ...]]]:
    """Pages, then notices, as many at a time as there is room for; at least one portion."""
    pages: list[Page] = []
    notices: list[Notice] = []
    left = room
    for each in (*message.pages, *message.notices):
        fits = _within(each, room)
        size = len(_json.encode(fits)) + 1
        if size > left:
            yield tuple(pages), tuple(notices)
            pages, notices, left = [], [], room
        left -= size
        if isinstance(fits, Page):
            pages.append(fits)
        else:
            notices.append(fits)
    yield tuple(pages), tuple(notices)


def _within(told: Any, room: int) -> Any:
    """A page or notice; if its addresses take megabytes, as many of them as there is room for."""
    if len(_json.encode(told)) < room:
        return told
    contacts = told.recipient.contacts
    while contacts and len(_json.encode(contacts)) > room // 2:
        contacts = contacts[: len(contacts) // 2]
    return replace(told, recipient=replace(told.recipient, contacts=contacts))


def _cut(message: IncidentChanged, size: int) -> IncidentChanged:
    incident = message.incident
    word = f"this message was {size} bytes: it carries the beginning of the incident's texts, the API has all"
    return replace(
        message,
        incident=_small(incident),
        why=(*(each[:_LONGEST_WHY] for each in message.why[:_WHY_TOLD]), word),
    )


def _small(incident: IncidentSnapshot) -> IncidentSnapshot:
    return replace(
        incident,
        description=incident.description[:_LONGEST_DESCRIPTION],
        labels={name[:_LONGEST_LABEL]: value[:_LONGEST_LABEL] for name, value in incident.labels.items()},
        attributes=_first_of(incident.attributes),
    )


def _first_of(attributes: JsonObject) -> JsonObject:
    """The first attributes, as many as fit."""
    kept: JsonObject = {}
    size = 0
    for name, value in attributes.items():
        size += len(_json.encode(name)) + len(_json.encode(value)) + 2
        if size > _LARGEST_ATTRIBUTES:
            break
        kept[name] = value
    return kept

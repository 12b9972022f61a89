"""Ladder's own format: one object, an array, or newline-delimited objects.

A body that fits is decoded straight into structs. One that does not is read again, slowly, to repair its
text or to name every fault in it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from services.intake.formats.answers import OwnWords
from services.intake.formats.contract import (
    DESCRIPTION_LENGTH,
    KEY_LENGTH,
    LABELS,
    LINKS,
    MOST_FAULTS,
    NAME_LENGTH,
    TITLE_LENGTH,
    Post,
    Reading,
    Refused,
)
from services.intake.formats.lenient import can_be_followed, severity_said
from services.intake.formats.sanitize import (
    ATTRIBUTE_BYTES,
    Json,
    Unreadable,
    compact_size,
    flaws,
    read_json,
    suspicious,
)
from services.intake.formats.times import read_time
from shared.events import IncidentEvent, Link
from shared.http.problems import Fault
from shared.json_object import JsonObject

BATCH: Final = 1000
_PLACEHOLDER: Final = "?"  # stands for a faulty field, so that it is not called missing as well
_INDEX: Final = re.compile(r"\[(\d+)\]")

Name = Annotated[str, Meta(max_length=NAME_LENGTH)]
Rank = Annotated[int, Meta(ge=1, le=3)]


class NativeLink(msgspec.Struct, frozen=True, kw_only=True):
    """Something to look at; `image` when it is a picture."""

    href: Annotated[str, Meta(min_length=1, max_length=2048)]
    text: Name = ""
    image: bool = False


class NativeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. `null` and leaving a field out mean the same: not said."""

    action: Annotated[
        Literal["trigger", "acknowledge", "resolve", "update", "note"] | None,
        Meta(description="What happened; trigger when missing."),
    ] = None
    dedup_key: Annotated[
        Annotated[str, Meta(max_length=KEY_LENGTH)] | None,
        Meta(description="Which problem this is about. Made and returned when a trigger has none."),
    ] = None
    title: Annotated[
        Annotated[str, Meta(max_length=TITLE_LENGTH)] | None, Meta(description="Needed for a trigger.")
    ] = None
    description: Annotated[str, Meta(max_length=DESCRIPTION_LENGTH)] | None = None
    kind: Annotated[
        Name | None, Meta(description="A kind of the policy; an unknown one is accepted and noted.")
    ] = None
    severity: Annotated[
        Name | None,
        Meta(description="critical, error, warning or info; anything else is read as error and noted."),
    ] = None
    impact: Rank | None = None
    urgency: Rank | None = None
    customer: Name | None = None
    tier: Name | None = None
    service: Annotated[
        Name | None, Meta(description="A service of the policy; an unknown one is accepted and noted.")
    ] = None
    source: Annotated[str, Meta(max_length=TITLE_LENGTH)] | None = None
    attributes: Annotated[
        JsonObject | None,
        Meta(description="At most 64 KiB as compact JSON, nested at most 8 levels deep."),
    ] = None
    labels: Annotated[dict[str, str], Meta(max_length=LABELS)] | None = None
    links: Annotated[list[NativeLink | str], Meta(max_length=LINKS)] | None = None
    occurred_at: Annotated[
        str | None, Meta(description="RFC 3339.", extra_json_schema={"format": "date-time"})
    ] = None
    waiting_for: Annotated[
        Name | None, Meta(description="customer, vendor, …: whom an update waits for; '' ends the waiting.")
    ] = None


_one = msgspec.json.Decoder(NativeEvent)
_many = msgspec.json.Decoder(list[NativeEvent])
_FIELDS: Final = {field.encode_name: field.type for field in msgspec.structs.fields(NativeEvent)}


@dataclass(frozen=True, slots=True)
class _Sent:
    """The members of a body, and whether they came as a batch; `notes` apply to each of them.

    Fields of the wrong type are left out of their member; `faults` names them, by the member's index.
    """

    members: Sequence[NativeEvent]
    batch: bool
    notes: tuple[str, ...] = ()
    faults: Sequence[Sequence[Fault]] = ()


def _decode(body: bytes, post: Post) -> _Sent | Refused:
    if not suspicious(body):
        try:
            if post.lines:
                return _Sent(_one.decode_lines(body), batch=True)
            if body[:64].lstrip()[:1] == b"[":
                return _Sent(_many.decode(body), batch=True)
            return _Sent((_one.decode(body),), batch=False)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass  # read again below, to say what is wrong or to repair it
    return _decode_slowly(body, lines=post.lines)


def _decode_slowly(body: bytes, *, lines: bool) -> _Sent | Refused:
    parsed = [read_json(line) for line in body.splitlines() if line.strip()] if lines else [read_json(body)]
    unread = [
        Fault(f"/{index}" if lines else "body", item.reason)
        for index, item in enumerate(parsed)
        if isinstance(item, Unreadable)
    ]
    if unread or not parsed:
        return Refused(unread[:MOST_FAULTS] or [Fault("body", "the body is empty")])
    read = [item for item in parsed if isinstance(item, Json)]
    notes = tuple(dict.fromkeys(note for item in read for note in item.repaired))
    if lines:
        return _members([item.value for item in read], notes, batch=True)
    value = read[0].value
    return _members(value if isinstance(value, list) else [value], notes, batch=isinstance(value, list))


def _members(values: Sequence[Any], notes: tuple[str, ...], *, batch: bool) -> _Sent:
    read = [_member(value, f"/{index}" if batch else "") for index, value in enumerate(values[: BATCH + 1])]
    return _Sent([member for member, _ in read], batch, notes, [faults for _, faults in read])


def _member(value: Any, where: str) -> tuple[NativeEvent, Sequence[Fault]]:
    if not isinstance(value, dict):
        return NativeEvent(title=_PLACEHOLDER), [Fault(where or "body", "expected an object")]
    fitting: JsonObject = {}
    faults: list[Fault] = []
    for name, kind in _FIELDS.items():
        if name in value:
            item = _whole(name, value[name])
            fault = _mismatch(item, kind, f"{where}/{name}")
            if fault is None:
                fitting[name] = item
            else:
                faults.append(fault)
                fitting |= {name: _PLACEHOLDER} if name in ("title", "dedup_key") else {}
    return msgspec.convert(fitting, NativeEvent), faults


def _whole(key: str, value: Any) -> Any:
    """JSON has only one kind of number: 2.0 counts as whole."""
    whole = key in ("impact", "urgency") and isinstance(value, float) and value.is_integer()
    return int(value) if whole else value


def _mismatch(value: Any, kind: Any, where: str) -> Fault | None:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as err:
        reason, _, path = str(err).partition(" - at `$")
        inside = _INDEX.sub(r"/\1", path.removesuffix("`").replace("[...]", "").replace(".", "/"))
        return Fault(where + inside, reason[:1].lower() + reason[1:].replace("`", ""))
    return None


def _lacks(sent: NativeEvent) -> str:
    """The field that the action needs and the event lacks; '' if none."""
    if (sent.action or "trigger") == "trigger":
        return "" if sent.title and sent.title.strip() else "title"
    return "" if sent.dedup_key else "dedup_key"


def _faults(sent: NativeEvent, where: str, at: object, *, large: bool) -> Iterator[Fault]:
    """The faults that the types cannot catch."""
    lacking = _lacks(sent)
    if lacking:
        action = sent.action or "trigger"
        yield Fault(
            f"{where}/{lacking}", "needed for a trigger" if lacking == "title" else f"needed for {action}"
        )
    if isinstance(at, Unreadable):
        yield Fault(f"{where}/occurred_at", at.reason)
    if sent.attributes:
        found = list(flaws(sent.attributes, f"{where}/attributes"))
        yield from found
        if large and not found and compact_size(sent.attributes) > ATTRIBUTE_BYTES:
            yield Fault(f"{where}/attributes", f"larger than {ATTRIBUTE_BYTES // 1024} KiB")
    for number, link in enumerate(sent.links or ()):
        address = link if isinstance(link, str) else link.href
        if not can_be_followed(address):
            yield Fault(f"{where}/links/{number}", "not an address that can be followed")


def _hinted(faults: Sequence[Fault], body: bytes, post: Post, *, batch: bool) -> Sequence[Fault]:
    """The faults; that of a missing field with the unknown name that was probably meant, if there is one."""
    if not any(fault.reason.startswith("needed") for fault in faults):
        return faults
    read = (
        [read_json(line) for line in body.splitlines() if line.strip()] if post.lines else [read_json(body)]
    )
    values = [item.value for item in read if isinstance(item, Json)]
    members = values[0] if batch and not post.lines and values else values
    return [_with_hint(fault, members, batch=batch) for fault in faults]


def _with_hint(fault: Fault, members: Sequence[Any], *, batch: bool) -> Fault:
    if not fault.reason.startswith("needed"):
        return fault
    index, _, name = fault.field.removeprefix("/").rpartition("/")
    member = members[int(index) if batch else 0]
    unknown = [key for key in member if key not in _FIELDS] if isinstance(member, dict) else []
    near = get_close_matches(name, unknown, n=1)
    return Fault(fault.field, f"{fault.reason}; did you mean {name} instead of {near[0]}?") if near else fault


def _event(
    sent: NativeEvent, post: Post, index: Sequence[int], at: Any, notes: tuple[str, ...]
) -> IncidentEvent:
    event_id = post.event_id(*index)
    severity, note = severity_said(sent.severity, opens=(sent.action or "trigger") == "trigger")
    return IncidentEvent(
        event_id=event_id,
        integration=post.integration,
        dedup_key=sent.dedup_key or event_id,
        action=sent.action or "trigger",
        received_at=post.received_at,
        title=sent.title or None,
        description=sent.description,
        kind=sent.kind or None,
        severity=severity,
        impact=sent.impact,
        urgency=sent.urgency,
        customer=sent.customer or None,
        tier=sent.tier or None,
        service=sent.service or None,
        source=sent.source or None,
        attributes=sent.attributes or {},
        labels=sent.labels or {},
        links=tuple(_link(link) for link in sent.links or ()),
        occurred_at=at,
        waiting_for=sent.waiting_for,
        notes=(*notes, note) if note else notes,
    )


def _link(sent: NativeLink | str) -> Link:
    return (
        Link(href=sent) if isinstance(sent, str) else Link(href=sent.href, text=sent.text, image=sent.image)
    )


@dataclass(frozen=True, slots=True)
class Native(OwnWords):
    """`kind: native`."""

    kind: str = "native"
    longest_body: int = 1024 * 1024
    loose: bool = False
    throttled: int = 429

    def read(self, body: bytes, post: Post) -> Reading | Refused:
        sent = _decode(body, post)
        if isinstance(sent, Refused):
            return sent
        if len(sent.members) > BATCH:
            return Refused([Fault("body", f"more than {BATCH} events in one batch")])
        events: list[IncidentEvent] = []
        faults: list[Fault] = []
        large = len(body) > ATTRIBUTE_BYTES
        for number, member in enumerate(sent.members):
            index = (number,) if sent.batch else ()
            at = read_time(member.occurred_at)
            faults += sent.faults[number] if sent.faults else ()
            faults += _faults(member, f"/{number}" if sent.batch else "", at, large=large)
            if not faults:
                events.append(_event(member, post, index, at, sent.notes))
        if faults:
            return Refused(_hinted(faults[:MOST_FAULTS], body, post, batch=sent.batch))
        return Reading(events, _Objects(sent.members), sent.batch)


class _Objects(Sequence[Mapping[str, Any]]):
    """The members as plain objects, made only for an integration that maps them."""

    def __init__(self, members: Sequence[NativeEvent]) -> None:
        self._members = members

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, index: Any) -> Any:
        return msgspec.to_builtins(self._members[index])

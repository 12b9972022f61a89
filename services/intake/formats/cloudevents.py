"""CloudEvents 1.0 over HTTP, in every mode (cloudevents/spec: http-protocol-binding, json-format).

`source` and `id` name the event: the same pair again is the same event. Data that is an event in Ladder's own
format is read as one; so is data with a `dedup_key` but no title, and its unknown fields become attributes.
For anything else the key is source and subject, and the data becomes the attributes. A missing title comes
from the data's summary or message, otherwise from type and subject.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from services.intake.formats.answers import OwnWords
from services.intake.formats.contract import LABELS, MOST_FAULTS, TITLE_LENGTH, Post, Reading, Refused
from services.intake.formats.field_values import overridden
from services.intake.formats.lenient import Mapper, link_of, severity_said
from services.intake.formats.native import BATCH
from services.intake.formats.sanitize import Unreadable, as_text, clean, read_json
from shared.events import EventAction, IncidentEvent, Link, Severity
from shared.http.problems import Fault
from shared.json_object import JsonObject
from shared.policy.model.integrations import EVENT_FIELDS

STRUCTURED: Final = "application/cloudevents+json"
BATCHED: Final = "application/cloudevents-batch+json"
_NEEDED: Final = ("specversion", "id", "source", "type")
_OWN: Final = (*_NEEDED, "datacontenttype", "dataschema", "subject", "time", "data", "data_base64")
_TITLES: Final = ("summary", "message")
_NATIVE: Final = frozenset({*EVENT_FIELDS, "labels", "attributes", "links"})
# no type at all means JSON; the last one is what clients send by default
_JSON: Final = ("", "application/json", "text/json", "application/x-www-form-urlencoded")
_QUOTED: Final = re.compile(r"\\(.)")
_ACTIONS: Final[Mapping[str, EventAction]] = {
    "resolve": "resolve",
    "resolved": "resolve",
    "acknowledge": "acknowledge",
    "acknowledged": "acknowledge",
}  # by the last word of the type; any other one is a trigger


def media_type(content_type: str) -> str:
    """Without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_cloudevent(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request says that it carries a CloudEvent, in any mode."""
    return (
        b"ce-id" in headers
        or b"ce-type" in headers
        or b"ce-specversion" in headers
        or headers.get(b"content-type", b"").lstrip().lower().startswith(b"application/cloudevents")
    )


def attributes_in(headers: Mapping[bytes, bytes]) -> dict[str, str] | None:
    """The attributes in `ce-*` headers; None if there are none."""
    found = {
        name[3:].decode("latin-1"): _header(value)
        for name, value in headers.items()
        if name.startswith(b"ce-")
    }
    return found or None


def _header(raw: bytes) -> str:
    """Percent-encoded UTF-8, perhaps quoted; bytes that are not UTF-8 are Latin-1."""
    value = raw.strip()
    if len(value) > 1 and value[:1] == value[-1:] == b'"':
        value = _QUOTED.sub(r"\1", value[1:-1].decode("latin-1")).encode("latin-1")
    value = unquote_to_bytes(value)
    try:
        return clean(value.decode())
    except UnicodeDecodeError:
        return clean(value.decode("latin-1"))


def _is_json(content_type: str) -> bool:
    kind = media_type(content_type)
    return kind in _JSON or kind.endswith("+json")


def _data(raw: bytes, content_type: str) -> Any:
    """These bytes as JSON if possible, otherwise as text, otherwise as base64."""
    if not raw.strip():
        return None
    if _is_json(content_type):
        read = read_json(raw)
        if not isinstance(read, Unreadable):
            return read.value
    try:
        return clean(raw.decode())
    except UnicodeDecodeError:
        is_text = media_type(content_type).startswith("text/")
        return clean(raw.decode("latin-1")) if is_text else base64.b64encode(raw).decode()


def _unpacked(member: JsonObject) -> JsonObject:
    """A structured event with its data under `data`, however it was carried."""
    packed = member.get("data_base64")
    if not isinstance(packed, str) or member.get("data") is not None:
        return member
    try:
        raw = base64.b64decode(packed, validate=False)
    except (binascii.Error, ValueError):
        return member
    return member | {"data": _data(raw, as_text(member.get("datacontenttype") or ""))}


def _members(body: bytes, post: Post) -> tuple[list[Any], bool] | Refused:
    """The events in structured form, and whether they came as a batch."""
    kind = media_type(post.content_type)
    if post.about is not None and not kind.startswith("application/cloudevents"):
        data = _data(body, post.content_type)
        said = {**post.about, "datacontenttype": post.content_type} if post.content_type else {**post.about}
        return [said if data is None else said | {"data": data}], False
    read = read_json(body)
    if isinstance(read, Unreadable):
        return Refused([Fault("body", read.reason)])
    batch = isinstance(read.value, list)
    if batch != (kind == BATCHED) and kind in (BATCHED, STRUCTURED):
        return Refused([Fault("body", f"expected {'a list of events' if kind == BATCHED else 'one event'}")])
    members = read.value if batch else [read.value]
    return [_unpacked(each) if isinstance(each, dict) else each for each in members], batch


def _faults(member: Any, where: str) -> Iterator[Fault]:
    if not isinstance(member, dict):
        yield Fault(where or "body", "expected a CloudEvent")
        return
    for name in _NEEDED:
        if not isinstance(member.get(name), str) or not member[name].strip():
            yield Fault(f"{where}/{name}", "needed of a CloudEvent, a text")


def _native(data: Any) -> Mapping[str, Any] | None:
    """The data if it is an event in Ladder's own format; None if it is something else.

    Without a title or an action a `dedup_key` is enough: all unknown fields then become attributes.
    """
    if not isinstance(data, dict):
        return None
    if isinstance(data.get("title"), str) or ("action" in data and "dedup_key" in data):
        return data
    key = data.get("dedup_key")
    if not isinstance(key, str) or not key.strip():
        return None
    said = data.get("attributes")
    others = {name: value for name, value in data.items() if name not in _NATIVE}
    return data | {"attributes": others | (said if isinstance(said, dict) else {})}


def _title(member: Mapping[str, Any], mapper: Mapper) -> str:
    data = member.get("data")
    said = next((data[name] for name in _TITLES if data.get(name)), "") if isinstance(data, dict) else data
    if isinstance(said, str) and said.strip():
        return mapper.text("title", said.strip().splitlines()[0], TITLE_LENGTH)
    subject = member.get("subject")
    return mapper.text(
        "title", f"{member['type']}: {as_text(subject)}" if subject else member["type"], TITLE_LENGTH
    )


def _values(data: Mapping[str, Any]) -> JsonObject:
    """What a native event in the data says, field by field."""
    said = {name: data[name] for name in EVENT_FIELDS if data.get(name) not in (None, "")}
    if data.get("severity") == "":
        said["severity"] = ""
    labels = data.get("labels")
    if isinstance(labels, dict):
        said |= {f"labels.{name}": value for name, value in labels.items() if name}
    return said


def _links(sent: Any, mapper: Mapper) -> tuple[Link, ...]:
    """As in the native format: addresses, or objects with `href`, `text` and `image`."""
    given = sent if isinstance(sent, list) else [sent] if sent else ()
    return mapper.links(link_of(each) if isinstance(each, dict) else (each, "", False) for each in given)


def _event(member: JsonObject, post: Post) -> IncidentEvent:
    mapper, data = Mapper(), member.get("data")
    native = _native(data)
    event_id = post.named_id(member["source"], member["id"])
    if member["specversion"] != "1.0":
        mapper.note(f"CloudEvents {member['specversion']!r} was read as 1.0")
    subject = as_text(member.get("subject") or "")
    action = _ACTIONS.get(member["type"].rpartition(".")[2].lower(), "trigger")
    extensions = {name: as_text(value) for name, value in member.items() if name not in _OWN and value}
    labels, _ = mapper.labels({"ce_type": member["type"], **dict(list(extensions.items())[:LABELS])})
    kept = data if native is None else native.get("attributes")
    event = IncidentEvent(
        event_id=event_id,
        integration=post.integration,
        dedup_key=mapper.key("subject", f"{member['source']} {subject}") if subject else event_id,
        action=action,
        received_at=post.received_at,
        title=_title(member, mapper) if action == "trigger" else None,
        severity=_severity(member, action, mapper),
        source=mapper.text("source", member["source"], TITLE_LENGTH),
        attributes=mapper.attributes("data", kept),
        labels=labels,
        links=() if native is None else _links(native.get("links"), mapper),
        occurred_at=mapper.time("time", member.get("time")),
        waiting_for="" if native is not None and native.get("waiting_for") == "" else None,
        notes=tuple(mapper.notes),
    )
    return event if native is None else overridden(event, _values(native), {})


def _severity(member: Mapping[str, Any], action: EventAction, mapper: Mapper) -> Severity | None:
    """From the extension of that name."""
    severity, note = severity_said(member.get("severity"), opens=action == "trigger")
    if note:
        mapper.note(note)
    return severity


@dataclass(frozen=True, slots=True)
class CloudEvents(OwnWords):
    """`kind: cloudevents`, and what is posted as a CloudEvent to native integrations."""

    kind: str = "cloudevents"
    longest_body: int = 1024 * 1024
    loose: bool = True
    throttled: int = 429

    def read(self, body: bytes, post: Post) -> Reading | Refused:
        read = _members(body, post)
        if isinstance(read, Refused):
            return read
        members, batch = read
        if len(members) > BATCH:
            return Refused([Fault("body", f"more than {BATCH} events in one batch")])
        faults = [
            fault
            for index, member in enumerate(members)
            for fault in _faults(member, f"/{index}" if batch else "")
        ]
        if faults:
            return Refused(faults[:MOST_FAULTS])
        return Reading([_event(member, post) for member in members], members, batch)

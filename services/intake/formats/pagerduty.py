"""PagerDuty Events API v2 (PagerDuty/developer-docs: events-api-v2 overview, send-alert, send-change).

Real senders put templates into every field: what can be mapped is mapped. Only what PagerDuty itself would
refuse for good is refused: no key, no action, no payload, no summary, source or severity.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from services.intake.formats.contract import TITLE_LENGTH, Answer, Post, Reading, Refused
from services.intake.formats.lenient import LinkSent, Mapper, read_object, unless_blank
from services.intake.formats.sanitize import Unreadable, as_text, read_json
from shared.events import EventAction, IncidentEvent, Link
from shared.http.problems import Fault, Problem

_ACTIONS: Final[Mapping[str, EventAction]] = {
    "trigger": "trigger",
    "acknowledge": "acknowledge",
    "resolve": "resolve",
}
_NEEDED: Final = ("summary", "source", "severity")


class _Key(msgspec.Struct):
    routing_key: str = ""


class _Accepted(msgspec.Struct):
    status: str
    message: str
    dedup_key: str


class _Refused(msgspec.Struct):
    status: str
    message: str
    errors: list[str]


_key_decoder = msgspec.json.Decoder(_Key)
_encoder = msgspec.json.Encoder()


def _payload(sent: Mapping[str, Any]) -> Mapping[str, Any]:
    payload = sent.get("payload")
    return payload if isinstance(payload, Mapping) else {}


def _faults(sent: Mapping[str, Any], action: EventAction | None) -> Iterator[Fault]:
    if action is None:
        yield Fault("/event_action", "expected trigger, acknowledge or resolve")
    if action in ("acknowledge", "resolve") and sent.get("dedup_key") in (None, ""):
        yield Fault("/dedup_key", f"needed for {action}")
    if action == "trigger":
        yield from _missing(sent, _NEEDED)


def _missing(sent: Mapping[str, Any], needed: Sequence[str]) -> Iterator[Fault]:
    if not isinstance(sent.get("payload"), Mapping):
        yield Fault("/payload", "needed, an object")
        return
    for name in needed:
        if _payload(sent).get(name) is None:
            yield Fault(f"/payload/{name}", "is missing")


def _labels(payload: Mapping[str, Any], sent: Mapping[str, Any], mapper: Mapper) -> dict[str, str]:
    named = {name: payload.get(name) for name in ("component", "group", "class")} | {
        "client": sent.get("client")
    }
    labels = {name: mapper.label(name, value) for name, value in named.items() if value not in (None, "")}
    severity = payload.get("severity")
    if severity not in (None, "", "critical", "error", "warning", "info"):
        labels["severity"] = mapper.label("severity", severity)
    return labels


def _links(sent: Mapping[str, Any], mapper: Mapper) -> tuple[Link, ...]:
    found: list[LinkSent] = [(sent.get("client_url"), sent.get("client"), False)]
    for name, address, text in (("links", "href", "text"), ("images", "src", "alt")):
        items = sent.get(name)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, Mapping):
                found.append((item.get(address), item.get(text), name == "images"))
                if name == "images" and item.get("href"):
                    found.append((item.get("href"), item.get(text), False))
            elif isinstance(item, str):
                found.append((item, "", name == "images"))
    return mapper.links(found)


def _title(payload: Mapping[str, Any], source: str, mapper: Mapper) -> str:
    title = mapper.text("summary", payload.get("summary"), TITLE_LENGTH)
    if title.strip():
        return title
    mapper.note("the summary is blank")
    return f"Event from {source}" if source.strip() else "Event without a summary"


def _event(
    sent: Mapping[str, Any], action: EventAction, post: Post, repaired: Sequence[str]
) -> IncidentEvent:
    mapper = Mapper(list(repaired))
    payload = _payload(sent)
    event_id = post.event_id()
    opening = action in ("trigger", "change")
    source = mapper.text("source", payload.get("source"), TITLE_LENGTH)
    return IncidentEvent(
        event_id=event_id,
        integration=post.integration,
        dedup_key=mapper.key("dedup_key", sent.get("dedup_key")) or event_id,
        action=action,
        received_at=post.received_at,
        title=_title(payload, source, mapper) if opening else None,
        severity=mapper.severity(payload.get("severity")) if action == "trigger" else None,
        source=source or None,
        attributes=mapper.attributes("details", unless_blank(payload.get("custom_details"))),
        details_whole=action == "trigger" and payload.get("custom_details") is not None,
        labels=_labels(payload, sent, mapper),
        links=_links(sent, mapper),
        occurred_at=mapper.time("timestamp", payload.get("timestamp")),
        notes=tuple(mapper.notes),
    )


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """`kind: pagerduty`; `changes` for change events, which are recorded and never notify anyone."""

    kind: str = "pagerduty"
    longest_body: int = 512 * 1024
    changes: bool = False
    loose: bool = False
    throttled: int = 429

    def read(self, body: bytes, post: Post) -> Reading | Refused:
        read = read_object(body)
        if isinstance(read, Refused):
            return read
        sent = read.value
        action: EventAction | None
        if self.changes:
            action, faults = "change", list(_missing(sent, ("summary",)))
        else:
            action = _ACTIONS.get(as_text(sent.get("event_action")).strip().lower())
            faults = list(_faults(sent, action))
        if faults or action is None:
            return Refused(faults)
        return Reading([_event(sent, action, post, read.repaired)], [sent])

    def credential(self, body: bytes) -> str | Unreadable:
        """The routing key."""
        try:
            return _key_decoder.decode(body).routing_key
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            read = read_json(body)
        if isinstance(read, Unreadable):
            return read
        key = read.value.get("routing_key") if isinstance(read.value, dict) else None
        return key if isinstance(key, str) else ""

    def accepted(self, events: Sequence[IncidentEvent]) -> Answer:
        message = "Change event processed" if self.changes else "Event processed"
        return Answer(_encoder.encode(_Accepted("success", message, events[0].dedup_key)))

    def refused(self, problem: Problem) -> tuple[int, Answer]:
        """As PagerDuty answers: 400 for anything wrong with the event, its key included.

        Clients retry 429 and 5xx; everything else is permanent to them.
        """
        status = 400 if problem.status in (401, 403, 422) else problem.status
        errors = [f"{fault.field}: {fault.reason}" for fault in problem.faults] or [str(problem)]
        if status == 400:
            return status, Answer(
                _encoder.encode(_Refused("invalid event", "Event object is invalid", errors))
            )
        return status, Answer(_encoder.encode(_Refused("error", problem.title, errors)))

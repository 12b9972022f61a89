"""Opsgenie's alert API (opsgenie/opsgenie-oas: alert; its documentation: alert-api).

An alert's alias is the key. The ids in answers encode it, so that no database is needed to find the
alert by its id later; `tiny` ids would need one. What Opsgenie would refuse only for its length is cut.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias

import msgspec

from services.intake.formats.contract import (
    DESCRIPTION_LENGTH,
    NAME_LENGTH,
    TITLE_LENGTH,
    Answer,
    Post,
    Reading,
    Refused,
    fresh_id,
)
from services.intake.formats.lenient import Mapper, as_map, read_object, unless_blank
from services.intake.formats.opsgenie_ids import Request, alert_id, request_id
from services.intake.formats.sanitize import Unreadable, as_text, bounded
from services.intake.formats.times import read_time
from shared.events import EventAction, IncidentEvent, Severity
from shared.events.severity import read_severity
from shared.http.problems import Fault, Problem
from shared.json_object import JsonObject

CREATE: Final = "create"
DELETE: Final = "delete"
_SEVERITY: Final[Mapping[str, Severity]] = {
    "p1": "critical",
    "p2": "error",
    "p3": "warning",
    "p4": "info",
    "p5": "info",
}
_DEFAULT: Final = "P3"  # of an alert that names none
_KEPT: Final = ("tags", "responders", "visibleTo", "teams", "actions", "entity", "user")
_encoder: Final = msgspec.json.Encoder()

Said: TypeAlias = JsonObject


def _body(body: bytes) -> Said | Refused:
    """The object that was sent; an action may come with no body at all."""
    if not body.strip():
        return {}
    read = read_object(body)
    return read if isinstance(read, Refused) else read.value


def _name_in(sent: Any) -> str:
    """A user, team or escalation: `{"username"|"name"|"id": …}`, or the bare name."""
    if isinstance(sent, Mapping):
        sent = next((sent[key] for key in ("username", "name", "id") if sent.get(key)), "")
    return as_text(sent).strip() if sent is not None else ""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request about one alert, as its verb reads it."""

    sent: Said
    key: str
    post: Post
    mapper: Mapper = field(default_factory=Mapper)

    def text(self, name: str, longest: int = DESCRIPTION_LENGTH) -> str:
        return self.mapper.text(name, self.sent.get(name), longest).strip()

    def severity(self) -> Severity:
        """The severity that its priority means; an unknown or blank one means `error`."""
        said = self.sent.get("priority", _DEFAULT)
        severity, note = read_severity(
            as_text(_DEFAULT if said is None else said), _SEVERITY, called="priority"
        )
        if note:
            self.mapper.note(note)
        return severity

    def priority(self) -> dict[str, str]:
        """The label with the priority as it was sent."""
        said = self.mapper.label("priority", self.sent.get("priority")).strip().upper()
        return {"priority": said} if said else {}

    def event(self, number: int, action: EventAction, **said: Any) -> IncidentEvent:
        return IncidentEvent(
            event_id=self.post.event_id(*([number] if number else [])),
            integration=self.post.integration,
            dedup_key=self.key,
            action=action,
            received_at=self.post.received_at,
            notes=() if number else tuple(self.mapper.notes),
            **said,
        )

    def by(self) -> str:
        """Who asked, if the request says it: ` by ana@example.com`."""
        who = self.text("user", NAME_LENGTH) or self.text("source", NAME_LENGTH)
        return f" by {who}" if who else ""

    def noted(self, number: int) -> Iterator[IncidentEvent]:
        """The note that most requests may carry."""
        note = self.text("note")
        if note:
            yield self.event(number, "note", description=note)


Verb: TypeAlias = Callable[[_Asked], Iterator[IncidentEvent]]


def _create(asked: _Asked) -> Iterator[IncidentEvent]:
    sent, mapper = asked.sent, asked.mapper
    labels = asked.priority()
    entity = mapper.label("entity", sent.get("entity")).strip()
    if entity:
        labels["entity"] = entity
    title, source = asked.text("message", TITLE_LENGTH), asked.text("source", TITLE_LENGTH)
    description = asked.text("description")
    yield asked.event(
        0,
        "trigger",
        title=title,
        description=description or None,
        severity=asked.severity(),
        source=source or None,
        labels=labels,
        attributes=_attributes(sent, mapper),
        occurred_at=None,
    )
    yield from asked.noted(1)


def _attributes(sent: Said, mapper: Mapper) -> JsonObject:
    """The details, and beside them the alert's other fields that are kept (`_KEPT`); all of it cut to fit."""
    beside = {name: sent[name] for name in _KEPT if sent.get(name)}
    return bounded(beside | as_map("details", unless_blank(sent.get("details"))), mapper.notes)


def _simple(action: EventAction, *, words: str = "") -> Verb:
    def verb(asked: _Asked) -> Iterator[IncidentEvent]:
        if words:
            asked.mapper.note(words + asked.by())
        yield asked.event(0, action)
        yield from asked.noted(1)

    return verb


def _snooze(asked: _Asked) -> Iterator[IncidentEvent]:
    yield asked.event(0, "snooze", until=_until(asked.sent))
    yield from asked.noted(1)


def _until(sent: Said) -> datetime | None:
    at = read_time(sent.get("endTime"))
    return None if isinstance(at, Unreadable) else at


def _escalate(asked: _Asked) -> Iterator[IncidentEvent]:
    yield asked.event(0, "escalate", to=_name_in(asked.sent.get("escalation"))[:NAME_LENGTH] or None)
    yield from asked.noted(1)


def _assign(asked: _Asked) -> Iterator[IncidentEvent]:
    yield asked.event(0, "assign", to=_name_in(asked.sent.get("owner"))[:NAME_LENGTH])
    yield from asked.noted(1)


def _notes(asked: _Asked) -> Iterator[IncidentEvent]:
    yield asked.event(0, "note", description=asked.text("note"))


def _details(asked: _Asked) -> Iterator[IncidentEvent]:
    yield asked.event(0, "update", attributes=asked.mapper.attributes("details", asked.sent.get("details")))
    yield from asked.noted(1)


def _priority(asked: _Asked) -> Iterator[IncidentEvent]:
    yield asked.event(0, "update", severity=asked.severity(), labels=asked.priority())


def _field(name: str, field_name: str, longest: int) -> Verb:
    def verb(asked: _Asked) -> Iterator[IncidentEvent]:
        yield asked.event(0, "update", **{field_name: asked.text(name, longest)})

    return verb


def _recorded(what: str, name: str) -> Verb:
    """For what has no counterpart in Ladder: it is recorded in the timeline and does nothing else."""

    def verb(asked: _Asked) -> Iterator[IncidentEvent]:
        said = as_text(asked.sent.get(name) or "")
        text = asked.mapper.text(what, f"{what}{asked.by()}: {said} (recorded only)", DESCRIPTION_LENGTH)
        yield asked.event(0, "note", description=text)
        yield from asked.noted(1)

    return verb


VERBS: Final[Mapping[str, Verb]] = {
    CREATE: _create,
    DELETE: _simple("resolve", words="the alert was deleted"),
    "close": _simple("resolve"),
    "acknowledge": _simple("acknowledge"),
    "unacknowledge": _simple("unacknowledge"),
    "snooze": _snooze,
    "escalate": _escalate,
    "assign": _assign,
    "notes": _notes,
    "details": _details,
    "tags": _recorded("tags were added", "tags"),
    "responders": _recorded("a responder was added", "responder"),
    "teams": _recorded("a team was added", "team"),
    "priority": _priority,
    "message": _field("message", "title", TITLE_LENGTH),
    "description": _field("description", "description", DESCRIPTION_LENGTH),
}
REMOVALS: Final[Mapping[str, Verb]] = {
    "tags": _recorded("tags were removed", "tags"),
    "details": _recorded("details were removed", "keys"),
}
_NEEDED: Final[Mapping[str, str]] = {
    CREATE: "message",
    "notes": "note",
    "message": "message",
    "description": "description",
    "priority": "priority",
    "details": "details",
}


def _faults(verb: str, sent: Said, *, removes: bool) -> Iterator[Fault]:
    name = "" if removes else _NEEDED.get(verb, "")
    if name and (sent.get(name) is None or not as_text(sent[name]).strip()):
        yield Fault(f"/{name}", "needed, and not empty")
    if verb == "snooze" and _until(sent) is None:
        yield Fault("/endTime", "needed: a time such as 2026-01-05T08:00:00Z")
    if verb == "assign" and not _name_in(sent.get("owner")):
        yield Fault("/owner", "needed: who is to have it, by id or username")


@dataclass(frozen=True, slots=True)
class Opsgenie:
    """`kind: opsgenie`: one verb for one alert, whose alias comes from the path unless it is new."""

    verb: str = CREATE
    alias: str = ""
    removes: bool = False
    query: Mapping[str, str] = field(default_factory=dict)  # what a request without a body says
    kind: str = "opsgenie"
    longest_body: int = 512 * 1024
    loose: bool = False
    throttled: int = 429

    def read(self, body: bytes, post: Post) -> Reading | Refused:
        sent = _body(body)
        if isinstance(sent, Refused):
            return sent
        sent = {**self.query, **sent}
        faults = list(_faults(self.verb, sent, removes=self.removes))
        if faults:
            return Refused(faults)
        mapper = Mapper()
        alias = sent.get("alias") if self.verb == CREATE else self.alias
        key = mapper.key("alias", alias if alias != "" else None) or post.event_id()
        verbs = REMOVALS if self.removes else VERBS
        events = list(verbs[self.verb](_Asked(sent, key, post, mapper)))
        return Reading(events, [sent] * len(events))

    def credential(self, body: bytes) -> str:
        del body
        return ""

    def accepted(self, events: Sequence[IncidentEvent]) -> Answer:
        event = events[0]
        return _answer(
            result="Request will be processed",
            requestId=request_id(self.verb, event.dedup_key, event.received_at),
        )

    def refused(self, problem: Problem) -> tuple[int, Answer]:
        """An object with a message, as its clients expect of every answer."""
        said: Said = {"message": str(problem)}
        if problem.faults:
            said["errors"] = {fault.field.removeprefix("/"): fault.reason for fault in problem.faults}
        return problem.status, _answer(**said, requestId=fresh_id())


def request_status(request: Request, asked: str) -> Answer:
    """What became of a request that was accepted before; `asked` is its id."""
    return _answer(
        200,
        data={
            "success": True,
            "isSuccess": True,
            "action": request.verb.capitalize(),
            "status": "Accepted by Ladder's event log",
            "processedAt": request.at,
            "integrationId": "",
            "alertId": alert_id(request.alias),
            "alias": request.alias,
        },
        requestId=asked,
    )


def pong(asked: str) -> Answer:
    """A heartbeat's ping was taken; `asked` is the id of the request."""
    return _answer(result="PONG - Heartbeat received", requestId=asked)


def _answer(status: int = 202, **said: Any) -> Answer:
    return Answer(_encoder.encode(said | {"took": 0.0}), status=status)

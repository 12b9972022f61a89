"""Alertmanager's webhook, version 4 (prometheus/alertmanager: notify/webhook and template/template.go).

One incident per alert, keyed by its fingerprint; the same alert comes again every `repeat_interval`. A batch
is all or nothing, since the sender repeats it whole.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from msgspec.structs import replace

from services.intake.formats import answers
from services.intake.formats.answers import OwnWords
from services.intake.formats.contract import (
    DESCRIPTION_LENGTH,
    MOST_FAULTS,
    NAME_LENGTH,
    TITLE_LENGTH,
    Answer,
    Post,
    Reading,
    Refused,
    with_notes,
)
from services.intake.formats.lenient import LinkSent, Mapper
from services.intake.formats.sanitize import Unreadable, as_text, bounded, read_json
from shared.events import EventAction, IncidentEvent
from shared.http.problems import Fault, Problem
from shared.json_object import JsonObject

_OFFSET: Final = 0xCBF29CE484222325
_PRIME: Final = 0x100000001B3
_SEPARATOR: Final = b"\xff"
_MOST_LEFT_OUT: Final = 1_000_000_000

Addresses: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any], Mapping[str, str]], Iterable[LinkSent]]
"""The links of an alert, from the alert, its group and its annotations."""


def fingerprint(labels: Mapping[str, str]) -> str:
    """Prometheus' own fingerprint of a label set: FNV-1a over the sorted pairs, in hex (common/model)."""
    total = _OFFSET
    for name, value in sorted(labels.items()):
        for byte in name.encode() + _SEPARATOR + value.encode() + _SEPARATOR:
            total = ((total ^ byte) * _PRIME) & 0xFFFFFFFFFFFFFFFF
    return f"{total:016x}"


def _action(alert: Mapping[str, Any], group: Mapping[str, Any], mapper: Mapper) -> EventAction:
    status = as_text(alert.get("status") or group.get("status") or "").strip().lower()
    if status not in ("firing", "resolved"):
        mapper.note(f"status {status!r} was read as firing")
    return "resolve" if status == "resolved" else "trigger"


def _title(labels: Mapping[str, str], annotations: Mapping[str, str], key: str, mapper: Mapper) -> str:
    for candidate in (annotations.get("summary"), labels.get("alertname")):
        if candidate and candidate.strip():
            return mapper.text("title", candidate, TITLE_LENGTH)
    mapper.note("neither a summary nor an alert name")
    return f"Alert {key}"


def _addresses(
    alert: Mapping[str, Any], group: Mapping[str, Any], annotations: Mapping[str, str]
) -> Iterable[LinkSent]:
    yield alert.get("generatorURL"), "source", False
    yield from annotated(annotations)
    yield group.get("externalURL"), "Alertmanager", False


def annotated(annotations: Mapping[str, str]) -> Iterable[LinkSent]:
    """The annotations that are links, by their names (`runbook_url`)."""
    for name, value in annotations.items():
        if name.lower().endswith("url") and value.startswith(("http://", "https://")):
            yield value, name, False


def _event(
    dialect: "Alertmanager", alert: Mapping[str, Any], group: Mapping[str, Any], post: Post, index: int
) -> IncidentEvent:
    mapper = Mapper()
    everything = mapper.texts("labels", alert.get("labels"))
    annotations = mapper.texts("annotations", alert.get("annotations"))
    labels, more_labels = mapper.labels(everything)
    key = mapper.key("fingerprint", alert.get("fingerprint"))
    if not key:
        key = fingerprint(everything)
        mapper.note("no fingerprint: computed from the labels")
    action = _action(alert, group, mapper)
    firing = action == "trigger"
    return IncidentEvent(
        event_id=post.event_id(index),
        integration=post.integration,
        dedup_key=key,
        action=action,
        received_at=post.received_at,
        title=_title(everything, annotations, key, mapper) if firing else None,
        description=mapper.text("description", annotations.get("description"), DESCRIPTION_LENGTH) or None,
        severity=mapper.severity(everything.get("severity")) if firing else None,
        service=mapper.text("service", everything.get("service"), NAME_LENGTH) or None,
        attributes=bounded(dialect.kept(alert, group, annotations, more_labels), mapper.notes),
        labels=labels,
        links=mapper.links(list(dialect.addresses(alert, group, annotations))),
        occurred_at=mapper.time("startsAt", alert.get("startsAt"))
        if firing
        else mapper.time("endsAt", alert.get("endsAt")),
        notes=tuple(mapper.notes),
    )


def _left_out(group: Mapping[str, Any]) -> int:
    """How many alerts of the group the post leaves out because of its receiver's max_alerts."""
    said = group.get("truncatedAlerts")
    if not isinstance(said, int) or isinstance(said, bool):
        return 0
    return max(0, min(said, _MOST_LEFT_OUT))


def _grouped(events: Sequence[IncidentEvent], group: Mapping[str, Any]) -> list[IncidentEvent]:
    """The events with their group; if all of them are resolves, the last one says so for the whole post.

    Alertmanager truncates first and works out the status then: a group whose named alerts are all resolved
    may have others that are not, and a resolved alert that was left out is never named again.
    """
    known_as, left_out = Mapper().key("groupKey", group.get("groupKey")), _left_out(group)
    if not known_as:
        return list(events)
    grouped = [replace(event, alert_group=known_as, left_out=left_out) for event in events]
    if grouped and all(event.action == "resolve" for event in grouped):
        grouped[-1] = replace(grouped[-1], alert_group_over=True)
    return grouped


def _said_of_all(sender: str, group: Mapping[str, Any], repaired: Sequence[str]) -> tuple[str, ...]:
    left_out = _left_out(group)
    if left_out:
        return (*repaired, f"{sender} left {left_out} more alerts of this group out (its max_alerts)")
    return tuple(repaired)


@dataclass(frozen=True, slots=True)
class Alertmanager(OwnWords):
    """`kind: alertmanager`. Takes larger bodies than others: a storm's group is one, and a 4xx would lose it.

    `of_the_group` and `of_the_alert` are kept as attributes.
    """

    kind: str = "alertmanager"
    sender: str = "Alertmanager"
    of_the_group: tuple[str, ...] = ("receiver", "groupKey", "groupLabels", "notification_reason")
    of_the_alert: tuple[str, ...] = ("values", "valueString")
    addresses: Addresses = _addresses
    longest_body: int = 8 * 1024 * 1024
    loose: bool = False
    throttled: int = 503  # it retries 5xx and drops anything else, 429 included

    def read(self, body: bytes, post: Post) -> Reading | Refused:
        read = read_json(body)
        if isinstance(read, Unreadable):
            return Refused([Fault("body", read.reason)])
        group = read.value
        alerts = group.get("alerts") if isinstance(group, dict) else None
        if isinstance(group, dict) and alerts is None and "alerts" in group:
            alerts = []  # what Go writes for an empty list
        if not isinstance(alerts, list):
            return Refused([Fault("/alerts", "expected a list of alerts")])
        wrong = [
            Fault(f"/alerts/{index}", "expected an object")
            for index, alert in enumerate(alerts)
            if not isinstance(alert, dict)
        ]
        if wrong:
            return Refused(wrong[:MOST_FAULTS])
        events = [_event(self, alert, group, post, index) for index, alert in enumerate(alerts)]
        events = _grouped(events, group)
        notes = _said_of_all(self.sender, group, read.repaired)
        return Reading([with_notes(event, notes) for event in events], alerts, batch=True, body=group)

    def kept(
        self,
        alert: Mapping[str, Any],
        group: Mapping[str, Any],
        annotations: Mapping[str, str],
        more_labels: Mapping[str, str],
    ) -> JsonObject:
        """What becomes the attributes, before it is cut to fit."""
        said: JsonObject = {"annotations": dict(annotations)} if annotations else {}
        if more_labels:
            said["more_labels"] = dict(more_labels)
        said |= {name: group[name] for name in self.of_the_group if group.get(name)}
        return said | {name: alert[name] for name in self.of_the_alert if alert.get(name)}

    def refused(self, problem: Problem) -> tuple[int, Answer]:
        status = self.throttled if problem.status == 429 else problem.status
        return status, answers.refused(problem)

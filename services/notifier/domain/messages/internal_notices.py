"""What the policy's users and rooms read when they are informed, not asked."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from services.notifier.domain.contacts import actor_name, display_name
from services.notifier.domain.delivery import Content
from services.notifier.domain.messages import sla_wording
from services.notifier.domain.messages.rendered import (
    OWN_LINKS,
    RenderedMessage,
    for_whom,
    heading,
    in_lines,
    plain,
    preview,
    subject,
)
from services.notifier.domain.messages.subscription_template import templated
from services.notifier.domain.messages.times import both, local
from shared.events import IncidentSnapshot, Notice, customer_wording, evidence
from shared.policy import Bundle

_WORDS: Final[Mapping[str, str]] = {
    "opened": "Opened",
    "escalated": "Handed up",
    "update": "Update",
    "at_risk": "Promise at risk",
    "breached": "Promise broken",
    "taken": "Taken",
    "resolved": "Resolved",
    "closed": "Closed",
    "reopened": "Came back",
    "inform": "Please note",
    "call": "Automation",
    "confirm": "Please confirm",
    "handoff": "Handoff",
}
_OPENINGS: Final[Mapping[str, str]] = {
    "opened": "A new problem was opened.",
    "update": "There is news.",
    "at_risk": "A promised time is at risk.",
    "breached": "A promised time was missed.",
    "taken": "Somebody took it.",
    "resolved": "It is resolved.",
    "closed": "It is closed.",
    "reopened": "It came back and was reopened.",
    "inform": "For your information.",
    "call": "Automation is asked to solve this.",
    "confirm": "Please confirm that it is solved.",
    "handoff": "It goes with the shift to whoever is on call now.",
}
_BY_PERSON: Final[Mapping[str, str]] = {
    "resolved": "{who} resolved it.",
    "closed": "{who} closed it.",
    "reopened": "{who} reopened it.",
    "update": "{who} wrote to the stakeholders.",
}
_WHAT_IT_IS: Final = frozenset({"opened", "escalated", "reopened", "handoff", "breached"})
"""After these somebody wants to know what it is about, not only what happened."""


def word(event: str) -> str:
    """What happened, in a word or two."""
    return _WORDS.get(event, "Please note")


def render(
    content: Content, notice: Notice, bundle: Bundle, own: Mapping[str, str], now: datetime, *, zone: str
) -> RenderedMessage:
    """The message, by the subscription's template where it has one."""
    incident, happening = content.incident, word(notice.event)
    opening, whole = _told(content, notice, bundle, now, zone), notice.event in _WHAT_IT_IS
    about = labels(incident) if whole else {}
    facts = in_lines([*_facts(content, notice, bundle, now, zone), *about.items()])
    links = {**own, **evidence.links(incident.links, OWN_LINKS)}
    description = incident.description if whole else ""
    default = RenderedMessage(
        event=notice.event,
        subject=subject(incident),
        title=f"{happening}: {heading(incident)}",
        opening=opening,
        text=plain(opening, description, facts, links),
        preview=preview(happening, opening),
        begins=notice.event == "opened",
        description=description,
        facts=facts,
        links=links,
        labels=labels(incident),
        reason=notice.reason,
    )
    promise = sla_wording.outside(notice, incident, zone)
    made = templated(default, happening, content, bundle, own, promise=promise)
    return made if made.note or not notice.template else replace(made, labels={})


def labels(incident: IncidentSnapshot) -> dict[str, str]:
    """Those of its labels that say something beyond the message."""
    said = (incident.title, incident.service, incident.severity or "", incident.customer)
    return evidence.labels(incident.labels, said)


def customers_side(incident: IncidentSnapshot, kind: str, zone: str) -> list[tuple[str, str]]:
    """The customer's people and what passed with them, for users and rooms of the policy only."""
    inside = kind in ("user", "team")
    return list(customer_wording.facts(incident, lambda at: local(at, zone))) if inside else []


def _told(content: Content, notice: Notice, bundle: Bundle, now: datetime, zone: str) -> str:
    """What happened: in the words that came with it, or in ours."""
    incident, event = content.incident, notice.event
    has_it = display_name("user", incident.assignee, bundle) if incident.assignee else ""
    said = notice.text
    if event == "inform" and (about := sla_wording.passed(notice, incident, now, zone)):
        said = " ".join(part for part in (f"{said}.", about, _who_has_it(incident, has_it)) if part)
    elif not said and event == "taken":
        said = _taken(content, has_it, bundle)
    elif not said and event == "escalated":
        said = _escalated(content, has_it, bundle)
    elif not said and event in ("at_risk", "breached"):
        said = sla_wording.inside(notice, incident, now, zone)
        said = f"{said} {_who_has_it(incident, has_it)}".strip() if said else ""
    elif not said and event in _BY_PERSON and content.actor.startswith("user:"):
        said = _BY_PERSON[event].format(who=actor_name(content.actor, bundle))
    return said or _OPENINGS.get(event, "For your information.")


def _taken(content: Content, has_it: str, bundle: Bundle) -> str:
    if has_it:
        return f"{has_it} took it."
    return f"It was acknowledged by {actor_name(content.actor, bundle)}." if content.actor else ""


def _escalated(content: Content, has_it: str, bundle: Bundle) -> str:
    incident = content.incident
    place = f"level {incident.level}" if incident.level not in ("", "finally") else "the last step"
    if has_it:
        return f"{has_it} has it, and {place} is asked to help."
    if content.actor.startswith("user:"):
        return f"{actor_name(content.actor, bundle)} handed it up: {place} is asked now."
    return f"It was handed up: {place} is asked now."


def _who_has_it(incident: IncidentSnapshot, has_it: str) -> str:
    if has_it:
        return f"{has_it} has it."
    return "Nobody has taken it." if incident.status == "triggered" else ""


def _facts(
    content: Content, notice: Notice, bundle: Bundle, now: datetime, zone: str
) -> list[tuple[str, str]]:
    incident = content.incident
    facts = [("For", for_whom(incident)), ("Status", status(incident, bundle))]
    if notice.event == "handoff":
        facts += customers_side(incident, notice.recipient.kind, zone)
    if notice.event == "update" and content.actor.startswith("user:"):
        facts.append(("Written by", actor_name(content.actor, bundle)))
    facts += [("Opened", both(incident.opened_at, now, zone)), ("Service", incident.service)]
    return [*facts, ("Priority", str(incident.priority)), ("Why you", notice.reason)]


def status(incident: IncidentSnapshot, bundle: Bundle) -> str:
    """Where it stands, and who has it or had it, in words."""
    who = display_name("user", incident.assignee, bundle) if incident.assignee else ""
    match incident.status:
        case "triggered":
            return "nobody has taken it yet"
        case "acknowledged":
            return f"{who} has it" if who else "acknowledged by a machine; nobody has taken it"
        case over:
            return f"{over}; {who} had it" if who else over

"""What a message says, in words: what, for whom, how urgent, why you, since when, until when, what then.

A stakeholder – somebody who subscribed – sees nothing internal: no reasons, no people, no attributes or
labels, no acknowledge link.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from services.notifier.domain.directory import actor_name, display_name, timezone_of
from services.notifier.domain.templates import BrokenTemplateError, render
from services.notifier.domain.times import both
from services.notifier.domain.values import Content, Delivery
from shared.events import BY_SILENCE, IncidentSnapshot, Notice, Page
from shared.policy import Bundle
from shared.policy.rendering import rendered

_LONGEST_TITLE: Final = 300
_JOINERS: Final = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # words of Persian, families of emoji
_NEVER_CHANGES: Final = (
    "id",
    "integration",
    "dedup_key",
    "opened_at",
)  # of an incident, beside its first title
_OPENINGS: Final[dict[str, str]] = {
    "opened": "A new problem was opened.",
    "escalated": "It was handed up.",
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
_OPENINGS_OUTSIDE: Final[dict[str, str]] = _OPENINGS | {
    "opened": "We know of this problem and are working on it.",
    "escalated": "We brought in more people to solve it.",
    "at_risk": "It may take us longer than we promised.",
    "breached": "It is taking us longer than we promised. We are still working on it.",
    "taken": "Somebody is working on it.",
    "resolved": "The problem is resolved.",
}


@dataclass(frozen=True, slots=True)
class Letter:
    """A message, written for one recipient, before a channel gives it its form.

    `subject` is the same in every letter about one incident, so that mail programs keep them together; what
    this one says is its `title`. `facts` are labelled lines; `note` says why the default text was used
    instead of a template.
    """

    event: str
    subject: str
    title: str
    opening: str
    text: str
    facts: tuple[tuple[str, str], ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    stakeholder: bool = False
    note: str = ""


def write(delivery: Delivery, bundle: Bundle, links: Mapping[str, str], now: datetime) -> Letter:
    """The letter of this delivery, as of now. `links` stand in letters to people inside, by their names; the
    only ones that a stakeholder gets are those that answer a question.
    """
    content = delivery.content
    zone = timezone_of(delivery.recipient_kind, delivery.recipient, bundle)
    if content.page is not None:
        return _page(content, content.page, bundle, links, now, zone=zone)
    assert content.notice is not None
    if not content.incident.id:
        return _announcement(content, content.notice)
    if content.notice.stakeholder:
        return _outside(content, content.notice, bundle, links, now, zone=zone)
    return _inside(content, content.notice, bundle, links, now, zone=zone)


def heading(incident: IncidentSnapshot) -> str:
    """`[P1] Checkout is down`, in one line."""
    return f"[P{incident.priority}] {one_line(incident.title)}"


def subject(incident: IncidentSnapshot) -> str:
    """What it was called when it was opened, in one line: no priority, which may rise, and no later title."""
    return one_line(incident.opened_as or incident.title)


def one_line(text: str, longest: int = _LONGEST_TITLE) -> str:
    """The text without line breaks and control characters, cut to a length."""
    plain = text.isprintable()
    shown = text if plain else "".join(c if c.isprintable() or c in _JOINERS else " " for c in text)
    flat = " ".join(shown.split())
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def for_whom(incident: IncidentSnapshot) -> str:
    """`Acme (gold)`; without a customer the tier that applies."""
    name = incident.customer_name or incident.customer
    return f"{one_line(name, 120)} ({incident.tier})" if name else f"no named customer ({incident.tier})"


def _page(
    content: Content, page: Page, bundle: Bundle, links: Mapping[str, str], now: datetime, *, zone: str
) -> Letter:
    incident = content.incident
    facts = [("For", for_whom(incident)), ("Priority", str(incident.priority))]
    if incident.service:
        facts.append(("Service", incident.service))
    facts.append(("Level", f"{page.level} (round {page.round})" if page.round > 1 else page.level))
    facts += [("May follow from", f"{each.title} ({each.service})") for each in incident.may_follow_from]
    if incident.members_open:
        facts.append(("Grouped under it", f"{incident.members_open:,} more"))
    facts.append(("Why you", page.reason))
    facts.append(("Since", both(page.since, now, zone)))
    if incident.last_event_at is not None:
        facts.append(("Its sender last spoke", both(incident.last_event_at, now, zone)))
    if page.act_by is not None:
        facts.append(("Act by", both(page.act_by, now, zone)))
    if page.otherwise:
        facts.append(("If nobody acts", page.otherwise))
    facts = [(label, one_line(value, 1_000)) for label, value in facts if value]
    opening = _asked(incident, page, bundle)
    return Letter(
        event="page",
        subject=subject(incident),
        title=heading(incident),
        opening=opening,
        text=_plain(opening, incident.description, facts, links),
        facts=tuple(facts),
        links=links,
        reason=page.reason,
    )


def _asked(incident: IncidentSnapshot, page: Page, bundle: Bundle) -> str:
    """What is wanted of whoever is paged: to look, to help, or to take it."""
    if page.through == "point":
        return "An escalation point was reached: you are asked to look. The levels go on."
    if page.through == "worse":
        return "You have this, and it grew worse."
    if page.through == BY_SILENCE:
        return (
            "Its sender has fallen silent: does it still stand? Acknowledge it if so, otherwise resolve it."
        )
    if incident.assignee and page.through != "assignee" and page.recipient.name != incident.assignee:
        inside = page.recipient.kind in ("user", "team")
        who = display_name("user", incident.assignee, bundle) if inside else "Somebody"
        if page.through == "handoff":
            return f"{who} has it and is off now; you are on call and asked to take it over."
        return f"{who} has it; you are asked to help."
    return "You are asked to take this."


def _told(content: Content, notice: Notice, bundle: Bundle) -> str:
    """What happened, to people inside."""
    if notice.text:
        return notice.text
    if notice.event == "taken":
        assignee = content.incident.assignee
        if assignee:
            return f"{display_name('user', assignee, bundle)} took it."
        if content.actor:
            return f"It was acknowledged by {actor_name(content.actor, bundle)}."
    return _OPENINGS.get(notice.event, "For your information.")


def _inside(
    content: Content, notice: Notice, bundle: Bundle, links: Mapping[str, str], now: datetime, *, zone: str
) -> Letter:
    incident = content.incident
    opening = _told(content, notice, bundle)
    facts = [("For", for_whom(incident)), ("Priority", str(incident.priority)), ("Status", incident.status)]
    if incident.assignee:
        facts.append(("Taken by", display_name("user", incident.assignee, bundle)))
    facts.append(("Opened", both(incident.opened_at, now, zone)))
    if notice.reason:
        facts.append(("Why you", notice.reason))
    facts = [(label, one_line(value, 1_000)) for label, value in facts]
    default = Letter(
        event=notice.event,
        subject=subject(incident),
        title=f"{notice.event.replace('_', ' ').capitalize()}: {heading(incident)}",
        opening=opening,
        text=_plain(opening, "", facts, links),
        facts=tuple(facts),
        links=links,
        reason=notice.reason,
    )
    return _templated(default, content, notice, bundle)


def _announcement(content: Content, notice: Notice) -> Letter:
    """What is about no single incident, such as a silence that is about to end."""
    facts = [("Why you", one_line(notice.reason, 1_000))] if notice.reason else []
    return Letter(
        event=notice.event,
        subject=one_line(content.incident.title),
        title=one_line(content.incident.title),
        opening=notice.text,
        text=_plain(notice.text, "", facts, {}),
        facts=tuple(facts),
        reason=notice.reason,
    )


def _outside(
    content: Content, notice: Notice, bundle: Bundle, links: Mapping[str, str], now: datetime, *, zone: str
) -> Letter:
    incident, answers = content.incident, links if notice.event == "confirm" else {}
    opening = notice.text or _OPENINGS_OUTSIDE.get(notice.event, "There is news.")
    facts = [("Status", _STATUS_OUTSIDE[incident.status]), ("Opened", both(incident.opened_at, now, zone))]
    if incident.resolved_at is not None and incident.status in ("resolved", "closed"):
        facts.append(("Resolved", both(incident.resolved_at, now, zone)))
    default = Letter(
        event=notice.event,
        subject=subject(incident),
        title=f"{notice.event.replace('_', ' ').capitalize()}: {one_line(incident.title)}",
        opening=opening,
        text=_plain(opening, "", facts, answers),
        facts=tuple(facts),
        links=answers,
        stakeholder=True,
    )
    return _templated(default, content, notice, bundle)


_STATUS_OUTSIDE: Final[Mapping[str, str]] = {
    "triggered": "being looked into",
    "acknowledged": "being worked on",
    "resolved": "resolved",
    "closed": "closed",
}


def _templated(default: Letter, content: Content, notice: Notice, bundle: Bundle) -> Letter:
    """The letter by the subscription's template; the default text where there is none or it fails."""
    if not notice.template:
        return default
    template = bundle.templates.get(notice.template)
    if template is None:
        return replace(default, note=f"template {notice.template!r} is not in the policy in force")
    try:
        title, body = render(template.title or "", template.body or "", content.incident, notice)
    except BrokenTemplateError as err:
        return replace(default, note=f"template {notice.template!r}: {err}")
    answers = default.links if notice.event == "confirm" else {}
    return replace(
        default,
        subject=_lasting(template.title or "", content.incident) or default.subject,
        title=one_line(title) or default.title,
        opening=body or default.opening,
        text=_plain(body, "", [], answers) if body else default.text,
        facts=() if body else default.facts,
    )


def _lasting(title: str, incident: IncidentSnapshot) -> str:
    """A template's title as a subject, if it asks for nothing that may change from mail to mail; else ''."""
    fixed = {name: getattr(incident, name) for name in _NEVER_CHANGES} | {"title": subject(incident)}
    try:
        return one_line(rendered(title, fixed | {"incident": fixed}))
    except BrokenTemplateError:
        return ""


def _plain(opening: str, description: str, facts: list[tuple[str, str]], links: Mapping[str, str]) -> str:
    parts = [opening]
    if description:
        parts.append(description.strip())
    parts.append("\n".join(f"{label}: {value}" for label, value in facts))
    if links:
        parts.append("\n".join(f"{link_name(name)}: {link}" for name, link in links.items()))
    return "\n\n".join(part for part in parts if part)


def link_name(name: str) -> str:
    """What a link is called in a message."""
    return _LINK_NAMES.get(name, name.capitalize())


_LINK_NAMES: Final[Mapping[str, str]] = {"confirm": "Yes, it is solved", "refuse": "No, it is not solved"}

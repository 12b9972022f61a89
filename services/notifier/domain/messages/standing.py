"""The first message of a conversation once the incident has moved on: what it said, and how it stands now."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec.structs import replace

from services.notifier.domain.contacts import display_name
from services.notifier.domain.delivery import Content, Delivery
from services.notifier.domain.messages import external_notices, internal_notices
from services.notifier.domain.messages.rendered import (
    ACTING_LINKS,
    OWN_LINKS,
    RenderedMessage,
    for_whom,
    heading,
    in_lines,
    one_line,
    plain,
    preview,
    subject,
)
from services.notifier.domain.messages.times import both
from shared.events import IncidentSnapshot, Page, evidence
from shared.events.public_wording import happened, is_taken, state
from shared.policy import Bundle

_NO_LEVEL: Final = frozenset({"", "assignee", "finally", "grace"})
_OVER: Final[Mapping[str, tuple[str, str]]] = {
    "resolved": ("Resolved", "It is resolved."),
    "closed": ("Closed", "It is closed."),
}


def render(
    content: Content, bundle: Bundle, links: Mapping[str, str], now: datetime, *, zone: str
) -> RenderedMessage:
    """The page or notice of `content` as its incident stands now."""
    incident, notice, page = content.incident, content.notice, content.page
    if notice is not None and (notice.stakeholder or notice.template):
        told = replace(notice, event=_event(incident, notice.event), text="", targets=())
        render_notice = external_notices.render if notice.stakeholder else internal_notices.render
        return render_notice(replace(content, notice=told), told, bundle, links, now, zone=zone)
    if page is not None and page.recipient.kind == "customer":
        return _outside(content, page, links, now, zone=zone)
    return _inside(content, bundle, links, now, zone=zone)


def _inside(
    content: Content, bundle: Bundle, own: Mapping[str, str], now: datetime, *, zone: str
) -> RenderedMessage:
    incident, page, asked = content.incident, content.page, content.page or content.notice
    word, opening = stands(incident, bundle)
    labels = internal_notices.labels(incident)
    reason = asked.reason if asked is not None else ""
    theirs = internal_notices.customers_side(incident, page.recipient.kind, zone) if page is not None else []
    facts = in_lines([*_facts(incident, bundle, now, zone), *theirs, ("Why you", reason), *labels.items()])
    links = {**own, **evidence.links(incident.links, OWN_LINKS)}
    return RenderedMessage(
        event=content.notice.event if content.notice is not None else "page",
        subject=subject(incident),
        title=f"{word}: {heading(incident)}" if word else heading(incident),
        opening=opening,
        text=plain(opening, incident.description, facts, links),
        preview=preview(word or f"P{incident.priority}", opening),
        description=incident.description,
        facts=facts,
        links=links,
        labels=labels,
        reason=reason,
    )


def _facts(incident: IncidentSnapshot, bundle: Bundle, now: datetime, zone: str) -> list[tuple[str, str]]:
    facts = [("For", for_whom(incident)), ("Status", internal_notices.status(incident, bundle))]
    if incident.status in ("triggered", "acknowledged"):
        facts.append(
            ("Level", f"{incident.level} (round {incident.round})" if incident.round > 1 else incident.level)
        )
    facts.append(("Opened", both(incident.opened_at, now, zone)))
    if incident.resolved_at is not None and incident.status in ("resolved", "closed"):
        facts.append(("Resolved", both(incident.resolved_at, now, zone)))
    return [*facts, ("Service", incident.service), ("Priority", str(incident.priority))]


def _outside(
    content: Content, page: Page, links: Mapping[str, str], now: datetime, *, zone: str
) -> RenderedMessage:
    """For a customer who was paged: nothing internal."""
    incident, taken = content.incident, is_taken(content.incident)
    opening = happened(_event(incident, "opened"), taken=taken)
    facts = in_lines(
        [("Status", state(incident.status, taken=taken)), ("Since", both(page.since, now, zone))]
    )
    return RenderedMessage(
        event="page",
        subject=subject(incident),
        title=one_line(incident.title),
        opening=opening,
        text=plain(opening, "", facts, links),
        preview=preview("", opening),
        facts=facts,
        links=links,
        reason=page.reason,
    )


def stands(incident: IncidentSnapshot, bundle: Bundle) -> tuple[str, str]:
    """Where it stands, for people inside: in a word ('' where nothing has happened), and in a sentence."""
    if incident.status in _OVER:
        return _OVER[incident.status]
    if incident.parent:
        return "Grouped", "It is handled together with another incident."
    who = display_name("user", incident.assignee, bundle) if incident.assignee else ""
    if incident.waiting_for:
        return "Waiting", f"{who or 'It'} waits for {incident.waiting_for}."
    if who:
        return "Taken", f"{who} has taken it."
    if incident.status == "acknowledged":
        return "Acknowledged", "A machine has acknowledged it; nobody has taken it."
    return _untaken(incident)


def _untaken(incident: IncidentSnapshot) -> tuple[str, str]:
    if incident.suppressed_by:
        return "Suppressed", f"Nobody is told of it for now: {incident.suppressed_by}."
    if incident.snoozed_until is not None:
        return "Snoozed", "Nobody is asked for now; it comes back by itself."
    asked = "" if incident.level in _NO_LEVEL else f"; level {incident.level} is asked now"
    return "", f"Nobody has taken it yet{asked}."


def _event(incident: IncidentSnapshot, first: str) -> str:
    """The event whose words say where it stands."""
    if first == "confirm" and incident.status == "resolved":
        return first
    if incident.status in _OVER:
        return incident.status
    if is_taken(incident):
        return "taken"
    if first == "confirm" or incident.reopened:
        return "reopened"
    return first


def still_possible(links: Mapping[str, str], delivery: Delivery) -> Mapping[str, str]:
    """The links of a first message without those that would do nothing any more."""
    incident = delivery.content.incident
    open_now = incident.status in ("triggered", "acknowledged") and not incident.parent
    possible = {
        "acknowledge": open_now and not incident.assignee,
        "take_over": open_now,
        "confirm": incident.status == "resolved",
        "refuse": incident.status == "resolved",
    }
    return {name: link for name, link in links.items() if name not in ACTING_LINKS or possible[name]}

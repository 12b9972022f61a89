"""What a message says, in words: what, for whom, how urgent, why you, since when, until when, what then."""

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from services.notifier.domain.contacts import display_name, timezone_of
from services.notifier.domain.delivery import Content, Delivery
from services.notifier.domain.messages import (
    digests,
    external_notices,
    internal_notices,
    sla_wording,
    standing,
    trial_message,
)
from services.notifier.domain.messages.rendered import (
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
from services.notifier.domain.messages.times import both, shortly
from shared.events import BY_SILENCE, IncidentSnapshot, Notice, Page, evidence
from shared.policy import Bundle

__all__ = ["RenderedMessage", "render"]


def render(
    delivery: Delivery, bundle: Bundle, links: Mapping[str, str], now: datetime, *, restates: bool = False
) -> RenderedMessage:
    """The message of this delivery, as of now. `links` are Ladder's own, by name.

    `restates`: it was sent before, and says now where its incident stands.
    """
    content = delivery.content
    zone = timezone_of(delivery.recipient_kind, delivery.recipient, bundle)
    if restates:
        return standing.render(content, bundle, links, now, zone=zone)
    if content.page is not None and delivery.is_test:
        return trial_message.render(delivery, content.page, bundle, links, now, zone=zone)
    if content.page is not None:
        return _page(content, content.page, bundle, links, now, zone=zone)
    assert content.notice is not None
    return _notice(content, content.notice, bundle, links, now, zone=zone)


def _notice(
    content: Content, notice: Notice, bundle: Bundle, links: Mapping[str, str], now: datetime, *, zone: str
) -> RenderedMessage:
    if content.digest is not None:
        return digests.render(content.digest, notice, bundle, links, now, zone=zone)
    if not content.incident.id:
        return _announcement(content, notice)
    if notice.stakeholder:
        return external_notices.render(content, notice, bundle, links, now, zone=zone)
    return internal_notices.render(content, notice, bundle, links, now, zone=zone)


def _page(
    content: Content, page: Page, bundle: Bundle, links: Mapping[str, str], now: datetime, *, zone: str
) -> RenderedMessage:
    if page.act_by is not None and page.act_by <= now:  # a later step, or one that waited for the morning
        page = replace(page, act_by=None, otherwise="")
    incident, outsider = content.incident, page.recipient.kind == "customer"
    if outsider:
        facts, labels, shown = _outside_facts(page, now, zone), dict[str, str](), links
    else:
        labels = internal_notices.labels(incident)
        facts = [*_facts(incident, page, now, zone), *labels.items()]
        shown = {**links, **evidence.links(incident.links, OWN_LINKS)}
    told, description = in_lines(facts), "" if outsider else incident.description
    opening = _asked(incident, page, bundle)
    if not outsider and (about := sla_wording.passed(page, incident, now, zone)):
        opening = f"{opening} {about}"
    return RenderedMessage(
        event="page",
        subject=subject(incident),
        title=one_line(incident.title) if outsider else heading(incident),
        opening=opening,
        text=plain(opening, description, told, shown),
        preview=preview("" if outsider else f"P{incident.priority}", opening),
        begins=not page.again,
        description=description,
        facts=told,
        links=shown,
        labels=labels,
        reason=page.reason,
        act_by=shortly(page.act_by, now, zone) if page.act_by is not None else "",
    )


def _facts(incident: IncidentSnapshot, page: Page, now: datetime, zone: str) -> list[tuple[str, str]]:
    """For whom, by when, why you, what then; and after that what helps to understand it."""
    facts = [("For", for_whom(incident))]
    if page.act_by is not None:
        facts.append(("Act by", both(page.act_by, now, zone)))
    facts += [("Why you", page.reason), ("If nobody acts", page.otherwise)]
    facts += internal_notices.customers_side(incident, page.recipient.kind, zone)
    facts += [("May follow from", f"{each.title} ({each.service})") for each in incident.may_follow_from]
    if incident.members_open:
        facts.append(("Grouped under it", f"{incident.members_open:,} more"))
    facts += [("Since", both(page.since, now, zone)), ("Service", incident.service)]
    level = "the last step" if page.level == "finally" else page.level
    facts.append(("Level", f"{level} (round {page.round})" if page.round > 1 else level))
    facts.append(("Priority", str(incident.priority)))
    if incident.last_event_at is not None:
        facts.append(("Its sender last spoke", both(incident.last_event_at, now, zone)))
    return facts


def _outside_facts(page: Page, now: datetime, zone: str) -> list[tuple[str, str]]:
    """Nothing internal: no levels, no services, nothing of what its sender said beyond the title."""
    act_by = [("Act by", both(page.act_by, now, zone))] if page.act_by is not None else []
    return [*act_by, ("Why you", page.reason), ("Since", both(page.since, now, zone))]


def _asked(incident: IncidentSnapshot, page: Page, bundle: Bundle) -> str:
    """What the paged person is asked to do: look at it, help, or take it."""
    if page.through == "point":
        return _to_look(incident, page, bundle)
    if page.through == "worse":
        return "You have this, and it grew worse."
    if page.through == BY_SILENCE:
        return (
            "Its sender has fallen silent: does it still stand? Acknowledge it if so, otherwise resolve it."
        )
    if incident.assignee and page.through != "assignee" and page.recipient.name != incident.assignee:
        known = page.recipient.kind in ("user", "team")
        who = display_name("user", incident.assignee, bundle) if known else "Somebody"
        if page.through == "handoff":
            return f"{who} has it and is off now; you are on call and asked to take it over."
        return f"{who} has it; you are asked to help."
    return "You are asked to take this."


def _to_look(incident: IncidentSnapshot, page: Page, bundle: Bundle) -> str:
    """For a page from an escalation point, which only asks to look: whether somebody has it already."""
    if page.recipient.kind == "customer":
        return "You are asked to look at this."
    beside = ""
    if incident.status == "triggered":
        beside = " Nobody has taken it, and the levels go on."
    elif incident.assignee == page.recipient.name:
        beside = " You have it."
    elif incident.assignee:
        known = page.recipient.kind in ("user", "team")
        beside = f" {display_name('user', incident.assignee, bundle) if known else 'Somebody'} has it."
    return f"An escalation point was reached: you are asked to look.{beside}"


def _announcement(content: Content, notice: Notice) -> RenderedMessage:
    """A message about no single incident, such as a silence that is about to end."""
    facts = in_lines([("Why you", notice.reason)])
    title = one_line(content.incident.title)
    return RenderedMessage(
        event=notice.event,
        subject=title,
        title=title,
        opening=notice.text,
        text=plain(notice.text, "", facts, {}),
        preview=preview("", notice.text),
        begins=True,
        facts=facts,
        reason=notice.reason,
        stakeholder=notice.stakeholder,
    )

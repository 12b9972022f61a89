"""The deliveries that a message from the router asks for: to whom, by which contacts, and who is unreachable.

People are notified by their own rules (personal_rules.py), and what can wait goes out after their quiet hours
(quiet_hours.py). Ids follow from page, recipient and contact, so that a message read twice means the same
deliveries.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

import msgspec

from services.notifier.domain import quiet_hours
from services.notifier.domain.contacts import actor_name, is_person, knows
from services.notifier.domain.delivery import Content, Delivery
from services.notifier.domain.personal_rules import ContactStep, steps_for
from services.notifier.domain.retries import gives_up_at
from shared.events import DeliveryReport, IncidentChanged, IncidentSnapshot, Notice, Page, Recipient
from shared.policy import Bundle
from shared.policy.model.addresses import mailbox
from shared.security.secret_files import is_secret

NAMESPACE: Final = UUID("5d0f3f0e-9a3f-5b0e-8f5e-2b8a1f1c7a11")
_LONGEST_DESCRIPTION: Final = 16 * 1024  # as long as an event may make it: the message itself cuts
_LARGEST_ATTRIBUTES: Final = 8_192  # of labels, too
_LONGEST_LABEL: Final = 255  # where they are more


@dataclass(frozen=True, slots=True)
class Plan:
    """The deliveries a message asks for, and a report for everybody whom no contact reaches."""

    deliveries: tuple[Delivery, ...]
    reports: tuple[DeliveryReport, ...]


def plan(message: IncidentChanged, bundle: Bundle, now: datetime) -> Plan:
    """The deliveries of all pages and notices of this message."""
    incident = trimmed(message.incident)
    deliveries: list[Delivery] = []
    reports: list[DeliveryReport] = []
    places = set[tuple[str, ...]]()
    notices = sorted(message.notices, key=lambda each: each.paged_since > 0)  # certain ones first
    everybody: list[Page | Notice] = [*message.pages, *notices]
    for asked in everybody:
        found = list(_deliveries(message, incident, asked, bundle, now))
        deliveries += found if isinstance(asked, Page) else _once(found, asked, places)
        if not found:
            reports.append(_nobody(message, asked, bundle, now))
    return Plan(tuple(deliveries), tuple(reports) if incident.id else ())


def unknown_recipients(message: IncidentChanged, bundle: Bundle) -> frozenset[str]:
    """Users and teams that the live policy lacks: perhaps a newer policy is still on its way."""
    everybody = [page.recipient for page in message.pages] + [notice.recipient for notice in message.notices]
    return frozenset(f"{one.kind}:{one.name}" for one in everybody if not knows(one, bundle))


def park(message: IncidentChanged, reason: str, now: datetime) -> tuple[DeliveryReport, ...]:
    """The reports about a message that could not be processed: none of its pages reached anybody."""
    return tuple(
        DeliveryReport(
            report_id=str(uuid5(NAMESPACE, f"{page.page_id}/set aside")),
            incident_id=message.incident.id,
            page_id=page.page_id,
            recipient=page.recipient.name,
            outcome="failed",
            page="unreachable",
            reason=reason,
            attempts=0,
            at=now,
        )
        for page in message.pages
    )


def told_who_took_it(page: Delivery, message: IncidentChanged, bundle: Bundle, now: datetime) -> Delivery:
    """The delivery that tells whoever was just being paged who took it: once, by the same contact."""
    settled = message.settled
    assert settled is not None
    who = actor_name(settled.by, bundle) if settled.by else "somebody"
    text, event = _SETTLED.get(settled.why, ("No answer to the page is needed any more.", "inform"))
    if settled.why == "taken" and not is_person(settled.by):
        text = _ACKNOWLEDGED_BY_MACHINE
    outside = page.recipient_kind == "customer"
    if outside and event == "taken":
        text = ""  # who has it is nobody's business outside
    recipient = msgspec.convert({"kind": page.recipient_kind, "name": page.recipient}, Recipient)
    identity = str(uuid5(NAMESPACE, f"{page.id}/taken"))
    notice = Notice(
        notice_id=identity,
        event=event,
        recipient=recipient,
        text=text.format(who=who),
        stakeholder=outside,
    )
    return Delivery(
        id=identity,
        incident_id=page.incident_id,
        version=message.incident.version,
        notice_id=identity,
        recipient_kind=page.recipient_kind,
        recipient=page.recipient,
        channel=page.channel,
        contact=page.contact,
        address=page.address,
        secret=page.secret,
        event=event,
        content=Content(at=message.at, incident=trimmed(message.incident), notice=notice),
        created_at=now,
        next_attempt_at=now,
        give_up_at=gives_up_at(is_page=False, created_at=now, act_by=None),
    )


_ACKNOWLEDGED_BY_MACHINE: Final = (
    "It was acknowledged by {who} while you were being paged. Nothing is asked of you for now."
)
_SETTLED: Final = {
    "taken": ("{who} took it while you were being paged. Nothing is asked of you.", "taken"),
    "resolved": ("It was resolved while you were being paged. Nothing is asked of you.", "resolved"),
    "closed": ("It was closed while you were being paged. Nothing is asked of you.", "closed"),
}


def _deliveries(
    message: IncidentChanged, incident: IncidentSnapshot, asked: Page | Notice, bundle: Bundle, now: datetime
) -> Iterator[Delivery]:
    """One for each step by which somebody is paged, or told."""
    recipient, content = asked.recipient, Content(at=message.at, incident=incident, actor=message.actor)
    bare = msgspec.structs.replace(asked, recipient=_bare(recipient))
    match bare:
        case Page(page_id=subject):
            event, content = "page", msgspec.structs.replace(content, page=bare)
        case Notice(notice_id=subject, event=event):
            content = msgspec.structs.replace(content, notice=bare)
    for step, start in _starts(steps_for(asked, bundle), incident, asked, bundle, now):
        contact = step.contact
        use = f"{contact.name}#{step.use}" if step.use > 1 else contact.name
        yield Delivery(
            id=str(uuid5(NAMESPACE, f"{subject}/{recipient.kind}:{recipient.name}/{use}")),
            incident_id=incident.id,
            version=incident.version,
            page_id=subject if content.page else "",
            notice_id=subject if content.notice else "",
            recipient_kind=recipient.kind,
            recipient=recipient.name,
            channel=contact.channel,
            contact=contact.name,
            address=contact.address,
            secret=contact.secret,
            event=event,
            content=content,
            created_at=now,
            caused_at=message.caused_at,
            next_attempt_at=start.at,
            give_up_at=_gives_up_at(bare, start.at),
            later=step.later,
            delayed_by=start.why,
            quiet_until=start.quiet_until,
        )


@dataclass(frozen=True, slots=True)
class _Start:
    """When a step begins, and why not at once."""

    at: datetime
    why: str = ""
    quiet_until: datetime | None = None


def _starts(
    steps: Sequence[ContactStep],
    incident: IncidentSnapshot,
    asked: Page | Notice,
    bundle: Bundle,
    now: datetime,
) -> Iterator[tuple[ContactStep, _Start]]:
    """Each step with its start. Where the first ones wait for the end of quiet hours, the others follow."""
    user = quiet_hours.whose(asked, bundle)
    first = now if user is None else quiet_hours.ends_at(user, asked, incident, now) or now
    for step in steps:
        at = first + step.after
        ends = None if user is None else quiet_hours.ends_at(user, asked, incident, at)
        quiet = ends or (first if first > now else None)
        hours = quiet_hours.in_words(quiet, user) if quiet is not None and user is not None else ""
        why = ", ".join(part for part in (hours, step.rule) if part)
        yield step, _Start(ends or at, why, quiet)


def _gives_up_at(asked: Page | Notice, start: datetime) -> datetime:
    """When it fails for good, counted from its own time."""
    if isinstance(asked, Page):
        return gives_up_at(is_page=True, created_at=start, act_by=asked.act_by)
    return gives_up_at(is_page=False, created_at=start, act_by=None, until=asked.until)


def _once(told: Sequence[Delivery], notice: Notice, places: set[tuple[str, ...]]) -> Iterator[Delivery]:
    """The same to the same mailbox, whoever is meant by it, is one message; `places`: those that have it."""
    for delivery in told:
        place = _mailbox(delivery, notice)
        if place not in places:
            yield delivery
            if not delivery.is_end_notice:  # of those that may be called off none stands for another
                places.add(place)


def _mailbox(delivery: Delivery, notice: Notice) -> tuple[str, ...]:
    """Where it goes and what it says: a mailbox may be a customer's and a subscriber's at once.

    A program behind a URL reads for whom each is, and which call it is.
    """
    address, whose = delivery.address, (delivery.recipient_kind, delivery.recipient)
    if not is_secret(address) and (shared := mailbox(delivery.channel, address)):
        address, whose = shared, ("", "")
    digest = str(notice.digest_seconds)  # what goes at once does not wait because another is to be collected
    words = (notice.event, notice.text, notice.template, str(notice.stakeholder), digest, *notice.targets)
    return delivery.channel, address, delivery.secret, *whose, *words


def _nobody(message: IncidentChanged, asked: Page | Notice, bundle: Bundle, now: datetime) -> DeliveryReport:
    recipient = asked.recipient
    page_id = asked.page_id if isinstance(asked, Page) else ""
    notice_id, event = (asked.notice_id, asked.event) if isinstance(asked, Notice) else ("", "")
    why = "has no contact" if knows(recipient, bundle) else "is not in the policy in force"
    return DeliveryReport(
        report_id=str(uuid5(NAMESPACE, f"{page_id or notice_id}/{recipient.name}/no contact")),
        incident_id=message.incident.id,
        page_id=page_id,
        notice_id=notice_id,
        recipient=recipient.name,
        event=event,
        outcome="failed",
        page="unreachable" if page_id else "",
        reason=f"{recipient.kind} {recipient.name!r} {why}",
        attempts=0,
        at=now,
    )


def _bare(recipient: Recipient) -> Recipient:
    """The recipient without contacts: addresses and secrets stand in the delivery's own columns."""
    return Recipient(kind=recipient.kind, name=recipient.name)


def trimmed(incident: IncidentSnapshot) -> IncidentSnapshot:
    """The incident with what no message could hold anyway cut off, so that a storm stays small."""
    description, attributes = incident.description, incident.attributes
    if len(description) > _LONGEST_DESCRIPTION:
        description = description[:_LONGEST_DESCRIPTION] + "…"
    if attributes and len(msgspec.json.encode(attributes)) > _LARGEST_ATTRIBUTES:
        attributes = {}
    labels = incident.labels
    if labels and len(msgspec.json.encode(labels)) > _LARGEST_ATTRIBUTES:
        labels = {name[:_LONGEST_LABEL]: value[:_LONGEST_LABEL] for name, value in labels.items()}
    if (description, attributes, labels) == (incident.description, incident.attributes, incident.labels):
        return incident
    return msgspec.structs.replace(incident, description=description, attributes=attributes, labels=labels)


def ordered(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Loud pages, low ones, notices: the order in which free slots are handed out."""
    return sorted(deliveries, key=lambda delivery: delivery.rank)


def outdated(deliveries: Iterable[Delivery]) -> frozenset[str]:
    """The ids of pages that newer ones among these replace, by incident, person and contact (rule 21)."""
    pages = [delivery for delivery in deliveries if delivery.is_page]
    if not any(page.is_repeat for page in pages):
        return frozenset()
    newest: dict[tuple[str, ...], int] = {}
    for page in pages:
        for place in (page.place,) if page.only_looks else (page.place, (*page.place, "asks")):
            newest[place] = max(page.version, newest.get(place, 0))
    return frozenset(
        page.id
        for page in pages
        if page.version < newest.get(page.place if page.only_looks else (*page.place, "asks"), 0)
    )

"""What the page behind a signed link shows of an incident: to people inside, and to those outside."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Row

from services.router.domain.forecast import NextStep
from services.router.domain.model.incident import Incident
from shared.events import IncidentSnapshot, customer_wording, evidence, public_wording
from shared.policy import Bundle
from shared.policy.templates.rendering import BrokenTemplateError, rendered

UPDATES: Final = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """One incident as it stands, what stakeholders were told (newest first), and what comes next."""

    incident: Incident
    level: str
    snapshot: IncidentSnapshot
    updates: Sequence[Row[Any]]
    coming: Sequence[NextStep]
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class Shown:
    """The content of the page, from the top.

    `facts` and `labels` are labelled lines, `text` may have several lines; `links` lead to web addresses
    (`shared.events.evidence`), by name; `updates` are times and texts.
    """

    title: str
    sentence: str = ""
    facts: Sequence[tuple[str, str]] = ()
    text: str = ""
    labels: Sequence[tuple[str, str]] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    updates: Sequence[tuple[str, str]] = ()


def standing(seen: Seen, user: str) -> str:
    """Who has it, in a sentence."""
    incident = seen.incident
    if not incident.is_open:
        return f"It is {incident.status} already; there is nothing left to do."
    if incident.parent:
        return "It is handled together with another incident: whoever has that one has this one, too."
    if incident.assignee:
        if incident.assignee == user:
            return "You have taken it."
        return f"{seen.bundle.display(incident.assignee)} has taken it."
    if incident.status == "acknowledged":
        return "A machine has acknowledged it; nobody has taken it."
    return "Nobody has taken it yet."


def inside(seen: Seen, user: str, why: str) -> Shown:
    """The page for people inside."""
    incident, shown = seen.incident, seen.snapshot
    customer = incident.customer_name or incident.customer
    facts = [
        ("Priority", str(incident.priority)),
        ("For", f"{customer} ({incident.tier})" if customer else ""),
        *customer_wording.facts(shown, lambda at: local(at, user, seen.bundle)),
        ("Service", incident.service),
        ("Level", seen.level if incident.is_open else ""),
        ("Why you", why),
        ("Open since", local(incident.opened_at, user, seen.bundle)),
        *_next(seen, user),
        ("You are", seen.bundle.display(user) if user else ""),
    ]
    said = (incident.title, incident.service, incident.severity or "", incident.customer)
    return Shown(
        title=incident.title,
        sentence=standing(seen, user),
        facts=_filled(facts),
        text=incident.description.strip(),
        labels=_filled(evidence.labels(shown.labels, said).items()),
        links=evidence.links(shown.links),
    )


def _filled(facts: Iterable[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    return [(name, value) for name, value in facts if value]


def _next(seen: Seen, user: str) -> list[tuple[str, str]]:
    """Until when somebody has to act, and what happens otherwise; else what comes next by itself."""
    incident, due = seen.incident, seen.incident.chain.due
    if not incident.is_open:
        return []
    step = next((each for each in reversed(seen.coming) if each.at == due), None)  # warnings come before it
    if step is not None and incident.status == "triggered":
        return [("Act by", local(step.at, user, seen.bundle)), ("Otherwise", step.what)]
    step = step or next(iter(seen.coming), None)
    return [("Next", f"{local(step.at, user, seen.bundle)}: {step.what}")] if step is not None else []


def local(at: datetime, user: str, bundle: Bundle) -> str:
    """The time on the reader's clock."""
    known = bundle.users.get(user)
    return f"{at.astimezone(ZoneInfo(known.timezone if known else 'UTC')):%Y-%m-%d %H:%M %Z}"


async def public(seen: Seen, template: str, link: str) -> Shown:
    """The page for somebody outside: no more than their messages show."""
    if template:
        return await asyncio.to_thread(_by_template, seen, template, link)
    shown = seen.snapshot
    facts = [("Status", _state(seen)), ("Opened", _utc(shown.opened_at))]
    if shown.resolved_at is not None and shown.status in ("resolved", "closed"):
        facts.append(("Resolved", _utc(shown.resolved_at)))
    return Shown(
        title=shown.title,
        sentence="" if seen.updates else public_wording.happened(_event(seen), taken=_taken(seen)),
        facts=facts,
        updates=[(_utc(each.at), each.text.strip()) for each in seen.updates],
    )


def _by_template(seen: Seen, name: str, link: str) -> Shown:
    """What their mails' template makes of it as it is; whatever the template leaves out stays hidden."""
    found = seen.bundle.templates.get(name)
    text = seen.updates[0].text if seen.updates and seen.incident.is_open else ""
    holder = seen.incident.assignee
    taken_by = seen.bundle.display(holder) if holder else ""
    names = public_wording.names(seen.snapshot, _event(seen), text=text, taken_by=taken_by, link=link)
    try:
        if found is not None:
            title, body = rendered(found.title, names), rendered(found.body, names)
            return Shown(title=title or "Where it stands", text=body.replace(link, "").strip())
    except BrokenTemplateError:
        pass
    return Shown(title="Where it stands", sentence=f"It is {_state(seen)}.")


def _event(seen: Seen) -> str:
    """The event that the newest message would name."""
    if seen.incident.status in ("resolved", "closed"):
        return seen.incident.status
    return "update" if seen.updates else "reopened" if seen.incident.reopened else "opened"


def _taken(seen: Seen) -> bool:
    return public_wording.is_taken(seen.snapshot)


def _state(seen: Seen) -> str:
    return public_wording.state(seen.snapshot.status, taken=_taken(seen))


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"

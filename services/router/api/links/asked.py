"""All that somebody is asked for, the most pressing first: the page behind a message that lists several."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs

from services.router.api.links import tokens
from services.router.api.links.incident_page import local
from services.router.api.queries import Asked
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import Actor
from shared.policy import Bundle
from shared.security.keys import Signer

PURPOSE: Final = "list"
SHOWN: Final = 100
"""Incidents on one page, which one press can take."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One line: a link to the incident's own page. `free`: nobody has taken it."""

    id: str
    title: str
    about: str
    token: str
    free: bool


def opened(signer: Signer, token: str, bundle: Bundle, now: datetime) -> Asked | None:
    """Whose list it is; None for a token that is altered or expired, and for whoever has left."""
    claims = signer.verify(PURPOSE, token, now)
    for kind, name in (claims or {}).items():
        if kind == "user" and name in bundle.users:
            return Asked("user", name)
        if kind == "team" and name in bundle.teams:
            return Asked("team", name)
    return None


def actor(asked: Asked) -> Actor:
    """Whoever holds the list was paged: that makes a responder."""
    return Actor(f"user:{asked.name}", "responder", asked.name)


def page_id(incident: Incident, asked: Asked) -> str:
    """The page that they answer; '' where others are asked by now."""
    users = asked.kind == "user"
    return next((p.page_id for p in incident.pages if p.name == asked.name and p.user == users), "")


def is_asked(incident: Incident, asked: Asked) -> bool:
    """Whether they were paged for it since it opened, and nobody has taken it."""
    paged = any(each.name == asked.name and each.kind == asked.kind for each in incident.paged or ())
    return incident.status == "triggered" and paged


def line(incident: Incident, asked: Asked, bundle: Bundle, signer: Signer, until: datetime | None) -> Listed:
    """The incident as a line, with a link to it that is good as long as the list's."""
    user = asked.name if asked.kind == "user" else ""
    claims = {
        "incident": incident.id,
        "page": page_id(incident, asked),
        "user": user,
        "recipient": f"{asked.kind}:{asked.name}",
        "action": "acknowledge",
    }
    customer = incident.customer_name or incident.customer
    about = [f"for {customer} ({incident.tier})" if customer else "", incident.service]
    about.append(f"since {local(incident.opened_at, user, bundle)}")
    about.append("you have it" if user and incident.assignee == user else "")
    return Listed(
        id=incident.id,
        title=f"[P{incident.priority}] {incident.title}",
        about=" · ".join(part for part in about if part),
        token=signer.sign(tokens.PURPOSE, claims, until),
        free=incident.status == "triggered",
    )


def chosen(form: bytes) -> list[uuid.UUID]:
    """The incidents of a form, each once; whatever is not sensible is left out."""
    fields = parse_qs(form.decode(errors="replace"), max_num_fields=SHOWN + 10)
    ids = dict.fromkeys(fields.get("incident", [])[:SHOWN])
    return [found for each in ids if (found := _uuid(each)) is not None]


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def heading(items: Sequence[Listed], count: int, *, partial: bool) -> str:
    """How many they are, in a sentence."""
    if not count:
        return "Nothing is asked of you at the moment."
    many = "one incident is" if count == 1 else f"{count:,} incidents are"
    said = f"{'At least ' if partial else ''}{many} asked of you".capitalize()
    return f"{said}; the most pressing comes first." if len(items) > 1 else f"{said}."


def taken(done: int, left: int) -> str:
    """What pressing the button came to."""
    if not done and not left:
        return "Nothing was chosen."
    said = f"You have taken {_incidents(done)}." if done else "You have taken nothing."
    return f"{said} {_incidents(left).capitalize()} had changed or could not be taken." if left else said


def _incidents(count: int) -> str:
    return "one incident" if count == 1 else f"{count:,} incidents"

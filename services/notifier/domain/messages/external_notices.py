"""What outsiders read – customers, and subscribers by address: nothing internal."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from services.notifier.domain.delivery import Content
from services.notifier.domain.messages import sla_wording
from services.notifier.domain.messages.rendered import (
    RenderedMessage,
    in_lines,
    one_line,
    plain,
    preview,
    subject,
)
from services.notifier.domain.messages.subscription_template import templated
from services.notifier.domain.messages.times import both
from shared.events import Notice
from shared.events.public_wording import happened, is_taken, state
from shared.policy import Bundle

_WORDS: Final[Mapping[str, str]] = {
    "opened": "Opened",
    "escalated": "More people on it",
    "update": "Update",
    "at_risk": "May be late",
    "breached": "Late",
    "taken": "Being worked on",
    "resolved": "Resolved",
    "closed": "Closed",
    "reopened": "Came back",
    "confirm": "Please confirm",
}


def word(event: str) -> str:
    """What happened, in a word or two."""
    return _WORDS.get(event, "Please note")


def render(
    content: Content, notice: Notice, bundle: Bundle, own: Mapping[str, str], now: datetime, *, zone: str
) -> RenderedMessage:
    """The message, by the subscription's template where it has one."""
    incident, happening = content.incident, word(notice.event)
    taken, promise = is_taken(incident), sla_wording.outside(notice, incident, zone)
    opening = notice.text or happened(notice.event, taken=taken)
    if promise and not notice.text:
        opening = f"{opening} We had promised: {promise}."
    facts = [("Status", state(incident.status, taken=taken)), ("Opened", both(incident.opened_at, now, zone))]
    if incident.resolved_at is not None and incident.status in ("resolved", "closed"):
        facts.append(("Resolved", both(incident.resolved_at, now, zone)))
    default = RenderedMessage(
        event=notice.event,
        subject=subject(incident),
        title=f"{happening}: {one_line(incident.title)}",
        opening=opening,
        text=plain(opening, "", facts, own),
        preview=preview(happening, opening),
        begins=notice.event == "opened",
        facts=in_lines(facts),
        links=own,
        stakeholder=True,
    )
    return templated(default, happening, content, bundle, own, promise=promise)

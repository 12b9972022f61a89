"""Offers of the page behind a signed link: what its holder can do with the incident as it is.

Each offer is a form with a token of its own, signed for that one act and valid as long as the link that led
here. It remembers where the incident stood: sent from a page that is out of date, it does nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from services.router.domain.escalation import handoff
from services.router.domain.model.incident import Incident
from services.router.domain.model.parts import OpenPage
from shared.policy import Bundle

FORMS: Final = frozenset({"acknowledge", "assign", "resolve", "escalate", "unacknowledge"})
LONGEST_NOTE: Final = 4000
_NOTES: Final = {
    "resolve": "How was it solved? (optional, for people inside)",
    "escalate": "What should the next ones know? (optional)",
}
DONE: Final = {
    "acknowledge": "You have taken it.",
    "assign": "You have taken it over.",
    "resolve": "It is resolved.",
    "escalate": "It was handed up. You hear how it goes on.",
    "unacknowledge": "You have given it back: others are asked again.",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """One button.

    `second`: not the first choice; `done`: what to say of an act that does not change who has it; `answers`:
    it is the answer to the page. Somebody asked only to look answers by having seen it.
    """

    action: str
    label: str
    second: bool = False
    done: str = ""
    answers: bool = True

    @property
    def note(self) -> str:
        """The label of its note field; '' when it takes no note."""
        return _NOTES.get(self.action, "")


@dataclass(frozen=True, slots=True)
class Button:
    """An offer with the signed token that it posts to."""

    offer: Offer
    token: str


def stands(incident: Incident, level: str) -> str:
    """The incident's position, as far as an offer depends on it."""
    return f"{incident.status}/{incident.assignee}/{level}/{incident.chain.round}/{incident.chain.policy}"


def offers(incident: Incident, user: str, page_id: str, bundle: Bundle) -> Iterator[Offer]:
    """What this user ('' for whoever reads a room) can do, the first choice first."""
    if not incident.is_open or incident.parent:
        return
    page = next((each for each in incident.pages if each.page_id == page_id), None)
    looks = _asks_to_look(page, incident)
    if looks:
        yield Offer("acknowledge", "I have seen it", done="You have seen it.")
    holder = incident.assignee
    if not holder:
        yield Offer("acknowledge", "Take it", second=looks, answers=not looks)
    elif holder != user and user:
        yield from _of_another(incident, user, page, bundle.display(holder))
    if user and holder in ("", user):
        yield Offer("resolve", "It is solved", second=not holder)
        yield Offer("escalate", "Hand it up", second=True)
    if user and holder == user:
        yield Offer("unacknowledge", "Give it back", second=True)


def may_hand_up(incident: Incident, user: str, page_id: str) -> bool:
    """Whether it is theirs to hand up by the button of this page: they are still asked by it, or have it."""
    if not incident.is_open or incident.parent or not user:
        return False
    asked = any(page.page_id == page_id and page.name == user for page in incident.pages)
    return incident.assignee == user or (asked and not incident.assignee)


def _asks_to_look(page: OpenPage | None, incident: Incident) -> bool:
    return page is not None and page.looks and (page.through == "point" or bool(incident.assignee))


def _of_another(incident: Incident, user: str, page: OpenPage | None, holder: str) -> Iterator[Offer]:
    """Offers for an incident that somebody else has: nobody takes it from another without being told so."""
    over = f"Take it over from {holder}"
    if handoff.was_asked(incident, user):
        yield Offer("assign", over)
        return
    joins = page is not None and page.joins and page.user
    if joins:
        yield Offer("acknowledge", f"I am helping; {holder} keeps it", done=f"You help; {holder} has it.")
    yield Offer("assign", over, second=True)

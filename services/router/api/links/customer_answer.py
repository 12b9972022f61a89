"""A customer's answer through a signed link: solved, with a rating, or not, and what is still wrong.

The page shows nothing internal: no people, no priority, no reasons.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypedDict
from urllib.parse import parse_qs

from services.router.domain.model.incident import Incident

ANSWERS: Final = frozenset({"confirm", "refuse"})
LONGEST_FORM: Final = 32 * 1024  # bytes of a form that are read
_LONGEST_NOTE: Final = 4000
_BUTTONS: Final = {"confirm": "Yes, it is solved", "refuse": "No, it is not solved"}
_DONE: Final = {
    "confirm": "Thank you. You have confirmed that it is solved.",
    "refuse": "Thank you for telling us. We are looking at it again, one level higher.",
}
_RATINGS: Final = {5: "very well", 4: "well", 3: "so-so", 2: "poorly", 1: "badly"}


def state(incident: Incident) -> str:
    """The incident's state, in words for the customer."""
    if incident.status == "closed":
        return "It is closed already. Thank you."
    if incident.status == "resolved":
        return "We believe that this is solved."
    if incident.status == "acknowledged" and incident.assignee:
        return "We are working on it; there is nothing to confirm at the moment."
    return "It is open again; there is nothing to confirm at the moment."


@dataclass(frozen=True, slots=True)
class Question:
    """The question: one button, with `ratings` to choose from or else room for `longest_note` characters."""

    button: str
    ratings: Mapping[int, str]
    longest_note: int = _LONGEST_NOTE


def question(action: str, incident: Incident) -> Question | None:
    """The question for this action; None when there is nothing to answer."""
    if incident.status != "resolved":
        return None
    return Question(_BUTTONS[action], _RATINGS if action == "confirm" else {})


class Answer(TypedDict, total=False):
    """The arguments of a customer's action."""

    rating: int
    note: str


def answer(action: str, form: bytes) -> Answer:
    """The action's arguments from a form; whatever is not sensible is left out."""
    fields = parse_qs(form[:LONGEST_FORM].decode(errors="replace"), max_num_fields=20)
    given: Answer = {}
    rating = fields.get("rating", [""])[0]
    if action == "confirm" and rating in {str(number) for number in _RATINGS}:
        given["rating"] = int(rating)
    note = fields.get("note", [""])[0].replace("\0", "").strip()
    if action == "refuse" and note:
        given["note"] = note[:_LONGEST_NOTE]
    return given


def done(action: str) -> str:
    """What the customer reads afterwards."""
    return _DONE[action]

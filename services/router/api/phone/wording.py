"""What whoever texted or pressed a key hears: what happened, in a sentence, and of which incident."""

from collections.abc import Mapping
from typing import Final

from services.router.api.phone.asked import Candidate, Meant
from services.router.api.phone.words import Answer
from services.router.domain.model.incident import Incident
from shared.events import IncidentSnapshot
from shared.phones.answers import PRESSED, TEXTED, code_of
from shared.policy import Bundle

_LISTED: Final = 3
_LONGEST_TITLE: Final = 60
_DIGITS: Final[Mapping[str, str]] = {**PRESSED, **TEXTED}
NOTHING_WAITS: Final = "Nothing waits for an answer from you."
NOT_UNDERSTOOD: Final = (
    f"Not understood, and nothing was changed. Text {TEXTED['acknowledge']} to take it, {TEXTED['resolve']} "
    "when it is resolved, with the code in the message if several are open."
)
NOT_NOW: Final = "Ladder could not do that just now, and nothing was changed. Try again in a minute."
ANSWERED_BEFORE: Final = "This was answered before."
ONLY_PEOPLE: Final = f"Nothing was changed: from this number only {TEXTED['acknowledge']} is possible."
NOT_THEIRS: Final = "Nothing was changed: it is not yours to hand up any more."


def done(answer: Answer, incident: IncidentSnapshot, user: str, bundle: Bundle) -> str:
    """What was just done. `incident` is as it is now; `user` did it, '' for whoever has a team's number."""
    if answer == "resolve":
        return "It is resolved."
    if answer == "escalate":
        return "It was handed up. You hear how it goes on."
    if incident.assignee and incident.assignee != user:
        return f"Recorded: you have seen it. {bundle.display(incident.assignee)} has it."
    if incident.status == "triggered":
        return "Recorded: you have seen it. Nobody has taken it."
    return "Taken. Ladder pages nobody else."


def standing(incident: Incident, user: str, bundle: Bundle) -> str:
    """Who has it, where nothing was done."""
    if not incident.is_open:
        return f"It is {incident.status} already."
    if incident.parent:
        return "It is handled together with another incident."
    if incident.assignee == user and user:
        return "You have it."
    if incident.assignee:
        return f"{bundle.display(incident.assignee)} has it already."
    return "Nobody has taken it."


def refused(why: str) -> str:
    """Why nothing was done."""
    return f"Nothing was changed: {why.rstrip('.')}."


def about(sentence: str, title: str) -> str:
    """The sentence, and which incident it is about."""
    return f"{sentence}\n{' '.join(title.split())}"


def which(answer: Answer, meant: Meant, bundle: Bundle, *, by_code: bool) -> str:
    """Nothing was done: the question which one is meant, with what to text for each."""
    if not meant.among:
        return NOTHING_WAITS
    if by_code:
        return "Several incidents have this code, and nothing was changed: use the link in the message."
    digit = _DIGITS[answer]
    lines = [f"{digit} {code_of(one.incident.id)}: {_title(one)}" for one in meant.among[:_LISTED]]
    more = len(meant.among) - len(lines)
    said = [f"{standing(one.incident, one.user, bundle)} ({_title(one)})" for one in meant.over[:1]]
    said.append(
        "Nothing was changed. Which one? Text" if len(meant.among) > 1 else "If you mean this one, text"
    )
    if more > 0 or not meant.all_seen:
        lines.append(f"and {more:,} more" if meant.all_seen else "and more")
    return "\n".join([*said, *lines])


def _title(one: Candidate) -> str:
    return " ".join(one.incident.title.split())[:_LONGEST_TITLE]

"""The customer's side of an incident, for people inside: their people, what they heard and said last."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from shared.events import CustomerWord, IncidentSnapshot
from shared.events.public_wording import happened

_MOST: Final = 5  # people named; the API has all
_LONGEST: Final = 200
_ANSWERS: Final = {"confirm": "It is solved", "refuse": "It is not solved"}


def facts(incident: IncidentSnapshot, at: Callable[[datetime], str]) -> Iterator[tuple[str, str]]:
    """Labelled lines; none where nothing is known. `at`: a time on the reader's clock."""
    people = [f"{each.name} ({each.channel} {each.address})" for each in incident.customer_people]
    if people:
        more = len(people) - _MOST
        yield "Customer's people", ", ".join(people[:_MOST]) + (f" and {more} more" if more > 0 else "")
    if (told := incident.customer_told) is not None:
        yield "Told them last", f"{at(told.at)}: {_told(told)}"
    if (said := incident.customer_said) is not None:
        answer = _ANSWERS.get(said.event, said.event)
        yield "They said last", f"{at(said.at)}: {answer}{f': {_cut(said.text)}' if said.text else '.'}"


def _told(told: CustomerWord) -> str:
    return _cut(told.text) if told.text else happened(told.event, taken=False)


def _cut(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 1].rpartition(" ")[0] + " …"

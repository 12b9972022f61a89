"""A message rendered for one recipient, before a channel formats it; and the pieces it is made of."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from shared.events import IncidentSnapshot

_LONGEST_TITLE: Final = 300
_LONGEST_PREVIEW: Final = 200
_JOINERS: Final = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # words of Persian, families of emoji
_CONTROLS: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_BREAKS: Final = re.compile(rf"\s*[{_CONTROLS}][\s{_CONTROLS}]*")  # with the blanks around it
_LINK_NAMES: Final[Mapping[str, str]] = {
    "confirm": "Yes, it is solved",
    "refuse": "No, it is not solved",
    "take_over": "Take it over",
    "list": "All of them",
    "incident": "See how it stands",
}
ACTING_LINKS: Final = ("acknowledge", "take_over", "confirm", "refuse")
"""Those of Ladder's own links by which its reader, and nobody else, acts."""
OWN_LINKS: Final = (*ACTING_LINKS, "incident", "list")
"""The names of Ladder's own links in a message; the others came with the event."""


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """What one message says.

    `subject` is the same in every message about one incident, so that mail programs keep them in one thread;
    what this one says is its `title`, and in short its `preview`. `begins`: it starts the thread. `facts` are
    labelled lines; `labels` of the event, as far as they matter; `note` says why the default text was used
    instead of a template; `act_by`: by when a page is to be answered, for where there is little room.
    """

    event: str
    subject: str
    title: str
    opening: str
    text: str
    preview: str = ""
    begins: bool = False
    description: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    stakeholder: bool = False
    note: str = ""
    act_by: str = ""

    @property
    def shown_at(self) -> str:
        """The link to what it is about; '' where there is none."""
        return self.links.get("incident") or self.links.get("list", "")


def heading(incident: IncidentSnapshot) -> str:
    """`[P1] Checkout is down`, in one line."""
    return f"[P{incident.priority}] {one_line(incident.title)}"


def subject(incident: IncidentSnapshot) -> str:
    """The title it was opened with, in one line: without the priority, which may rise, or any later title."""
    return one_line(incident.opened_as or incident.title)


def one_line(text: str, longest: int = _LONGEST_TITLE) -> str:
    """The text without line breaks and control characters, cut to a length. Blanks in it stay as they are."""
    flat = text
    if not text.isprintable():
        flat = "".join(c if c.isprintable() or c in _JOINERS else " " for c in _BREAKS.sub(" ", text))
    flat = flat.strip()
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def preview(word: str, text: str) -> str:
    """What lists of mails show beside the subject: what happened, and how it is told; the word once."""
    said = not word or text.startswith(f"{word} ")
    return one_line(text if said else f"{word}: {text}", _LONGEST_PREVIEW)


def for_whom(incident: IncidentSnapshot) -> str:
    """`Acme (gold)`; without a customer the tier that applies."""
    name = incident.customer_name or incident.customer
    return f"{one_line(name, 120)} ({incident.tier})" if name else f"no named customer ({incident.tier})"


def in_lines(facts: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The facts that have a value, each in one line."""
    return tuple((label, one_line(value, 1_000)) for label, value in facts if value)


def plain(opening: str, description: str, facts: Iterable[tuple[str, str]], links: Mapping[str, str]) -> str:
    """The whole as plain text: what is asked, what one has to know, how to answer, and then the rest.

    A description may be long: by when somebody has to act stands above it.
    """
    acting = {name: link for name, link in links.items() if name in ACTING_LINKS}
    others = {name: link for name, link in links.items() if name not in ACTING_LINKS}
    parts = [opening, _lines(facts), _links(acting), description.strip(), _links(others)]
    return "\n\n".join(part for part in parts if part)


def _links(links: Mapping[str, str]) -> str:
    return _lines((link_name(name), link) for name, link in links.items())


def _lines(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{label}: {value}" for label, value in pairs)


def link_name(name: str) -> str:
    """What a link is called in a message."""
    return _LINK_NAMES.get(name, name.capitalize() if name in OWN_LINKS else name)

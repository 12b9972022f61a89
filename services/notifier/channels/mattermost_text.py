"""What a message looks like in Mattermost: a line that notifications show, and an attachment with the rest.

Text of events and people is escaped: nothing in it is a mention, a link or Markdown.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from services.notifier.domain.messages.cutting import cut
from services.notifier.domain.messages.rendered import ACTING_LINKS, RenderedMessage, link_name
from shared.events import IncidentSnapshot
from shared.json_object import JsonObject

LONGEST_MESSAGE: Final = 4_000  # characters: what the oldest servers take
_LONGEST_TEXT: Final = 6_000
_LONGEST_FACT: Final = 500
_MOST_FACTS: Final = 25
_LONGEST_LABEL: Final = 100
_LONGEST_LINKS: Final = 3_000
_SHORT: Final = 40
_MARKS: Final = re.compile(r"[\\`*_{}\[\]()#+!|~<>]")
_LINE_STARTS: Final = re.compile(r"^(\s*)(-|=|\d+\.)", re.MULTILINE)
_MENTIONS: Final = re.compile(r"@(?=\w)")
_COLOURS: Final[Mapping[int, str]] = {1: "#d24b4e", 2: "#e07b00", 3: "#c29a00"}
_OPEN: Final = "#2389d7"
_OVER: Final = "#3db887"


def message(rendered: RenderedMessage, incident: IncidentSnapshot, *, short: bool) -> tuple[str, JsonObject]:
    """The text, and the props with its attachment. `short`: what it is about is said above it."""
    acts = any(name in ACTING_LINKS for name in rendered.links)
    if short and not acts:
        said = (
            rendered.preview
            if len(rendered.opening) <= _LONGEST_LABEL and rendered.preview
            else rendered.opening
        )
        return _fitted(said or rendered.title, LONGEST_MESSAGE), {}
    attachment: JsonObject = {
        "fallback": _fitted(rendered.opening or rendered.title, _LONGEST_FACT),
        "color": _OVER
        if incident.status in ("resolved", "closed")
        else _COLOURS.get(incident.priority, _OPEN),
        "text": "\n\n".join(part for part in _parts(rendered) if part),
        "fields": [
            {
                "title": _fitted(name, _LONGEST_LABEL),
                "value": _fitted(value, _LONGEST_FACT),
                "short": len(value) <= _SHORT,
            }
            for name, value in rendered.facts[:_MOST_FACTS]
        ],
    }
    attachments = [attachment]
    if described := _fitted(rendered.description.strip(), _LONGEST_TEXT):
        attachments.append({"fallback": "", "text": described})  # fields stand below a text: it may be long
    return f"**{_fitted(rendered.title, LONGEST_MESSAGE - 4)}**", {"attachments": attachments}


def _parts(rendered: RenderedMessage) -> Iterator[str]:
    yield _fitted(rendered.opening, _LONGEST_TEXT)
    shown, left = [], _LONGEST_LINKS
    for name, link in rendered.links.items():
        label = "Open" if name == "incident" else _fitted(link_name(name), _LONGEST_LABEL)
        one = f"[{label}]({link.translate(_IN_LINK)})"
        left -= len(one) + 3
        if left < 0:
            break
        if urlsplit(link).scheme in ("http", "https"):
            shown.append(one)
    yield " · ".join(shown)


_IN_LINK: Final = str.maketrans({"(": "%28", ")": "%29", " ": "%20", "<": "%3C", ">": "%3E", '"': "%22"})


def escaped(text: str) -> str:
    """The text as it shows; Mattermost has no way to write an @ that mentions nobody but to keep it apart."""
    marked = _LINE_STARTS.sub(r"\1\\\2", _MARKS.sub(r"\\\g<0>", text))
    return _MENTIONS.sub("@\N{ZERO WIDTH SPACE}", marked)


def _fitted(text: str, longest: int) -> str:
    """The text escaped, in at most so many characters."""
    made, room = escaped(text), longest
    while len(made) > longest:
        made = escaped(cut(text, room))
        room -= max(1, len(made) - longest)
    return made


# --- read again, for a terminal ---------------------------------------------------------------------------

_ESCAPE: Final = re.compile(r"\\(.)")
_LINK: Final = re.compile(r"(?<!\\)\[([^\]]*)\]\([^)]*\)")


def read(text: str, props: Mapping[str, Any]) -> str:
    """What such a post shows: its texts, and links by their names."""
    parts = [_seen(text.removeprefix("**").removesuffix("**"))]
    for attachment in props.get("attachments", ()):
        parts.append(_seen(_LINK.sub(r"[\1]", attachment["text"])))
        parts.append(
            "\n".join(
                f"{_seen(each['title'])}: {_seen(each['value'])}" for each in attachment.get("fields", ())
            )
        )
    return "\n\n".join(part for part in parts if part)


def _seen(text: str) -> str:
    return _ESCAPE.sub(r"\1", text).replace("@\N{ZERO WIDTH SPACE}", "@")

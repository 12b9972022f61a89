"""What a message looks like in Slack: blocks, within their documented limits, and a plain text beside them.

Text of events and people is escaped (`&`, `<`, `>`), which is what keeps it from mentioning anybody or
linking anywhere; `verbatim` keeps Slack from finding names and channels in it by itself.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any, Final
from urllib.parse import urlsplit

from services.notifier.channels.shown import in_brackets
from services.notifier.domain.delivery import Delivery
from services.notifier.domain.messages.cutting import cut
from services.notifier.domain.messages.rendered import ACTING_LINKS, RenderedMessage, link_name
from shared.events import LOOKING
from shared.json_object import JsonObject

LONGEST_HEADER: Final = 150
LONGEST_SECTION: Final = 3_000
LONGEST_BUTTON: Final = 75
LONGEST_VALUE: Final = 2_000
MOST_FIELDS: Final = 10
_LONGEST_TEXT: Final = 4_000
_LONGEST_FACT: Final = 300
_MOST_FACTS: Final = 20
_SHORT: Final = 150
_ESCAPED: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_IN_LINK: Final = str.maketrans({"&": "&amp;", "<": "%3C", ">": "%3E", "|": "%7C", " ": "%20"})


@dataclass(frozen=True, slots=True)
class Button:
    """One button: what it does, its words, and what Slack sends back when it is pressed.

    `answers`: it is the answer to the page; `moves`: done twice it does more; `asks`: asked before.
    """

    name: str
    action: str
    label: str
    answers: bool = False
    first: bool = False
    moves: bool = False
    asks: str = ""


def offered(delivery: Delivery, *, beneath: bool) -> Iterator[Button]:
    """The buttons of a message, the first choice first. `beneath`: the first message has them already."""
    incident, page, notice = delivery.content.incident, delivery.content.page, delivery.content.notice
    outside = delivery.recipient_kind in ("customer", "call") or (notice is not None and notice.stakeholder)
    if outside or (beneath and page is None):
        return
    if incident.status not in ("triggered", "acknowledged") or incident.parent:
        return
    looks = page is not None and page.through in LOOKING
    if looks:
        yield Button("seen", "acknowledge", "I have seen it", answers=True, first=True)
    if not incident.assignee:
        yield Button("acknowledge", "acknowledge", "Take it", answers=not looks, first=not looks)
    yield Button("escalate", "escalate", "Hand it up", moves=True, asks="The next level is paged now.")
    yield Button("resolve", "resolve", "It is solved", asks="Nobody is asked any more.")


def message(
    rendered: RenderedMessage, values: Sequence[tuple[Button, str]] = (), *, short: bool = False
) -> JsonObject:
    """`text` and `blocks`. `values`: the buttons with their values; without any, links act.

    `short`: what it is about is said above it.
    """
    acts = any(name in ACTING_LINKS for name in rendered.links)
    made = list(_short(rendered) if short and not acts else _whole(rendered, buttons=bool(values)))
    if values:
        made.append({"type": "actions", "elements": [_button(*each) for each in values]})
    return {"text": plain(rendered), "blocks": made}


def plain(rendered: RenderedMessage, *, whole: bool = False) -> str:
    """What notifications show, and programs that know no blocks. `whole`: with everything it says."""
    said = rendered.text if whole else rendered.opening
    return fitted(f"{rendered.title}\n{said}".strip(), _LONGEST_TEXT, rendered.shown_at)


def _whole(rendered: RenderedMessage, *, buttons: bool) -> Iterator[JsonObject]:
    yield {"type": "header", "text": _plain(cut(rendered.title, LONGEST_HEADER))}
    link = rendered.shown_at
    if rendered.opening:
        yield _section(fitted(rendered.opening, LONGEST_SECTION, link))
    facts = rendered.facts[:_MOST_FACTS]
    for number in range(0, len(facts), MOST_FIELDS):
        some = facts[number : number + MOST_FIELDS]
        yield {
            "type": "section",
            "fields": [
                _text(f"*{fitted(name, 100)}*\n{fitted(value, _LONGEST_FACT)}") for name, value in some
            ],
        }
    if described := rendered.description.strip():
        yield _section(fitted(described, LONGEST_SECTION, link))
    if links := _links(rendered.links, buttons=buttons):
        yield _section(links)


def _short(rendered: RenderedMessage) -> Iterator[JsonObject]:
    """Beneath the first message, which says what it is about."""
    said = rendered.preview if len(rendered.opening) <= _SHORT and rendered.preview else rendered.opening
    yield _section(fitted(said or rendered.title, LONGEST_SECTION, rendered.shown_at))


def _links(links: Mapping[str, str], *, buttons: bool) -> str:
    """Named links in one line, as many as fit; beside buttons none that act."""
    shown = ""
    for name, link in links.items():
        if buttons and name in ACTING_LINKS:
            continue
        parts = urlsplit(link)
        if parts.scheme not in ("http", "https"):
            continue
        label = "Open" if name == "incident" else fitted(link_name(name).replace("|", "/"), 100)
        longer = f"{shown}  ·  {_link(link, label)}" if shown else _link(link, label)
        if len(longer) > LONGEST_SECTION:
            break
        shown = longer
    return shown


def _link(href: str, label: str) -> str:
    """`label` is escaped already."""
    return f"<{href.translate(_IN_LINK)}|{label}>"


def _button(button: Button, value: str) -> JsonObject:
    made: JsonObject = {
        "type": "button",
        "action_id": button.name,
        "text": _plain(cut(button.label, LONGEST_BUTTON)),
        "value": value,
    }
    if button.first:
        made["style"] = "primary"
    if button.asks:
        made["confirm"] = {
            "title": _plain(cut(f"{button.label}?", 100)),
            "text": _plain(button.asks),
            "confirm": _plain("Yes"),
            "deny": _plain("No"),
        }
    return made


def _section(said: str) -> JsonObject:
    return {"type": "section", "text": _text(said)}


def _text(said: str) -> JsonObject:
    return {"type": "mrkdwn", "text": said, "verbatim": True}


def _plain(said: str) -> JsonObject:
    return {"type": "plain_text", "text": said or "–", "emoji": False}


def escaped(text: str) -> str:
    """The text as Slack shows it and does not read it."""
    return text.translate(_ESCAPED)


def fitted(text: str, longest: int, link: str = "") -> str:
    """The text escaped, in at most `longest` characters; where something was left out it leads on."""
    made, end = escaped(text), f" {_link(link, 'read on')}" if link else ""
    if len(end) > longest // 2:
        end = ""
    room = longest
    while len(made) > longest:
        made = escaped(cut(text, room - len(end))) + end
        room -= max(1, len(made) - longest)
    return made


# --- read again, for a terminal ---------------------------------------------------------------------------

_LINK: Final = re.compile(r"<[^|>]+\|([^>]+)>")
_BOLD: Final = re.compile(r"^\*(.+)\*\n", re.MULTILINE)


def read(blocks: Iterable[Mapping[str, Any]]) -> str:
    """What the blocks show: texts as Slack sets them, links and buttons by their names."""
    return "\n\n".join(_read(block) for block in blocks)


def _read(block: Mapping[str, Any]) -> str:
    match block["type"]:
        case "actions":
            return in_brackets(element["text"]["text"] for element in block["elements"])
        case "header":
            return str(block["text"]["text"])
        case _ if "fields" in block:
            return "\n".join(_seen(_BOLD.sub(r"\1: ", field["text"])) for field in block["fields"])
        case _:
            return _seen(block["text"]["text"])


def _seen(text: str) -> str:
    return unescape(_LINK.sub(r"[\1]", text))

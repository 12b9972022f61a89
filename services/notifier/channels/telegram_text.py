"""What a message looks like in Telegram: HTML of the few tags that the Bot API knows, and buttons with links.

A text has at most 4,096 UTF-16 code units after its entities were parsed: tags and escapes do not count.
"""

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from services.notifier.channels.shown import in_brackets
from services.notifier.domain.messages.cutting import cut
from services.notifier.domain.messages.rendered import ACTING_LINKS, RenderedMessage, link_name
from shared.json_object import JsonObject

LONGEST: Final = 4_096
_LONGEST_TITLE: Final = 300
_LONGEST_OPENING: Final = 1_200
_LONGEST_FACT: Final = 300
_LONGEST_FACTS: Final = 1_500
_LONGEST_LINKS: Final = 500
_LONGEST_LABEL: Final = 64
_SHORT: Final = 150
_BETWEEN: Final = 20  # blank lines between the parts


def text_of(rendered: RenderedMessage, *, short: bool, buttons: bool) -> str:
    """The text as HTML. `short`: what it is about stands above; `buttons`: without links that are buttons."""
    if short:
        said = rendered.preview if len(rendered.opening) <= _SHORT and rendered.preview else rendered.opening
        return _escaped(fitted(said or rendered.title, LONGEST))
    title, opening = fitted(rendered.title, _LONGEST_TITLE), fitted(rendered.opening, _LONGEST_OPENING)
    facts = _as_fit(_LONGEST_FACTS, _facts(rendered))
    links = _as_fit(_LONGEST_LINKS, _links(rendered.links, buttons=buttons))
    shown = [title, opening, *(each for each, _ in (*facts, *links))]
    left = LONGEST - _BETWEEN - sum(units(each) + 3 for each in shown)
    parts = [
        f"<b>{_escaped(title)}</b>\n{_escaped(opening)}",
        "\n".join(made for _, made in facts),
        _escaped(fitted(rendered.description.strip(), left)),
        " · ".join(made for _, made in links),
    ]
    return "\n\n".join(part for part in parts if part)


def plain(rendered: RenderedMessage) -> str:
    """The same without any form."""
    return fitted(f"{rendered.title}\n\n{rendered.text}", LONGEST)


def keyboard(links: Mapping[str, str]) -> JsonObject:
    """Buttons under the text that open links: those that act, then the incident itself; empty for none."""
    rows = [[{"text": _label(name), "url": links[name]}] for name in _buttons(links)]
    return {"inline_keyboard": rows} if rows else {}


def _buttons(links: Mapping[str, str]) -> list[str]:
    return [name for name in (*ACTING_LINKS, "incident") if name in links]


def _label(name: str) -> str:
    return "Open" if name == "incident" else fitted(link_name(name), _LONGEST_LABEL)


def _facts(rendered: RenderedMessage) -> Iterator[tuple[str, str]]:
    for name, value in rendered.facts:
        kept = fitted(value, _LONGEST_FACT)
        yield f"{name}: {kept}", f"<b>{_escaped(name)}:</b> {_escaped(kept)}"


def _links(links: Mapping[str, str], *, buttons: bool) -> Iterator[tuple[str, str]]:
    already = _buttons(links) if buttons else []
    for name, link in links.items():
        if name not in already and urlsplit(link).scheme in ("http", "https"):
            yield _label(name), f'<a href="{html.escape(link)}">{_escaped(_label(name))}</a>'


def _as_fit(longest: int, pieces: Iterable[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """As many pieces as fit, each as it shows and as it is written."""
    found = []
    for shows, made in pieces:
        longest -= units(shows) + 3
        if longest < 0:
            break
        found.append((shows, made))
    return found


def units(text: str) -> int:
    """UTF-16 code units, as Telegram counts."""
    return len(text.encode("utf-16-le", "replace")) // 2


def fitted(text: str, longest: int) -> str:
    """The text in at most so many UTF-16 code units, cut between words."""
    made, room = text, longest
    while units(made) > longest:
        made = cut(text, room)
        room -= max(1, units(made) - longest)
    return made


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


_LINK: Final = re.compile(r"<a [^>]*>([^<]*)</a>")
_TAG: Final = re.compile(r"</?[a-z]+>")


def read(body: Mapping[str, Any]) -> str:
    """What such a message shows, for a terminal: its text, and links and buttons by their names."""
    text = html.unescape(_TAG.sub("", _LINK.sub(r"[\1]", body["text"])))
    rows = body.get("reply_markup", {}).get("inline_keyboard", ())
    buttons = in_brackets(button["text"] for row in rows for button in row)
    return f"{text}\n\n{buttons}".rstrip()

"""Microsoft Teams: an Adaptive Card to a webhook of the Workflows app.

What such a workflow takes: a message whose attachments are Adaptive Cards (Microsoft Learn, "Create incoming
webhooks with Workflows for Microsoft Teams"). It answers 202 and posts the card afterwards, so nothing is
known of that but the id of the run, which is in the flow's history. A card cannot be replaced later by way of
the webhook: each message is a card of its own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from services.notifier.channels.envelope import Envelope
from services.notifier.channels.http_client import Answer, HttpClient, by_status
from services.notifier.channels.results import Delivered, Rejected, Result
from services.notifier.channels.shown import Shown, in_brackets
from services.notifier.domain.messages.cutting import cut
from services.notifier.domain.messages.rendered import OWN_LINKS, RenderedMessage, link_name
from shared.network.outbound import Outbound
from shared.security.keys import Signer

LARGEST: Final = 14_000
"""Bytes of one message. Teams takes about 28 KB (Microsoft Learn, "Microsoft Teams connector"); whether it
counts UTF-8 or UTF-16 is not said, and this holds for both."""
_VERSION: Final = "1.4"  # what Workflows, desktop and phones can all show
_LONGEST_TITLE: Final = 300
_LONGEST_NAME: Final = 60
_LONGEST_URL: Final = 2_048
_ALARMING: Final = frozenset({"breached", "escalated", "reopened"})
_OVER: Final = frozenset({"resolved", "closed"})
# TextBlock and FactSet read a subset of Markdown and functions such as {{DATE(…)}}.
_MARKS: Final = re.compile(r"([\\*_\[\]`]|~(?=~)|(?<=~)~|\{(?=\{)|(?<=\{)\{)")
_LINE_MARKS: Final = re.compile(r"(?m)^(\s*(?:\d+(?=[.)]))?)([-+#>.)])")


class TeamsChannel:
    """Posts messages as cards."""

    def __init__(self, outbound: Outbound) -> None:
        self._client = HttpClient(outbound)

    async def close(self) -> None:
        await self._client.close()

    async def send(self, envelope: Envelope) -> Result:
        answer = await self._client.request(
            "POST",
            envelope.address,
            content=written(envelope.rendered, envelope.delivery.content.incident.priority),
            headers={"content-type": "application/json"},
        )
        return _judged(answer, envelope) if isinstance(answer, Answer) else answer


def _judged(answer: Answer, envelope: Envelope) -> Result:
    said = f"HTTP {answer.status}"
    if answer.ok:
        run = answer.headers.get("x-ms-workflow-run-id", "")
        return Delivered(confirmed=False, answer=said, reference=run[:200])
    code = _code(answer)
    if code:
        said = f"{said} {code}"
    if code.endswith(("NotEnabled", "Disabled")):
        return Rejected(f"{said}: the flow is switched off; switch it on in Power Automate")
    match answer.status:
        case 404 | 410:
            return Rejected(f"{said}: the flow is gone; make a new one and put its URL here", disable=True)
        case 401 | 403:
            return Rejected(f"{said}: the flow does not take this URL's signature; copy the URL anew")
        case 413:
            return Rejected(f"{said}: the card is too large")
        case _:
            return by_status(answer, said, envelope.at)


def _code(answer: Answer) -> str:
    """The code of the error, which is one word: its text may repeat the URL."""
    error = answer.json().get("error")
    code = error.get("code") if isinstance(error, Mapping) else None
    return code if isinstance(code, str) and re.fullmatch(r"[A-Za-z]{1,60}", code) else ""


# --- the card ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Room:
    """How much of each part there is room for: characters of texts, and how many facts and buttons."""

    description: int
    opening: int
    facts: int
    fact: int
    buttons: int = 6  # more are not shown


_ROOMS: Final = (
    _Room(description=4_000, opening=2_000, facts=30, fact=500),
    _Room(description=1_000, opening=1_000, facts=20, fact=300),
    _Room(description=200, opening=500, facts=12, fact=200),
    _Room(description=0, opening=300, facts=4, fact=100, buttons=2),
)


def written(rendered: RenderedMessage, priority: int) -> bytes:
    """The message as JSON, under LARGEST: what is long is cut until it fits, the description first."""
    for room in _ROOMS:
        body = _encoded(rendered, priority, room)
        if len(body) <= LARGEST:
            break
    return body


def _encoded(rendered: RenderedMessage, priority: int, room: _Room) -> bytes:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": _VERSION,
        "fallbackText": cut(rendered.title, _LONGEST_TITLE),
        "msteams": {"width": "Full"},
        "body": _body(rendered, priority, room),
        "actions": _buttons(rendered.links)[: room.buttons],
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return msgspec.json.encode({"type": "message", "attachments": [attachment]})


def _body(rendered: RenderedMessage, priority: int, room: _Room) -> Sequence[Mapping[str, Any]]:
    link = rendered.shown_at
    title = _text(cut(rendered.title, _LONGEST_TITLE)) | {"weight": "Bolder", "size": "Medium"}
    described = rendered.description.strip() if room.description else ""
    head: Mapping[str, Any] = {
        "type": "Container",
        "style": _style(rendered.event, priority),
        "bleed": True,
        "items": [title, *_paragraphs(rendered.opening, room.opening, link)],
    }
    facts = [
        {"title": escaped(cut(name, _LONGEST_NAME)), "value": escaped(cut(value, room.fact))}
        for name, value in rendered.facts[: room.facts]
    ]
    return [
        head,
        *([{"type": "FactSet", "facts": facts}] if facts else []),
        *_paragraphs(described, room.description, link),
    ]


def _paragraphs(text: str, longest: int, link: str) -> Sequence[Mapping[str, Any]]:
    """The text in a block, with a link to the rest where it was cut; none for an empty text."""
    if not text.strip():
        return []
    block = _text(cut(text, longest))
    if len(text) > longest and link:
        block["text"] += f" [Read on]({link})"
    return [block]


def _text(text: str) -> dict[str, Any]:
    """As many paragraphs as the text has lines: a single line break is none in a card."""
    lines = [line for line in text.splitlines() if line.strip()]
    return {"type": "TextBlock", "wrap": True, "text": "\n\n".join(map(escaped, lines))}


def _style(event: str, priority: int) -> str:
    if event in _OVER:
        return "good"
    if event in _ALARMING or (event == "page" and priority <= 2):
        return "attention"
    return "warning" if event in ("page", "at_risk") else "emphasis"


def escaped(text: str) -> str:
    """The text so that a card shows it as it is: no Markdown, no functions, no lists."""
    return _LINE_MARKS.sub(r"\1\\\2", _MARKS.sub(r"\\\1", text))


def _buttons(links: Mapping[str, str]) -> Sequence[Mapping[str, str]]:
    """Ladder's own links first. They open a page: what a card posts reaches the flow only."""
    ordered = [name for name in OWN_LINKS if name in links] + [
        name for name in links if name not in OWN_LINKS
    ]
    return [
        {"type": "Action.OpenUrl", "title": cut(link_name(name), _LONGEST_NAME), "url": links[name]}
        for name in ordered
        if links[name].startswith(("https://", "http://")) and len(links[name]) <= _LONGEST_URL
    ]


# --- read again, for a terminal ---------------------------------------------------------------------------

_ESCAPE: Final = re.compile(r"\\(.)")


def shown(envelope: Envelope, signer: Signer, public_url: str) -> Shown:
    """The card, and its texts."""
    del signer, public_url
    body = written(envelope.rendered, envelope.delivery.content.incident.priority)
    made = msgspec.json.decode(body)
    card = made["attachments"][0]["content"]
    parts = [_read(element) for element in card["body"]]
    buttons = in_brackets(action["title"] for action in card["actions"])
    text = "\n\n".join(part for part in (*parts, buttons) if part)
    return Shown(text, made, size=f"{len(body):,} of {LARGEST:,} bytes")


def _read(element: Mapping[str, Any]) -> str:
    match element["type"]:
        case "Container":
            return "\n\n".join(_read(item) for item in element["items"])
        case "FactSet":
            return "\n".join(f"{fact['title']}: {_seen(fact['value'])}" for fact in element["facts"])
        case _:
            return _seen(element["text"])


def _seen(text: str) -> str:
    return _ESCAPE.sub(r"\1", text)

"""Slack as far as Ladder uses it: it checks what Slack documents that it checks, and keeps the messages."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.channels.provider import Asked, Said, playing

TOKEN = "xoxb-test"
_OWN_LINK = re.compile(r"<https?://[^<>|\s]+\|[^<>|]+>")


@dataclass
class Slack:
    """`refuse`: the next answers, in place of a message; `hooks`: what incoming webhooks were sent."""

    url: str = ""
    people: set[str] = field(default_factory=lambda: {"U024BE7LH", "#desk", "C0DESK"})
    messages: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    threads: dict[tuple[str, str], str] = field(default_factory=dict)
    refuse: list[Said] = field(default_factory=list)
    hooks: list[dict[str, Any]] = field(default_factory=list)
    hook_says: Said = field(default_factory=lambda: Said("ok"))
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _ts: Any = field(default_factory=lambda: count(1))

    def answer(self, asked: Asked) -> Said:
        assert asked.headers["content-type"].startswith("application/json")
        if asked.path.startswith(("/services/", "/actions/")):
            self.hooks.append(asked.content)
            wrong = "" if asked.path.startswith("/actions/") else fault(asked.content)
            return Said("invalid_payload", 400) if wrong else self.hook_says
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return _no("invalid_auth")
        method = asked.path.removeprefix("/api/")
        self.asked.append((method, asked.content))
        if self.refuse:
            return self.refuse.pop(0)
        if wrong := fault(asked.content):
            return Said({"ok": False, "error": "invalid_blocks", "response_metadata": {"messages": [wrong]}})
        return {"chat.postMessage": self._post, "chat.update": self._update}[method](asked.content)

    def _post(self, body: dict[str, Any]) -> Said:
        if body["channel"] not in self.people:
            return _no("channel_not_found")
        channel = {"U024BE7LH": "D0ANA", "#desk": "C0DESK"}.get(body["channel"], body["channel"])
        self.people.add(channel)
        thread = body.get("thread_ts")
        if thread and (channel, thread) not in self.messages:
            return _no("thread_not_found")
        ts = f"1700000000.{next(self._ts):06}"
        self.messages[channel, ts] = body
        if thread:
            self.threads[channel, ts] = thread
        return Said({"ok": True, "channel": channel, "ts": ts, "message": {"text": body["text"]}})

    def _update(self, body: dict[str, Any]) -> Said:
        where = (body["channel"], body["ts"])
        if where not in self.messages:
            return _no("message_not_found")
        self.messages[where] |= body
        return Said({"ok": True, "channel": where[0], "ts": where[1], "text": body["text"]})

    def roots(self, channel: str = "D0ANA") -> list[dict[str, Any]]:
        """The messages in a channel that are no answers, as they show now."""
        return [
            body for place, body in self.messages.items() if place[0] == channel and place not in self.threads
        ]

    def answers(self, channel: str = "D0ANA") -> list[dict[str, Any]]:
        return [
            body for place, body in self.messages.items() if place[0] == channel and place in self.threads
        ]


def _no(error: str) -> Said:
    return Said({"ok": False, "error": error})


def fault(body: dict[str, Any]) -> str:
    """What is wrong with a message by Slack's limits, or would mention or format what a text must not."""
    blocks = body.get("blocks", [])
    if len(blocks) > 50 or not body["text"]:
        return "too many blocks, or no text"
    for text in (body["text"], *(one["text"] for one in _texts(blocks) if one["type"] == "mrkdwn")):
        rest = _OWN_LINK.sub("", text)
        if "<" in rest or ">" in rest or re.search(r"&(?!amp;|lt;|gt;)", rest):
            return f"not escaped: {rest}"
    seen = set()
    for block in blocks:
        longest = {"header": 150, "section": 3_000}.get(block["type"], 3_000)
        if "text" in block and not 0 < len(block["text"]["text"]) <= longest:
            return f"{block['type']} is too long or empty"
        fields, elements = block.get("fields", []), block.get("elements", [])
        if len(fields) > 10 or len(elements) > 25 or any(len(one["text"]) > 2_000 for one in fields):
            return "too many fields or elements"
        for one in elements:
            if len(one["text"]["text"]) > 75 or len(one["value"]) > 2_000 or one["action_id"] in seen:
                return "a button that Slack does not take"
            seen.add(one["action_id"])
    return ""


def _texts(node: Any) -> list[dict[str, Any]]:
    """Every text object in it."""
    if isinstance(node, list):
        return [one for each in node for one in _texts(each)]
    if not isinstance(node, dict):
        return []
    if node.get("type") in ("mrkdwn", "plain_text"):
        return [node]
    return [one for each in node.values() for one in _texts(each)]


def said(body: dict[str, Any]) -> str:
    """Everything a message shows."""
    return "\n".join(one["text"] for one in _texts(body["blocks"]))


def buttons(body: dict[str, Any]) -> dict[str, str]:
    """The buttons of a message: their values by their words."""
    return {
        one["text"]["text"]: one["value"]
        for block in body["blocks"]
        if block["type"] == "actions"
        for one in block["elements"]
    }


@asynccontextmanager
async def slack_server() -> AsyncIterator[Slack]:
    slack = Slack()
    async with playing(slack.answer) as url:
        slack.url = url
        yield slack

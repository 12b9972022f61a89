"""The Telegram channel against a server that checks what the Bot API checks."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from services.notifier.channels import Delivered, Rejected, Unavailable
from services.notifier.channels.telegram import TelegramChannel, TelegramSettings
from services.notifier.channels.telegram_text import fitted, units
from services.notifier.domain.conversation import Conversation, first_message
from shared.network.outbound import Outbound
from shared.settings import BadSettingError
from tests.channels.envelopes import envelope
from tests.channels.provider import Asked, Said, playing
from tests.services.notifier.building import address, notice

TOKEN = "123456:ABC-DEF"
CHAT = "-1001234567890"


class Shown(HTMLParser):
    """What a text shows; `wrong` if a tag is none that Telegram knows, or stands open."""

    def __init__(self, written: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.open, self.wrong = "", [], False
        self.feed(written)
        self.close()
        self.wrong = self.wrong or bool(self.open) or bool(re.search(r"&(?!lt;|gt;|amp;|quot;|#)", written))

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        self.wrong = self.wrong or tag not in ("a", "b") or (tag == "a") != bool(attrs)

    def handle_endtag(self, tag: str) -> None:
        self.wrong = self.wrong or not self.open or self.open.pop() != tag

    def handle_data(self, text: str) -> None:
        self.text += text


@dataclass
class Telegram:
    """`refuse`: the next answers in place of a message."""

    url: str = ""
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    refuse: list[Said] = field(default_factory=list)
    asked: int = 0

    def answer(self, asked: Asked) -> Said:
        self.asked += 1
        assert asked.headers["content-type"] == "application/json"
        _, bot, method = asked.path.split("/")
        if bot != f"bot{TOKEN}":
            return no(401, "Unauthorized")
        if self.refuse:
            return self.refuse.pop(0)
        body = asked.content
        if wrong := _fault(body):
            return no(400, f"Bad Request: {wrong}")
        if method == "editMessageText":
            return self._edit(body)
        if str(body["chat_id"]) not in (CHAT, "@status"):
            return no(400, "Bad Request: chat not found")
        self.messages[len(self.messages) + 1] = body
        return self._said(len(self.messages))

    def _edit(self, body: dict[str, Any]) -> Said:
        if body["message_id"] not in self.messages:
            return no(400, "Bad Request: message to edit not found")
        before = self.messages[body["message_id"]]
        if before["text"] == body["text"] and before.get("reply_markup") == body.get("reply_markup"):
            return no(400, "Bad Request: message is not modified: specified new message content is the same")
        self.messages[body["message_id"]] = body
        return self._said(body["message_id"])

    @staticmethod
    def _said(number: int) -> Said:
        return Said({"ok": True, "result": {"message_id": number, "chat": {"id": int(CHAT)}}})


def no(status: int, why: str, **parameters: Any) -> Said:
    said = {"ok": False, "error_code": status, "description": why}
    return Said(said | ({"parameters": parameters} if parameters else {}), status)


def _fault(body: dict[str, Any]) -> str:
    text, wrong = body["text"], False
    if body.get("parse_mode") == "HTML":
        shown = Shown(text)
        text, wrong = shown.text, shown.wrong
    if wrong:
        return "can't parse entities"
    if len(text.encode("utf-16-le")) // 2 > 4_096:
        return "message is too long"
    for row in body.get("reply_markup", {}).get("inline_keyboard", ()):
        for button in row:
            host = urlsplit(button["url"]).hostname or ""
            if "." not in host:
                return f"inline keyboard button URL '{button['url']}' is invalid: Wrong HTTP URL"
    return ""


def buttons(body: dict[str, Any]) -> list[str]:
    rows = body.get("reply_markup", {}).get("inline_keyboard", ())
    return [button["text"] for row in rows for button in row]


@pytest.fixture
async def telegram() -> AsyncIterator[Telegram]:
    played = Telegram()
    async with playing(played.answer) as url:
        played.url = url
        yield played


def opened(telegram: Telegram, token: str = TOKEN) -> TelegramChannel:
    settings = TelegramSettings.read(telegram_token=SecretStr(token), telegram_url=telegram.url)
    return TelegramChannel(settings, Outbound())


@pytest.fixture
async def channel(telegram: Telegram) -> AsyncIterator[TelegramChannel]:
    made = opened(telegram)
    yield made
    await made.close()


async def test_a_page_arrives_with_buttons_that_open_the_links(telegram, channel):
    result = await channel.send(envelope(CHAT, title="Checkout <b> & co", description="No payment since 9."))
    assert result == Delivered(reference=f"{CHAT}:1")
    (message,) = telegram.messages.values()
    shown = Shown(message["text"]).text
    assert shown.startswith(
        "[P1] Checkout <b> & co\nYou are asked to take this.\n\nFor: Acme (gold)\nAct by: "
    )
    assert shown.endswith("\n\nNo payment since 9.")
    assert "Why you: Ana is on call" in shown
    assert buttons(message) == ["Acknowledge", "Open"]
    assert message["link_preview_options"] == {"is_disabled": True}


@pytest.mark.parametrize(
    "text", ["<a href='x'>&amp;" * 1_000, "🔥" * 9_000, "word " * 4_000, "\N{FAMILY}&" * 4_000]
)
async def test_no_text_is_too_long_or_breaks_the_form(telegram, channel, text):
    said = {"title": text[:1_000], "description": text, "labels": {f"l{n}": text[:250] for n in range(30)}}
    assert isinstance(await channel.send(envelope(CHAT, **said)), Delivered)
    assert telegram.asked == 1, "it was refused, and sent again without its form"


def test_a_text_is_cut_by_the_units_that_telegram_counts():
    assert units(fitted("🔥 " * 3_000, 4_096)) <= 4_096
    assert units("🔥") == 2


async def test_later_messages_reply_to_the_first_which_is_edited(telegram, channel):
    first = envelope(CHAT)
    root = (await channel.send(first)).reference
    told = envelope(CHAT, told=notice("taken", text="Petra took it."))
    await channel.send(replace(told, conversation=Conversation(root=root)))
    assert telegram.messages[2]["text"] == "Taken: Petra took it."
    assert telegram.messages[2]["reply_parameters"] == {"message_id": 1, "allow_sending_without_reply": True}
    talk = Conversation(root=root, edits=True, holds=True, first=first_message(first.delivery))
    now = replace(envelope(CHAT, status="resolved", title="Checkout was down"), conversation=talk)
    for _ in range(2):  # a repeat changes nothing, and is well
        assert await channel.send(now) == Delivered(reference=root)
    assert "Checkout was down" in telegram.messages[1]["text"]
    gone = replace(talk, root=f"{CHAT}:99")
    assert isinstance(await channel.send(replace(now, conversation=gone)), Rejected)


async def test_a_topic_of_a_forum_is_part_of_the_address(telegram, channel):
    await channel.send(envelope(f"{CHAT}/17"))
    assert telegram.messages[1]["message_thread_id"] == 17
    assert isinstance(await channel.send(envelope("https://t.me/x")), Rejected)


async def test_a_group_that_was_moved_is_followed(telegram, channel):
    moved = no(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=int(CHAT))
    telegram.refuse = [moved]
    assert await channel.send(envelope("-4242")) == Delivered(reference=f"{CHAT}:1")


async def test_where_telegram_refuses_the_buttons_links_stand_in_the_text(telegram, channel):
    telegram.refuse = [
        no(400, "Bad Request: inline keyboard button URL 'http://localhost/' is invalid: Wrong HTTP URL")
    ]
    assert isinstance(await channel.send(envelope(CHAT)), Delivered)
    assert ">Acknowledge</a>" in telegram.messages[1]["text"]
    assert buttons(telegram.messages[1]) == []


async def test_a_stakeholder_has_nothing_to_act_with(telegram, channel):
    told = notice("resolved", address("@status", "telegram"), stakeholder=True)
    await channel.send(envelope("@status", told=told))
    assert buttons(telegram.messages[1]) == ["Open"]


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (no(429, "Too Many Requests: retry after 5", retry_after=5), Unavailable("HTTP 429 Too Many Requests: retry after 5", 5.0)),
        (no(502, "Bad Gateway"), Unavailable("HTTP 502 Bad Gateway")),
        (Said("<html>", 200), Unavailable("the answer is not one of Telegram's")),
        (no(403, "Forbidden: bot was blocked by the user"), Rejected("HTTP 403 Forbidden: bot was blocked by the user: they have to unblock it")),
        (no(400, "Bad Request: something new"), Rejected("HTTP 400 Bad Request: something new")),
    ],
)  # fmt: skip
async def test_an_answer_means(telegram, channel, answer, result):
    telegram.refuse = [answer]
    assert await channel.send(envelope(CHAT)) == result


async def test_what_cannot_be_sent_says_what_to_do_and_never_the_token(telegram, channel):
    assert "must write to the bot first" in (await channel.send(envelope("1"))).reason
    wrong = opened(telegram, "1:other")
    result = await wrong.send(envelope(CHAT))
    await wrong.close()
    assert isinstance(result, Rejected)
    assert "LADDER_TELEGRAM_TOKEN" in result.reason
    away = TelegramChannel(
        TelegramSettings.read(telegram_token=SecretStr(TOKEN), telegram_url="http://127.0.0.1:1"), Outbound()
    )
    result = await away.send(envelope(CHAT))
    await away.close()
    assert isinstance(result, Unavailable)
    assert TOKEN not in result.reason
    with pytest.raises(BadSettingError, match="LADDER_TELEGRAM_TOKEN"):
        TelegramSettings.read(telegram_token=SecretStr("no token"))

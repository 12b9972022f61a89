"""Telegram, by a bot (https://core.telegram.org/bots/api): one chat, what belongs together as replies.

The first message about an incident is edited when that moves on; later ones reply to it. People act by
buttons that open the signed links.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from pydantic import Field, SecretStr, field_validator

from services.notifier.channels import telegram_text
from services.notifier.channels.envelope import Envelope
from services.notifier.channels.http_client import Answer, HttpClient, by_status
from services.notifier.channels.results import Delivered, Rejected, Result, Unavailable
from services.notifier.channels.settings import ChannelSettings
from services.notifier.channels.shown import Shown
from services.notifier.domain.messages.rendered import ACTING_LINKS
from shared.json_object import JsonObject
from shared.network.outbound import Outbound
from shared.security.keys import Signer

_PLACE: Final = re.compile(r"(?P<chat>-?[0-9]{1,20}|@[A-Za-z0-9_]{4,32})(?:/(?P<topic>[0-9]{1,10}))?")
_TOKEN: Final = re.compile(r"[0-9]+:[A-Za-z0-9_-]+")
_UNCHANGED: Final = "message is not modified"
_BUTTONS_REFUSED: Final = re.compile(r"button.?url|wrong http url|url host is empty", re.IGNORECASE)
_FORM_REFUSED: Final = re.compile(
    r"can't parse entities|message is too long|message text is empty", re.IGNORECASE
)
_NOT_GOOD: Final = "LADDER_TELEGRAM_TOKEN is not good (any more): give the token that BotFather shows"
_MEANS: Final = {
    "chat not found": "they must write to the bot first; to a group or channel the bot must be added",
    "bot was blocked": "they have to unblock it",
    "bot was kicked": "add it to the group again",
    "not enough rights": "let the bot post there",
}


class TelegramSettings(ChannelSettings):
    """`LADDER_TELEGRAM_…`."""

    telegram_token: SecretStr | None = Field(default=None, description="the bot's, from BotFather")
    telegram_url: str = Field(default="https://api.telegram.org", description="under which the Bot API is")

    @property
    def missing(self) -> str:
        return "" if self.telegram_token else "LADDER_TELEGRAM_TOKEN is not set"

    @field_validator("telegram_token")
    @classmethod
    def _is_a_token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not _TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("expected a bot's token, such as 123456:ABC-DEF")
        return token


class TelegramChannel:
    """Posts as a bot; an address is a chat's id or `@channel`, in a forum with its topic: `-100123456/17`."""

    def __init__(self, settings: TelegramSettings, outbound: Outbound) -> None:
        self._token = settings.telegram_token.get_secret_value() if settings.telegram_token else ""
        self._base = settings.telegram_url.rstrip("/")
        self._http = HttpClient(outbound.also(urlsplit(self._base).hostname or ""))

    async def close(self) -> None:
        await self._http.close()

    async def send(self, envelope: Envelope) -> Result:
        if not self._token:
            return Rejected("LADDER_TELEGRAM_TOKEN is not set")
        place = _PLACE.fullmatch(envelope.address)
        if place is None:
            return Rejected("the address is no chat: its id, or @channel, and in a forum /topic")
        root_chat, _, root = envelope.root.rpartition(":")
        if envelope.edits:
            said = await self._say(
                "editMessageText", {"chat_id": root_chat, "message_id": int(root)}, envelope
            )
            if _UNCHANGED in said.error:
                return Delivered(reference=envelope.root)
            return said.result
        about: JsonObject = {"chat_id": place["chat"]}
        if place["topic"]:
            about["message_thread_id"] = int(place["topic"])
        if root and root_chat:
            about["chat_id"] = root_chat
            about["reply_parameters"] = {"message_id": int(root), "allow_sending_without_reply": True}
        said = await self._say("sendMessage", about, envelope)
        if said.moved_to:
            said = await self._say("sendMessage", {"chat_id": said.moved_to}, envelope)
        return said.result

    async def _say(self, method: str, about: JsonObject, envelope: Envelope) -> "_Said":
        """As it should look; where Telegram refuses its buttons or its form, without these."""
        rendered = envelope.rendered
        acts = any(name in ACTING_LINKS for name in rendered.links)
        short = "reply_parameters" in about and not envelope.delivery.is_page and not acts
        keyboard = {} if short else telegram_text.keyboard(rendered.links)
        said = await self._call(
            method,
            about | _body(telegram_text.text_of(rendered, short=short, buttons=True), keyboard),
            envelope.at,
        )
        if _BUTTONS_REFUSED.search(said.error):
            written = telegram_text.text_of(rendered, short=short, buttons=False)
            said = await self._call(method, about | _body(written, {}), envelope.at)
        if _FORM_REFUSED.search(said.error):
            body = about | {"text": telegram_text.plain(rendered)}
            said = await self._call(method, body, envelope.at)
        return said

    async def _call(self, method: str, body: JsonObject, now: datetime) -> "_Said":
        answer = await self._http.request(
            "POST",
            f"{self._base}/bot{self._token}/{method}",
            content=msgspec.json.encode(body),
            headers={"content-type": "application/json"},
        )
        if isinstance(answer, Answer):
            return _judged(answer, now)
        return _Said(replace(answer, reason=answer.reason.replace(self._token, "…")))


def _body(text: str, keyboard: JsonObject) -> JsonObject:
    body: JsonObject = {"text": text, "parse_mode": "HTML", "link_preview_options": {"is_disabled": True}}
    return body | ({"reply_markup": keyboard} if keyboard else {})


@dataclass(frozen=True, slots=True)
class _Said:
    """What became of a call; Telegram's own words for why not, and the chat to which this one was moved."""

    result: Result
    error: str = ""
    moved_to: int = 0


def _judged(answer: Answer, now: datetime) -> _Said:
    body = answer.json()
    if answer.ok and body.get("ok") is True:
        return _Said(Delivered(reference=_reference(body.get("result"))))
    error = str(body.get("description", ""))[:200]
    said = f"HTTP {answer.status} {error}".strip()
    more = body.get("parameters")
    parameters: JsonObject = more if isinstance(more, dict) else {}
    if answer.status == 429:
        after = parameters.get("retry_after")
        seconds = float(after) if isinstance(after, int) else answer.retry_after(now)
        return _Said(Unavailable(said, seconds), error)
    if answer.status in (401, 404):  # a token that is no token is a path that is not there
        return _Said(Rejected(f"{said}: {_NOT_GOOD}"), error)
    if answer.ok:
        return _Said(Unavailable("the answer is not one of Telegram's"))
    moved_to = parameters.get("migrate_to_chat_id")
    means = next((f": {what}" for words, what in _MEANS.items() if words in error.lower()), "")
    return _Said(by_status(answer, said + means, now), error, moved_to if isinstance(moved_to, int) else 0)


def _reference(message: Any) -> str:
    """`chat:message`; '' where an answer holds neither."""
    if not isinstance(message, dict) or not isinstance(message.get("chat"), dict):
        return ""
    return f"{message['chat'].get('id', '')}:{message.get('message_id', '')}"


def shown(envelope: Envelope, signer: Signer, public_url: str) -> Shown:
    """The message as the first one in its chat."""
    del signer, public_url
    rendered = envelope.rendered
    text = telegram_text.text_of(rendered, short=False, buttons=True)
    made = _body(text, telegram_text.keyboard(rendered.links))
    return Shown(telegram_text.read(made), made)

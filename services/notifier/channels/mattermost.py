"""Mattermost: by a bot's token (`/api/v4`) to channels and people, or by an incoming webhook.

With the token, what is said of an incident in one place is one thread, and its first post shows where the
incident stands. An incoming webhook answers with no id, so each of its messages stands for itself.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec
from cachetools import LRUCache
from pydantic import Field, SecretStr, ValidationInfo, field_validator

from services.notifier.channels import mattermost_text
from services.notifier.channels.envelope import Envelope
from services.notifier.channels.http_client import Answer, HttpClient, by_status
from services.notifier.channels.results import Delivered, Rejected, Result, Unavailable
from services.notifier.channels.settings import ChannelSettings
from services.notifier.channels.shown import Shown
from shared.json_object import JsonObject
from shared.network.outbound import Outbound
from shared.security.keys import Signer

_ID: Final = re.compile(r"[a-z0-9]{26}")
_PERSON: Final = re.compile(r"@[a-z0-9][a-z0-9._-]{0,63}")
_ROOM: Final = re.compile(r"([a-z0-9][a-z0-9-]{0,63})/([a-z0-9][a-z0-9_-]{0,63})")
_REMEMBERED: Final = 1_000
_MEANS: Final = {
    401: "LADDER_MATTERMOST_TOKEN is not good (any more): give the token of a bot account",
    403: "the bot may not post there: add it to the team and to the channel",
    404: "there is no such person or channel, or the bot is not in its team",
}


class MattermostSettings(ChannelSettings):
    """`LADDER_MATTERMOST_…`."""

    mattermost_url: str = Field(default="", description="the server: https://chat.example.com")
    mattermost_token: SecretStr | None = Field(default=None, description="of a bot account on it")

    @property
    def missing(self) -> str:
        if not self.mattermost_url:
            return "LADDER_MATTERMOST_URL is not set"
        return "" if self.mattermost_token else "LADDER_MATTERMOST_TOKEN is not set"

    @field_validator("mattermost_url")
    @classmethod
    def _is_a_server(cls, url: str, _: ValidationInfo) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("expected the address of a server, such as https://chat.example.com")
        return url.rstrip("/")


class MattermostChannel:
    """Posts to a channel's id, `team/channel`, `@person`, or the URL of an incoming webhook."""

    def __init__(self, settings: MattermostSettings, outbound: Outbound) -> None:
        self._missing = settings.missing
        self._base = settings.mattermost_url
        self._token = settings.mattermost_token.get_secret_value() if settings.mattermost_token else ""
        self._api = HttpClient(outbound.also(urlsplit(self._base).hostname or ""))
        self._webhooks = HttpClient(outbound)
        self._channels: LRUCache[str, str] = LRUCache(_REMEMBERED)

    async def close(self) -> None:
        await self._api.close()
        await self._webhooks.close()

    async def send(self, envelope: Envelope) -> Result:
        if "://" in envelope.address:
            return await self._to_webhook(envelope)
        if self._missing:
            return Rejected(f"{self._missing}: without it only incoming webhooks can be sent to")
        beneath = bool(envelope.root) and not envelope.edits
        text, props = mattermost_text.message(
            envelope.rendered,
            envelope.delivery.content.incident,
            short=beneath and not envelope.delivery.is_page,
        )
        post: JsonObject = {"message": text, "props": props | {"ladder_message": envelope.delivery.id}}
        if envelope.edits:
            path = f"/posts/{quote(envelope.root, safe='')}/patch"
            return (await self._call("PUT", path, post, envelope.at)).result
        channel = await self._channel(envelope.address, envelope.at)
        if not isinstance(channel, str):
            return channel
        post["channel_id"] = channel
        if beneath:
            said = await self._call("POST", "/posts", post | {"root_id": envelope.root}, envelope.at)
            if "root_id" not in said.error:
                return said.result
        return (await self._call("POST", "/posts", post, envelope.at)).result

    async def _channel(self, address: str, now: datetime) -> str | Result:
        """The id of the channel that the address names; it stays the same, so it is asked for once."""
        if _ID.fullmatch(address):
            return address
        if (known := self._channels.get(address)) is not None:
            return known
        if room := _ROOM.fullmatch(address):
            path = f"/teams/name/{room[1]}/channels/name/{room[2]}"
            said = await self._call("GET", path, None, now)
        elif _PERSON.fullmatch(address):
            said = await self._with(address.removeprefix("@"), now)
        else:
            return Rejected("the address is no channel's id, no team/channel and no @person")
        if not isinstance(said.result, Delivered):
            return said.result
        self._channels[address] = said.result.reference
        return said.result.reference

    async def _with(self, person: str, now: datetime) -> "_Said":
        """The channel of the bot and this person."""
        ids = []
        for path in ("/users/me", f"/users/username/{person}"):
            said = await self._call("GET", path, None, now)
            if not isinstance(said.result, Delivered):
                return said
            ids.append(said.result.reference)
        return await self._call("POST", "/channels/direct", ids, now)

    async def _call(
        self, method: str, path: str, body: JsonObject | list[str] | None, now: datetime
    ) -> "_Said":
        """The id of what is answered is the result's reference."""
        headers = {"authorization": f"Bearer {self._token}", "content-type": "application/json"}
        content = msgspec.json.encode(body) if body is not None else None
        answer = await self._api.request(
            method, f"{self._base}/api/v4{path}", content=content, headers=headers
        )
        return _judged(answer, now) if isinstance(answer, Answer) else _Said(answer)

    async def _to_webhook(self, envelope: Envelope) -> Result:
        text, props = mattermost_text.message(
            envelope.rendered, envelope.delivery.content.incident, short=False
        )
        answer = await self._webhooks.request(
            "POST",
            envelope.address,
            content=msgspec.json.encode({"text": text} | props),
            headers={"content-type": "application/json"},
        )
        if not isinstance(answer, Answer):
            return answer
        return (
            Delivered(answer=f"HTTP {answer.status}") if answer.ok else _refusal(answer, envelope.at).result
        )


@dataclass(frozen=True, slots=True)
class _Said:
    """What became of a call, and Mattermost's own name for why it was refused."""

    result: Result
    error: str = ""


def _judged(answer: Answer, now: datetime) -> _Said:
    if not answer.ok:
        said = _refusal(answer, now)
        means = _MEANS.get(answer.status)
        if means and isinstance(said.result, Rejected):
            return _Said(Rejected(f"{said.result.reason}: {means}"), said.error)
        return said
    identity = answer.json().get("id")
    if not isinstance(identity, str) or not identity:
        return _Said(Unavailable("the answer is not one of Mattermost's"))
    return _Said(Delivered(reference=identity))


def _refusal(answer: Answer, now: datetime) -> _Said:
    """By `{"id": "api.post.…", "message": …}`; with 429 the server says when it takes more."""
    error = str(answer.json().get("id", ""))[:100]
    said = f"HTTP {answer.status} {error}".strip()
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.status == 429 and reset.isdecimal():
        return _Said(Unavailable(said, float(reset)), error)
    return _Said(by_status(answer, said, now), error)


def shown(envelope: Envelope, signer: Signer, public_url: str) -> Shown:
    """The post as the first one in its place."""
    del signer, public_url
    incident = envelope.delivery.content.incident
    text, props = mattermost_text.message(envelope.rendered, incident, short=False)
    return Shown(mattermost_text.read(text, props), {"message": text, "props": props})

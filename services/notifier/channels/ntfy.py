"""ntfy (https://ntfy.sh), push to phones from a server of one's own: published as JSON to the server's root.

An address is a topic at `LADDER_NTFY_URL`, or the whole URL of a topic. The credentials go to the server that
they were set for and to no other; a URL may carry its own (`https://user:password@host/topic`).

The phone shows one notification for an incident. A later message with the same `sequence_id` takes its place
(ntfy 2.16 and its Android app; others show a second one) but makes no sound while the first is on the screen.
So a page is always a notification of its own, and puts away the page before it, while what settles it, and
where the incident stands (a conversation's `edits`), takes its place quietly.
"""

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec
from pydantic import SecretStr, ValidationInfo, field_validator

from services.notifier.channels.envelope import EarlierPage, Envelope
from services.notifier.channels.http_client import Answer, HttpClient, by_status
from services.notifier.channels.results import Delivered, Rejected, Result, Unavailable
from services.notifier.channels.settings import ChannelSettings
from services.notifier.channels.shown import Shown, in_brackets
from services.notifier.domain.delivery import Delivery
from services.notifier.domain.messages.cutting import cut, cut_to_bytes
from services.notifier.domain.messages.rendered import ACTING_LINKS, OWN_LINKS, link_name, plain
from shared.network.outbound import Outbound
from shared.security.keys import Signer

LONGEST_MESSAGE: Final = 2_000
"""Bytes. ntfy takes 4,096 and makes an attachment of what is longer; the push services of Google and Apple
carry 4 KB with title, links and all."""
_LONGEST_TITLE: Final = 250
_LONGEST_LABEL: Final = 40
_MOST_ACTIONS: Final = 3
_PUT_AWAY_SECONDS: Final = 3.0
_TOPIC: Final = re.compile(r"[-_A-Za-z0-9]{1,64}")
_LOUD: Final = {1: 5, 2: 4}  # by Ladder's priority; the others 3: all of them sound
_QUIET: Final = 2
_HEARD: Final = 3
_HEARD_NOTICES: Final = frozenset(
    {"opened", "escalated", "at_risk", "breached", "reopened", "handoff", "confirm"}
)
_TAGS: Final[Mapping[str, str]] = {
    "taken": "raised_hand",
    "resolved": "white_check_mark",
    "closed": "white_check_mark",
    "at_risk": "hourglass",
    "breached": "hourglass",
}


class NtfySettings(ChannelSettings):
    """`LADDER_NTFY_URL`, and a token or user and password where the server wants to know who publishes."""

    ntfy_url: str = ""
    ntfy_token: SecretStr | None = None
    ntfy_user: str = ""
    ntfy_password: SecretStr | None = None

    @property
    def missing(self) -> str:
        return "" if self.ntfy_url else "LADDER_NTFY_URL is not set"

    @field_validator("ntfy_url")
    @classmethod
    def _is_a_server(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username):
            raise ValueError("expected the address of an ntfy server, such as https://ntfy.example.com")
        return url.rstrip("/")

    @field_validator("ntfy_password")
    @classmethod
    def _one_way_to_log_in(cls, password: SecretStr | None, about: ValidationInfo) -> SecretStr | None:
        user, token = about.data.get("ntfy_user"), about.data.get("ntfy_token")
        if bool(user) != bool(password):
            raise ValueError("it and LADDER_NTFY_USER belong together")
        if password and token:
            raise ValueError("LADDER_NTFY_TOKEN is set, too: keep one of them")
        return password


@dataclass(frozen=True, slots=True)
class Topic:
    """Where a message is published: the server's root, the topic, and how to log in there."""

    root: str
    name: str
    token: str = ""
    login: tuple[str, str] | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self.token}"} if self.token else {}


class NtfyChannel:
    """Publishes messages to topics. `earlier` finds the page that a newer one puts away."""

    def __init__(self, settings: NtfySettings, outbound: Outbound, earlier: EarlierPage) -> None:
        self._settings = settings
        self._client = HttpClient(outbound.also(urlsplit(settings.ntfy_url).hostname or ""))
        self._earlier = earlier

    async def close(self) -> None:
        await self._client.close()

    async def send(self, envelope: Envelope) -> Result:
        topic = self._topic(envelope.address)
        if isinstance(topic, Rejected):
            return topic
        before = await self._earlier(envelope.delivery) if envelope.delivery.incident_id else ""
        identity = _identity(envelope, before)
        body = msgspec.json.encode(written(envelope, topic.name, identity))
        headers = {"content-type": "application/json", **topic.headers}
        answer = await self._client.request(
            "POST", f"{topic.root}/", content=body, headers=headers, auth=topic.login
        )
        if not isinstance(answer, Answer):
            return answer
        if not answer.ok:
            return _judged(answer, envelope)
        if envelope.delivery.is_page and not envelope.edits and before and before != identity:
            await self._put_away(topic, before)
        return Delivered(confirmed=False, answer=f"HTTP {answer.status}", reference=identity)

    async def _put_away(self, topic: Topic, identity: str) -> None:
        """Take the page before from the phone. Where that fails, two are shown."""
        url = f"{topic.root}/{topic.name}/{identity}/clear"
        with suppress(TimeoutError):
            async with asyncio.timeout(_PUT_AWAY_SECONDS):
                await self._client.request("PUT", url, headers=topic.headers, auth=topic.login)

    def _topic(self, address: str) -> Topic | Rejected:
        ours = self._settings
        if "://" not in address:
            if not ours.ntfy_url:
                return Rejected("LADDER_NTFY_URL is not set, and the address is no URL of a topic")
            return self._at_our_server(address)
        try:
            parts = urlsplit(address)
            host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
        except ValueError:
            return Rejected("the address is not the URL of a topic, such as https://ntfy.example.com/alerts")
        path, _, name = parts.path.rstrip("/").rpartition("/")
        root = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{path}"
        if not _TOPIC.fullmatch(name) or not host:
            return Rejected("the address is not the URL of a topic, such as https://ntfy.example.com/alerts")
        if parts.username:
            return Topic(root, name, login=(unquote(parts.username), unquote(parts.password or "")))
        return self._at_our_server(name) if root.lower() == ours.ntfy_url.lower() else Topic(root, name)

    def _at_our_server(self, name: str) -> Topic | Rejected:
        ours = self._settings
        if not _TOPIC.fullmatch(name):
            return Rejected("the address is no topic: letters, digits, - and _, at most 64 of them")
        token = ours.ntfy_token.get_secret_value() if ours.ntfy_token else ""
        password = ours.ntfy_password.get_secret_value() if ours.ntfy_password else ""
        return Topic(ours.ntfy_url, name, token, (ours.ntfy_user, password) if ours.ntfy_user else None)


def _judged(answer: Answer, envelope: Envelope) -> Rejected | Unavailable:
    """By ntfy's codes (server/errors.go); its texts name neither topic nor credentials, a proxy's might."""
    said, error = f"HTTP {answer.status}", answer.json()
    if isinstance(code := error.get("code"), int):
        said = f"{said} {code} {str(error.get('error', ''))[:200]}".strip()
    match answer.status:
        case 401 | 403:
            return Rejected(f"{said}: the server lets nobody publish here with these credentials")
        case 507:  # a topic whose messages count for its subscriber, and nobody has subscribed
            return Unavailable(f"{said}: no phone has subscribed to this topic")
        case _:
            return by_status(answer, said, envelope.at)


# --- the message ------------------------------------------------------------------------------------------


def written(envelope: Envelope, topic: str, identity: str) -> Mapping[str, Any]:
    """The message as ntfy takes it as JSON."""
    rendered = envelope.rendered
    link = rendered.links.get("acknowledge") or rendered.shown_at
    said = plain(rendered.opening, rendered.description, rendered.facts, {}) or rendered.title
    return {
        "topic": topic,
        "title": cut(rendered.title, _LONGEST_TITLE),
        "message": cut_to_bytes(said, LONGEST_MESSAGE, rendered.shown_at),
        "priority": _QUIET if envelope.edits else _priority(envelope.delivery),
        "tags": [_tag(envelope)],
        "actions": _actions(envelope),
        "sequence_id": identity,
        **({"click": link} if link else {}),
    }


def _identity(envelope: Envelope, before: str) -> str:
    """The notification that the message is: one of its own, or that of the page whose state it says."""
    delivery = envelope.delivery
    if envelope.edits:
        return before or envelope.root
    settles = not delivery.is_page and delivery.content.incident.status != "triggered"
    if before and settles and _priority(delivery) == _QUIET:
        return before
    return hashlib.sha256(delivery.id.encode()).hexdigest()[:32]


def _priority(delivery: Delivery) -> int:
    page = delivery.content.page
    if page is not None:
        return _LOUD.get(delivery.content.incident.priority, _HEARD) if page.loud else _QUIET
    return _HEARD if delivery.event in _HEARD_NOTICES else _QUIET


def _tag(envelope: Envelope) -> str:
    delivery = envelope.delivery
    incident = delivery.content.incident
    if envelope.edits and incident.status != "triggered":
        return _TAGS.get(incident.status, _TAGS["taken"])
    if delivery.is_page:
        return "rotating_light" if incident.priority <= 2 else "warning"
    return _TAGS.get(delivery.event, "information_source")


def _actions(envelope: Envelope) -> Sequence[Mapping[str, Any]]:
    """Buttons on the lock screen: those that act at once, then those that open a page."""
    links = envelope.rendered.links
    asked = envelope.answers if "acknowledge" in links else {}
    acting = [
        {"action": "http", "label": label, "url": envelope.answers[name], "method": "POST", "clear": True}
        for name, label in (("acknowledge", "Acknowledge"), ("escalate", "Hand up"))
        if name in asked
    ]
    opening = [
        {"action": "view", "label": cut(link_name(name), _LONGEST_LABEL), "url": link, "clear": False}
        for name, link in links.items()
        if (name not in OWN_LINKS or name in ACTING_LINKS) and name not in asked
    ]
    return [*acting, *opening][:_MOST_ACTIONS]


def shown(envelope: Envelope, signer: Signer, public_url: str) -> Shown:
    """The notification; `sequence_id` is that of a message with none before it."""
    del signer, public_url
    made = dict(written(envelope, envelope.address.rpartition("/")[2] or "topic", _identity(envelope, "")))
    buttons = in_brackets(action["label"] for action in made["actions"])
    lines = [made["title"], "", made["message"], "", buttons]
    size = f"priority {made['priority']} of 5, {len(made['message'].encode()):,} of {LONGEST_MESSAGE:,} bytes"
    return Shown("\n".join(lines).rstrip(), made, size=size)

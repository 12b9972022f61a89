"""Slack: by a bot's token to people and channels, or by an incoming webhook to one channel.

With the token, what is said of an incident in one place is one thread, and its first message shows where the
incident stands (`chat.postMessage`, `chat.update`; limits and errors by Slack's own reference). An incoming
webhook is the simple way: it answers with no id, so each of its messages stands for itself.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import msgspec
from pydantic import Field, SecretStr

from services.notifier.channels import slack_blocks
from services.notifier.channels.envelope import Envelope
from services.notifier.channels.http_client import Answer, HttpClient, by_status
from services.notifier.channels.results import Delivered, Rejected, Result, Unavailable
from services.notifier.channels.settings import ChannelSettings
from services.notifier.channels.shown import Shown
from services.notifier.channels.slack_blocks import Button
from shared.events.replies import ANSWERED, SLACK_BUTTON
from shared.json_object import JsonObject
from shared.network.outbound import Outbound
from shared.security.keys import Signer

BUTTONS_LAST: Final = timedelta(days=7)
_PERSON: Final = re.compile(r"[UW][A-Z0-9]{2,}")
_LATER: Final = frozenset(
    {
        "fatal_error",
        "internal_error",
        "message_limit_exceeded",
        "org_login_required",
        "rate_limited",
        "ratelimited",
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
        "update_failed",
    }
)
"""Errors that pass by themselves."""
_NO_THREAD: Final = frozenset(
    {
        "cannot_reply_to_message",
        "message_not_found",
        "restricted_action_non_threadable_channel",
        "restricted_action_thread_locked",
        "thread_not_found",
    }
)
"""The first message is gone, or takes no answers: what comes now stands for itself."""
_NO_BLOCKS: Final = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long"})
_TOKEN: Final = "LADDER_SLACK_TOKEN is not good (any more): give the bot token of an installed app"  # noqa: S105 - words
_MEANS: Final = {
    "account_inactive": _TOKEN,
    "channel_not_found": "there is no such person or channel, or the app cannot see it: invite it",
    "invalid_auth": _TOKEN,
    "is_archived": "the channel is archived",
    "missing_scope": "the token lacks a scope: chat:write; where the app is not invited chat:write.public",
    "not_authed": _TOKEN,
    "not_in_channel": "invite the app to the channel, or give its token the scope chat:write.public",
    "restricted_action": "the workspace does not let the app post there",
    "token_expired": _TOKEN,
    "token_revoked": _TOKEN,
}


class SlackSettings(ChannelSettings):
    """`LADDER_SLACK_…`."""

    slack_token: SecretStr | None = Field(default=None, description="the bot token of the app, xoxb-…")
    slack_api_url: str = Field(default="https://slack.com/api", description="under which Slack's API is")
    slack_signing_secret: SecretStr | None = Field(
        default=None,
        description="with it messages have buttons, which the router answers (it is the router's setting)",
    )

    @property
    def missing(self) -> str:
        return "" if self.slack_token else "LADDER_SLACK_TOKEN is not set"


class SlackChannel:
    """Posts to Slack; an address is a person's or a channel's id, `#name`, or an incoming webhook's URL."""

    def __init__(self, settings: SlackSettings, outbound: Outbound, signer: Signer) -> None:
        self._signer = signer
        self._token = settings.slack_token.get_secret_value() if settings.slack_token else ""
        self._base = settings.slack_api_url.rstrip("/")
        self._interactive = bool(self._token and settings.slack_signing_secret)
        self._api = HttpClient(outbound.also(urlsplit(self._base).hostname or ""))
        self._webhooks = HttpClient(outbound)

    async def close(self) -> None:
        await self._api.close()
        await self._webhooks.close()

    async def send(self, envelope: Envelope) -> Result:
        if "://" in envelope.address:
            return await self._to_webhook(envelope)
        if not self._token:
            return Rejected("LADDER_SLACK_TOKEN is not set: without it only incoming webhooks can be sent to")
        beneath = bool(envelope.root) and not envelope.edits
        values = self._buttons(envelope, beneath=beneath)
        said = slack_blocks.message(
            envelope.rendered, values, short=beneath and not envelope.delivery.is_page
        )
        if envelope.edits:
            channel, _, ts = envelope.root.partition(":")
            return (await self._call("chat.update", {"channel": channel, "ts": ts} | said, envelope)).result
        about: JsonObject = {
            "channel": envelope.address,
            "unfurl_links": False,
            "unfurl_media": False,
            "metadata": {
                "event_type": "ladder_message",
                "event_payload": {"id": envelope.delivery.id, "incident": envelope.delivery.incident_id},
            },
        }
        if beneath:
            channel, _, ts = envelope.root.partition(":")
            # A page shows in the channel, too: in a thread alone it may not be noticed.
            thread = {"channel": channel, "thread_ts": ts, "reply_broadcast": envelope.delivery.is_page}
            said_back = await self._call("chat.postMessage", about | said | thread, envelope)
            if said_back.error not in _NO_THREAD:
                return said_back.result
        return (await self._call("chat.postMessage", about | said, envelope)).result

    async def _call(self, method: str, body: JsonObject, envelope: Envelope) -> "_Answered":
        answered = await self._once(method, body, envelope.at)
        if answered.error not in _NO_BLOCKS:
            return answered
        plain = {name: value for name, value in body.items() if name != "blocks"}
        plain["text"] = slack_blocks.plain(envelope.rendered, whole=True)
        return await self._once(method, plain, envelope.at)

    async def _once(self, method: str, body: JsonObject, now: datetime) -> "_Answered":
        answer = await self._api.request(
            "POST",
            f"{self._base}/{method}",
            content=msgspec.json.encode(body),
            headers={
                "authorization": f"Bearer {self._token}",
                "content-type": "application/json; charset=utf-8",
            },
        )
        return _judged(answer, now) if isinstance(answer, Answer) else _Answered(answer)

    async def _to_webhook(self, envelope: Envelope) -> Result:
        if envelope.delivery.event == ANSWERED:
            body: JsonObject = {
                "text": slack_blocks.escaped(envelope.rendered.opening),
                "response_type": "ephemeral",
                "replace_original": False,
            }
        else:
            body = slack_blocks.message(envelope.rendered)
        answer = await self._webhooks.request(
            "POST",
            envelope.address,
            content=msgspec.json.encode(body),
            headers={"content-type": "application/json; charset=utf-8"},
        )
        if not isinstance(answer, Answer):
            return answer
        if answer.ok:
            return Delivered(answer=f"HTTP {answer.status}")
        said = " ".join(answer.body[:100].decode(errors="replace").split())
        return by_status(answer, f"HTTP {answer.status} {said}".strip(), envelope.at)

    def _buttons(self, envelope: Envelope, *, beneath: bool) -> list[tuple[Button, str]]:
        if not self._interactive:
            return []
        made = [
            (button, self._value(button, envelope))
            for button in slack_blocks.offered(envelope.delivery, beneath=beneath)
        ]
        return [(button, value) for button, value in made if len(value) <= slack_blocks.LONGEST_VALUE]

    def _value(self, button: Button, envelope: Envelope) -> str:
        """What comes back when it is pressed: for whom, for which incident and page, signed and for a week.

        `person`: the id under which Slack knows whoever was asked, where the message went to nobody else;
        `stands`: where the incident is, if pressing twice would move it twice.
        """
        delivery = envelope.delivery
        page = delivery.content.page
        claims = {
            "incident": delivery.incident_id,
            "page": page.page_id if page is not None and button.answers else "",
            "user": delivery.recipient if delivery.recipient_kind == "user" else "",
            "person": envelope.address if _PERSON.fullmatch(envelope.address) else "",
            "action": button.action,
        }
        if button.moves:
            incident = delivery.content.incident
            claims["stands"] = f"{incident.policy}/{incident.level}/{incident.round}"
        return self._signer.sign(SLACK_BUTTON, claims, delivery.content.at + BUTTONS_LAST)


def shown(envelope: Envelope, signer: Signer, public_url: str) -> Shown:
    """The message as the first one in its place, with buttons."""
    del signer, public_url
    buttons = [(button, "…") for button in slack_blocks.offered(envelope.delivery, beneath=False)]
    made = slack_blocks.message(envelope.rendered, buttons)
    return Shown(slack_blocks.read(made["blocks"]), made)


@dataclass(frozen=True, slots=True)
class _Answered:
    """What became of a call, and Slack's own word for why it was refused."""

    result: Result
    error: str = ""


def _judged(answer: Answer, now: datetime) -> _Answered:
    if not answer.ok:
        return _Answered(by_status(answer, f"HTTP {answer.status}", now))
    body = answer.json()
    if body.get("ok") is True:
        return _Answered(Delivered(reference=f"{body.get('channel', '')}:{body.get('ts', '')}"))
    error = body.get("error")
    if not isinstance(error, str):
        return _Answered(Unavailable("the answer is not one of Slack's"))
    if error in _LATER:
        return _Answered(Unavailable(f"Slack says {error}", answer.retry_after(now)), error)
    means = f": {_MEANS[error]}" if error in _MEANS else ""
    return _Answered(Rejected(f"Slack says {error[:100]}{means}"), error)

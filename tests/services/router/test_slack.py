"""Buttons in Slack, from the message that the notifier sends to what the router does and answers."""

import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from pydantic import SecretStr

from services.notifier.channels import Envelope
from services.notifier.channels.slack import SlackChannel, SlackSettings
from services.notifier.domain.announcements import as_change
from services.notifier.domain.messages.compose import render
from services.notifier.domain.plan import plan
from services.notifier.sending.links import links_of
from services.router.api.slack.presses import check_signature
from shared.auth.failed_attempts import WrongKey
from shared.clock import utcnow
from shared.eventlog.codec import decode
from shared.eventlog.packed_headers import unpack
from shared.events import Announced, IncidentChanged
from shared.network.outbound import Outbound
from shared.policy import Bundle
from tests.channels.slack_server import TOKEN, Slack, buttons, slack_server
from tests.domain.tale import bundle
from tests.services.router.api import SIGNER, Api, api_of, keys
from tests.services.router.desk import Desk

SECRETS = ("new secret", "old secret")
PEOPLE = {
    "ana": {"name": "Ana", "contacts": {"chat": {"slack": "U024BE7LH"}}},
    "petra": {"name": "Petra", "role": "lead", "contacts": {"chat": {"slack": "U0PETRA"}}},
    "karel": {"name": "Karel", "role": "viewer", "contacts": {"chat": {"slack": "U0KAREL"}}},
}


@dataclass
class Room:
    """Slack, the notifier's channel and the router's path."""

    slack: Slack
    channel: SlackChannel
    served: Api
    policy: Bundle

    async def shown(self) -> dict[str, str]:
        """Send the pages of the newest incident; the buttons of the newest message by their words."""
        for value, headers in reversed(await self.told()):
            if headers["ce_type"] == IncidentChanged.type.encode():
                message = decode(IncidentChanged, value, headers)
                if message.pages:
                    await self.send(message)
                    break
        return buttons(list(self.slack.messages.values())[-1])

    async def send(self, message: IncidentChanged) -> None:
        for delivery in plan(message, self.policy, utcnow()).deliveries:
            made = render(delivery, self.policy, links_of(delivery, "https://l.test", SIGNER), utcnow())
            await self.channel.send(Envelope(delivery, made, delivery.address, "", utcnow()))

    async def press(self, value: str, who: str = "U024BE7LH", at: str = "1.1") -> str:
        """Press a button; what Slack shows to whoever pressed."""
        answer = await self.post(pressed(self.slack, value, who, at))
        assert (answer.status_code, answer.content) == (200, b""), answer.text
        return await self.answered()

    async def told(self) -> list[tuple[bytes, dict[str, bytes]]]:
        """What waits to be published."""
        rows = await self.served.desk.sql("SELECT value, headers FROM router.outbox ORDER BY id")
        return [(row.value, unpack(row.headers)) for row in rows]

    async def answered(self) -> str:
        rows = await self.served.desk.sql("SELECT value, headers FROM router.outbox ORDER BY id")
        said = [(row.value, unpack(row.headers)) for row in rows]
        value, headers = next(
            each for each in reversed(said) if each[1]["ce_type"] == Announced.type.encode()
        )
        await self.send(as_change(decode(Announced, value, headers)))
        hook = self.slack.hooks[-1]
        assert (hook["response_type"], hook["replace_original"]) == ("ephemeral", False)
        return hook["text"]

    async def post(self, body: bytes, **signed: Any) -> httpx2.Response:
        headers = signature(body, **signed)
        return await self.served.client.post("/v1/replies/slack", content=body, headers=headers)

    async def stands(self) -> tuple[str, str, str]:
        (item,) = await self.served.items()
        return item["status"], item["level"], item["assignee"]


def pressed(slack: Slack, value: str, who: str, at: str = "1.1") -> bytes:
    action = {"type": "button", "action_id": "acknowledge", "value": value, "action_ts": at}
    where = {"response_url": f"{slack.url}/actions/T1/1", "trigger_id": "1.2", "message": {"blocks": []}}
    return form({"type": "block_actions", "user": {"id": who, "name": "x"}, "actions": [action]} | where)


def form(payload: Any) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


def signature(body: bytes, secret: str = SECRETS[0], age: float = 0, **instead: str) -> dict[str, bytes]:
    at = str(int(utcnow().timestamp() - age))
    made = hmac.new(secret.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    named = {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={made}"}
    given = {"content-type": "application/x-www-form-urlencoded"} | named
    given |= {name.replace("_", "-"): value for name, value in instead.items()}
    return {name: value.encode() for name, value in given.items()}


@pytest.fixture
async def room(desk: Desk) -> AsyncIterator[Room]:
    policy = bundle(users=PEOPLE, api_keys=keys())
    async with (
        slack_server() as slack,
        api_of(desk, keys(), slack_signing_secret=SecretStr(", ".join(SECRETS))) as served,
    ):
        await desk.put_in_force(policy)
        slack.people |= {"U0PETRA", "U0KAREL"}
        settings = SlackSettings.read(
            slack_token=TOKEN, slack_api_url=f"{slack.url}/api", slack_signing_secret="x"
        )
        channel = SlackChannel(settings, Outbound.allowing(["127.0.0.1"]), SIGNER)
        await served.opened()
        yield Room(slack, channel, served, policy)
        await channel.close()


async def test_ana_takes_it_hands_it_up_and_is_told_what_was_done(room: Room) -> None:
    shown = await room.shown()
    assert await room.press(shown["Take it"]) == "You have taken it. Recorded for Ana."
    assert await room.stands() == ("acknowledged", "desk", "ana")
    assert await room.press(shown["Hand it up"], at="2.1") == (
        "It was handed up. You hear how it goes on. Recorded for Ana."
    )
    assert await room.stands() == ("triggered", "experts", "")
    assert await room.press((await room.shown())["It is solved"], "U0PETRA") == (
        "It is resolved. Recorded for Petra."
    )


async def test_the_same_press_again_acts_once(room: Room) -> None:
    """Whoever sends it again within the five minutes changes nothing, and gets the first answer."""
    solved = (await room.shown())["It is solved"]
    for _ in range(2):
        assert await room.press(solved) == "It is resolved. Recorded for Ana."
    assert "it is resolved already" in await room.press(solved, at="2.1")


async def test_two_who_hand_up_the_same_message_hand_it_up_once(room: Room) -> None:
    up = (await room.shown())["Hand it up"]
    await room.press(up)
    assert "it has moved on" in await room.press(up, "U0PETRA", at="2.1")
    assert await room.stands() == ("triggered", "experts", "")


async def test_in_a_room_whoever_presses_is_known_by_the_policy_or_told_how_to_be(room: Room) -> None:
    take = (await room.shown())["Take it"]
    said = await room.press(take, "U0STRANGER")
    assert "Ladder does not know who you are" in said
    assert "chat: {slack: U0STRANGER}" in said
    assert await room.stands() == ("triggered", "desk", "")
    assert await room.press(take, "U0PETRA") == "You have taken it. Recorded for Petra."
    assert await room.press(take, at="3.1") == "Nothing was changed: it is taken already, by Petra."


async def test_who_only_looks_may_not_and_reads_why(room: Room) -> None:
    said = await room.press((await room.shown())["Take it"], "U0KAREL")
    assert said == "Nothing was changed: acknowledge needs the role responder; this key has viewer."


async def test_an_id_that_two_have_names_both(room: Room) -> None:
    twice = {name: replace_slack(user, "U0TWO") for name, user in PEOPLE.items() if name != "ana"}
    take = (await room.shown())["Take it"]
    await room.served.desk.put_in_force(bundle(users=PEOPLE | twice, api_keys=keys()))
    assert "karel, petra all have your Slack id U0TWO" in await room.press(take, "U0TWO")


def replace_slack(user: dict[str, Any], person: str) -> dict[str, Any]:
    return user | {"contacts": {"chat": {"slack": person}}}


async def test_what_is_no_button_of_ours_changes_nothing(room: Room) -> None:
    value = (await room.shown())["Take it"]
    for altered in ("nonsense", value[:-4] + "AAAA", SIGNER.sign("reply", {"action": "acknowledge"})):
        assert "too old, or not Ladder's" in await room.press(altered)
    assert (await room.post(form({"type": "view_submission"}))).status_code == 200
    assert (await room.post(b"payload=%7Bnot")).status_code == 400
    assert await room.stands() == ("triggered", "desk", "")


@pytest.mark.parametrize(
    ("signed", "genuine"),
    [
        ({}, True),
        ({"secret": "old secret"}, True),  # while it is rotated
        ({"secret": "another secret"}, False),
        ({"age": 290}, True),
        ({"age": 310}, False),  # a replay
        ({"age": -310}, False),
        ({"X_Slack_Signature": ""}, False),
        ({"X_Slack_Signature": "v0=\u00e9"}, False),
        ({"X_Slack_Request_Timestamp": "now"}, False),
        ({"X_Slack_Request_Timestamp": "9" * 400}, False),
    ],
)
def test_only_what_slack_signed_a_moment_ago_is_read(signed: dict[str, Any], *, genuine: bool) -> None:
    headers = {name.lower(): value.decode() for name, value in signature(b"body", **signed).items()}
    with contextlib.nullcontext() if genuine else pytest.raises(WrongKey):
        check_signature(headers, b"body", SECRETS, utcnow())
    with pytest.raises(WrongKey):
        check_signature(headers, b"another body", SECRETS, utcnow())


async def test_a_wrong_signature_changes_nothing(room: Room) -> None:
    body = pressed(room.slack, (await room.shown())["Take it"], "U024BE7LH")
    answer = await room.post(body, secret="another secret")
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:ladder:problem:wrong-signature")
    assert await room.stands() == ("triggered", "desk", "")


async def test_without_a_signing_secret_nothing_is_taken(desk: Desk) -> None:
    async with api_of(desk, keys()) as served:
        answer = await served.client.post("/v1/replies/slack", content=b"payload=x")
    assert (answer.status_code, "LADDER_SLACK_SIGNING_SECRET" in answer.text) == (404, True)

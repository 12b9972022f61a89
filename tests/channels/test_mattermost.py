"""The Mattermost channel against a server that checks what Mattermost checks."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydantic import SecretStr

from services.notifier.channels import Delivered, Rejected, Unavailable
from services.notifier.channels.mattermost import MattermostChannel, MattermostSettings
from services.notifier.channels.mattermost_text import escaped
from services.notifier.domain.conversation import Conversation, first_message
from shared.network.outbound import Outbound
from tests.channels.envelopes import envelope
from tests.channels.provider import Asked, Said, playing
from tests.services.notifier.building import address, notice

TOKEN = "a bot's token"
ROOM, WITH_ANA = "c" * 26, "d" * 26
_MENTION = re.compile(r"@\w")


@dataclass
class Mattermost:
    """`refuse`: the next answers in place of a post; `hooks`: what incoming webhooks were sent."""

    url: str = ""
    posts: dict[str, dict[str, Any]] = field(default_factory=dict)
    hooks: list[dict[str, Any]] = field(default_factory=list)
    refuse: list[Said] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def answer(self, asked: Asked) -> Said:
        if asked.path.startswith("/hooks/"):
            self.hooks.append(asked.content)
            return self.refuse.pop(0) if self.refuse else Said("ok")
        self.asked.append(f"{asked.method} {asked.path.removeprefix('/api/v4')}")
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return no(401, "api.context.session_expired.app_error")
        match self.asked[-1].split():
            case ["GET", "/users/me"]:
                return Said({"id": "b" * 26})
            case ["GET", "/users/username/ana.novak"]:
                return Said({"id": "a" * 26})
            case ["POST", "/channels/direct"]:
                return Said({"id": WITH_ANA if asked.content == ["b" * 26, "a" * 26] else "x"}, 201)
            case ["GET", "/teams/name/desk/channels/name/pages"]:
                return Said({"id": ROOM})
            case ["POST", "/posts"]:
                return self.refuse.pop(0) if self.refuse else self._post(asked.content)
            case ["PUT", path]:
                return self._patch(path.split("/")[2], asked.content)
        return no(404, "app.user.missing_account.const")

    def _post(self, body: dict[str, Any]) -> Said:
        if body["channel_id"] not in (ROOM, WITH_ANA):
            return no(403, "api.context.permissions.app_error")
        if body.get("root_id") and body["root_id"] not in self.posts:
            return no(400, "api.post.create_post.root_id.app_error")
        if wrong := _fault(body["message"], body["props"]):
            return no(400, wrong)
        name = f"{len(self.posts) + 1:026}"
        self.posts[name] = body
        return Said({"id": name, **body}, 201)

    def _patch(self, name: str, body: dict[str, Any]) -> Said:
        if name not in self.posts:
            return no(404, "app.post.get.app_error")
        self.posts[name] |= body
        return Said({"id": name})


def no(status: int, name: str, **headers: str) -> Said:
    named = {each.replace("_", "-"): value for each, value in headers.items()}
    return Said({"id": name, "message": "No.", "status_code": status}, status, named)


def _fault(text: str, props: dict[str, Any]) -> str:
    if not 0 < len(text) <= 4_000 or len(str(props)) > 800_000:
        return "model.post.is_valid.msg.app_error"
    return "a mention" if _MENTION.search(text + str(props.get("attachments", ""))) else ""


def shown(post: dict[str, Any]) -> str:
    """From top to bottom, as Mattermost sets it: the fields of an attachment below its text."""
    lines = [post["message"]]
    for card in post["props"]["attachments"]:
        lines += [card["text"], *(f"{one['title']}: {one['value']}" for one in card.get("fields", ()))]
    return "\n".join(lines)


@pytest.fixture
async def mattermost() -> AsyncIterator[Mattermost]:
    played = Mattermost()
    async with playing(played.answer) as url:
        played.url = url
        yield played


def opened(mattermost: Mattermost, token: str = TOKEN) -> MattermostChannel:
    settings = MattermostSettings.read(
        mattermost_url=f"{mattermost.url}/", mattermost_token=SecretStr(token) if token else None
    )
    return MattermostChannel(settings, Outbound.allowing(["127.0.0.1"]))


@pytest.fixture
async def channel(mattermost: Mattermost) -> AsyncIterator[MattermostChannel]:
    made = opened(mattermost)
    yield made
    await made.close()


async def test_a_page_arrives_with_what_it_is_about_and_links_that_act(mattermost, channel):
    sent = envelope(ROOM, title="Checkout *is* down", description="No payment since 9.")
    result = await channel.send(sent)
    (name,) = mattermost.posts
    assert result == Delivered(reference=name)
    post = mattermost.posts[name]
    assert post["message"] == "**\\[P1\\] Checkout \\*is\\* down**"
    for words in (
        "You are asked to take this.",
        "No payment since 9.",
        "[Acknowledge](https://ladder.test/",
        "Why you: Ana",
    ):
        assert words in shown(post), words
    assert shown(post).endswith("\nNo payment since 9.")  # it may be long: by when to act stands above it
    assert post["props"]["ladder_message"] == sent.delivery.id


@pytest.mark.parametrize(
    "text", ["@channel @all look [here](http://evil.example) " * 300, "*" * 9_000, "# a\n- b\n1. c\n" * 900]
)
async def test_no_event_mentions_anybody_and_none_is_too_long(mattermost, channel, text):
    said = {"title": text[:1_000], "description": text, "labels": {"@all": text[:250]}}
    assert isinstance(await channel.send(envelope(ROOM, **said)), Delivered)


def test_text_is_written_so_that_it_shows_as_it_is():
    assert escaped("~town #x a@b.c\n- one\n2. two") == "\\~town \\#x a@\u200bb.c\n\\- one\n\\2. two"


async def test_later_messages_go_into_the_thread_and_the_first_is_changed(mattermost, channel):
    first = envelope(ROOM)
    root = (await channel.send(first)).reference
    told = envelope(ROOM, told=notice("taken", text="Petra took it."))
    await channel.send(replace(told, conversation=Conversation(root=root)))
    assert list(mattermost.posts.values())[1]["message"] == "Taken: Petra took it."
    assert list(mattermost.posts.values())[1]["root_id"] == root
    talk = Conversation(root=root, edits=True, holds=True, first=first_message(first.delivery))
    now = envelope(ROOM, status="resolved", title="Checkout was down")
    assert await channel.send(replace(now, conversation=talk)) == Delivered(reference=root)
    assert "Checkout was down" in mattermost.posts[root]["message"]
    assert mattermost.posts[root]["props"]["attachments"][0]["color"] == "#3db887"


async def test_where_the_first_message_is_gone_the_next_stands_for_itself(mattermost, channel):
    gone = Conversation(root="9" * 26)
    assert isinstance(await channel.send(replace(envelope(ROOM), conversation=gone)), Delivered)
    assert isinstance(
        await channel.send(replace(envelope(ROOM), conversation=replace(gone, edits=True))), Rejected
    )


async def test_people_and_rooms_are_found_by_name_once(mattermost, channel):
    for to in ("@ana.novak", "@ana.novak", "desk/pages", "desk/pages"):
        assert isinstance(await channel.send(envelope(to)), Delivered)
    assert [post["channel_id"] for post in mattermost.posts.values()] == [WITH_ANA] * 2 + [ROOM] * 2
    assert len([each for each in mattermost.asked if each.startswith("GET")]) == 3
    assert "no such person" in (await channel.send(envelope("@nobody"))).reason
    assert "no team/channel" in (await channel.send(envelope("Some Room"))).reason


async def test_a_stakeholder_reads_nothing_internal(mattermost, channel):
    told = notice("resolved", address(ROOM, "mattermost"), stakeholder=True)
    await channel.send(envelope(ROOM, told=told))
    assert "Acknowledge" not in shown(next(iter(mattermost.posts.values())))


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (no(429, "api.context.rate.app_error", x_ratelimit_reset="3"), Unavailable("HTTP 429 api.context.rate.app_error", 3.0)),
        (Said("", 429, {"retry-after": "9"}), Unavailable("HTTP 429", 9.0)),
        (Said("", 503), Unavailable("HTTP 503")),
        (Said("<html>"), Unavailable("the answer is not one of Mattermost's")),
        (no(413, "api.too_large"), Rejected("HTTP 413 api.too_large")),
    ],
)  # fmt: skip
async def test_an_answer_means(mattermost, channel, answer, result):
    mattermost.refuse = [answer]
    assert await channel.send(envelope(ROOM)) == result


async def test_what_cannot_be_sent_says_what_to_do(mattermost, channel):
    assert "add it to the team" in (await channel.send(envelope("z" * 26))).reason
    wrong, none = opened(mattermost, "old"), opened(mattermost, "")
    assert "LADDER_MATTERMOST_TOKEN" in (await wrong.send(envelope(ROOM))).reason
    assert "LADDER_MATTERMOST_TOKEN is not set" in (await none.send(envelope(ROOM))).reason
    await wrong.close()
    await none.close()


async def test_an_incoming_webhook_needs_no_token(mattermost):
    channel = opened(mattermost, "")
    mattermost.refuse = [Said("ok"), no(400, "web.incoming_webhook.invalid.app_error")]
    there = f"{mattermost.url}/hooks/x"
    assert await channel.send(envelope(there)) == Delivered(answer="HTTP 200")
    assert await channel.send(envelope(there)) == Rejected("HTTP 400 web.incoming_webhook.invalid.app_error")
    await channel.close()
    assert mattermost.hooks[0]["text"].startswith("**")
    assert "[Acknowledge](" in mattermost.hooks[0]["attachments"][0]["text"]

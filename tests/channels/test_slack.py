"""The Slack channel against a server that checks what Slack checks."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from services.notifier.channels import Delivered, Rejected, Unavailable
from services.notifier.channels.slack import SlackChannel, SlackSettings
from services.notifier.domain.conversation import Conversation, first_message
from shared.events.replies import SLACK_BUTTON
from shared.network.outbound import Outbound
from tests.channels.envelopes import SIGNER, envelope
from tests.channels.provider import Said
from tests.channels.slack_server import TOKEN, Slack, buttons, said, slack_server
from tests.services.notifier.building import T0, address, notice

ANA = "U024BE7LH"


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    async with slack_server() as running:
        yield running


def opened(slack: Slack, *, token: str = TOKEN, secret: str = "shh") -> SlackChannel:
    settings = SlackSettings.read(
        slack_token=SecretStr(token) if token else None,
        slack_api_url=f"{slack.url}/api/",
        slack_signing_secret=SecretStr(secret) if secret else None,
    )
    return SlackChannel(settings, Outbound.allowing(["127.0.0.1"]), SIGNER)


@pytest.fixture
async def channel(slack: Slack) -> AsyncIterator[SlackChannel]:
    made = opened(slack)
    yield made
    await made.close()


async def test_a_page_arrives_with_what_it_is_about_and_buttons(slack, channel):
    sent = envelope(ANA, title="Checkout is down", description="No payment has gone through since 9:00.")
    assert await channel.send(sent) == Delivered(reference="D0ANA:1700000000.000001")
    (message,) = slack.roots()
    for words in (
        "[P1] Checkout is down",
        "You are asked to take this.",
        "No payment",
        "*Why you*\nAna is on call",
    ):
        assert words in said(message), words
    assert message["text"].startswith("[P1] Checkout is down\n")
    assert list(buttons(message)) == ["Take it", "Hand it up", "It is solved"]
    assert message["metadata"]["event_payload"]["id"] == sent.delivery.id
    assert "Acknowledge" not in said(message)  # the buttons do, and say who pressed


async def test_a_button_is_bound_to_person_incident_and_page(slack, channel):
    await channel.send(envelope(ANA))
    values = buttons(slack.roots()[0])
    claims = SIGNER.verify(SLACK_BUTTON, values["Take it"], T0)
    assert claims == {
        "incident": "inc-1",
        "page": "page-1",
        "user": "ana",
        "person": ANA,
        "action": "acknowledge",
    }
    assert SIGNER.verify("reply", values["Take it"], T0) is None  # a room reads it: it must be no link
    await channel.send(envelope("#desk"))
    in_room = SIGNER.verify(SLACK_BUTTON, buttons(slack.roots("C0DESK")[0])["Hand it up"], T0)
    assert (in_room["person"], in_room["action"], in_room["page"]) == ("", "escalate", "")


@pytest.mark.parametrize(
    "text", ["<!channel> <@U1> & <http://evil.example|click>", "a&lt;b" * 3_000, "é<" * 4_000]
)
async def test_no_event_mentions_anybody_and_none_is_too_long(slack, channel, text):
    result = await channel.send(envelope(ANA, title=text[:1_000], description=text, labels={"x": text[:250]}))
    assert isinstance(result, Delivered)
    assert len(slack.asked) == 1, "it was refused and sent again without its form"


async def test_a_long_description_leads_to_the_rest(slack, channel):
    await channel.send(envelope(ANA, description="word " * 2_000))
    assert "|read on>" in said(slack.roots()[0])


async def test_what_comes_later_goes_into_the_thread_and_a_page_shows_beside_it(slack, channel):
    root = (await channel.send(envelope("#desk"))).reference
    beneath = Conversation(root=root)
    told = envelope("#desk", told=notice("taken", text="Petra took it."))
    await channel.send(replace(told, conversation=beneath))
    await channel.send(replace(envelope("#desk"), conversation=beneath))
    quiet, page = slack.answers("C0DESK")
    assert said(quiet) == "Taken: Petra took it."
    assert (quiet["reply_broadcast"], page["reply_broadcast"]) == (False, True)
    assert list(buttons(page)) == ["Take it", "Hand it up", "It is solved"]


async def test_the_first_message_is_changed(slack, channel):
    first = envelope(ANA)
    root = (await channel.send(first)).reference
    talk = Conversation(root=root, edits=True, holds=True, first=first_message(first.delivery))
    now = envelope(ANA, status="acknowledged", assignee="ana", title="Checkout is slow")
    assert await channel.send(replace(now, conversation=talk)) == Delivered(reference=root)
    (message,) = slack.roots()
    assert "Checkout is slow" in said(message)
    assert list(buttons(message)) == ["Hand it up", "It is solved"]


async def test_where_the_first_message_is_gone_the_next_stands_for_itself(slack, channel):
    gone = Conversation(root="D0ANA:1600000000.000001")
    slack.people.add("D0ANA")
    assert isinstance(await channel.send(replace(envelope(ANA), conversation=gone)), Delivered)
    assert len(slack.roots()) == 1
    assert isinstance(
        await channel.send(replace(envelope(ANA), conversation=replace(gone, edits=True))), Rejected
    )


async def test_blocks_that_slack_refuses_are_left_out(slack, channel):
    slack.refuse = [Said({"ok": False, "error": "invalid_blocks"})]
    assert isinstance(await channel.send(envelope(ANA)), Delivered)
    (message,) = slack.roots()
    assert "blocks" not in message
    assert "Act by: " in message["text"]


async def test_without_a_signing_secret_links_act(slack):
    channel = opened(slack, secret="")
    await channel.send(envelope(ANA))
    await channel.close()
    (message,) = slack.roots()
    assert buttons(message) == {}
    assert "|Acknowledge>" in said(message)


async def test_a_stakeholder_reads_nothing_internal_and_has_no_buttons(slack, channel):
    told = notice("resolved", address("#desk", "slack"), stakeholder=True)
    await channel.send(envelope("#desk", told=told))
    (message,) = slack.roots("C0DESK")
    assert buttons(message) == {}
    assert "Acknowledge" not in said(message)


REFUSED = "Slack says "


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (Said({"ok": False, "error": "ratelimited"}, 200, {"retry-after": "7"}), Unavailable(f"{REFUSED}ratelimited", 7.0)),
        (Said("", 429, {"retry-after": "30"}), Unavailable("HTTP 429", 30.0)),
        (Said({"ok": False, "error": "fatal_error"}), Unavailable(f"{REFUSED}fatal_error")),
        (Said("", 503), Unavailable("HTTP 503")),
        (Said("<html>a proxy</html>"), Unavailable("the answer is not one of Slack's")),
        (Said({"ok": False, "error": "is_archived"}), Rejected(f"{REFUSED}is_archived: the channel is archived")),
        (Said({"ok": False, "error": "something_new"}), Rejected(f"{REFUSED}something_new")),
    ],
)  # fmt: skip
async def test_an_answer_means(slack, channel, answer, result):
    slack.refuse = [answer]
    assert await channel.send(envelope(ANA)) == result


async def test_who_cannot_be_reached_is_named_with_what_to_do(slack, channel):
    unknown = await channel.send(envelope("U0NOBODY"))
    assert isinstance(unknown, Rejected)
    assert "invite it" in unknown.reason
    wrong = opened(slack, token="xoxb-old")
    result = await wrong.send(envelope(ANA))
    await wrong.close()
    assert isinstance(result, Rejected)
    assert "LADDER_SLACK_TOKEN" in result.reason
    assert "xoxb" not in result.reason
    none = opened(slack, token="")
    assert "LADDER_SLACK_TOKEN is not set" in (await none.send(envelope(ANA))).reason
    await none.close()


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (Said("ok"), Delivered(answer="HTTP 200")),
        (Said("no_service", 404), Rejected("HTTP 404 no_service")),
        (Said("channel_is_archived", 410), Rejected("HTTP 410 channel_is_archived: the endpoint is gone", disable=True)),
        (Said("action_prohibited", 403), Rejected("HTTP 403 action_prohibited")),
        (Said("rate_limited", 429, {"retry-after": "1"}), Unavailable("HTTP 429 rate_limited", 1.0)),
    ],
)  # fmt: skip
async def test_an_incoming_webhook_needs_no_token(slack, answer, result):
    channel = opened(slack, token="")
    slack.hook_says = answer
    assert await channel.send(envelope(f"{slack.url}/services/T0/B0/x")) == result
    await channel.close()
    (message,) = slack.hooks
    assert "|Acknowledge>" in said(message)
    assert buttons(message) == {}

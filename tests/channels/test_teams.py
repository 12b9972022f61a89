"""The Teams channel against a server that looks at cards as Workflows does."""

import re
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.channels import Delivered, Rejected, Unavailable
from services.notifier.channels.teams import LARGEST, TeamsChannel, escaped, written
from services.notifier.domain.messages.rendered import RenderedMessage
from shared.network.outbound import Outbound
from tests.channels.envelopes import envelope
from tests.services.notifier.building import notice

FLOW = "/workflows/1/triggers/manual/paths/invoke?sig=x"
TYPES = {"Container", "TextBlock", "FactSet"}


@pytest.fixture
async def teams() -> AsyncIterator[TeamsChannel]:
    opened = TeamsChannel(Outbound.allowing(["127.0.0.1"]))
    yield opened
    await opened.close()


def workflow(request):
    """Accepts what the template "Post to a channel when a webhook request is received" can post."""
    [attachment] = request.content["attachments"]
    card = attachment["content"]
    fits = (
        request.content["type"] == "message"
        and request.headers["content-type"] == "application/json"
        and attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        and (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
        and {each["type"] for each in card["body"]} <= TYPES
        and len(card["actions"]) <= 6
        and all(each["type"] == "Action.OpenUrl" and each["title"] for each in card["actions"])
    )
    if len(request.body) > 28 * 1024 or not fits:
        return 400, {}, b'{"error": {"code": "InvalidRequestContent", "message": "said with the address"}}'
    return 202, {"x-ms-workflow-run-id": "0858"}, b""


def card_of(receiver):
    return receiver.requests[-1].content["attachments"][0]["content"]


async def test_a_page_is_a_card_with_facts_and_buttons_that_open_signed_links(teams, receiver):
    receiver.answers[FLOW] = [workflow]
    sent = envelope(receiver.url(FLOW), description="db-1 is full\nsince nine")
    assert await teams.send(sent) == Delivered(confirmed=False, answer="HTTP 202", reference="0858")
    card = card_of(receiver)
    head, facts, described = card["body"]
    assert head["style"] == "attention"
    assert head["items"][0]["text"] == r"\[P1\] Checkout is down"
    assert {"title": "Level", "value": "desk"} in facts["facts"]
    assert described["text"] == "db-1 is full\n\nsince nine"
    links = {each["title"]: each["url"] for each in card["actions"]}
    assert list(links) == ["Acknowledge", "See how it stands"]
    assert links["Acknowledge"] == sent.rendered.links["acknowledge"]


async def test_whatever_a_sender_writes_the_card_is_taken_and_the_rest_is_behind_a_link(teams, receiver):
    receiver.answers[FLOW] = [workflow]
    sent = envelope(receiver.url(FLOW), title="ž" * 1_024, description="full disk 💾 " * 1_500)
    assert isinstance(await teams.send(sent), Delivered)
    described = card_of(receiver)["body"][-1]["text"]
    assert described.endswith(f"… [Read on]({sent.rendered.links['incident']})")


@pytest.mark.parametrize(
    ("event", "style"),
    [("resolved", "good"), ("at_risk", "warning"), ("breached", "attention"), ("taken", "emphasis")],
)
async def test_the_colour_says_how_it_stands(teams, receiver, event, style):
    receiver.answers[FLOW] = [workflow]
    await teams.send(envelope(receiver.url(FLOW), told=notice(event)))
    assert card_of(receiver)["body"][0]["style"] == style


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (400, Rejected("HTTP 400")),
        (
            (400, {}, b'{"error": {"code": "InvalidRequestContent", "message": "x"}}'),
            Rejected("HTTP 400 InvalidRequestContent"),
        ),
        (
            (404, {}, b'{"error": {"code": "WorkflowNotFound", "message": "x"}}'),
            Rejected(
                "HTTP 404 WorkflowNotFound: the flow is gone; make a new one and put its URL here",
                disable=True,
            ),
        ),
        (
            (404, {}, b'{"error": {"code": "WorkflowTriggerIsNotEnabled", "message": "x"}}'),
            Rejected(
                "HTTP 404 WorkflowTriggerIsNotEnabled: the flow is switched off; switch it on in Power Automate"
            ),
        ),
        (410, Rejected("HTTP 410: the flow is gone; make a new one and put its URL here", disable=True)),
        (401, Rejected("HTTP 401: the flow does not take this URL's signature; copy the URL anew")),
        (413, Rejected("HTTP 413: the card is too large")),
        ((429, {"retry-after": "30"}), Unavailable("HTTP 429", 30.0)),
        (502, Unavailable("HTTP 502")),
    ],
)
async def test_an_answer_means(teams, receiver, answer, result):
    receiver.answers[FLOW] = [answer]
    assert await teams.send(envelope(receiver.url(FLOW))) == result


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*bold* _it_ `x`", r"\*bold\* \_it\_ \`x\`"),
        ("[click](https://evil.example)", r"\[click\](https://evil.example)"),
        ("{{DATE(2026-03-02T09:00:00Z)}}", r"\{\{DATE(2026-03-02T09:00:00Z)}}"),
        ("1. first\n- second\n# third", "1\\. first\n\\- second\n\\# third"),
        ("db-1 at 80%, {a: 1}, ~5 s", "db-1 at 80%, {a: 1}, ~5 s"),
    ],
)
def test_nothing_in_a_text_is_taken_for_markdown_or_a_function(text, shown):
    assert escaped(text) == shown


@given(
    st.text(max_size=3_000), st.text(max_size=20_000), st.lists(st.tuples(st.text(), st.text()), max_size=40)
)
def test_no_message_is_larger_than_teams_takes(title, description, facts):
    links = {f"link {number}": f"https://x.example/{'a' * 1_900}" for number in range(8)}
    rendered = RenderedMessage(
        "page", title, title, description, "", "", False, description, tuple(facts), links
    )
    body = written(rendered, 1)
    assert len(body) <= LARGEST
    assert re.search(rb'"type":"AdaptiveCard"', body)
    assert msgspec.json.decode(body)["type"] == "message"

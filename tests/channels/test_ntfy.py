"""The ntfy channel against a server that looks at messages as ntfy does (server/server.go, errors.go)."""

import base64
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from msgspec import structs

from services.notifier.channels import Delivered, Rejected, Unavailable
from services.notifier.channels.ntfy import NtfyChannel, NtfySettings
from services.notifier.domain.messages.cutting import cut_to_bytes
from shared.network.outbound import Outbound
from shared.settings import BadSettingError
from tests.channels.envelopes import envelope
from tests.services.notifier.building import notice

NAME = re.compile(r"[-_A-Za-z0-9]{1,64}")


class Pages:
    """The references of pages before, as the notifier's database knows them."""

    newest = ""

    async def earlier(self, _) -> str:
        return self.newest


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
async def ntfy(receiver, pages) -> AsyncIterator[NtfyChannel]:
    receiver.answers["/"] = [publishing]
    settings = NtfySettings.read(ntfy_url=receiver.url(""), ntfy_token="tk_1")
    opened = NtfyChannel(settings, Outbound(), pages.earlier)
    yield opened
    await opened.close()


def refused(status: int, code: int, error: str):
    return status, {}, f'{{"code": {code}, "http": {status}, "error": "{error}"}}'.encode()


def publishing(request):
    """Takes what ntfy takes as JSON at its root."""
    if request.headers.get("authorization") != "Bearer tk_1":
        return refused(403, 40301, "forbidden")
    said = request.content
    if len(request.body) > 32_768:
        return refused(413, 41303, "JSON body too large")
    if not NAME.fullmatch(said["topic"]):
        return refused(400, 40009, "invalid request: topic invalid")
    if said["priority"] not in range(1, 6):
        return refused(400, 40007, "invalid priority parameter")
    fit = all(
        each["label"] and each["url"] and each["action"] in ("http", "view") for each in said["actions"]
    )
    if len(said["actions"]) > 3 or not fit:
        return refused(400, 40018, "invalid request: actions invalid")
    if not NAME.fullmatch(said["sequence_id"]) or len(said["message"].encode()) > 4_096:
        return refused(400, 40014, "invalid request: attachments not allowed")
    return 200, {}, b'{"id": "xE73Iyuabi", "event": "message"}'


async def test_a_page_rings_and_can_be_answered_on_the_lock_screen(ntfy, receiver):
    sent = envelope("ana-phone", description="db-1 is full")
    result = await ntfy.send(sent)
    (request,) = receiver.requests
    said = request.content
    assert result == Delivered(confirmed=False, answer="HTTP 200", reference=said["sequence_id"])
    assert (said["topic"], said["title"], said["priority"]) == ("ana-phone", "[P1] Checkout is down", 5)
    assert "You are asked to take this." in said["message"]
    assert "db-1 is full" in said["message"]
    assert "/v1/replies/" not in said["message"]
    assert said["click"] == sent.rendered.links["acknowledge"]
    acknowledge, up = said["actions"]
    assert acknowledge == {
        "action": "http",
        "label": "Acknowledge",
        "url": sent.rendered.links["acknowledge"],
        "method": "POST",
        "clear": True,
    }
    assert (up["label"], up["url"]) == ("Hand up", sent.answers["escalate"])
    assert up["url"] not in sent.rendered.text


async def test_no_message_becomes_an_attachment_and_the_rest_is_behind_a_link(ntfy, receiver):
    sent = envelope("ana-phone", title="ž" * 900, description="plný disk 💾 " * 2_000)
    assert isinstance(await ntfy.send(sent), Delivered)
    assert receiver.requests[-1].content["message"].endswith(f"… {sent.rendered.links['incident']}")


def test_a_text_is_cut_to_bytes_at_a_word():
    assert cut_to_bytes("disk full", 9) == "disk full"
    assert cut_to_bytes("žluťoučký kůň", 17) == "žluťoučký…"
    assert len(cut_to_bytes("💾" * 500, 101).encode()) <= 101
    assert cut_to_bytes("disk is full " * 9, 60, "https://x/1").endswith("… https://x/1")


async def test_a_repeated_page_rings_anew_and_puts_the_one_before_away(ntfy, receiver, pages):
    pages.newest = "the-page-before"
    receiver.answers["/ana-phone/the-page-before/clear"] = [200]
    await ntfy.send(envelope("ana-phone"))
    published, cleared = receiver.requests
    assert published.content["sequence_id"] != "the-page-before"  # a phone plays no sound for an update
    assert (cleared.method, cleared.path) == ("PUT", "/ana-phone/the-page-before/clear")
    assert cleared.headers["authorization"] == "Bearer tk_1"


async def test_an_older_server_that_cannot_put_it_away_has_taken_the_page_all_the_same(ntfy, receiver, pages):
    pages.newest = "the-page-before"
    receiver.answers["/ana-phone/the-page-before/clear"] = [404]
    assert isinstance(await ntfy.send(envelope("ana-phone")), Delivered)


async def test_what_settles_a_page_takes_its_place_without_a_sound(ntfy, receiver, pages):
    pages.newest = "the-page"
    await ntfy.send(envelope("ana-phone", told=notice("resolved"), status="resolved"))
    said = receiver.requests[-1].content
    assert (said["sequence_id"], said["priority"], said["tags"]) == ("the-page", 2, ["white_check_mark"])
    assert said["actions"] == []


@pytest.mark.parametrize(
    ("event", "status"), [("breached", "acknowledged"), ("update", "triggered"), ("at_risk", "triggered")]
)
async def test_a_page_that_still_counts_keeps_its_buttons_and_a_breach_is_heard(
    ntfy, receiver, pages, event, status
):
    pages.newest = "the-page"
    await ntfy.send(envelope("ana-phone", told=notice(event), status=status))
    said = receiver.requests[-1].content
    assert said["sequence_id"] != "the-page"
    assert said["priority"] == (2 if event == "update" else 3)


async def test_each_attempt_is_the_same_notification(ntfy, receiver):
    sent = envelope("ana-phone")
    for _ in range(2):
        await ntfy.send(sent)
    first, second = receiver.requests
    assert first.content["sequence_id"] == second.content["sequence_id"]


@pytest.mark.parametrize(
    ("loud", "priority", "rung"), [(True, 1, 5), (True, 2, 4), (True, 4, 3), (False, 1, 2)]
)
async def test_how_loud_it_is(ntfy, receiver, loud, priority, rung):
    sent = envelope("ana-phone", priority=priority)
    content = sent.delivery.content
    told = structs.replace(content, page=structs.replace(content.page, loud=loud))
    await ntfy.send(replace(sent, delivery=replace(sent.delivery, content=told)))
    assert receiver.requests[-1].content["priority"] == rung


async def test_the_credentials_go_to_their_own_server_only(ntfy, receiver, pages):
    for address in (receiver.url("/alerts"), "alerts"):
        assert isinstance(await ntfy.send(envelope(address)), Delivered)
    elsewhere = NtfyChannel(
        NtfySettings.read(ntfy_url="https://ntfy.example", ntfy_token="tk_1"),
        Outbound.allowing(["127.0.0.1"]),
        pages.earlier,
    )
    assert await elsewhere.send(envelope(receiver.url("/alerts"))) == Rejected(
        "HTTP 403 40301 forbidden: the server lets nobody publish here with these credentials"
    )
    assert "authorization" not in receiver.requests[-1].headers
    own = envelope(receiver.url("/alerts").replace("://", "://ana:p%40ss@"))
    await elsewhere.send(own)
    login = base64.b64decode(receiver.requests[-1].headers["authorization"].removeprefix("Basic "))
    assert login == b"ana:p@ss"
    assert receiver.requests[-1].content["topic"] == "alerts"
    await elsewhere.close()


@pytest.mark.parametrize(
    "address", ["two words", "a" * 65, "https://ntfy.example/", "https://ntfy.example:x/t"]
)
async def test_what_is_no_topic_is_rejected(ntfy, receiver, address):
    assert isinstance(await ntfy.send(envelope(address)), Rejected)
    assert receiver.requests == []


async def test_without_a_server_a_topic_cannot_be_sent_and_its_url_can(receiver, pages):
    receiver.answers["/"] = [200]
    bare = NtfyChannel(NtfySettings.read(), Outbound.allowing(["127.0.0.1"]), pages.earlier)
    assert await bare.send(envelope("alerts")) == Rejected(
        "LADDER_NTFY_URL is not set, and the address is no URL of a topic"
    )
    assert isinstance(await bare.send(envelope(receiver.url("/alerts"))), Delivered)
    await bare.close()


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (
            refused(400, 40009, "invalid request: topic invalid"),
            Rejected("HTTP 400 40009 invalid request: topic invalid"),
        ),
        (
            refused(401, 40101, "unauthorized"),
            Rejected(
                "HTTP 401 40101 unauthorized: the server lets nobody publish here with these credentials"
            ),
        ),
        (refused(413, 41303, "JSON body too large"), Rejected("HTTP 413 41303 JSON body too large")),
        (refused(429, 42901, "limit reached"), Unavailable("HTTP 429 42901 limit reached")),
        ((429, {"retry-after": "30"}), Unavailable("HTTP 429", 30.0)),
        ((502, {}, b"<html>ana-phone</html>"), Unavailable("HTTP 502")),
        (
            refused(507, 50701, "cannot publish"),
            Unavailable("HTTP 507 50701 cannot publish: no phone has subscribed to this topic"),
        ),
    ],
)
async def test_an_answer_means(ntfy, receiver, answer, result):
    receiver.answers["/"] = [answer]
    assert await ntfy.send(envelope("ana-phone")) == result


@pytest.mark.parametrize(
    "wrong",
    [
        {"ntfy_url": "ntfy.example"},
        {"ntfy_url": "https://ana:x@ntfy.example"},
        {"ntfy_url": "https://n.example", "ntfy_user": "ana"},
        {"ntfy_url": "https://n.example", "ntfy_user": "ana", "ntfy_password": "x", "ntfy_token": "t"},
    ],
)
def test_settings_that_cannot_be_used_are_told_without_their_values(wrong):
    with pytest.raises(BadSettingError, match="LADDER_NTFY") as told:
        NtfySettings.read(**wrong)
    assert "ana" not in str(told.value)

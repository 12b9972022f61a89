"""The webhook channel against a server on a socket."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import format_datetime

import pytest
from standardwebhooks import Webhook

from services.notifier.channels import Delivered, Rejected, Unavailable
from services.notifier.channels.webhook import WebhookChannel
from shared.clock import utcnow
from shared.network.outbound import Outbound
from shared.security.keys import Signer
from tests.channels.envelopes import SIGNER, envelope
from tests.channels.receiver import HANG


@pytest.fixture
async def channel() -> AsyncIterator[WebhookChannel]:
    opened = WebhookChannel(Outbound.allowing(["127.0.0.1"]), SIGNER)
    yield opened
    await opened.close()


async def test_a_letter_arrives_as_json_with_a_signature_that_the_library_verifies(channel, receiver):
    key = base64.b64encode(b"k" * 32).decode()
    sent = envelope(receiver.url("/hook?x=1"), secret=f"whsec_{key}")
    assert await channel.send(sent) == Delivered(answer="HTTP 200")
    (request,) = receiver.to("/hook?x=1")
    assert Webhook(f"whsec_{key}").verify(request.body, request.headers)["type"] == "page"
    assert request.headers["webhook-id"] == sent.delivery.id
    assert request.headers["content-type"] == "application/json"
    assert len(request.body) < 20_000


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("", None),  # derived from Ladder's own key, for this address
        ("plain text", None),  # two at once while rotating: plain, text
        ("hook-secret-of-ana", b"hook-secret-of-ana"),  # any text: its bytes
    ],
)
async def test_every_kind_of_secret_signs(channel, receiver, secret, key):
    address = receiver.url("/s")
    await channel.send(envelope(address, secret=secret))
    request = receiver.requests[-1]
    if secret == "plain text":
        assert len(request.headers["webhook-signature"].split()) == 2
        assert request.signed_with(b"plain")
        assert request.signed_with(b"text")
    else:
        assert request.signed_with(key or SIGNER.derived(f"webhook {address}")[0])


async def test_a_derived_secret_still_verifies_while_ladders_own_key_is_rotated(receiver):
    address = receiver.url("/rotating")
    old, rotating = Signer(("old key",)), Signer(("new key", "old key"))
    channel = WebhookChannel(Outbound.allowing(["127.0.0.1"]), rotating)
    await channel.send(envelope(address))
    await channel.close()
    (request,) = receiver.to("/rotating")
    assert request.signed_with(old.derived(f"webhook {address}")[0])
    assert request.signed_with(Signer(("new key",)).derived(f"webhook {address}")[0])


async def test_a_secret_that_is_no_base64_is_rejected(channel, receiver):
    result = await channel.send(envelope(receiver.url(), secret="whsec_ä"))
    assert isinstance(result, Rejected)
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (200, Delivered(answer="HTTP 200")),
        (204, Delivered(answer="HTTP 204")),
        (301, Rejected("HTTP 301: redirects are not followed")),
        (400, Rejected("HTTP 400")),
        (401, Rejected("HTTP 401")),
        (404, Rejected("HTTP 404")),
        (408, Unavailable("HTTP 408")),
        (410, Rejected("HTTP 410: the endpoint is gone", disable=True)),
        (425, Unavailable("HTTP 425")),
        ((429, {"retry-after": "17"}), Unavailable("HTTP 429", 17.0)),
        (500, Unavailable("HTTP 500")),
        ((503, {"retry-after": "soon"}), Unavailable("HTTP 503")),
    ],
)
async def test_an_answer_means(channel, receiver, answer, result):
    receiver.answers["/"] = [answer]
    assert await channel.send(envelope(receiver.url())) == result


async def test_retry_after_may_be_a_date(channel, receiver):
    now = utcnow().replace(microsecond=0)
    receiver.answers["/"] = [
        (503, {"retry-after": format_datetime(now + timedelta(seconds=90), usegmt=True)})
    ]
    result = await channel.send(envelope(receiver.url(), at=now))
    assert result == Unavailable("HTTP 503", 90.0)


async def test_a_redirect_is_not_followed(channel, receiver):
    receiver.answers["/from"] = [(307, {"location": receiver.url("/to")})]
    assert isinstance(await channel.send(envelope(receiver.url("/from"))), Rejected)
    assert receiver.to("/to") == []


async def test_a_refused_connection_is_unavailable(channel):
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    assert isinstance(await channel.send(envelope(f"http://127.0.0.1:{port}/")), Unavailable)


async def test_a_name_that_does_not_resolve_is_unavailable(channel):
    assert isinstance(await channel.send(envelope("http://no-such-host.invalid/")), Unavailable)


@pytest.mark.parametrize(
    "address", ["ftp://example.com/", "not a url", "http://", "file:///etc/passwd", "//x", "http://[::1"]
)
async def test_what_is_no_web_address_is_rejected(channel, address):
    assert isinstance(await channel.send(envelope(address)), Rejected)


async def test_a_connection_is_used_again(channel, receiver):
    for _ in range(3):
        await channel.send(envelope(receiver.url()))
    assert receiver.connections == 1


async def test_an_endpoint_that_hangs_holds_no_other_connection(channel, receiver):
    receiver.answers["/hang"] = [HANG]
    hanging = [asyncio.create_task(channel.send(envelope(receiver.url("/hang")))) for _ in range(50)]
    try:
        async with asyncio.timeout(5):
            assert isinstance(await channel.send(envelope(receiver.url("/ok"))), Delivered)
    finally:
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)

"""What strangers answer, and what is written into policies, never becomes more than a failed attempt."""

import asyncio
import gzip
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from services.notifier.channels import Delivered, Rejected, Unavailable
from services.notifier.channels.http_client import LARGEST_ANSWER, Answer, HttpClient
from services.notifier.channels.webhook import WebhookChannel
from shared.network.outbound import Outbound
from tests.channels.envelopes import SIGNER, envelope

LOOPBACK = Outbound.allowing(["127.0.0.1"])
OK = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def answering(*pieces: bytes, again: bytes = b"") -> AsyncIterator[str]:
    """A server that says this to everybody, and `again` for as long as anybody listens."""
    serving: set[asyncio.Task] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
            while again:
                writer.write(again * 500)
                await writer.drain()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    opened = HttpClient(LOOPBACK)
    yield opened
    await opened.close()


@pytest.fixture
async def webhook() -> AsyncIterator[WebhookChannel]:
    opened = WebhookChannel(LOOPBACK, SIGNER)
    yield opened
    await opened.close()


async def test_an_answer_is_asked_for_unpacked(client, webhook, receiver):
    await client.request("GET", receiver.url())
    await webhook.send(envelope(receiver.url()))
    assert [one.headers["accept-encoding"] for one in receiver.requests] == ["identity", "identity"]


async def test_no_cookie_is_kept(client, webhook, receiver):
    receiver.answers["/"] = [(200, {"set-cookie": "who=everybody; path=/"})]
    for _ in range(2):
        await client.request("GET", receiver.url())
        await webhook.send(envelope(receiver.url()))
    assert not any("cookie" in one.headers for one in receiver.requests)


async def test_a_password_in_an_address_is_used_there(webhook, receiver):
    address = receiver.url("/").replace("://", "://ana:secret@")
    assert await webhook.send(envelope(address)) == Delivered(answer="HTTP 200")
    assert receiver.requests[0].headers["authorization"] == "Basic YW5hOnNlY3JldA=="


async def test_a_packed_answer_is_not_unpacked(client, webhook):
    bomb = gzip.compress(bytes(50_000_000))
    head = OK + f"content-encoding: gzip\r\ncontent-length: {len(bomb)}\r\n\r\n".encode()
    async with answering(head, bomb) as url:
        answer = await client.request("GET", url)
        assert isinstance(answer, Answer)
        assert (answer.status, answer.body) == (200, b"")
        assert isinstance(await webhook.send(envelope(url)), Delivered)


async def test_of_an_answer_without_end_the_beginning_is_read(client, webhook):
    async with answering(OK + b"\r\n", again=b"x" * 1_000) as url:
        answer = await client.request("GET", url)
        assert isinstance(answer, Answer)
        assert len(answer.body) == LARGEST_ANSWER
        assert isinstance(await webhook.send(envelope(url)), Delivered)


@pytest.mark.parametrize(
    ("begins", "again"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),  # each costs work, and none ends the waiting
        (OK, b"x: y\r\n"),  # a head without end
        (OK + b"x: ", b"y" * 100),
    ],
)
async def test_what_never_comes_to_an_answer_is_broken_off_soon(client, webhook, begins, again):
    async with answering(begins, again=again) as url, asyncio.timeout(5):
        assert isinstance(await client.request("GET", url), Unavailable)
        assert isinstance(await webhook.send(envelope(url)), Unavailable)


async def test_a_body_in_a_million_pieces_is_not_read_to_the_end(client, webhook):
    chunks = OK + b"transfer-encoding: chunked\r\n\r\n"
    async with answering(chunks, again=b"1\r\nx\r\n") as url, asyncio.timeout(5):
        answer = await client.request("GET", url)
        assert isinstance(answer, Answer)
        assert len(answer.body) <= 2_000
        assert isinstance(await webhook.send(envelope(url)), Delivered)


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\0b", "naïve", "\x7f"])
async def test_a_header_that_could_become_two_is_refused_before_anything_is_sent(client, receiver, value):
    result = await client.request("POST", receiver.url(), headers={"title": value})
    assert result == Rejected("header title: only printable ASCII has a place in it")
    assert receiver.connections == 0


async def test_an_address_that_could_become_a_header_is_refused(client, webhook, receiver):
    for tail in ("/a\r\nx-evil: 1", "/a\0", "/a HTTP/1.1\r\nx-evil: 1\r\n\r\n"):
        assert isinstance(await client.request("POST", receiver.url(tail)), Rejected)
        assert isinstance(await webhook.send(envelope(receiver.url(tail))), Rejected)
    assert receiver.requests == []


_POST = """
import asyncio, sys
from services.notifier.channels.http_client import HttpClient
from services.notifier.channels.webhook import WebhookChannel
from shared.network.outbound import Outbound
from tests.channels.envelopes import SIGNER, envelope

async def main():
    outbound = Outbound.allowing(["127.0.0.1"])
    client, webhook = HttpClient(outbound), WebhookChannel(outbound, SIGNER)
    print(await client.request("POST", sys.argv[1] + "client"))
    print(await webhook.send(envelope(sys.argv[1] + "webhook")))
    await client.close()
    await webhook.close()

asyncio.run(main())
"""


@pytest.fixture
def netrc(tmp_path) -> str:
    place = tmp_path / "netrc"
    place.write_text("machine 127.0.0.1 login somebody password secret\n")
    place.chmod(0o600)
    return str(place)


async def test_proxies_and_passwords_of_the_environment_are_not_used(receiver, netrc):
    proxy = "http://127.0.0.1:9"
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    environment = os.environ | dict.fromkeys(names, proxy) | {"NETRC": netrc, "no_proxy": ""}
    argv = [sys.executable, "-c", _POST, receiver.url("/")]
    run = await asyncio.create_subprocess_exec(*argv, env=environment, stdout=subprocess.PIPE)
    await run.communicate()
    assert [one.path for one in receiver.requests] == ["/client", "/webhook"]
    assert not any("authorization" in one.headers for one in receiver.requests)

"""The Apprise channel: real worker processes, and a service on a socket that Apprise's `json://` posts to."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.notifier.channels import Delivered, Rejected, Unavailable
from services.notifier.channels.apprise import LOCAL, AppriseChannel, AppriseSettings
from tests.channels.envelopes import envelope
from tests.channels.receiver import HANG
from tests.waiting import until

MEBIBYTES = 192  # Apprise itself takes some 100
SETTINGS = AppriseSettings.read(apprise=True, apprise_schemas=("json", "discord"))
LEFT = Unavailable("the process that sends by Apprise ended (signal 9)")


@pytest.fixture
async def apprise() -> AsyncIterator[AppriseChannel]:
    opened = AppriseChannel(SETTINGS, seconds=8, memory=MEBIBYTES)
    yield opened
    await opened.close()


def at(receiver, path="/token-of-ana"):
    return f"json://127.0.0.1:{receiver.port}{path}"


def workers() -> list[Path]:
    """The processes that this one has started to send by Apprise."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            ours = f"PPid:\t{os.getpid()}\n" in (process / "status").read_text()
            if ours and b"apprise_worker" in (process / "cmdline").read_bytes():
                found.append(process)
        except OSError:
            continue
    return found


async def test_a_message_goes_out_from_a_process_that_knows_no_secret(apprise, receiver, monkeypatch):
    monkeypatch.setenv("LADDER_SECRET_KEY", "the-key")
    sent = envelope(at(receiver), description="db-1 is full")
    assert await apprise.send(sent) == Delivered(confirmed=False, answer="Apprise: taken")
    (request,) = receiver.to("/token-of-ana")
    assert request.content["title"] == "[P1] Checkout is down"
    assert "db-1 is full" in request.content["message"]
    assert request.content["type"] == "failure"
    (worker,) = workers()
    for kept in ("cmdline", "environ"):
        said = (worker / kept).read_bytes()
        assert b"token-of-ana" not in said
        assert b"the-key" not in said
    limits = (worker / "limits").read_text()
    assert f"Max address space         {MEBIBYTES * 1024 * 1024}" in limits
    assert "Max file size             0 " in limits

    receiver.answers["/token-of-ana"] = [401, 503]
    assert await apprise.send(sent) == Rejected("Apprise: the service refuses it (HTTP 401)")
    assert await apprise.send(sent) == Unavailable("Apprise: the service did not take it (HTTP 503)")
    assert workers() == [worker]  # it is used again

    (idle,) = apprise._workers._idle
    os.kill(int(worker.name), signal.SIGKILL)
    await until(lambda: idle._process.returncode is not None)
    receiver.answers["/token-of-ana"] = [200]
    assert isinstance(await apprise.send(sent), Delivered)  # by another one: nothing is lost


async def test_a_worker_that_dies_while_it_sends_is_replaced_and_the_message_is_tried_again(
    apprise, receiver
):
    receiver.answers["/token-of-ana"] = [HANG, 200]
    sending = asyncio.create_task(apprise.send(envelope(at(receiver))))
    await until(lambda: receiver.to("/token-of-ana"))
    os.kill(int(workers()[0].name), signal.SIGKILL)
    assert await sending == LEFT
    assert isinstance(await apprise.send(envelope(at(receiver))), Delivered)


async def test_an_answer_without_end_fills_no_memory_but_the_workers(apprise, receiver):
    receiver.answers["/token-of-ana"] = [(200, {}, b"x" * 128 * 1024 * 1024), (200, {}, b"ok")]
    assert isinstance(await apprise.send(envelope(at(receiver))), Unavailable)
    assert isinstance(await apprise.send(envelope(at(receiver))), Delivered)


async def test_a_service_that_hangs_costs_its_worker_only(receiver):
    receiver.answers["/token-of-ana"] = [HANG]
    hurried = AppriseChannel(SETTINGS, seconds=1.0)
    result = await hurried.send(envelope(at(receiver)))
    assert result == Unavailable("timeout: the service gave Apprise no answer in time")
    assert workers() == []
    await hurried.close()


@pytest.mark.parametrize(
    "address",
    [
        *(f"{schema}://localhost/x" for schema in sorted(LOCAL)),
        "SYSLOG://",
        "https://discord.com/api/webhooks/1/abc123",
        "gotify://127.0.0.1/abc123",
        "json://127.0.0.1/,xml://127.0.0.1/",
        "discord://1/abc123?template=/etc/passwd",
        "discord://1/abc123?Template=/etc/passwd",
        "no url",
        "",
    ],
)
async def test_what_is_of_this_machine_or_not_allowed_reaches_no_worker(address):
    allowed = AppriseSettings.read(apprise=True, apprise_schemas=("discord", *LOCAL))
    channel = AppriseChannel(allowed)
    result = await channel.send(envelope(address))
    assert isinstance(result, Rejected)
    assert "abc123" not in result.reason
    assert workers() == []


async def test_without_being_asked_for_nothing_is_sent(receiver):
    bare = AppriseChannel(AppriseSettings.read())
    assert await bare.send(envelope(at(receiver))) == Rejected("LADDER_APPRISE is not set to yes")


def test_unless_schemas_are_named_only_services_of_one_fixed_host_are_sent_to():
    schemas = AppriseSettings.read(apprise=True).schemas
    assert {"discord", "pover", "tgram"} <= schemas
    assert not schemas & {"json", "xml", "form", "gotify", "mailto", "mqtt", "rsyslog", *LOCAL}

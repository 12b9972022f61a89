"""The connections of a client: used again, bounded, and set free whatever becomes of a request."""

import asyncio
from contextlib import suppress

import httpx2
import pytest

from shared.network.outbound import GuardedTransport, Outbound
from tests.channels.receiver import HANG
from tests.waiting import until


@pytest.fixture
async def one_at_a_time():
    transport = GuardedTransport(Outbound.allowing(["127.0.0.1"]), connections=1)
    async with httpx2.AsyncClient(transport=transport, timeout=httpx2.Timeout(5, pool=0.1)) as client:
        yield client


async def test_a_request_waits_for_a_free_connection_only_so_long(one_at_a_time, receiver):
    receiver.answers["/hang"] = [HANG]
    hanging = asyncio.create_task(one_at_a_time.get(receiver.url("/hang")))
    await until(lambda: receiver.to("/hang"))
    with pytest.raises(httpx2.PoolTimeout):
        await one_at_a_time.get(receiver.url("/good"))
    hanging.cancel()
    with suppress(asyncio.CancelledError):
        await hanging
    assert (await one_at_a_time.get(receiver.url("/good"))).status_code == 200


async def test_a_failed_request_and_an_answer_that_nobody_reads_leave_their_place_to_others(
    one_at_a_time, receiver
):
    for _ in range(3):
        with pytest.raises(httpx2.ConnectError):
            await one_at_a_time.get("http://127.0.0.1:9/")
        async with one_at_a_time.stream("GET", receiver.url("/unread")):
            pass
        assert (await one_at_a_time.get(receiver.url("/good"))).status_code == 200

"""Where messages may go, and where not."""

import asyncio
import socket
from contextlib import asynccontextmanager
from threading import Event

import httpcore2
import httpx2
import pytest

from shared.network.lookups import Lookups
from shared.network.outbound import GuardedBackend, GuardedTransport, Outbound, OutboundRefusedError


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "reserved"),  # carrier-grade NAT
        ("169.254.169.254", "link-local"),  # where clouds keep credentials
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fc00::1", "private"),
        ("fec0::1", "private"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("240.0.0.1", "private"),
        ("255.255.255.255", "private"),
        ("::ffff:127.0.0.1", "loopback"),  # IPv4 inside IPv6, four ways
        ("::ffff:10.0.0.1", "private"),
        ("64:ff9b::7f00:1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("::7f00:1", "loopback"),
        ("2001:0:4136:e378:8000:63bf:80ff:fffe", "loopback"),  # Teredo: its client, turned over
        ("2001:470::5efe:7f00:1", "loopback"),  # ISATAP
        ("64:ff9b:1::7f00:1", "private"),  # NAT64 of a local network
        ("::ffff:0:7f00:1", "reserved"),  # translated (SIIT)
        ("198.18.0.1", "private"),  # benchmarks
        ("192.0.0.192", "private"),  # Oracle's metadata
        ("168.63.129.16", "private"),  # Azure's
        ("fd00:ec2::254", "private"),  # Amazon's, by IPv6
    ],
)
def test_an_inside_address_is_refused_with_its_kind(address, why):
    refusal = Outbound().refuses("name.example", address)
    assert refusal is not None
    assert f" {why} address" in refusal
    assert "LADDER_OUTBOUND_ALLOW" in refusal


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"]
)
def test_an_outside_address_passes(address):
    assert Outbound().refuses("name.example", address) is None


@pytest.mark.parametrize(
    ("entry", "host", "address"),
    [
        ("10.0.0.0/8", "gateway.example", "10.9.9.9"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "localhost", "::ffff:127.0.0.1"),
        ("gateway.internal", "Gateway.Internal.", "10.0.0.7"),
        ("fd00::/8", "six.example", "fd12::1"),
        ("[::1]", "localhost", "::1"),
    ],
)
def test_what_the_operator_allows_passes(entry, host, address):
    assert Outbound.allowing([entry]).refuses(host, address) is None


def test_allowing_one_host_allows_no_other():
    outbound = Outbound.allowing(["gateway.internal", "10.0.0.0/8"])
    assert outbound.refuses("evil.example", "192.168.0.1") is not None
    assert outbound.refuses("evil.gateway.internal", "127.0.0.1") is not None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
    ],
)
async def test_no_spelling_of_a_loopback_address_connects(host, receiver):
    async with httpx2.AsyncClient(transport=GuardedTransport(Outbound(), connections=4)) as client:
        with pytest.raises((OutboundRefusedError, httpx2.InvalidURL)):
            await client.post(f"http://{host}:{receiver.port}/")
    assert receiver.connections == 0


async def test_the_connection_goes_to_the_address_that_was_checked(receiver):
    backend = GuardedBackend(Outbound.allowing(["127.0.0.0/8"]))
    stream = await backend.connect_tcp("localhost", receiver.port, timeout=2)
    assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
    await stream.aclose()


@asynccontextmanager
async def both_loopbacks():
    """One port at 127.0.0.1 and 127.0.0.2, and at which of them somebody connected."""
    connected = []

    def accept(_, writer):
        connected.append(writer.get_extra_info("sockname")[0])
        writer.close()

    one = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = one.sockets[0].getsockname()[1]
    async with one, await asyncio.start_server(accept, "127.0.0.2", port):
        yield port, connected


async def test_of_several_addresses_of_a_name_only_those_of_the_outside_are_dialled():
    backend = GuardedBackend(Outbound.allowing(["127.0.0.2"]), Lookups(lambda _: ("127.0.0.1", "127.0.0.2")))
    async with both_loopbacks() as (port, connected):
        stream = await backend.connect_tcp("both.example", port, timeout=2)
        assert stream.get_extra_info("server_addr")[0] == "127.0.0.2"
        await stream.aclose()
    assert set(connected) == {"127.0.0.2"}


async def test_a_name_that_resolves_to_something_else_the_second_time_gains_nothing():
    """DNS rebinding: good when it is checked, inside when it would be used."""
    answers = iter([("127.0.0.2",), ("127.0.0.1",)])
    backend = GuardedBackend(Outbound.allowing(["127.0.0.2"]), Lookups(lambda _: next(answers)))
    async with both_loopbacks() as (port, connected):
        stream = await backend.connect_tcp("rebinds.example", port, timeout=2)
        assert stream.get_extra_info("server_addr")[0] == "127.0.0.2"
        await stream.aclose()
        with pytest.raises(OutboundRefusedError):
            await backend.connect_tcp("rebinds.example", port, timeout=2)
    assert set(connected) == {"127.0.0.2"}


async def test_a_name_server_that_is_silent_holds_up_no_other_name_and_is_asked_once(receiver):
    silent, asked = Event(), []

    def resolve(host):
        asked.append(host)
        if host == "silent.example":
            silent.wait(10)
        return ("127.0.0.1",)

    backend = GuardedBackend(Outbound.allowing(["127.0.0.1"]), Lookups(resolve, most=2))
    waiting = [
        asyncio.create_task(backend.connect_tcp("silent.example", receiver.port, timeout=0.5))
        for _ in range(50)
    ]
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(0.4):
            await (await backend.connect_tcp("good.example", receiver.port, timeout=2)).aclose()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(end) for end in ends} == {httpcore2.ConnectTimeout}
        assert asked.count("silent.example") == 1
    finally:
        silent.set()


async def test_a_name_without_address_is_a_connection_error():
    with pytest.raises(httpcore2.ConnectError):
        await GuardedBackend(Outbound()).connect_tcp("no-such-host.invalid", 80, timeout=2)


async def test_a_connection_that_is_kept_notices_that_the_other_side_is_gone(receiver):
    """One that the network swallowed while it was idle would cost the next page its first attempt."""
    transport = GuardedTransport(Outbound.allowing(["127.0.0.0/8"]), connections=4)
    async with (
        httpx2.AsyncClient(transport=transport) as client,
        client.stream("POST", f"http://127.0.0.1:{receiver.port}/ana") as answer,
    ):
        ours = answer.extensions["network_stream"].get_extra_info("socket")
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 8_000

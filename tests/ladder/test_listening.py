"""Where a process listens: every address of a machine, by IPv4 and IPv6, or the one that is named."""

import asyncio
import socket
from collections.abc import Sequence

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from ladder.refusal import NotPossibleError
from ladder.serving.listener import EVERYWHERE, Address, bind, serving


async def _who_asks(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(scope["client"][0])(scope, receive, send)


async def _asked(host: str, port: int) -> str:
    """As whom the server sees somebody who asks at this address."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: ladder\r\nConnection: close\r\n\r\n")
    said = await reader.read()
    writer.close()
    return said.rpartition(b"\r\n")[2].decode()


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this host has no IPv6")


@needs_ipv6
@pytest.mark.parametrize("listen", [":0", "[::]:0"])
async def test_a_probe_finds_the_pod_by_ipv4_and_by_ipv6(listen: str) -> None:
    """And each sees whoever asks by the address that they have: no `::ffff:127.0.0.1`."""
    sockets, address = bind(Address.parse(listen))
    async with serving(_who_asks, sockets, address):
        assert await _asked("127.0.0.1", address.port) == "127.0.0.1"
        assert await _asked("::1", address.port) == "::1"


@needs_ipv6
async def test_one_address_of_ipv6_is_only_that() -> None:
    sockets, address = bind(Address.parse("[::1]:0"))
    async with serving(_who_asks, sockets, address):
        assert address.url == f"http://[::1]:{address.port}"
        assert await _asked("::1", address.port) == "::1"
        with pytest.raises(OSError, match="Connect"):
            await _asked("127.0.0.1", address.port)


@pytest.mark.parametrize(
    "missing",
    [(9999, "::"), (socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")],
    ids=["no such protocol", "no such address", "no such address of IPv6"],
)
@pytest.mark.parametrize("first", [True, False])
async def test_a_host_without_one_of_the_two_listens_by_the_other(
    missing: tuple[int, str], *, first: bool
) -> None:
    """IPv6 may be switched off, and IPv4 be absent."""
    protocols: Sequence[tuple[int, str]] = [missing, EVERYWHERE[0]] if first else [EVERYWHERE[0], missing]
    sockets, address = bind(Address.parse(":0"), protocols=protocols)
    async with serving(_who_asks, sockets, address):
        assert await _asked("127.0.0.1", address.port) == "127.0.0.1"


def test_a_host_without_either_is_told() -> None:
    with pytest.raises(NotPossibleError, match=r"^LADDER_LISTEN: cannot listen on :80: "):
        bind(Address.parse(":80"), protocols=[(9999, "::")])


def test_everywhere_is_shown_as_this_machine_reaches_it() -> None:
    assert Address.parse(":8080").url == "http://localhost:8080"
    assert str(Address.parse("[::1]:8080")) == "[::1]:8080"


def test_a_port_that_somebody_has_is_told_with_another_to_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(NotPossibleError, match=f"^Port {port} is in use by .* LADDER_LISTEN=:{port + 1}"):
            bind(Address.parse(f":{port}"))

"""The outbound guard: messages go to the outside, not to machines beside us.

Addresses come out of policies and directories that many people write, so a webhook must not become a way
to reach loopback, private or link-local services. The check is made on the addresses a name resolves to, at
the moment of connecting, and the connection goes to the very address that was checked: a name that resolves
differently a second time gains nothing. Whatever way an address is spelt (`2130706433`, `0177.1`,
`::ffff:127.0.0.1`), the resolver has turned it into the address itself before it is looked at.

A connection takes only so many bytes for each request that it carries: an answer without end, whatever it is
made of, ends there.
"""

import asyncio
import ipaddress
import select
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, TypeAlias

import httpcore2
import httpx2

from shared.network.connections import Connections
from shared.network.keepalive import SOCKET_OPTIONS
from shared.network.lookups import Lookups

LARGEST_ANSWER: Final = 512 * 1024  # bytes, with its head and whatever comes before it
_READ: Final = 16 * 1024  # bytes at a time: what is made of them is made without a pause
_TRIED: Final = 3  # addresses of a name
_PIECE: Final = 64 * 1024  # bytes of a request that are sent together
_KEPT_SECONDS: Final = 30.0  # an idle connection

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_ALSO_PRIVATE: Final[tuple[Network, ...]] = (  # what releases of Python are not at one about
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocol assignments (RFC 6890); Oracle's metadata
    ipaddress.IPv4Network("168.63.129.16/32"),  # public by its number, Azure's own by use
    ipaddress.IPv6Network("64:ff9b:1::/48"),  # NAT64 of a local network (RFC 8215)
    ipaddress.IPv6Network("3fff::/20"),  # documentation (RFC 9637)
)
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})  # RFC 5214, section 6.1


class OutboundRefusedError(Exception):
    """The guard does not let a message go there; the text says where and how to allow it."""


@dataclass(frozen=True, slots=True)
class Outbound:
    """Where messages may go: anywhere global, and what the operator allows beyond that."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = field(default=())

    @classmethod
    def allowing(cls, entries: Iterable[str]) -> "Outbound":
        """By the entries of `LADDER_OUTBOUND_ALLOW`: host names, addresses, networks (`10.0.0.0/8`)."""
        hosts: set[str] = set()
        networks: list[Network] = []
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                hosts.add(_name(entry))
        return cls(frozenset(hosts), tuple(networks))

    def also(self, host: str) -> "Outbound":
        """The same, and this host: one that the operator named as a provider's."""
        return replace(self, hosts=self.hosts | {_name(host)}) if host else self

    def refuses(self, host: str, address: str) -> str | None:
        """Why nothing is sent to this host at this address; None when it may go there."""
        if _name(host) in self.hosts:
            return None
        try:
            target = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return f"{host}: {address!r} is not an IP address"
        meant = _unwrapped(target)
        if any(meant in network or target in network for network in self.networks):
            return None
        kind = _inside(meant)
        if kind is None:
            return None
        return f"{host} is {kind} address {meant}: not sent there unless LADDER_OUTBOUND_ALLOW names it"


def _name(host: str) -> str:
    return host.strip().strip("[]").rstrip(".").lower()


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, 6to4, Teredo, NAT64, ISATAP, compatible), or itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is not None:
        return inner
    isatap = int(address) >> 32 & 0xFFFFFFFF in _ISATAP
    if address in _NAT64 or isatap or (0xFFFF < int(address) <= 0xFFFFFFFF):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _inside(address: Address) -> str | None:  # noqa: PLR0911 - one return for each kind
    """What kind of inside address it is, in words; None for one of the outside."""
    if address.is_loopback:
        return "the loopback"
    if address.is_link_local:
        return "a link-local"
    if address.is_multicast:
        return "a multicast"
    if address.is_unspecified:
        return "an unspecified"
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:
        return "a private"
    if address.is_private or any(address in network for network in _ALSO_PRIVATE):
        return "a private"
    if address.is_reserved or not address.is_global:
        return "a reserved"
    return None


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection that sends a request's head and body in one piece, takes no endless answer to it, and is
    quick to say whether it stands.

    httpcore2's own way to the socket costs ten times as much.
    """

    def __init__(self, inner: httpcore2.AsyncNetworkStream, sock: Any = None) -> None:
        self._inner = inner
        self._socket = inner.get_extra_info("socket") if sock is None else sock
        self._written = bytearray()
        self._taken = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - its interface
        if self._written:
            await self._flush(timeout)
        if self._taken >= LARGEST_ANSWER:
            raise httpcore2.ReadError(f"the answer is longer than {LARGEST_ANSWER // 1024} KiB")
        read = await self._inner.read(min(max_bytes, _READ), timeout)
        self._taken += len(read)
        return read

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - its interface
        self._written += buffer
        if len(self._written) > _PIECE:
            await self._flush(timeout)

    async def _flush(self, seconds: float | None) -> None:
        written, self._written, self._taken = bytes(self._written), bytearray(), 0
        await self._inner.write(written, seconds)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - its interface
    ) -> httpcore2.AsyncNetworkStream:
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout), self._socket)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # what can be read of an idle connection is its end
            return _is_readable(self._socket)
        return self._inner.get_extra_info(info)


def _is_readable(sock: Any) -> bool:
    if sock is None or sock.fileno() < 0:
        return True
    asked = select.poll()
    asked.register(sock.fileno(), select.POLLIN)
    return bool(asked.poll(0))


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves, checks, and connects to the checked address."""

    def __init__(self, outbound: Outbound, lookups: Lookups | None = None) -> None:
        self._outbound = outbound
        self._lookups = Lookups() if lookups is None else lookups
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface of httpcore2
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        permitted, refusal = await self._checked(host, timeout)
        if not permitted:
            raise OutboundRefusedError(refusal)
        failure: Exception | None = None
        tried = permitted[:_TRIED]
        each = None if timeout is None else timeout / len(tried)
        for address in tried:
            try:
                return _Stream(
                    await self._inner.connect_tcp(address, port, each, local_address, socket_options)
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as err:
                failure = err
        assert failure is not None
        raise failure

    async def _checked(self, host: str, seconds: float | None) -> tuple[Sequence[str], str]:
        """The addresses that may be connected to, and why the others may not."""
        found = [host] if _is_address(host) else await self._addresses(host, seconds)
        refusals = [(address, self._outbound.refuses(host, address)) for address in found]
        permitted = [address for address, refusal in refusals if refusal is None]
        refusal = next((refusal for _, refusal in refusals if refusal is not None), f"{host}: no address")
        return permitted, refusal

    async def _addresses(self, host: str, seconds: float | None) -> Sequence[str]:
        try:
            async with asyncio.timeout(seconds):
                return await self._lookups.of(host)
        except TimeoutError as err:
            raise httpcore2.ConnectTimeout(f"{host} was not resolved within {seconds:g} s") from err
        except (OSError, UnicodeError) as err:
            raise httpcore2.ConnectError(f"{host} cannot be resolved: {err}") from err


def _is_address(host: str) -> bool:
    """Whether nobody has to be asked: it is an address as such are written (`2130706433` is none)."""
    try:
        return "%" not in host and str(ipaddress.ip_address(host)) == host
    except ValueError:
        return False


@cache
def _trusted() -> ssl.SSLContext:
    """Whom we believe: one for all, because reading the certificates takes a while."""
    return httpx2.create_ssl_context()


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """httpx2's transport over guarded connections; `connections` may be in use at once.

    The environment's proxies are not used: they would resolve.
    """

    def __init__(self, outbound: Outbound, *, connections: int) -> None:
        super().__init__(verify=_trusted(), trust_env=False)
        backend = GuardedBackend(outbound)

        def connect(origin: httpcore2.Origin) -> httpcore2.AsyncHTTPConnection:
            return httpcore2.AsyncHTTPConnection(
                origin,
                ssl_context=_trusted(),
                keepalive_expiry=_KEPT_SECONDS,
                network_backend=backend,
                socket_options=SOCKET_OPTIONS,  # one that was swallowed while it was idle is not used again
            )

        self._pool = Connections(connect, most=connections)  # type: ignore[assignment]  # as it is asked here

"""How to reach the brokers: addresses and security, in the words of aiokafka."""

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NotRequired, TypedDict

from aiokafka import conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.helpers import create_ssl_context

from shared.network.dns import unknown
from shared.network.host_names import UnknownNameError
from shared.network.keepalive import watch_over

_KNOCK_SECONDS: Final = 1.0


class WatchedProtocol(conn.AIOKafkaProtocol):  # type: ignore[misc] # aiokafka has no types
    """aiokafka's, whose socket notices that the broker is gone without a word."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        watch_over(transport.get_extra_info("socket"))
        super().connection_made(transport)


# No client of aiokafka takes options for its sockets, nor a protocol of ours: it looks the name up here.
conn.AIOKafkaProtocol = WatchedProtocol


class KafkaOptions(TypedDict):
    """The arguments that every aiokafka client takes."""

    bootstrap_servers: list[str]
    security_protocol: str
    sasl_mechanism: NotRequired[str]
    sasl_plain_username: NotRequired[str | None]
    sasl_plain_password: NotRequired[str | None]
    ssl_context: NotRequired[ssl.SSLContext]


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """Where the brokers are and how to prove who we are.

    `security_protocol`: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL; `sasl_mechanism`: PLAIN, SCRAM-SHA-256 or
    SCRAM-SHA-512. Files are PEM; without `tls_ca` the system's authorities are trusted.
    """

    bootstrap_servers: str  # host:port, comma-separated
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def options(self) -> KafkaOptions:
        """What every client is given. Raises OSError for a file that cannot be read."""
        options: KafkaOptions = {
            "bootstrap_servers": [server.strip() for server in self.bootstrap_servers.split(",")],
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.sasl_username
            options["sasl_plain_password"] = self.sasl_password
        if self.security_protocol.endswith("SSL"):
            options["ssl_context"] = self._context()
        return options

    def _context(self) -> ssl.SSLContext:
        context: ssl.SSLContext = create_ssl_context(
            cafile=str(self.tls_ca) if self.tls_ca else None,
            certfile=str(self.tls_cert) if self.tls_cert else None,
            keyfile=str(self.tls_key) if self.tls_key else None,
        )
        return context


async def explained(err: Exception, servers: Sequence[str]) -> Exception:
    """The error; where aiokafka says only that it cannot connect, and no name resolves, that."""
    return (await unknown(servers) or err) if isinstance(err, KafkaConnectionError | TimeoutError) else err


def words(err: Exception) -> str:
    """What is wrong, for people."""
    return str(err) if isinstance(err, UnknownNameError) else repr(err)


async def refused(servers: Iterable[str]) -> bool:
    """Whether every one of these servers refuses connections at this moment: known to be down, not silent."""
    return all(await asyncio.gather(*(_refuses(server) for server in servers)))


async def _refuses(server: str) -> bool:
    host, _, port = server.rpartition(":")
    try:
        async with asyncio.timeout(_KNOCK_SECONDS):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except TimeoutError:
        return False
    except (OSError, ValueError):
        return True
    writer.close()
    return False

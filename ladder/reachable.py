"""A server's name that nobody knows is told at the start, before anything waits for it."""

import asyncio
import socket
from collections.abc import Sequence

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from ladder.refusal import RefusedError

_NO_URL = "LADDER_DATABASE_URL is not a URL such as postgresql://user:password@host/name."


async def refuse_unknown_database(url: str) -> None:
    """Raises RefusedError, without the URL in it: for one that is none, for a host that has no address."""
    try:
        target = make_url(url)
    except (ArgumentError, ValueError) as err:
        raise RefusedError(_NO_URL) from err
    if target.get_backend_name() not in {"postgresql", "postgres"}:
        raise RefusedError(_NO_URL)
    if target.host and not target.host.startswith("/"):
        await _refuse_unknown("LADDER_DATABASE_URL", [target.host])


async def refuse_unknown_brokers(servers: str | None) -> None:
    """Raises RefusedError when none of the brokers' hosts has an address."""
    hosts = [server.strip().rpartition(":")[0].strip("[]") for server in (servers or "").split(",")]
    if servers:
        await _refuse_unknown("LADDER_KAFKA_BOOTSTRAP_SERVERS", hosts)


async def _refuse_unknown(variable: str, hosts: Sequence[str]) -> None:
    for host in hosts:
        try:
            await asyncio.to_thread(socket.getaddrinfo, host, None)
        except (OSError, UnicodeError) as err:
            why = (getattr(err, "strerror", None) or "not a name of a host").lower()
        else:
            return
    raise RefusedError(f"{variable}: the host {' or '.join(hosts)} cannot be found: {why}.")

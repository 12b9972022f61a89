"""Connections to PostgreSQL that end by themselves, at both ends, when the other one is gone without a word.

A machine that loses its network or its power sends no FIN: without these settings its sessions, and their
locks, stay for minutes to hours. The server ends what is silent or stands idle in a transaction; the client
ends what does not answer. Both take about eight seconds for a dead network, and the server six for a
process that is stopped in the middle of a transaction.
"""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any, Final

import asyncpg
from sqlalchemy.engine import make_url

CONNECT_SECONDS: Final = 5.0
_IDLE_SECONDS: Final = 3  # of silence before the first probe
_BETWEEN_SECONDS: Final = 2
_PROBES: Final = 3
_UNANSWERED_MS: Final = 8_000
IDLE_IN_TRANSACTION_MS: Final = 6_000

# A stopped client's last statement may itself wait for a lock: then this ends it, and with it what it holds.
# (One of which only a half arrived: shared.stopped_clients.) Less than what the client waits for its answer.
STATEMENT_MS: Final = 7_000

_OPTIONS: Final = {
    "TCP_KEEPIDLE": _IDLE_SECONDS,
    "TCP_KEEPINTVL": _BETWEEN_SECONDS,
    "TCP_KEEPCNT": _PROBES,
    "TCP_USER_TIMEOUT": _UNANSWERED_MS,
}


SOCKET_OPTIONS: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _OPTIONS.items()
        if hasattr(socket, name)
    ),
)
"""What lets a TCP socket notice that the other side is gone, as far as the system has it."""


def server_settings(application: str, **more: str) -> dict[str, str]:
    """What a session asks of the server. Over a Unix socket the server passes over those of TCP."""
    return {
        "application_name": application,
        "jit": "off",
        "tcp_keepalives_idle": str(_IDLE_SECONDS),
        "tcp_keepalives_interval": str(_BETWEEN_SECONDS),
        "tcp_keepalives_count": str(_PROBES),
        "tcp_user_timeout": str(_UNANSWERED_MS),
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
        "statement_timeout": str(STATEMENT_MS),
    } | more


class Connection(asyncpg.Connection):  # type: ignore[misc] # asyncpg has no types
    """asyncpg's, whose socket notices that the other side is gone."""

    def __init__(self, protocol: Any, transport: asyncio.BaseTransport, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        watch_over(transport.get_extra_info("socket"))


def watch_over(sock: Any) -> None:
    """Set keepalives and the longest time without an answer."""
    if sock is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    for option in SOCKET_OPTIONS:
        sock.setsockopt(*option)


async def connect(
    url: str, application: str, *, patience_seconds: float, settings: Mapping[str, str] | None = None
) -> asyncpg.Connection:
    """One connection beside the pool; `url` is a plain `postgresql://…`.

    Raises OSError, TimeoutError and asyncpg's errors; a statement that takes longer than `patience_seconds`
    raises TimeoutError.
    """
    return await asyncpg.connect(
        make_url(url).set(drivername="postgresql").render_as_string(hide_password=False),
        timeout=CONNECT_SECONDS,
        command_timeout=patience_seconds,
        connection_class=Connection,
        server_settings=server_settings(application, **(settings or {})),
    )


async def part_from(connection: asyncpg.Connection | None) -> None:
    """Close it within two seconds, whatever the server does."""
    if connection is None or connection.is_closed():
        return
    try:
        await asyncio.wait_for(connection.close(), 2)
    except Exception:  # noqa: BLE001 - however it ends, its session must not stay
        connection.terminate()

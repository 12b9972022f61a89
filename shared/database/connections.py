"""Connections to PostgreSQL that end by themselves, at both ends, when the peer vanishes without a word.

A machine that loses its network or its power sends no FIN: without these settings its sessions, and their
locks, stay for minutes to hours. The server ends what is silent or stands idle in a transaction; the client
ends what does not answer. Both take about eight seconds for a dead network, and the server six for a
process that is stopped in the middle of a transaction.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, Final

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.database.url import Host, Server, read
from shared.network.dns import resolve
from shared.network.host_names import UnknownNameError
from shared.network.keepalive import BETWEEN_SECONDS, IDLE_SECONDS, PROBES, UNANSWERED_MS, watch_over

_RESOLVE_SECONDS: Final = 3.0
_NONE: Final[Mapping[str, str]] = {}
IDLE_IN_TRANSACTION_MS: Final = 6_000

# A stopped client's last statement may itself wait for a lock: then this ends it, and with it what it holds.
# (One of which only a half arrived: stopped_clients.py.) Less than what the client waits for its answer.
STATEMENT_MS: Final = 7_000


def server_settings(application: str, **more: str) -> dict[str, str]:
    """What a session asks of the server. Over a Unix socket the server passes over those of TCP."""
    return {
        "application_name": application,
        "jit": "off",
        "tcp_keepalives_idle": str(IDLE_SECONDS),
        "tcp_keepalives_interval": str(BETWEEN_SECONDS),
        "tcp_keepalives_count": str(PROBES),
        "tcp_user_timeout": str(UNANSWERED_MS),
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
        "statement_timeout": str(STATEMENT_MS),
    } | more


class Connection(asyncpg.Connection):  # type: ignore[misc] # asyncpg has no types
    """asyncpg's, whose socket notices that the other side is gone."""

    def __init__(self, protocol: Any, transport: asyncio.BaseTransport, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        watch_over(transport.get_extra_info("socket"))


class UnreachableError(OSError):
    """None of the database's hosts could be connected to; the text says for each one why."""


async def connect(
    where: Server | str,
    application: str,
    *,
    patience_seconds: float | None,
    settings: Mapping[str, str] = _NONE,
) -> asyncpg.Connection:
    """One connection; `where` is a URL as shared.database.url reads it. The hosts are tried in turn.

    Raises OSError (UnknownNameError, UnreachableError, TimeoutError) and asyncpg's errors; a statement that
    takes longer than `patience_seconds` raises TimeoutError.
    """
    server = read(where) if isinstance(where, str) else where
    session = server_settings(server.named(application), **settings)
    if server.options:  # the server puts those of its own before them
        session["options"] = server.options
    failed: dict[str, Exception] = {}
    for host in server.hosts or (None,):
        try:
            async with asyncio.timeout(server.seconds):
                if host is not None and not host[0].startswith("/"):
                    await resolve(host[0], _to_resolve(server.seconds))
                return await asyncpg.connect(
                    **server.arguments(host),
                    timeout=server.seconds,
                    command_timeout=patience_seconds,
                    connection_class=Connection,
                    server_settings=session,
                    target_session_attrs=_needed(server, session),
                )
        except _NEXT_ONE as err:
            failed[_shown(host)] = err
    raise _unreachable(failed, server.seconds)


_NEXT_ONE: Final = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,  # a proxy that has nobody behind it takes the connection and drops it
    asyncpg.TargetServerAttributeNotMatched,
)


def _to_resolve(seconds: float) -> float:
    """Less than all of it, and than what whoever looks after the server waits: a silent name server is no
    silent database, for which only a new start would help (shared.health.probes).
    """
    return min(_RESOLVE_SECONDS, seconds * 0.6)


def _needed(server: Server, session: Mapping[str, str]) -> str:
    """A session that asks for read-only transactions itself would never be one that can write."""
    reads = session.get("default_transaction_read_only") == "on"
    return "primary" if reads and server.needs == "read-write" else server.needs


def _shown(host: Host | None) -> str:
    if host is None:
        return "the local server"
    name, port = host
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _unreachable(failed: Mapping[str, Exception], seconds: float) -> Exception:
    """One host's own error where that tells enough."""
    if len(failed) == 1:
        (only,) = failed.values()
        if not isinstance(only, asyncpg.TargetServerAttributeNotMatched):
            return only
    why = "; ".join(_reason(host, err, seconds) for host, err in failed.items())
    errors = list(failed.values())
    made: OSError = UnreachableError(why)
    if all(isinstance(err, UnknownNameError) for err in errors):
        made = UnknownNameError(why)
    elif all(isinstance(err, TimeoutError) for err in errors):
        made = TimeoutError(why)
    made.__cause__ = errors[-1]
    return made


def _reason(host: str, err: Exception, seconds: float) -> str:
    if isinstance(err, UnknownNameError):
        return str(err)
    if isinstance(err, asyncpg.TargetServerAttributeNotMatched):
        return f"{host} takes no writes at the moment"
    if isinstance(err, TimeoutError):
        return f"{host} did not answer within {seconds:g} s"
    return f"{host}: {said(err)}"


def said(err: BaseException) -> str:
    """What an error on the way to the server says, for people: never a bare name of a class, or a number."""
    cause = getattr(err, "orig", None) or err
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {cause.reason or cause}".replace("_", " ").lower()
    if isinstance(cause, ConnectionRefusedError):
        return "connection refused"
    return str(cause).partition("\n")[0] or type(cause).__name__


def engine(
    server: Server,
    application: str,
    *,
    patience_seconds: float | None,
    settings: Mapping[str, str] = _NONE,
    **pool: Any,
) -> AsyncEngine:
    """SQLAlchemy's engine over such connections; `pool` are its arguments for the pool."""

    async def another() -> asyncpg.Connection:
        return await connect(server, application, patience_seconds=patience_seconds, settings=settings)

    return create_async_engine("postgresql+asyncpg://", async_creator=another, **pool)


async def part_from(connection: asyncpg.Connection | None) -> None:
    """Close it within two seconds, whatever the server does."""
    if connection is None or connection.is_closed():
        return
    try:
        await asyncio.wait_for(connection.close(), 2)
    except Exception:  # noqa: BLE001 - however it ends, its session must not stay
        connection.terminate()

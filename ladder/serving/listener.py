"""One listening socket, one event loop, signals, and a clean end: what every Ladder process runs inside."""

import asyncio
import errno
import gc
import math
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Self, cast

import uvicorn
import uvloop
from starlette.types import ASGIApp

from ladder.refusal import NotPossibleError
from ladder.serving.bounds import Bounds
from ladder.serving.connections import Connections
from ladder.serving.protocol import BoundedProtocol
from shared.security.demo_keys import is_loopback

_LAST_REQUESTS_SECONDS: Final = 3
_WHOLE_END_SECONDS: Final = 15


@dataclass(frozen=True, slots=True)
class Address:
    """Where a process listens: `127.0.0.1:8080`, `[::1]:8080`, `localhost:0` (any port).

    `:8080` and `[::]:8080` are every address of this machine, IPv4 and IPv6; `0.0.0.0:8080` is IPv4's only.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, variable: str = "LADDER_LISTEN") -> Self:
        host, colon, port = text.strip().rpartition(":")
        whole = host.startswith("[") == host.endswith("]")
        if not colon or not whole or not port.isdecimal() or int(port) > 65535:
            raise NotPossibleError(f"{variable}: {text!r} is not an address such as 127.0.0.1:8080.")
        return cls(host.strip("[]"), int(port))

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def url(self) -> str:
        """As this machine reaches it."""
        return f"http://{self._written or 'localhost'}:{self.port}"

    def __str__(self) -> str:
        return f"{self._written}:{self.port}"

    @property
    def everywhere(self) -> bool:
        """Whether it is every address of this machine."""
        return self.host in {"", "::"}

    @property
    def _written(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


EVERYWHERE: Final = ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"))  # noqa: S104 - asked for by `:8080`
_NO_PROTOCOL: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT})


def bind(
    wanted: Address, variable: str = "LADDER_LISTEN", *, protocols: Sequence[tuple[int, str]] = EVERYWHERE
) -> tuple[Sequence[socket.socket], Address]:
    """Bound sockets that do not listen yet, and the address that they have. Raises NotPossibleError.

    `protocols`: what everywhere is. A host that has one of them only listens by that one.
    """
    if wanted.everywhere:
        return _bind_everywhere(wanted, variable, protocols)
    try:
        family, _, _, _, place = socket.getaddrinfo(wanted.host, wanted.port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as err:
        raise NotPossibleError(f"{variable}: {wanted.host!r} is no address of this machine.") from err
    try:
        sock = _bound(family, place)
    except OSError as err:
        raise _cannot_listen(wanted, err, variable) from err
    return [sock], replace(wanted, port=sock.getsockname()[1])


def _bind_everywhere(
    wanted: Address, variable: str, protocols: Sequence[tuple[int, str]]
) -> tuple[Sequence[socket.socket], Address]:
    """One socket for each protocol: on one for both, IPv4 clients would come as `::ffff:10.0.0.1`, and what
    is said of their addresses (`LADDER_TRUSTED_PROXIES`) would not fit.
    """
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    place = wanted
    try:
        for family, everywhere in protocols:
            try:
                sockets.append(_bound(family, (everywhere, place.port)))
            except OSError as err:
                if err.errno not in _NO_PROTOCOL:
                    raise
                missing = err
            else:
                place = replace(wanted, port=sockets[0].getsockname()[1])
        if missing is not None and not sockets:
            raise missing
    except OSError as err:
        for sock in sockets:
            sock.close()
        raise _cannot_listen(place, err, variable) from err
    return sockets, place


def _bound(family: int, place: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(place)
    except OSError:
        sock.close()
        raise
    return sock


def _cannot_listen(wanted: Address, err: OSError, variable: str = "LADDER_LISTEN") -> NotPossibleError:
    if err.errno == errno.EADDRINUSE:
        on = f" on {wanted.host}" if wanted.host else ""
        return NotPossibleError(
            f"Port {wanted.port}{on} is in use by another program: "
            f"stop it, or set {variable}, for example {variable}={replace(wanted, port=wanted.port + 1)}."
        )
    why = (err.strerror or str(err)).lower()
    return NotPossibleError(f"{variable}: cannot listen on {wanted}: {why}.")


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: the whole process ends in order, not only the web server."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(
    app: ASGIApp,
    sockets: Sequence[socket.socket],
    address: Address,
    bounds: Bounds = Bounds(),
) -> AsyncIterator[asyncio.Task[None]]:
    """Answer requests while inside; on leaving take no more and let those under way finish.

    Yields the task that serves, which ends only when the server fails. Raises NotPossibleError.
    """
    connections = Connections(bounds)
    server = _Server(
        uvicorn.Config(
            app,
            loop="none",
            http=cast("type[asyncio.Protocol]", partial(BoundedProtocol, connections=connections)),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # a line for each malformed request is a stranger's to write
            access_log=False,
            server_header=False,
            proxy_headers=bool(bounds.proxies),
            forwarded_allow_ips=[str(network) for network in bounds.proxies],
            timeout_keep_alive=math.ceil(bounds.keep_alive_seconds),
            timeout_graceful_shutdown=_LAST_REQUESTS_SECONDS,
        )
    )
    task = asyncio.create_task(server.serve(sockets=list(sockets)), name="http")
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn offers a flag, not an event
            await asyncio.sleep(0.005)
        if task.done():
            await _failed(task, address)
        _spare_the_collector()
        async with connections.tended():
            yield task
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)


def _spare_the_collector() -> None:
    """What was made while starting lives as long as the process: it is not looked at again.

    A full collection over the modules, routes and compiled policies takes tens of milliseconds, which would
    be the slowest answer of its second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


async def _failed(task: asyncio.Task[None], address: Address) -> None:
    try:
        await task
    except OSError as err:
        raise _cannot_listen(address, err) from err
    raise NotPossibleError(f"The web server on {address.url} ended at once.")


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run until `main` returns or SIGINT or SIGTERM comes: it is then cancelled once and unwinds in order.

    Whatever still hangs after fifteen seconds is left behind.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, suppress(asyncio.CancelledError):
        runner.run(_until_signalled(main))


def _unheard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A look for a name that nobody waits for any more has failed late: whoever waited has said so."""
    if not isinstance(context.get("exception"), socket.gaierror):
        loop.default_exception_handler(context)


async def _until_signalled(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_unheard)
    task = asyncio.create_task(main(), name="main")

    def end() -> None:
        if not task.cancelling():
            task.cancel()
            loop.call_later(_WHOLE_END_SECONDS, os._exit, 1)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    await task

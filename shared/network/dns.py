"""Whether the name of a host resolves, and what is said when it does not.

A name that nobody knows is waited for like a server that refuses: a Service without endpoints and a name
server that restarts look the same as a typing mistake, and only time tells. So it is said, with the name.
"""

import asyncio
from collections.abc import MutableMapping, Sequence
from typing import Final
from weakref import WeakKeyDictionary

from shared.network.host_names import UnknownNameError

_SECONDS: Final = 2.0


async def resolve(host: str, seconds: float) -> None:
    """Return when the name has an address. Raises UnknownNameError, also when nobody says so in time.

    Whoever asks for a name that is being asked for waits with the others: where the name server is silent,
    the few threads that ask would otherwise be taken by many loops that try again and again.
    """
    loop = asyncio.get_running_loop()
    asked = _asked.setdefault(loop, {})
    task = asked.get(host)
    if task is None:
        task = asked[host] = loop.create_task(_ask(host), name=f"resolve {host}")
        task.add_done_callback(lambda _: asked.pop(host, None))
    try:
        async with asyncio.timeout(seconds):
            why = await asyncio.shield(task)
    except TimeoutError as err:
        raise UnknownNameError(f"the name {host} was not resolved within {seconds:g} s") from err
    if why is not None:
        raise UnknownNameError(f"the name {host} cannot be resolved ({why})")


async def unknown(servers: Sequence[str]) -> UnknownNameError | None:
    """The error that says so where none of these servers (host:port) has a name that resolves now."""
    hosts = [server.rpartition(":")[0].strip("[]") for server in servers]
    found = await asyncio.gather(*(resolve(host, _SECONDS) for host in hosts), return_exceptions=True)
    errors = [str(each) for each in found if isinstance(each, UnknownNameError)]
    return UnknownNameError("; ".join(errors)) if errors and len(errors) == len(hosts) else None


async def _ask(host: str) -> str | None:
    """Why it does not resolve, in lower case; None when it does."""
    try:
        await asyncio.get_running_loop().getaddrinfo(host, None)
    except (OSError, UnicodeError) as err:
        return (getattr(err, "strerror", None) or "not a name of a host").lower()
    return None


_asked: Final[MutableMapping[asyncio.AbstractEventLoop, dict[str, "asyncio.Task[str | None]"]]] = (
    WeakKeyDictionary()
)
"""What each event loop asks for at the moment."""

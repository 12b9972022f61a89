"""Names of hosts: whether a text can be one at all, and what is said when one does not resolve.

A name that nobody knows is waited for like a server that refuses: a Service without endpoints and a name
server that restarts look the same as a typing mistake, and only time tells. So it is said, with the name.
"""

import asyncio
import re
import socket
from collections.abc import Sequence
from typing import Final

_SECONDS: Final = 2.0
_NO_NAME: Final = re.compile(r"[\s@/\\?#<>\[\]]")


class UnknownNameError(OSError):
    """The name of a host does not resolve: nobody knows it, or nobody who would know it answers."""


def can_be_host(text: str) -> bool:
    """Whether the resolver can be asked for it: it raises UnicodeError otherwise, which no loop expects."""
    try:
        text.encode("idna")
    except UnicodeError:
        return False
    return bool(text) and _NO_NAME.search(text) is None


def unresolved(name: str, err: OSError) -> str:
    """In words, that a name does not resolve."""
    return f"the name {name} cannot be resolved ({(err.strerror or str(err)).lower()})"


async def unknown(servers: Sequence[str]) -> UnknownNameError | None:
    """The error that says so where none of these servers (host:port) has a name that resolves now."""
    reasons = await asyncio.gather(*map(_reason, servers))
    return UnknownNameError("; ".join(map(str, reasons))) if reasons and all(reasons) else None


async def _reason(server: str) -> str | None:
    host = server.rpartition(":")[0].strip("[]")
    try:
        async with asyncio.timeout(_SECONDS):
            await asyncio.get_running_loop().getaddrinfo(host, None)
    except TimeoutError:
        return f"the name {host} is not resolved within {_SECONDS:g} s"
    except (OSError, UnicodeError) as err:
        return unresolved(
            host, err if isinstance(err, OSError) else socket.gaierror(0, "not a name of a host")
        )
    return None

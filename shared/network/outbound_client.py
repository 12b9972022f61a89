"""The HTTP client for whatever is outside: guarded, bounded, on its own.

It goes where the guard lets it and nowhere else: no redirect is followed, no proxy and no password of the
environment is used, no cookie is kept. What comes back is a stranger's: it is asked for as it is and never
unpacked, because a kilobyte can hold a gigabyte, and no more of it is read than is of use.
"""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx2

from shared.network.outbound import GuardedTransport, Outbound

OUTBOUND_HEADERS: Final[Mapping[str, str]] = {"user-agent": "Ladder", "accept-encoding": "identity"}
_MOST_PIECES: Final = 2_000  # of an answer: each costs work, however small it is


def outbound_client(
    outbound: Outbound, *, connections: int, seconds: float, headers: Mapping[str, str] | None = None
) -> httpx2.AsyncClient:
    """A client with so many connections at most; `seconds` for each step of a request."""
    return httpx2.AsyncClient(
        transport=GuardedTransport(outbound, connections=connections),
        timeout=httpx2.Timeout(seconds),
        follow_redirects=False,
        trust_env=False,
        headers={**OUTBOUND_HEADERS, **(headers or {})},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


async def beginning(response: httpx2.Response, most: int) -> tuple[bytes, bool]:
    """The first `most` bytes of a streamed answer, and whether that is all of it.

    Nothing of one that is packed although it was asked for as it is. Raises httpx2.HTTPError.
    """
    packed = response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity")
    body, pieces = bytearray(), 0
    async with aclosing(response.aiter_raw()) as stream:
        async for piece in stream:
            body += piece
            pieces += 1
            if pieces % 100 == 0:
                await asyncio.sleep(0)  # many small pieces can come with one read
            if len(body) > most or pieces >= _MOST_PIECES:
                return b"" if packed else bytes(body[:most]), False
    return b"" if packed else bytes(body), True

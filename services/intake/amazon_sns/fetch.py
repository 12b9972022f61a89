"""Fetching certificates and confirmations of Amazon SNS, through the outbound guard.

Only for a short time, and only a few at once: the posts that cause it come from strangers.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import httpx2

from shared.network.outbound import Outbound, OutboundRefusedError
from shared.network.outbound_client import beginning, outbound_client

Fetch: TypeAlias = Callable[[str], Awaitable[bytes]]
"""The body at an https address. Raises UnfetchedError."""

SECONDS: Final = 3.0
LARGEST: Final = 64 * 1024  # bytes of an answer
_AT_ONCE: Final = 8


class FetchError(Exception):
    """It could not be fetched; the text says why, without the address (it may carry a token)."""


class Fetcher:
    """Fetches by GET. One client for all requests, made when it is first needed."""

    def __init__(self, outbound: Outbound, *, seconds: float = SECONDS) -> None:
        self._outbound = outbound
        self._seconds = seconds
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._client: httpx2.AsyncClient | None = None

    async def fetch(self, url: str) -> bytes:
        """As `Fetch`. A redirect is not followed: it could lead anywhere."""
        try:
            async with asyncio.timeout(self._seconds), self._places:
                return await self._body(url)
        except OutboundRefusedError as err:
            raise FetchError(str(err)) from err
        except TimeoutError as err:
            raise FetchError(f"no answer within {self._seconds:g} seconds") from err
        except httpx2.HTTPError as err:
            raise FetchError(f"{type(err).__name__}: {str(err)[:200]}") from err

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _body(self, url: str) -> bytes:
        if self._client is None:
            self._client = outbound_client(self._outbound, connections=_AT_ONCE, seconds=self._seconds)
        async with self._client.stream("GET", url) as response:
            if response.status_code != 200:
                raise FetchError(f"HTTP {response.status_code}")
            body, whole = await beginning(response, LARGEST)
        if not whole:
            raise FetchError(f"more than {LARGEST // 1024} KiB")
        return body

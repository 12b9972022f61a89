"""The dead man's switch: an outside system is pinged each time a canary has come through.

When the pings stop, Ladder can tell nobody: whatever waits for them has to be another system. The address may
hold a secret: it is never logged.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import httpx2
from prometheus_client import Counter, Gauge

from shared import telemetry
from shared.clock import utcnow
from shared.eventlog import Received, codec
from shared.events import IncidentChanged, canary
from shared.network.outbound import Outbound, OutboundRefusedError
from shared.network.outbound_client import outbound_client

log = telemetry.logger(__name__)

_TIMEOUT_SECONDS: Final = 10.0
_TRIES: Final = 3
_PAUSE_SECONDS: Final = 2.0

PINGS: Final = Counter("ladder_deadman_pings_total", "Pings of LADDER_DEADMAN_URL, by result", ["result"])
LAST_PING: Final = Gauge(
    "ladder_deadman_last_ping_timestamp_seconds", "When LADDER_DEADMAN_URL took a ping last; 0: never yet"
)


def has_come_through(records: Sequence[Received], now: datetime) -> bool:
    """Whether these records say that a canary was resolved just now."""
    return any(
        record.key == canary.KEY and now - record.at < canary.TOO_OLD and _is_resolved(record)
        for record in records
    )


def _is_resolved(record: Received) -> bool:
    try:
        message = codec.decode(IncidentChanged, record.value, record.headers)
    except codec.UnreadableRecordError:
        return False
    return message.incident.status == "resolved"


class Deadman:
    """Pings one address in the background. With an empty `url` nothing is pinged."""

    def __init__(self, url: str, outbound: Outbound) -> None:
        self._url = url
        self._host = urlsplit(url).hostname or ""
        self._outbound = outbound
        self._pinging: asyncio.Task[None] | None = None

    def ping(self) -> None:
        """Start a ping, unless one is under way."""
        if self._url and (self._pinging is None or self._pinging.done()):
            self._pinging = asyncio.create_task(self._ping(), name="deadman")

    async def close(self) -> None:
        """Abandon a ping that is under way."""
        if self._pinging is not None:
            self._pinging.cancel()
            await asyncio.gather(self._pinging, return_exceptions=True)

    async def _ping(self) -> None:
        for tried in range(1, _TRIES + 1):
            why = await self._refusal()
            if why is None:
                PINGS.labels("taken").inc()
                LAST_PING.set(utcnow().timestamp())
                return
            PINGS.labels("failed").inc()
            log.warning(
                "the dead man's switch did not accept the ping", action="deadman", host=self._host, why=why
            )
            if tried < _TRIES:
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _refusal(self) -> str | None:
        try:
            async with (
                asyncio.timeout(_TIMEOUT_SECONDS),
                self._client() as client,
                client.stream("GET", self._url) as response,
            ):
                return None if response.is_success else f"HTTP {response.status_code}"
        except OutboundRefusedError as err:
            return str(err)
        except Exception as err:  # noqa: BLE001 - whatever it is, the next canary is tried again
            return type(err).__name__

    def _client(self) -> httpx2.AsyncClient:
        """One for each ping: a connection that was idle for a minute is worth nothing."""
        return outbound_client(self._outbound, connections=1, seconds=_TIMEOUT_SECONDS)

"""Ending an aiokafka client for certain: `stop()` can hang for as long as its broker is dead."""

import asyncio
from typing import Any, Final

from shared import telemetry

_STOP_SECONDS: Final = 4.0
_CLOSE_SECONDS: Final = 1.0

log = telemetry.logger(__name__)


async def end(client: Any) -> None:
    """Stop a producer or consumer; after 4 seconds cut its connections. Never raises."""
    stopping = asyncio.create_task(client.stop())
    done, _ = await asyncio.wait([stopping], timeout=_STOP_SECONDS)
    if done and not stopping.cancelled() and stopping.exception() is None:
        return
    stopping.cancel()
    closing = asyncio.create_task(_connections(client).close())
    await asyncio.wait([stopping, closing], timeout=_CLOSE_SECONDS)
    log.warning(
        "the Kafka client did not close in time: connections cut",
        action="log_cut_off",
        client=type(client).__name__,
    )


def _connections(client: Any) -> Any:
    """The connections below: a producer has them as `client`, a consumer as `_client`."""
    return getattr(client, "client", None) or client._client  # noqa: SLF001 - there is no public way to cut them

"""The bare intake: an ASGI application that decodes JSON, sends the body to Kafka and answers 202.

`uvicorn bench.floor.intake:app --loop uvloop --http httptools`, one process.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from aiokafka import AIOKafkaProducer

from bench.floor.common import EVENTS, producer

Message = MutableMapping[str, Any]
_started: list[AIOKafkaProducer] = []


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    body = b""
    more = scope["method"] == "POST"
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if body:
        event = json.loads(body)
        await _started[0].send_and_wait(EVENTS, body, key=event["dedup_key"].encode())
    await send(
        {
            "type": "http.response.start",
            "status": 202 if body else 200,
            "headers": [(b"content-type", b"application/json"), (b"content-length", b"14")],
        }
    )
    await send({"type": "http.response.body", "body": b'{"accepted":1}'})


async def _lifespan(
    receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    await receive()
    _started.append(producer())
    await _started[0].start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await _started[0].stop()
    await send({"type": "lifespan.shutdown.complete"})

"""A client that does not give up: it posts until it is told something definite, and keeps what it was told."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bad_days.loss import Attempt, Outcome
from tests.world.wire import Connection

Body = Callable[[str], dict[str, Any]]


@dataclass
class Loader:
    """Posts one event per key over a few connections. `told` grows while it runs."""

    url: str
    key: str
    body: Body
    connections: int = 8
    told: list[Attempt] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        return sum(attempt.outcome == "accepted" for attempt in self.told)

    async def post(
        self, keys: Iterable[str], *, per_second: float | None = None, patience: float = 90
    ) -> None:
        """Every key until it is accepted or refused. AssertionError when that takes longer than `patience`."""
        waiting = iter(list(keys))
        opened = time.monotonic()
        started = 0

        async def one_connection() -> None:
            nonlocal started
            connection = Connection(self.url, headers={"Authorization": f"Bearer {self.key}"})
            for key in waiting:
                if per_second is not None:
                    started += 1
                    await asyncio.sleep(max(0.0, opened + started / per_second - time.monotonic()))
                await self._until_told(connection, key, patience)
            connection.close()

        async with asyncio.TaskGroup() as group:
            for _ in range(self.connections):
                group.create_task(one_connection())

    async def _until_told(self, connection: Connection, key: str, patience: float) -> None:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            outcome = await self._attempt(connection, key)
            self.told.append(Attempt(key, outcome))
            if outcome != "unknown":
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"{key} was not accepted within {patience:g} s")

    async def _attempt(self, connection: Connection, key: str) -> Outcome:
        try:
            answer = await connection.request("POST", "/v1/events", json.dumps(self.body(key)).encode())
        except (OSError, TimeoutError):
            return "unknown"
        if answer.status == 202:
            return "accepted"
        return "unknown" if answer.status >= 500 else "refused"


def keys(prefix: str, count: int) -> Sequence[str]:
    return [f"{prefix}-{number:05d}" for number in range(count)]

"""A `ladder` process of its own for a test, and what a person in front of it would see and send."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, Final

import httpx2

from tests.ladder import forked
from tests.waiting import until

PROJECT: Final = Path(__file__).parents[2]
POLICY: Final = PROJECT / "deploy" / "policy"
_IS_UP: Final = re.compile(r"^Ladder (?:is up|runs) on ([^\s,]+)", re.MULTILINE)


def environment(**variables: object) -> dict[str, str]:
    """This environment without settings of Ladder, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LADDER_")}
    kept["LADDER_CANARY_SECONDS"] = "0"  # a test that wants one says so
    return kept | {f"LADDER_{name.upper()}": str(value) for name, value in variables.items()}


class Up:
    """`ladder up` on a data folder; its output is kept in a file beside it."""

    def __init__(self, folder: Path, **variables: object) -> None:
        self._settings = {"data_dir": folder, "listen": "127.0.0.1:0", "policy": POLICY} | variables
        self._output = folder.with_name(folder.name + ".out")
        self._process: ForkServerProcess | None = None

    @property
    def said(self) -> str:
        return self._output.read_text() if self._output.exists() else ""

    @property
    def url(self) -> str:
        found = _IS_UP.search(self.said)
        return found[1] if found else ""

    async def start(self) -> None:
        """Start it and wait until it says that it is up."""
        self._output.write_bytes(b"")
        self._process = await asyncio.to_thread(
            forked.start,
            ["up"],
            folder=PROJECT,
            environment=environment(**self._settings),
            out=self._output,
            err=self._output,
        )
        await until(lambda: self.url or self.exit_code is not None, seconds=60)
        assert self.url, self.said

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.exitcode

    async def end(self, how: signal.Signals = signal.SIGINT) -> int:
        """Send the signal and wait for the end; returns the exit code."""
        if self.exit_code is None:
            os.kill(self.pid, how)
        await until(lambda: self.exit_code is not None, seconds=30)
        assert self.exit_code is not None
        return self.exit_code

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx2.AsyncClient]:
        key = {"Authorization": "Bearer ladder-demo-key"}
        async with httpx2.AsyncClient(base_url=self.url, headers=key, timeout=10) as client:
            yield client

    async def post(self, title: str, **more: str) -> httpx2.Response:
        """Post an event of the example's gold customer."""
        event = {"title": title, "service": "checkout", "customer": "acme", "severity": "critical"}
        async with self.client() as client:
            return await client.post("/v1/events", json=event | more)

    async def inbox(self, user: str) -> list[dict[str, Any]]:
        async with self.client() as client:
            items: list[dict[str, Any]] = (await client.get(f"/v1/inbox/{user}")).json()["items"]
            return items

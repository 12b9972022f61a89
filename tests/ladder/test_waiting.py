"""Names that do not resolve are waited for: every process stays, and says which name it waits for."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2

from tests.ladder.running import POLICY, PROJECT, environment
from tests.servers.ports import free_port
from tests.waiting import until

DATABASE = {"database_url": "postgresql://ladder:hunter2@db.invalid/ladder"}
KAFKA = {"kafka_bootstrap_servers": "kafka.invalid:9092"}
SHARED = {"secret_key": "x" * 32, "public_url": "http://ladder.test"}


class Running:
    """A process of Ladder with these settings."""

    def __init__(self, name: str, folder: Path, **variables: object) -> None:
        self.name = name
        self._output = folder / f"{name}.out"
        self._place = f"http://127.0.0.1:{free_port()}"
        listen = self._place.removeprefix("http://")
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ladder", name],
                cwd=PROJECT,
                env=environment(listen=listen, data_dir=folder / "data", **SHARED, **variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def said(self) -> str:
        return self._output.read_text()

    async def says(self, client: httpx2.AsyncClient, path: str) -> dict[str, Any]:
        """What it answers there, with the status; nothing while it does not listen yet."""
        assert self.process.poll() is None, self.said
        try:
            answer = await client.get(f"{self._place}{path}")
        except httpx2.TransportError:
            return {}
        return {"status_code": answer.status_code, **answer.json()}

    async def waits_for(self, client: httpx2.AsyncClient, name: str) -> bool:
        """Whether readiness says that it waits for this name."""
        said = await self.says(client, "/readyz")
        return said.get("status_code") == 503 and f"the name {name} cannot be resolved" in str(said)


async def test_a_typing_mistake_in_a_name_is_told_and_no_crash_loop(tmp_path: Path) -> None:
    """Intake on Kafka, the router on both, and all in one."""
    processes = {
        Running("intake", tmp_path, **KAFKA): "kafka.invalid",
        Running("router", tmp_path, **DATABASE, **KAFKA): "db.invalid",
        Running("up", tmp_path, **DATABASE, policy=POLICY): "db.invalid",
    }
    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=5) as client:
            for process, name in processes.items():
                await until(lambda process=process, name=name: process.waits_for(client, name), 60)
                assert (await process.says(client, "/healthz"))["status_code"] == 200
                assert process.said.count("PostgreSQL is away or refuses") == (name == "db.invalid")
                assert name in process.said
                assert "hunter2" not in process.said
                assert "Traceback" not in process.said
                assert "never retrieved" not in process.said
            _, router, up = processes
            await until(lambda: router.waits_for(client, "kafka.invalid"))
            assert (await up.says(client, "/v1/events"))["type"] == "urn:ladder:problem:starting"
    finally:
        for process in processes:
            process.process.terminate()
        codes = [await asyncio.to_thread(process.process.wait, 30) for process in processes]
    assert codes == [os.EX_OK] * 3

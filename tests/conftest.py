"""The servers that tests run against. Each is started once a session, when the first test asks for it."""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.dependencies import models

from tests import seeds
from tests.servers import memory
from tests.servers.broker import Broker, broker
from tests.servers.postgres import PostgresServer

os.environ.setdefault("LADDER_CANARY_SECONDS", "0")  # a test that wants canaries says so
tempfile.tempdir = os.environ["TMPDIR"] = memory.folder()

pytest_plugins = ["tests.lanes", "pytester"]


def pytest_report_header() -> str:
    return f"seed: {seeds.chosen()} ({seeds.VARIABLE}={seeds.chosen()} plays the same histories again)"


def pytest_collection_finish() -> None:
    """What is there stays to the end: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_logfinish() -> None:
    """FastAPI remembers functions: those of eighty applications that are gone, with all that they hold."""
    for remembered in vars(models).values():
        if hasattr(remembered, "cache_clear"):
            remembered.cache_clear()


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A short path that an unprivileged user can reach (pytest's own temporary folders are closed to others)."""
    folder = Path(tempfile.mkdtemp(prefix="ladder-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[PostgresServer]:
    """The session's PostgreSQL. A test that stops it starts it again."""
    folder = server_folder / "postgres"
    folder.mkdir()
    server = PostgresServer(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    """The maintenance database of the session's PostgreSQL."""
    return postgres.url()


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """An empty database for one test."""
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="session")
def kafka(server_folder: Path) -> Iterator[Broker]:
    """The session's broker: LADDER_TEST_KAFKA, or Apache Kafka, or (without Java) Tansu.

    Skips where there is none, and fails instead where LADDER_TEST_REQUIRE_KAFKA or CI is set.
    """
    folder = server_folder / "kafka"
    folder.mkdir()
    with broker(folder) as running:
        if running is None:
            why = "no broker: set LADDER_TEST_KAFKA, or install Java and Maven"
            if os.environ.get("LADDER_TEST_REQUIRE_KAFKA") or os.environ.get("CI"):
                pytest.fail(why)
            pytest.skip(why)
        yield running

"""The servers that tests run against. Each is started once a session, when the first test asks for it."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.postgres import PostgresServer


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
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)

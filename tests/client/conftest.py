"""A Ladder that plays its part over a socket, and the command line called as a person calls it."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pytest_httpserver import HTTPServer
from typer.testing import CliRunner

from ladder.cli import app


@dataclass(frozen=True)
class Terminal:
    """The command line, pointed at one server."""

    url: str

    def __call__(self, *arguments: str, key: str = "a-key", **environment: str) -> "Printed":
        settings = {"LADDER_URL": self.url, "LADDER_API_KEY": key, "TZ": "UTC", "COLUMNS": "", **environment}
        result = CliRunner(env=settings).invoke(app, list(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Printed(result.exit_code, result.stdout, result.stderr)


@dataclass(frozen=True)
class Printed:
    """What came out."""

    exit_code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def one_server() -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1", port=0, threaded=True) as running:
        yield running


@pytest.fixture
def server(one_server: HTTPServer) -> HTTPServer:
    """The session's server, knowing nothing yet."""
    one_server.clear()
    return one_server


@pytest.fixture
def ladder(server: HTTPServer) -> Terminal:
    return Terminal(server.url_for("").rstrip("/"))

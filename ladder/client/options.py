"""Options that several commands share, and the connection to the API. Importing this is cheap.

Errors are NotPossibleErrors: `ladder.terminal.command_line` prints them and exits with their status.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ladder.client import completion

if TYPE_CHECKING:
    from ladder.client.connection import Connection

Url = Annotated[str, typer.Option("--url", envvar="LADDER_URL", help="Where Ladder is.")]
ApiKey = Annotated[
    str,
    typer.Option("--api-key", envvar="LADDER_API_KEY", help="Your key; on this machine the demo key."),
]
IntakeUrl = Annotated[
    str,
    typer.Option("--intake-url", envvar="LADDER_INTAKE_URL", help="Where intake is, if elsewhere."),
]
IntakeKey = Annotated[str, typer.Option("--key", help="The integration's key, if it is not your own.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, errors too.")]
IncidentArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="An id, its beginning, a dedup key, or `latest`.",
        autocompletion=completion.incident,
    ),
]
IncidentArguments = Annotated[
    list[str],
    typer.Argument(
        metavar="ID",
        help="Ids, their beginnings, dedup keys, or `latest`.",
        autocompletion=completion.incident,
    ),
]
Note = Annotated[str, typer.Option("--note", help="A note for the timeline.")]
LOCAL = "http://127.0.0.1:8080"


@contextmanager
def connect(
    url: str, api_key: str = "", intake_url: str = "", intake_key: str = ""
) -> "Iterator[Connection]":
    """A connection. Raises ClientError for an address that is none, and where a key is needed."""
    from ladder.client.connection import Connection, Remote

    with Connection(Remote.of(url, api_key, intake_url, intake_key)) as connection:
        yield connection

"""Options that several commands share, and the way to the API with its errors as sentences.

Importing this is cheap: `ladder --help` stays quick.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

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
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Which = Annotated[str, typer.Argument(metavar="ID", help="An id, its beginning, a dedup key, or `latest`.")]
Whiches = Annotated[
    list[str], typer.Argument(metavar="ID...", help="Ids, their beginnings, dedup keys, or `latest`.")
]
Note = Annotated[str, typer.Option("--note", help="A note for the timeline.")]
LOCAL = "http://127.0.0.1:8080"


@contextmanager
def reaching(
    url: str, api_key: str = "", intake_url: str = "", intake_key: str = ""
) -> "Iterator[Connection]":
    """A connection; whatever goes wrong in it becomes one sentence and an exit code: 2, or 1 when refused."""
    from ladder.client.connection import Connection, Place

    with speaking():
        place = Place.of(url, api_key, intake_url, intake_key)
        with Connection(place) as connection:
            yield connection


@contextmanager
def speaking() -> "Iterator[None]":
    """Turns the client's errors into a sentence on stderr and the exit code that belongs to it."""
    from ladder.client.connection import ClientError

    try:
        yield
    except ClientError as err:
        typer.echo(str(err), err=True)
        raise typer.Exit(err.exit_code) from err
    except KeyboardInterrupt:
        raise typer.Exit(130) from None

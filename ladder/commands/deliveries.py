"""`ladder deliveries`: what became of each message, and sending one once more."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from ladder.client import completion
from ladder.client.beginnings import whole_id
from ladder.client.options import LOCAL, ApiKey, AsJson, Url, connect
from ladder.client.output import print_json, print_table, say
from ladder.terminal.command_line import Commands

if TYPE_CHECKING:
    from ladder.client.connection import Connection

_PATH: Final = "/v1/deliveries"
DeliveryArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The delivery, or the beginning of its id.",
        autocompletion=completion.listed(_PATH, "recipient"),
    ),
]
_SHOWN_ID: Final = 8
_COLUMNS: Final = ("id", "at", "what", "to", "channel", "contact", "state", "tries", "said")
_LONGEST: Final = 80  # of what a provider said, in a table

deliveries = typer.Typer(
    name="deliveries",
    cls=Commands,
    help="Look at messages and what became of them; send one once more.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
)


@deliveries.command("list")
def list_deliveries(
    *,
    state: Annotated[
        list[str] | None,
        typer.Option(help="pending, sending, sent, delivered, failed or cancelled; several are possible."),
    ] = None,
    incident: Annotated[str, typer.Option(help="Of this incident only (its whole id).")] = "",
    recipient: Annotated[str, typer.Option("--to", help="To this user, team or customer only.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 50,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """List messages, the newest first."""
    from shared.clock import utcnow

    filters = {"incident": incident, "recipient": recipient}
    params = [(name, value) for name, value in filters.items() if value]
    params += [("state", each) for each in state or ()]
    with connect(url, api_key) as connection:
        found = list(connection.listed(_PATH, params, limit))
    if json:
        print_json(found)
    elif not found:
        say("No such delivery.")
    else:
        now = utcnow()
        print_table(_COLUMNS, [_cells(each, now) for each in found])


@deliveries.command()
def retry(
    delivery: DeliveryArgument, *, json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = ""
) -> None:
    """Send one once more, with the same id, to where its contact leads now."""
    with connect(url, api_key) as connection:
        sent = connection.post(f"{_path(_id(connection, delivery))}/retry")
    if json:
        print_json(sent)
    else:
        say(f"on its way to {sent['recipient']} by {sent['channel']} ({sent['contact']}) again: {sent['id']}")


@deliveries.command()
def endpoints(*, json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = "") -> None:
    """List endpoints that nothing is sent to now, and why."""
    with connect(url, api_key) as connection:
        found = connection.get(f"{_PATH}/endpoints")["items"]
    if json:
        print_json(found)
    elif not found:
        say("Every endpoint is sent to.")
    else:
        rows = [
            (each["endpoint"], each["state"], str(each["since"] or f"until {each['until']}"), each["reason"])
            for each in found
        ]
        print_table(("endpoint", "state", "since", "because"), rows)


@deliveries.command()
def enable(
    delivery: DeliveryArgument, *, json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = ""
) -> None:
    """Send to a disabled endpoint again: the one that this delivery goes to."""
    with connect(url, api_key) as connection:
        found = _id(connection, delivery)
        connection.delete(f"{_PATH}/endpoints?delivery={quote(found, safe='')}")
    if json:
        print_json({"delivery": found})
    else:
        say(f"its endpoint is sent to again: ladder deliveries retry {found[:_SHOWN_ID]}")


def _path(delivery_id: str) -> str:
    return f"{_PATH}/{quote(delivery_id, safe='')}"


def _id(connection: "Connection", asked: str) -> str:
    return whole_id(connection, _PATH, asked, "deliveries")


def _cells(item: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    from ladder.client.wording import moment

    said = item["last_error"] or item["reason"]
    said = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"
    return (
        *(item["id"][:_SHOWN_ID], moment(item["created_at"], now), item["event"], item["recipient"]),
        *(item["channel"], item["contact"], item["state"], str(item["attempts"]), said.replace("\n", " ")),
    )

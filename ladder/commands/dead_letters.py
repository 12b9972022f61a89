"""`ladder dead-letters`: records that could not be used: look at them, send them again, or dismiss them."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from ladder.client import completion
from ladder.client.beginnings import whole_id
from ladder.client.options import LOCAL, ApiKey, AsJson, Url, connect
from ladder.client.output import print_json, print_table, say, say_lines
from ladder.terminal.command_line import Commands

if TYPE_CHECKING:
    from ladder.client.connection import Connection

_PATH: Final = "/v1/dead-letters"
IncidentArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The dead letter, or the beginning of its id.",
        autocompletion=completion.listed(_PATH, "reason"),
    ),
]
_SHOWN_ID: Final = 8
_COLUMNS: Final = ("id", "at", "topic", "set aside by", "bytes", "state", "reason")
_LONGEST: Final = 80  # of a reason in a table

letters = typer.Typer(
    name="dead-letters",
    cls=Commands,
    help="Look at records that could not be used; send them again, or dismiss them.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
)


@letters.command("list")
def list_letters(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that were replayed or dismissed.")
    ] = False,
    topic: Annotated[str, typer.Option(help="Of this topic only, such as ladder.incidents.")] = "",
    service: Annotated[str, typer.Option(help="Set aside by router or notifier only.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 50,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """List those that wait for a decision, the newest first."""
    from shared.clock import utcnow

    filters = {"state": "" if everything else "waiting", "topic": topic, "service": service}
    params = [(name, value) for name, value in filters.items() if value]
    with connect(url, api_key) as connection:
        found = list(connection.listed(_PATH, params, limit))
    if json:
        print_json(found)
    elif not found:
        say("No such dead letter." if everything else "No dead letter waits.")
    else:
        now = utcnow()
        print_table(_COLUMNS, [_cells(each, now) for each in found])


@letters.command()
def show(letter: IncidentArgument, *, json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = "") -> None:
    """Show one with its reason, and what its record holds."""
    with connect(url, api_key) as connection:
        found = connection.get(_path(_id(connection, letter)))
    if json:
        print_json(found)
    else:
        say_lines(_lines(found))


@letters.command()
def replay(letter: IncidentArgument, *, json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = "") -> None:
    """Publish its record again, under its key and with its id."""
    with connect(url, api_key) as connection:
        decided = connection.post(f"{_path(_id(connection, letter))}/replay")
    if json:
        print_json(decided)
    else:
        say(f"on its way to {decided['from_topic']} again: {decided['key']}")


@letters.command()
def dismiss(
    letter: IncidentArgument,
    *,
    note: Annotated[str, typer.Option(help="Why nothing has to come of it.")] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Let nothing come of it; it stays to be read until it is old."""
    with connect(url, api_key) as connection:
        decided = connection.post(f"{_path(_id(connection, letter))}/dismiss", {"note": note})
    if json:
        print_json(decided)
    else:
        say(f"dismissed: {decided['reason']}")


def _path(letter_id: str) -> str:
    return f"{_PATH}/{quote(letter_id, safe='')}"


def _id(connection: "Connection", asked: str) -> str:
    return whole_id(connection, _PATH, asked, "dead letters")


def _cells(item: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    from ladder.client.wording import moment

    size = "?" if item["size"] is None else f"{item['size']:,}"
    reason = item["reason"] if len(item["reason"]) <= _LONGEST else f"{item['reason'][:_LONGEST]}…"
    where = f"{item['from_topic']}:{item['partition']}:{item['offset']}"
    return (
        *(item["id"][:_SHOWN_ID], moment(item["at"], now), where, item["service"]),
        *(size, item["state"], reason.replace("\n", " ")),
    )


def _lines(found: Mapping[str, Any]) -> list[str]:
    size = "not known yet" if found["size"] is None else f"{found['size']:,} bytes, sha256 {found['sha256']}"
    decided = f"{found['state']} by {found['decided_by']} at {found['decided_at']}"
    facts = {
        "id": found["id"],
        "set aside": f"{found['at']} by {found['service']}",
        "from": f"{found['from_topic']}, partition {found['partition']}, offset {found['offset']}",
        "key": found["key"],
        "size": size if found["complete"] or found["size"] is None else f"{size}; not all of it is kept",
        "state": found["state"] if found["state"] == "waiting" else decided,
        "note": found["note"],
    }
    lines = [found["reason"], *(f"  {name}: {value}" for name, value in facts.items() if value)]
    lines += [f"  header {name}: {value}" for name, value in found["headers"].items()]
    more = " (the beginning)" if found["cut"] else ""
    if found["body"]:
        lines += [
            f"  holds, as {found['encoding']}{more}:",
            *(f"    {line}" for line in found["body"].splitlines()),
        ]
    return lines

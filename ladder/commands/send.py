"""`ladder send`: one native event from the command line, or a file of them."""

import json as standard_json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ladder.client import completion
from ladder.client.options import LOCAL, ApiKey, AsJson, IntakeKey, IntakeUrl, Url, connect
from ladder.client.output import print_json, say
from shared.json_object import JsonObject


def send(
    title: Annotated[str, typer.Argument(help="What is wrong, in a sentence.")] = "",
    *,
    action: Annotated[str, typer.Option(help="trigger, acknowledge, resolve, update or note.")] = "",
    dedup_key: Annotated[str, typer.Option("--dedup-key", help="The problem's name; made if missing.")] = "",
    description: Annotated[str, typer.Option(help="What is known, in as many lines as it takes.")] = "",
    kind: Annotated[str, typer.Option(help="incident, customer_case, …")] = "",
    severity: Annotated[str, typer.Option(help="critical, error, warning or info.")] = "",
    impact: Annotated[int | None, typer.Option(min=1, max=3, help="How much is hit; 1 is most.")] = None,
    urgency: Annotated[int | None, typer.Option(min=1, max=3, help="How soon it hurts; 1 is now.")] = None,
    customer: Annotated[str, typer.Option(help="Who is hit.", autocompletion=completion.customer)] = "",
    service: Annotated[
        str,
        typer.Option(help="What is hit.", autocompletion=completion.seen_in_incidents("service")),
    ] = "",
    source: Annotated[str, typer.Option(help="Where it was seen.")] = "",
    waiting_for: Annotated[str | None, typer.Option("--waiting-for", help="With update; '' ends it.")] = None,
    occurred_at: Annotated[str, typer.Option("--occurred-at", help="ISO 8601.")] = "",
    attribute: Annotated[
        list[str] | None, typer.Option("--attribute", "-a", help="NAME=VALUE; the value as JSON or text.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option("--label", "-l", help="NAME=VALUE")] = None,
    link: Annotated[list[str] | None, typer.Option("--link", help="An address to look at.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="JSON or NDJSON as it stands; - reads the input.")
    ] = None,
    idempotency_key: Annotated[
        str, typer.Option("--idempotency-key", help="Sent again with the same one, it counts once.")
    ] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
    intake_url: IntakeUrl = "",
    key: IntakeKey = "",
) -> None:
    """Post an event. Without --action it triggers an incident."""
    if file is None:
        event = {
            "title": title, "action": action, "dedup_key": dedup_key, "description": description,
            "kind": kind, "severity": severity, "impact": impact, "urgency": urgency,
            "customer": customer, "service": service, "source": source, "occurred_at": occurred_at,
            "attributes": {name: _value(text) for name, text in _pairs("--attribute", attribute)},
            "labels": dict(_pairs("--label", label)), "links": [{"href": href} for href in link or ()],
        }  # fmt: skip
        body, content_type = _encoded(event, waiting_for), "application/json"
    else:
        body, content_type = _read(file)
    with connect(url, api_key, intake_url, key) as connection:
        answer = connection.send(body, content_type, idempotency_key)
    if json:
        print_json(answer)
        return
    for event in answer["events"]:
        say(f"accepted: {event['dedup_key']} (event {event['event_id']})")


def _encoded(event: JsonObject, waiting_for: str | None) -> bytes:
    from ladder.client.connection import UsageError

    said = {name: value for name, value in event.items() if value}
    if waiting_for is not None:  # '' says something: the waiting is over
        said["waiting_for"] = waiting_for
    if "title" not in said and said.get("action", "trigger") == "trigger":
        raise UsageError("An event that triggers needs a title: ladder send 'Checkout is down'.")
    return standard_json.dumps(said).encode()


def _pairs(option: str, given: Sequence[str] | None) -> list[tuple[str, str]]:
    from ladder.client.connection import UsageError

    for text in given or ():
        if "=" not in text:
            raise UsageError(f"{option} {text!r}: expected NAME=VALUE.")
    return [(text.partition("=")[0], text.partition("=")[2]) for text in given or ()]


def _value(text: str) -> Any:
    """12, 0.5, true, [1] and {"a": 1} as they read; everything else is text."""
    try:
        return standard_json.loads(text)
    except ValueError:
        return text


def _read(file: Path) -> tuple[bytes, str]:
    from ladder.client.connection import UsageError

    try:
        body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as err:
        raise UsageError(f"{file} cannot be read: {err.strerror}.") from err
    try:
        standard_json.loads(body)
    except ValueError:
        return body, "application/x-ndjson"
    return body, "application/json"

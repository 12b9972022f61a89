"""`ladder incidents`, `show`, `explain`, `watch`, and `oncall`: looking at a running Ladder."""

import sys
from typing import Annotated

import typer

from ladder.client import completion
from ladder.client.options import LOCAL, ApiKey, AsJson, IncidentArgument, Url, connect
from ladder.client.output import print_json, print_json_line, print_table, say, say_lines
from ladder.terminal.command_line import tell


def incidents(
    *,
    status: Annotated[list[str] | None, typer.Option(help="triggered, acknowledged, …; repeatable.")] = None,
    customer: Annotated[
        str, typer.Option(help="Of this customer only, by its id.", autocompletion=completion.customer)
    ] = "",
    service: Annotated[
        str,
        typer.Option(help="Of this service only.", autocompletion=completion.seen_in_incidents("service")),
    ] = "",
    integration: Annotated[str, typer.Option(help="Of this integration only.")] = "",
    dedup_key: Annotated[str, typer.Option("--dedup-key", help="Of this problem only, by its name.")] = "",
    priority: Annotated[
        int | None, typer.Option(min=1, max=5, help="Of this priority only; 1 is the most urgent.")
    ] = None,
    assignee: Annotated[str, typer.Option(help="Whoever took it.", autocompletion=completion.user)] = "",
    search: Annotated[str, typer.Option("--search", "-q", help="Words in the title.")] = "",
    sort: Annotated[str, typer.Option(help="newest or pressing.")] = "newest",
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 50,
    everything: Annotated[bool, typer.Option("--all", help="Resolved and closed ones too.")] = False,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """List incidents: those that are open, unless asked otherwise."""
    from ladder.client.wording import INCIDENT_COLUMNS, INCIDENT_SPARE, incident_cells
    from shared.clock import utcnow

    wanted = status or ([] if everything else ["triggered", "acknowledged"])
    filters = {
        "customer": customer, "service": service, "integration": integration, "dedup_key": dedup_key,
        "priority": str(priority or ""), "assignee": assignee, "q": search,
        "sort": "" if sort == "newest" else sort,
    }  # fmt: skip
    params = [("status", one) for one in wanted] + [(name, text) for name, text in filters.items() if text]
    with connect(url, api_key) as connection:
        found = list(connection.incidents(params, limit))
    if json:
        print_json(found)
    elif not found:
        say("No such incident." if everything or status else "Nothing is open.")
    else:
        now = utcnow()
        print_table(INCIDENT_COLUMNS, [incident_cells(incident, now) for incident in found], INCIDENT_SPARE)


def show(
    incident: IncidentArgument = "latest",
    *,
    timeline: Annotated[bool, typer.Option(help="With what happened.")] = True,
    last: Annotated[int, typer.Option(min=0, help="Only this many of its newest entries; 0 is all.")] = 200,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Show one incident, its clocks and its timeline."""
    from ladder.client.incident_ids import resolve_id
    from ladder.client.wording import incident_lines, timeline_lines
    from shared.clock import utcnow

    with connect(url, api_key) as connection:
        chosen = resolve_id(connection, incident)
        found = connection.get(f"/v1/incidents/{chosen}")
        items = connection.timeline(chosen) if timeline else []
    if json:
        print_json({**found, "timeline": items} if timeline else found)
        return
    now = utcnow()
    shown = items[-last:]
    lines = [*incident_lines(found, now), *([""] if items else [])]
    if len(shown) < len(items):
        lines.append(f"  … {len(items) - len(shown)} earlier entries: --last 0 tells all")
    say_lines([*lines, *timeline_lines(shown, now)])


def explain(
    incident: IncidentArgument = "latest", *, json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = ""
) -> None:
    """Say why an incident stands where it stands, and what happens next unless somebody acts."""
    from ladder.client.incident_ids import resolve_id
    from ladder.client.wording import explain_lines
    from shared.clock import utcnow

    with connect(url, api_key) as connection:
        chosen = resolve_id(connection, incident)
        explained = connection.get(f"/v1/incidents/{chosen}/explain")
        found = {} if json else connection.get(f"/v1/incidents/{chosen}")
    if json:
        print_json(explained)
    else:
        say_lines(explain_lines(found, explained, utcnow()))


def oncall(
    *,
    at: Annotated[
        str, typer.Option(help="At this time, such as 2026-03-08T07:00: here, unless it has a zone.")
    ] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Say who is on call."""
    from ladder.client.wording import instant, oncall_cells, oncall_columns
    from shared.clock import utcnow

    with connect(url, api_key) as connection:
        asked = instant(at) if at else None
        answer = connection.get("/v1/oncall", [("at", asked.isoformat())] if asked else None)
    if json:
        print_json(answer)
    elif not answer["items"]:
        say("There is no schedule.")
    else:
        now = utcnow()
        print_table(oncall_columns(asked or now), [oncall_cells(item, now) for item in answer["items"]])
        passed = [(item["schedule"], each) for item in answer["items"] for each in item.get("passed") or ()]
        if passed:
            say_lines(f"{schedule}: {sentence}" for schedule, sentence in passed)


def watch(
    incident: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Only this one; ends when it is over.",
            autocompletion=completion.incident,
        ),
    ] = "",
    seconds: Annotated[float | None, typer.Option("--for", help="End after this many seconds.")] = None,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 1.0,
    *,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, errors too.")] = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Follow incidents live: a line for each thing that happens. Ctrl-C ends it.

    With --json a line is one entry of a timeline, with the incident as it is now.
    """
    import time

    from ladder.client.connection import DeniedError, UnreachableError
    from ladder.client.incident_ids import resolve_id
    from ladder.client.watch import Seen, watch_once
    from shared.clock import utcnow

    ends = None if seconds is None else time.monotonic() + seconds
    with connect(url, api_key) as connection:
        only = resolve_id(connection, incident) if incident else ""
        seen, missed = Seen(), 0
        while ends is None or time.monotonic() < ends:
            try:
                step = watch_once(connection, seen, utcnow(), only)
            except (UnreachableError, DeniedError) as err:
                # A restart in between is no reason to stop watching; a wrong key or address is.
                missed += 1
                if missed == 1 and not seen.started:
                    raise
                if isinstance(err, DeniedError) and err.status < 500:
                    raise
                if missed == 1:
                    tell(err, as_json=json)
                    if not json:
                        say("Still trying.", err=True)
            else:
                seen, missed = step.seen, 0
                for one in step.told:
                    print_json_line(one.document) if json else say_lines([one.line(utcnow())])
                sys.stdout.flush()
                if only and not step.any_open:
                    return
            time.sleep(every)

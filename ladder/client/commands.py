"""The commands that talk to a running Ladder. Importing this is cheap: `ladder --help` stays quick."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ladder.client.options import LOCAL, ApiKey, AsJson, Url, Which, reaching
from ladder.client.printing import print_json, print_table


def incidents(
    *,
    status: Annotated[list[str] | None, typer.Option(help="triggered, acknowledged, …; repeatable.")] = None,
    customer: Annotated[str, typer.Option()] = "",
    service: Annotated[str, typer.Option()] = "",
    integration: Annotated[str, typer.Option()] = "",
    dedup_key: Annotated[str, typer.Option("--dedup-key")] = "",
    priority: Annotated[int | None, typer.Option(min=1, max=5)] = None,
    assignee: Annotated[str, typer.Option(help="Whoever took it.")] = "",
    search: Annotated[str, typer.Option("--search", "-q", help="Words in the title.")] = "",
    sort: Annotated[str, typer.Option(help="newest or pressing.")] = "newest",
    limit: Annotated[int, typer.Option(min=1)] = 50,
    everything: Annotated[bool, typer.Option("--all", help="Resolved and closed ones too.")] = False,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """List incidents: those that are open, unless asked otherwise."""
    from ladder.client.words import INCIDENT_COLUMNS, incident_cells
    from shared.clock import utcnow

    wanted = status or ([] if everything else ["triggered", "acknowledged"])
    filters = {
        "customer": customer, "service": service, "integration": integration, "dedup_key": dedup_key,
        "priority": str(priority or ""), "assignee": assignee, "q": search,
        "sort": "" if sort == "newest" else sort,
    }  # fmt: skip
    params = [("status", one) for one in wanted] + [(name, text) for name, text in filters.items() if text]
    with reaching(url, api_key) as connection:
        found = list(connection.incidents(params, limit))
    if json:
        print_json(found)
    elif not found:
        typer.echo("No such incident." if everything or status else "Nothing is open.")
    else:
        now = utcnow()
        print_table(INCIDENT_COLUMNS, [incident_cells(incident, now) for incident in found])


def show(
    incident: Which = "latest",
    *,
    timeline: Annotated[bool, typer.Option(help="With what happened.")] = True,
    last: Annotated[int, typer.Option(min=0, help="Only so many of its newest entries; 0 is all.")] = 200,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Show one incident, its clocks and its timeline."""
    from ladder.client.pick import pick
    from ladder.client.words import incident_lines, timeline_lines
    from shared.clock import utcnow

    with reaching(url, api_key) as connection:
        chosen = pick(connection, incident)
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
    typer.echo("\n".join([*lines, *timeline_lines(shown, now)]))


def explain(
    incident: Which = "latest", *, json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = ""
) -> None:
    """Say why an incident stands where it stands, and what happens next unless somebody acts."""
    from ladder.client.pick import pick
    from ladder.client.words import explain_lines
    from shared.clock import utcnow

    with reaching(url, api_key) as connection:
        chosen = pick(connection, incident)
        explained = connection.get(f"/v1/incidents/{chosen}/explain")
        found = {} if json else connection.get(f"/v1/incidents/{chosen}")
    if json:
        print_json(explained)
    else:
        typer.echo("\n".join(explain_lines(found, explained, utcnow())))


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
    from ladder.client.words import instant, oncall_cells, oncall_columns
    from shared.clock import utcnow

    with reaching(url, api_key) as connection:
        asked = instant(at) if at else None
        answer = connection.get("/v1/oncall", [("at", asked.isoformat())] if asked else None)
    if json:
        print_json(answer)
    elif not answer["items"]:
        typer.echo("There is no schedule.")
    else:
        now = utcnow()
        print_table(oncall_columns(asked or now), [oncall_cells(item, now) for item in answer["items"]])
        for item in answer["items"]:
            for sentence in item.get("passed") or ():
                typer.echo(f"{item['schedule']}: {sentence}")


def watch(
    incident: Annotated[
        str, typer.Argument(metavar="[ID]", help="Only this one; ends when it is over.")
    ] = "",
    seconds: Annotated[float | None, typer.Option("--for", help="End after so many seconds.")] = None,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 1.0,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Follow incidents live: a line for each thing that happens. Ctrl-C ends it."""
    import time

    from ladder.client.connection import DeniedError, UnreachableError
    from ladder.client.pick import pick
    from ladder.client.watch import Seen, watch_once
    from shared.clock import utcnow

    ends = None if seconds is None else time.monotonic() + seconds
    with reaching(url, api_key) as connection:
        only = pick(connection, incident) if incident else ""
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
                    typer.echo(f"{err} Still trying.", err=True)
            else:
                seen, missed = step.seen, 0
                for line in step.lines:
                    typer.echo(line)
                sys.stdout.flush()
                if only and not step.any_open:
                    return
            time.sleep(every)


def apply(
    policy: Annotated[Path, typer.Argument(help="The bundle: a file, or a folder of them.")],
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Check a policy bundle and put it in force, everywhere at once."""
    from shared.policy import PolicyErrors, dump_json, load

    try:
        bundle = load(policy)
    except PolicyErrors as err:
        typer.echo(str(err), err=True)
        raise typer.Exit(1) from err
    with reaching(url, api_key) as connection:
        answer = connection.put("/v1/policy", dump_json(bundle), "application/json")
    typer.echo(f"in force: bundle {str(answer['hash'])[:12]}, revision {answer['revision']}")
    for sentence in answer.get("not_in_force") or ():
        typer.echo(f"  {sentence}")
    for sentence in answer.get("warnings") or ():
        typer.echo(f"  warning: {sentence}")


def register(app: typer.Typer) -> None:
    """Adds the commands in the order in which `ladder --help` lists them."""
    from ladder.client.acting import ACTS
    from ladder.client.directory import customer, customers
    from ladder.client.duty import absent, override, overrides, shifts
    from ladder.client.letters import letters
    from ladder.client.quiet import maintenance, silence, silences, unsilence
    from ladder.client.reporting import report
    from ladder.client.sending import send
    from ladder.demonstration import demo
    from ladder.replay.command import replay

    looking: Sequence[Callable[..., None]] = (send, incidents, show, explain)
    others: Sequence[Callable[..., None]] = (
        oncall, silence, silences, unsilence, maintenance, override, absent, overrides,
        shifts, customer, report, watch, apply, replay, demo,
    )  # fmt: skip
    for command in looking:
        app.command()(command)
    for name, command in ACTS:
        app.command(name)(command)
    for command in others:
        app.command()(command)
    app.add_typer(customers)
    app.add_typer(letters)

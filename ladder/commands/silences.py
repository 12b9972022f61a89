"""`ladder silence`, `silences`, `unsilence`, `maintenance`: what nobody is notified of for a while."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from ladder.client import completion
from ladder.client.options import LOCAL, ApiKey, AsJson, Url, connect
from ladder.client.output import print_json, print_table, say
from shared.json_object import JsonObject

When = Annotated[
    str, typer.Argument(metavar="EXPR", help="A condition, such as \"service == 'checkout'\"; true for all.")
]
For = Annotated[str, typer.Option("--for", help="For this long, such as 2h or 1h30m.")]
Until = Annotated[str, typer.Option("--until", help="Until then, such as 2026-03-08T07:00: here.")]
Past = Annotated[bool, typer.Option("--past", help="Those that are over instead.")]
_SHOWN_ID = 8


def silence(
    when: When,
    *,
    lasting: For = "",
    until: Until = "",
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Notify nobody of what matches, for a while; everything is recorded."""
    from ladder.client.wording import moment
    from shared.clock import utcnow

    now = utcnow()
    with connect(url, api_key) as connection:
        body = {"when": when, "until": _end(now, lasting, until).isoformat(), "comment": comment}
        made = connection.post("/v1/silences", body)
    if json:
        print_json(made)
        return
    say(f"silent until {moment(made['until'], now)}: {made['when']} ({made['id'][:_SHOWN_ID]})")


def silences(*, past: Past = False, json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = "") -> None:
    """List what is silenced."""
    from shared.clock import utcnow

    with connect(url, api_key) as connection:
        found = list(connection.listed("/v1/silences", [("past", "true")] if past else [], 5000))
    if json:
        print_json(found)
    elif not found:
        say("Nothing is silenced.")
    else:
        now = utcnow()
        print_table(("id", "until", "when", "by", "why"), [_silence_cells(each, now) for each in found])


def unsilence(
    silence: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="The silence, or the beginning of its id.",
            autocompletion=completion.listed("/v1/silences", "when"),
        ),
    ],
    *,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """End a silence now: what still stands is paged."""
    with connect(url, api_key) as connection:
        found = list(connection.listed("/v1/silences", [], 5000))
        ended = connection.delete(f"/v1/silences/{quote(_one(found, silence, 'silences'), safe='')}")
    print_json(ended) if json else say(f"no longer silent: {ended['when']}")


def maintenance(
    name: Annotated[
        str, typer.Argument(help="What the work is called; without it the plans are listed.")
    ] = "",
    *,
    when: Annotated[str, typer.Option(help="What it concerns, a condition; everything.")] = "true",
    since: Annotated[str, typer.Option("--from", help="From then on, such as 2026-03-08T22:00; now.")] = "",
    to: Annotated[str, typer.Option("--to", help="Until then.")] = "",
    lasting: For = "",
    days: Annotated[
        str, typer.Option(help="Again on these days, such as mon-fri: --from and --to are times of day.")
    ] = "",
    timezone: Annotated[str, typer.Option(help="Of those times, such as Europe/Prague.")] = "UTC",
    calendar: Annotated[str, typer.Option(help="Again while this calendar of the policy is open.")] = "",
    then: Annotated[str, typer.Option(help="page or drop what still stands at the end.")] = "page",
    end: Annotated[
        str,
        typer.Option(
            "--end",
            metavar="ID",
            help="End this one, or take it back.",
            autocompletion=completion.listed("/v1/maintenance", "name"),
        ),
    ] = "",
    past: Past = False,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Plan work during which nobody is notified; list what is planned, or end it."""
    from shared.clock import utcnow

    now = utcnow()
    with connect(url, api_key) as connection:
        if end:
            found = list(connection.listed("/v1/maintenance", [], 5000))
            path = f"/v1/maintenance/{quote(_one(found, end, 'plans'), safe='')}"
            shown = [connection.delete(path)]
        elif name:
            times = _again(days, since, to, timezone, calendar) or _times(now, since, to, lasting)
            shown = [connection.post("/v1/maintenance", {"name": name, "when": when, "then": then} | times)]
        else:
            shown = list(connection.listed("/v1/maintenance", [("past", "true")] if past else [], 5000))
    if json:
        print_json(shown[0] if name or end else shown)
    elif not shown:
        say("No maintenance is planned.")
    elif end:
        say(f"maintenance {shown[0]['name']} is over")
    else:
        columns = ("id", "name", "state", "times", "when", "then", "by")
        print_table(columns, [_maintenance_cells(each, now) for each in shown])


def _end(now: datetime, lasting: str, until: str) -> datetime:
    from ladder.client.connection import UsageError
    from ladder.client.wording import instant

    if bool(lasting) == bool(until):
        raise UsageError("say either --for, such as --for 2h, or --until.")
    return instant(until) if until else now + _duration(lasting)


def _duration(text: str) -> timedelta:
    from ladder.client.connection import UsageError
    from shared.policy.model.durations import parse_duration

    try:
        return parse_duration(text)
    except ValueError as err:
        raise UsageError(f"--for {text!r}: {err}") from err


def _times(now: datetime, since: str, to: str, lasting: str) -> JsonObject:
    from ladder.client.wording import instant

    begins = instant(since) if since else now
    return {"from": begins.isoformat(), "to": _end(begins, lasting, to).isoformat()}


def _again(days: str, since: str, to: str, timezone: str, calendar: str) -> JsonObject:
    """The window in which it comes again; empty where it comes once."""
    from ladder.client.connection import UsageError

    if calendar and (days or since or to):
        raise UsageError("say either --calendar, or --days, --from and --to.")
    if calendar:
        return {"window": {"calendar": calendar}}
    return _window(days, since, to, timezone) if days else {}


def _window(days: str, since: str, to: str, timezone: str) -> JsonObject:
    window = {"days": days, "from": since, "to": to, "timezone": timezone}
    return {"window": {key: value for key, value in window.items() if value}}


def _one(found: list[JsonObject], asked: str, what: Literal["silences", "plans"]) -> str:
    """The id that begins so; as it was typed where none of the list does."""
    from ladder.client.connection import UsageError

    fitting = [str(each["id"]) for each in found if str(each["id"]).startswith(asked)]
    if len(fitting) > 1:
        raise UsageError(f"{len(fitting)} {what} begin with {asked}: give more of the id.")
    return fitting[0] if fitting else asked


def _silence_cells(item: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    from ladder.client.wording import moment

    why = item["comment"] + (f" (never applies: {item['broken']})" if item["broken"] else "")
    return item["id"][:_SHOWN_ID], moment(item["until"], now), item["when"], item["by"], why


def _window_cell(window: Mapping[str, str]) -> str:
    if "calendar" in window:
        return f"calendar {window['calendar']}"
    days, zone = window.get("days", "mon-sun"), window.get("timezone", "UTC")
    return f"{days} {window.get('from')}–{window.get('to')} {zone}"


def _maintenance_cells(item: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    from ladder.client.wording import moment

    window = item["window"]
    if window:
        times = ", ".join(map(_window_cell, window if isinstance(window, list) else [window]))
    else:
        times = f"{moment(item['from'], now)} – {moment(item['to'], now)}"
    when, state = item["when"], item["state"].replace("_", " ")
    if item["broken"]:  # its time may have come, and still nothing comes of it
        when, state = f"{when} ({item['broken']})", "over" if state == "over" else "never applies"
    return item["id"][:_SHOWN_ID], item["name"], state, times, when, item["then"], item["by"]

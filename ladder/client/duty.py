"""`ladder override`, `overrides`, `shifts`: who stands in, and who has a schedule when."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from ladder.client.options import LOCAL, ApiKey, AsJson, Url, reaching
from ladder.client.printing import print_json, print_table

Schedule = Annotated[str, typer.Argument(help="A schedule of the policy in force.")]
From = Annotated[str, typer.Option("--from", help="Since then, such as 2026-03-08T07:00; now.")]
To = Annotated[str, typer.Option("--to", help="Until then.")]
_SHOWN_ID = 8


def override(
    schedule: Schedule,
    user: Annotated[str, typer.Argument(help="Who stands in.")],
    *,
    to: Annotated[str, typer.Option("--to", help="Until then, such as 2026-03-08T07:00: here.")],
    since: From = "",
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Let somebody stand in on a schedule, before whoever its layers name."""
    from ladder.client.words import instant, moment
    from shared.clock import utcnow

    now = utcnow()
    with reaching(url, api_key) as connection:
        body = {"schedule": schedule, "user": user, "comment": comment}
        body |= {"from": _asked(since, now).isoformat(), "to": instant(to).isoformat()}
        made = connection.post("/v1/overrides", body)
    if json:
        print_json(made)
        return
    times = f"from {moment(made['from'], now)} until {moment(made['to'], now)}"
    typer.echo(f"{made['user']} stands in on {made['schedule']} {times} ({made['id'][:_SHOWN_ID]})")


def overrides(
    *,
    schedule: Annotated[str, typer.Option(help="Only of this schedule.")] = "",
    since: From = "",
    to: To = "",
    end: Annotated[
        str, typer.Option("--end", metavar="ID", help="Take this one back; one that runs ends now.")
    ] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """List who stands in now and later, or end an override."""
    from ladder.client.words import instant
    from shared.clock import utcnow

    given = {"schedule": schedule, "from": since and instant(since).isoformat()}
    given["to"] = to and instant(to).isoformat()
    params = [("limit", "500"), *((name, text) for name, text in given.items() if text)]
    with reaching(url, api_key) as connection:
        found = connection.get("/v1/overrides", params)["items"]
        if end:
            chosen = _one(found, end)
            left = connection.delete(f"/v1/overrides/{quote(chosen, safe='')}")
    if end:
        print_json(left) if json else typer.echo(f"{left['user']} stands in on {left['schedule']} no more")
    elif json:
        print_json(found)
    elif not found:
        typer.echo("Nobody stands in.")
    else:
        now = utcnow()
        columns = ("id", "schedule", "stands in", "from", "until", "by", "why")
        print_table(columns, [_override_cells(each, now) for each in found])


def shifts(
    schedule: Schedule,
    *,
    since: From = "",
    to: Annotated[str, typer.Option("--to", help="Until then; two weeks.")] = "",
    user: Annotated[str, typer.Option(help="Only theirs.")] = "",
    calendar: Annotated[
        bool, typer.Option("--calendar", help="A private address for a calendar program instead.")
    ] = False,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Say who has a schedule when."""
    from ladder.client.words import instant
    from shared.clock import utcnow

    path = f"/v1/schedules/{quote(schedule, safe='')}"
    given = {"from": since and instant(since).isoformat(), "to": to and instant(to).isoformat()}
    with reaching(url, api_key) as connection:
        whose = [("user", user)] if user else []
        if calendar:
            answer = connection.post(f"{path}/feed", params=whose)
        else:
            asked = [(name, text) for name, text in given.items() if text]
            answer = connection.get(f"{path}/shifts", asked + whose)
    if json:
        print_json(answer)
    elif calendar:
        typer.echo(answer["url"])
    else:
        now = utcnow()
        zone = now.astimezone().tzname() or "local time"
        columns = (f"from ({zone})", f"until ({zone})", "on call", "by")
        print_table(columns, [_shift_cells(each, now) for each in answer["items"]])


def _asked(text: str, otherwise: datetime) -> datetime:
    from ladder.client.words import instant

    return instant(text) if text else otherwise


def _one(found: list[dict[str, Any]], asked: str) -> str:
    """The id that begins so; as it was typed where none of the list does."""
    from ladder.client.connection import UsageError

    fitting = [str(each["id"]) for each in found if str(each["id"]).startswith(asked)]
    if len(fitting) > 1:
        raise UsageError(f"{len(fitting)} overrides begin with {asked}: give more of the id.")
    return fitting[0] if fitting else asked


def _override_cells(item: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    from ladder.client.words import moment

    times = (moment(item["from"], now), moment(item["to"], now))
    return (
        item["id"][:_SHOWN_ID], item["schedule"], item["user"], *times, item["by"], item.get("comment") or ""
    )  # fmt: skip


def _shift_cells(item: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    from ladder.client.words import moment

    by = [*item["layers"], *(["override"] if item["overrides"] else [])]
    return moment(item["from"], now), moment(item["to"], now), item["user"] or "nobody", ", ".join(by)

"""`ladder override`, `overrides`, `shifts`: who stands in, and who has a schedule when."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from ladder.client import completion
from ladder.client.options import LOCAL, ApiKey, AsJson, Url, connect
from ladder.client.output import print_json, print_table, say
from shared.json_object import JsonObject

Schedule = Annotated[
    str, typer.Argument(help="A schedule of the policy in force.", autocompletion=completion.schedule)
]
From = Annotated[str, typer.Option("--from", help="Since then, such as 2026-03-08T07:00; now.")]
To = Annotated[str, typer.Option("--to", help="Until then.")]
_SHOWN_ID = 8
_NOBODY = "nobody"


def override(
    schedule: Schedule,
    user: Annotated[
        str,
        typer.Argument(help="Who stands in; nobody: a gap that is wanted.", autocompletion=completion.user),
    ],
    *,
    to: Annotated[str, typer.Option("--to", help="Until then, such as 2026-03-08T07:00: here.")],
    since: From = "",
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Let somebody stand in on a schedule, before whoever its layers name."""
    who = {"nobody": True} if user == _NOBODY else {"user": user}
    made = _made({"schedule": schedule, **who, "comment": comment}, since, to, url, api_key)
    print_json(made) if json else say(_said(made))


def absent(
    user: Annotated[str, typer.Argument(help="Who is away.", autocompletion=completion.user)],
    *,
    to: Annotated[str, typer.Option("--to", help="Until then, such as 2026-03-08T07:00: here.")],
    since: From = "",
    instead: Annotated[
        str,
        typer.Option("--instead", metavar="USER", help="Who stands in; whoever the schedule names beneath."),
    ] = "",
    schedule: Annotated[
        str, typer.Option(help="Only on this schedule; every one.", autocompletion=completion.schedule)
    ] = "",
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Say that somebody is away: nothing is asked of them on any schedule meanwhile."""
    body = {"absent": user, "comment": comment}
    body |= {name: given for name, given in (("user", instead), ("schedule", schedule)) if given}
    made = _made(body, since, to, url, api_key)
    print_json(made) if json else say("\n".join((_said(made), *map(_gap, made.get("gaps", ())))))


def overrides(
    *,
    schedule: Annotated[
        str, typer.Option(help="Only of this schedule.", autocompletion=completion.schedule)
    ] = "",
    since: From = "",
    to: To = "",
    end: Annotated[
        str,
        typer.Option(
            "--end",
            metavar="ID",
            help="Take this one back; one that runs ends now.",
            autocompletion=completion.listed("/v1/overrides", "schedule"),
        ),
    ] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """List who stands in now and later, or end an override."""
    from ladder.client.wording import instant
    from shared.clock import utcnow

    given = {"schedule": schedule, "from": since and instant(since).isoformat()}
    given["to"] = to and instant(to).isoformat()
    params = [("limit", "500"), *((name, text) for name, text in given.items() if text)]
    with connect(url, api_key) as connection:
        found = connection.get("/v1/overrides", params)["items"]
        if end:
            chosen = _one(found, end)
            left = connection.delete(f"/v1/overrides/{quote(chosen, safe='')}")
    if end:
        print_json(left) if json else say(f"no longer: {_what(left)}")
    elif json:
        print_json(found)
    elif not found:
        say("Nobody stands in.")
    else:
        now = utcnow()
        columns = ("id", "schedule", "stands in", "from", "until", "by", "why")
        print_table(columns, [_override_cells(each, now) for each in found])


def shifts(
    schedule: Schedule,
    *,
    since: From = "",
    to: Annotated[str, typer.Option("--to", help="Until then; two weeks.")] = "",
    user: Annotated[str, typer.Option(help="Only theirs.", autocompletion=completion.user)] = "",
    calendar: Annotated[
        bool, typer.Option("--calendar", help="A private address for a calendar program instead.")
    ] = False,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Say who has a schedule when."""
    from ladder.client.wording import instant
    from shared.clock import utcnow

    path = f"/v1/schedules/{quote(schedule, safe='')}"
    given = {"from": since and instant(since).isoformat(), "to": to and instant(to).isoformat()}
    with connect(url, api_key) as connection:
        whose = [("user", user)] if user else []
        if calendar:
            answer = connection.post(f"{path}/feed", params=whose)
        else:
            asked = [(name, text) for name, text in given.items() if text]
            answer = connection.get(f"{path}/shifts", asked + whose)
    if json:
        print_json(answer)
    elif calendar:
        say(answer["url"])
    else:
        now = utcnow()
        zone = now.astimezone().tzname() or "local time"
        columns = (f"from ({zone})", f"until ({zone})", "on call", "by")
        print_table(columns, [_shift_cells(each, now) for each in answer["items"]])


def _made(body: JsonObject, since: str, to: str, url: str, api_key: str) -> JsonObject:
    from ladder.client.wording import instant
    from shared.clock import utcnow

    times = {"from": _asked(since, utcnow()).isoformat(), "to": instant(to).isoformat()}
    with connect(url, api_key) as connection:
        made: JsonObject = connection.post("/v1/overrides", body | times)
    return made


def _said(item: Mapping[str, Any]) -> str:
    from ladder.client.wording import moment
    from shared.clock import utcnow

    now = utcnow()
    times = f"from {moment(item['from'], now)} until {moment(item['to'], now)}"
    return f"{_what(item)} {times} ({item['id'][:_SHOWN_ID]})"


def _gap(gap: Mapping[str, Any]) -> str:
    from ladder.client.wording import moment
    from shared.clock import utcnow

    now = utcnow()
    return f"nobody has {gap['schedule']} from {moment(gap['from'], now)} until {moment(gap['to'], now)}"


def _what(item: Mapping[str, Any]) -> str:
    """What it says, without its times."""
    where = f"on {item['schedule'] or 'every schedule'}"
    if item.get("absent"):
        return f"{item['absent']} is absent {where}" + (f", {item['user']} stands in" if item["user"] else "")
    return f"{item['user']} stands in {where}" if item["user"] else f"nobody is on call {where}"


def _asked(text: str, otherwise: datetime) -> datetime:
    from ladder.client.wording import instant

    return instant(text) if text else otherwise


def _one(found: list[JsonObject], asked: str) -> str:
    """The id that begins so; as it was typed where none of the list does."""
    from ladder.client.connection import UsageError

    fitting = [str(each["id"]) for each in found if str(each["id"]).startswith(asked)]
    if len(fitting) > 1:
        raise UsageError(f"{len(fitting)} overrides begin with {asked}: give more of the id.")
    return fitting[0] if fitting else asked


def _override_cells(item: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    from ladder.client.wording import moment

    times = (moment(item["from"], now), moment(item["to"], now))
    return (
        item["id"][:_SHOWN_ID], item["schedule"] or "every one", _who(item), *times, item["by"],
        "; ".join(filter(None, (item.get("comment"), item.get("broken")))),
    )  # fmt: skip


def _who(item: Mapping[str, Any]) -> str:
    standing = item["user"] or ("whoever is beneath" if item.get("absent") else _NOBODY)
    return f"{standing} for {item['absent']}" if item.get("absent") else str(standing)


def _shift_cells(item: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    from ladder.client.wording import moment

    by = [*item["layers"], *(["override"] if item["overrides"] else []), *item.get("passed", ())]
    return moment(item["from"], now), moment(item["to"], now), item["user"] or "nobody", ", ".join(by)

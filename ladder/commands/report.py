"""`ladder report`: figures over a time, as a table, CSV or JSON."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias

import typer

from ladder.client.options import LOCAL, ApiKey, AsJson, Url, connect
from ladder.client.output import (
    length_of_table,
    print_as_sent,
    print_json,
    print_table,
    print_table_turned,
    say,
    width_of_terminal,
)

IncidentArgument: TypeAlias = Literal["sla", "response", "levels"]
_GROUPS: Final = ("period", "tier", "service", "customer", "policy", "priority")
_SHARES: Final = ("compliance", "_share")
_SECONDS: Final = ("mtta_", "mttr_", "held_")
_Filter: TypeAlias = Annotated[list[str] | None, typer.Option(help="Only this one; repeatable.")]


def report(
    which: Annotated[IncidentArgument, typer.Argument(help="sla, response or levels.")],
    *,
    by: Annotated[
        list[str] | None, typer.Option(help=f"Groups: {', '.join(_GROUPS)}; several with commas.")
    ] = None,
    since: Annotated[
        str, typer.Option("--from", help="A date, or an RFC 3339 time; 30 days before --to.")
    ] = "",
    until: Annotated[str, typer.Option("--to", help="Without that moment itself; now.")] = "",
    period: Annotated[Literal["day", "week", "month"], typer.Option(help="How long a period is.")] = "month",
    tz: Annotated[str, typer.Option(help="Whose days: an IANA zone.")] = "UTC",
    tier: _Filter = None,
    service: _Filter = None,
    customer: _Filter = None,
    policy: _Filter = None,
    priority: Annotated[list[int] | None, typer.Option(help="Only this one; repeatable.")] = None,
    acknowledged_by: Annotated[
        Literal["", "person", "anybody"],
        typer.Option(help="response: whose acknowledgement counts: a person's (the default), or anybody's."),
    ] = "",
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")] = False,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Tell what was promised and kept (sla), how fast and well (response), where it was solved (levels)."""
    from ladder.client.connection import UsageError

    if csv and json:
        raise UsageError("say either --csv or --json.")
    one = {"from": since, "to": until, "period": period, "tz": tz, "acknowledged_by": acknowledged_by}
    many = {
        "by": by, "tier": tier, "service": service, "customer": customer, "policy": policy,
        "priority": [str(number) for number in priority or ()],
    }  # fmt: skip
    params = [(name, value) for name, value in one.items() if value]
    params += [(name, value) for name, values in many.items() for value in values or ()]
    with connect(url, api_key) as connection:
        if csv:
            print_as_sent(connection.text(f"/v1/reports/{which}", params, "text/csv"))
            return
        answer = connection.get(f"/v1/reports/{which}", params)
    if json:
        print_json(answer)
    elif not answer["items"]:
        say("Nothing was opened in that time.")
    else:
        columns, rows = table_of(answer["items"])
        width = width_of_terminal()
        if width is None or length_of_table(columns, rows) <= width:
            print_table(columns, rows)
        else:
            print_table_turned(columns, rows, width)


def table_of(items: Sequence[Mapping[str, Any]]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """Headings and cells for people: shares as percent, seconds as spans, `–` for nothing."""
    columns = list(items[0])
    headings = [name.replace("_", " ") for name in columns]
    return headings, [[_cell(name, item[name]) for name in columns] for item in items]


def _cell(name: str, value: Any) -> str:
    from ladder.client.wording import span

    if value is None:
        return "–"
    if name.endswith(_SHARES):
        return f"{value:.1%}"
    if name.startswith(_SECONDS):
        return span(value)
    return str(value)

"""`ladder integrations`: who may post, and what became of what they posted."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ladder.client.options import LOCAL, ApiKey, AsJson, Url, connect
from ladder.client.output import print_json, print_table, say


def integrations(
    name: Annotated[str, typer.Argument(help="Only this one, with every reason for a refusal.")] = "",
    *,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """List who may post, when each was last accepted or refused, and why."""
    from ladder.client.wording import moment
    from shared.clock import utcnow

    with connect(url, api_key) as connection:
        found = connection.get("/v1/integrations", [("name", name)] if name else [])["items"]
    if json:
        print_json(found)
        return
    if not found:
        say(f"The policy in force has no integration{f' {name!r}' if name else ''}.")
        return
    now = utcnow()

    def when(at: Any) -> str:
        return moment(at, now) if at else "never"

    print_table(
        ("integration", "kind", "accepted", "last", "refused", "last", "ignored", "refused because"),
        [
            (
                *(each["name"], each["kind"], str(each["accepted"]), when(each["last_accepted_at"])),
                *(str(each["refused"]), when(each["last_refused_at"]), str(each["ignored"])),
                _why(each["last_refused"]),
            )
            for each in found
        ],
    )
    if name and len(found[0]["refusals"]) > 1:
        say("")
        rows = [(str(one["count"]), when(one["at"]), one["kind"], _why(one)) for one in found[0]["refusals"]]
        print_table(("refused", "last", "kind", "because"), rows)


def _why(refused: Mapping[str, Any] | None) -> str:
    if refused is None:
        return ""
    where = "" if refused["event"] is None else f"event {refused['event']}: "
    return where + str(refused["reason"])

"""`ladder test-page`: page somebody by way of trial, by all of their rules, and see what arrives."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from ladder.client import completion
from ladder.client.options import LOCAL, ApiKey, AsJson, Url, connect
from ladder.client.output import print_json, say, say_lines

if TYPE_CHECKING:
    from ladder.client.connection import Connection

_ME: Final = "me"
_LOOK_SECONDS: Final = 1.0
_UNDER_WAY: Final = frozenset({"pending", "sending"})
_ARRIVED: Final = frozenset({"sent", "delivered"})


def trial_page(
    user: Annotated[
        str, typer.Argument(help="Who is paged; you, where the key is yours.", autocompletion=completion.user)
    ] = _ME,
    *,
    low: Annotated[bool, typer.Option("--low", help="By the rules for pages that are not loud.")] = False,
    hurry: Annotated[bool, typer.Option("--hurry", help="Ten seconds between steps.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End the tests that run.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Say what becomes of each step.")] = True,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Page somebody by way of trial: every step of their rules. Exit status 1 if nothing arrives."""
    path = f"/v1/users/{quote(user, safe='')}/test-page"
    with connect(url, api_key) as connection:
        if stop:
            ended = connection.delete(path)
            print_json(ended) if json else say(_ended(ended))
            return
        params = [("loudness", "low" if low else "high"), *([("hurry", "true")] if hurry else [])]
        begun = connection.post(path, params=params)
        if not json:
            say_lines(_plan(begun))
        became = list(_followed(connection, begun, told=not json)) if wait else []
    if json:
        print_json(begun | ({"deliveries": became} if wait else {}))
    if wait and not any(each["state"] in _ARRIVED for each in became):
        if not json:
            say("Nothing arrived.")
        raise typer.Exit(1)


def _ended(ended: Mapping[str, Any]) -> str:
    if not ended["called_off"]:
        return f"No step of a test of {ended['user']} was still to come."
    return f"{ended['called_off']} steps of {ended['user']}'s test do not come."


def _plan(begun: Mapping[str, Any]) -> list[str]:
    from ladder.client.wording import moment
    from shared.clock import utcnow

    now = utcnow()
    lines = [f"A test page for {begun['user']}, by the `{begun['loudness']}` rules:"]
    for step in begun["steps"]:
        said = f"  {moment(step['at'], now)}  {step['contact']} ({step['channel']})"
        said += f": {step['delayed_by']}" if step["delayed_by"] else ""
        said += f" – cannot be sent here: {step['cannot_be_sent']}" if step["cannot_be_sent"] else ""
        lines.append(said)
    return [*lines, *([begun["note"]] if begun["note"] else []), "`ladder test-page --stop` ends it."]


def _followed(
    connection: "Connection", begun: Mapping[str, Any], *, told: bool
) -> Iterator[Mapping[str, Any]]:
    """The deliveries as they ended, once all have; each is told as it does."""
    import time

    steps = [step["delivery_id"] for step in begun["steps"]]
    ended: dict[str, Mapping[str, Any]] = {}
    while True:
        items = connection.listed("/v1/deliveries", [("incident", begun["id"])], len(steps))
        for each in items:
            if each["state"] not in _UNDER_WAY and each["id"] not in ended:
                ended[each["id"]] = each
                if told:
                    say_lines([_became(each)])
        if len(ended) == len(steps):
            yield from _in_order(steps, ended)
            return
        time.sleep(_LOOK_SECONDS)


def _in_order(steps: Sequence[str], ended: Mapping[str, Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    return (ended[step] for step in steps)


def _became(delivery: Mapping[str, Any]) -> str:
    why = f": {delivery['last_error']}" if delivery["last_error"] else ""
    return f"{delivery['state']}  {delivery['contact']} ({delivery['channel']}){why}"

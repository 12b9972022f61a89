"""Posting an action for one or more incidents, and printing the result of each."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import typer

from ladder.client.options import LOCAL, ApiKey, AsJson, IncidentArgument, IncidentArguments, Url, connect
from ladder.client.output import print_json, say, say_lines
from shared.json_object import JsonObject

if TYPE_CHECKING:
    from ladder.client.connection import Connection

Arguments: TypeAlias = Mapping[str, Any]
"""Of an action, as the API takes them."""


class Destination(NamedTuple):
    """Where the action goes, and how its answer is shown."""

    url: str
    api_key: str
    json: bool


def action(
    name: str, verb: str, *, several: bool = True
) -> Callable[[Callable[..., Arguments]], Callable[..., None]]:
    """Make a command of a function that returns the arguments of this action.

    The command takes one incident, or `several`, then the function's own parameters, then where the action
    goes. `verb` begins the line that is printed; it may name arguments in braces.
    """

    def command_of(arguments_of: Callable[..., Arguments]) -> Callable[..., None]:
        @wraps(arguments_of)
        def command(*, incident: str | list[str], json: bool, url: str, api_key: str, **given: Any) -> None:
            arguments = arguments_of(**given)
            incidents = incident if isinstance(incident, list) else [incident]
            act(incidents, name, verb.format(**arguments), Destination(url, api_key, json), arguments)

        own = inspect.signature(arguments_of)
        parameters = [_SEVERAL if several else _ONE, *own.parameters.values(), *_DESTINATION]
        vars(command)["__signature__"] = own.replace(parameters=parameters, return_annotation=None)
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        return command

    return command_of


def act(
    which: Sequence[str],
    action: str,
    verb: str,
    to: Destination,
    arguments: Arguments,
) -> None:
    """Post the action for each incident, and print the results: a line each, or JSON (a list for several).

    All are tried. If one fails, the command exits with 1 once the others are done.
    """
    from ladder.client.incident_ids import resolve_id
    from ladder.client.wording import done_line

    with connect(to.url, to.api_key) as connection:
        given = dict(arguments)
        if "into" in given:
            given["into"] = resolve_id(connection, given["into"])
        if len(which) > 1:
            _act_on_all(connection, which, action, verb, given, as_json=to.json)
            return
        done = connection.act(resolve_id(connection, which[0]), action, **given)
    print_json(done) if to.json else say_lines([done_line(done, verb)])


def _act_on_all(
    connection: "Connection",
    which: Sequence[str],
    action: str,
    verb: str,
    given: Mapping[str, Any],
    *,
    as_json: bool,
) -> None:
    from ladder.client.connection import ClientError
    from ladder.client.incident_ids import resolve_id
    from ladder.client.wording import done_line

    became: list[JsonObject] = []
    failed = 0
    for one in which:
        try:
            became.append(connection.act(resolve_id(connection, one), action, **given))
        except ClientError as err:
            failed += 1
            became.append({"asked": one, "problem": err.problem()})
            if not as_json:
                say(f"not done {one}: {err}", err=True)
        else:
            if not as_json:
                say_lines([done_line(became[-1], verb)])
    if as_json:
        print_json(became)
    elif failed:
        say(f"{failed} of {len(which)} could not be done.", err=True)
    if failed:
        raise typer.Exit(1)


def end_of(said: str) -> JsonObject:
    """`2h` as seconds, a time with its zone. Raises UsageError for anything else."""
    from ladder.client.wording import instant
    from shared.policy.model.durations import parse_duration

    try:
        return {"seconds": parse_duration(said).total_seconds()}
    except ValueError:
        return {"until": instant(said).isoformat()}


def attributes_of(named: Sequence[str], dropped: Sequence[str]) -> JsonObject:
    """From `NAME=VALUE`; a value that is no JSON is text. Raises UsageError."""
    from ladder.client.connection import UsageError

    found: JsonObject = dict.fromkeys(dropped)
    for one in named:
        name, mark, value = one.partition("=")
        if not (name and mark):
            raise UsageError(f"{one!r} is not NAME=VALUE.")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text


_ONE, _SEVERAL = (
    inspect.Parameter("incident", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation)
    for annotation in (IncidentArgument, IncidentArguments)
)
_DESTINATION: Final = tuple(
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
    for name, default, annotation in (("json", False, AsJson), ("url", LOCAL, Url), ("api_key", "", ApiKey))
)

"""`ladder try-map`: what would come of a post, asked of a running Ladder or worked out from files."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ladder.client.options import LOCAL, ApiKey, AsJson, Url, connect
from ladder.client.output import print_json, say_lines
from shared.json_object import JsonObject


def try_map(
    integration: Annotated[str, typer.Argument(metavar="NAME", help="The integration's name.")],
    *,
    file: Annotated[
        Path, typer.Option("--file", "-f", help="The body; without it, or with -, the input is read.")
    ] = Path("-"),
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="'Name: value', as curl has it; repeatable.")
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(help="Ask no Ladder: go by this file or folder, with nothing else known."),
    ] = None,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Say what would come of a post to an integration: events, route, who is paged. Nothing is kept.

    ladder try-map crm < body.json

    Signatures and keys are not looked at. Without --policy the policy in force counts, with overrides,
    silences and customers as they are now.
    """
    from shared.clock import utcnow

    body, headers = _read(file), dict(map(_pair, header or ()))
    if policy is not None:
        found = _worked_out(policy, integration, body, headers, utcnow())
    else:
        post = {"integration": integration, "text": body.decode("utf-8", "replace"), "headers": headers}
        with connect(url, api_key) as connection:
            found = connection.post("/v1/policy/try", post)
    if json:
        print_json(found)
    else:
        say_lines(lines_of(found, utcnow()))


def _read(file: Path) -> bytes:
    from ladder.client.connection import UsageError

    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as err:
        raise UsageError(f"{file} cannot be read: {err.strerror}.") from err


def _pair(header: str) -> tuple[str, str]:
    from ladder.client.connection import UsageError

    name, colon, value = header.partition(":")
    if not colon or not name.strip():
        raise UsageError(f"--header {header!r}: expected 'Name: value'.")
    return name.strip().lower(), value.strip()


def _worked_out(
    policy: Path, integration: str, body: bytes, headers: Mapping[str, str], now: datetime
) -> JsonObject:
    """As a Ladder with this policy and nothing else would say it. Raises NotPossibleError."""
    import msgspec

    from ladder.client.connection import DeniedError, problem_text
    from ladder.client.invalid_policy import InvalidPolicyError
    from services.intake.dry_run import read_post
    from services.router.api.shapes.dry_run import trial
    from services.router.domain.dry_run import tried_at_once
    from services.router.domain.model.compiled_bundle import compile_sized
    from services.router.domain.model.context import Context
    from shared.http.problems import Problem
    from shared.policy import PolicyErrors, load

    try:
        bundle = load(policy)
    except PolicyErrors as err:
        raise InvalidPolicyError(err) from err
    try:
        events, ignored = read_post(bundle, integration, body, headers, now)
    except Problem as problem:
        document = problem.body()
        raise DeniedError(problem.status, problem_text(document, problem.status), None, document) from problem
    found = tried_at_once(events, Context(live=compile_sized(bundle)[0]), now)
    answer = trial(integration, now, found, events=len(events), ignored=ignored)
    plain: JsonObject = msgspec.json.decode(msgspec.json.encode(answer))
    return plain


def lines_of(found: Mapping[str, Any], now: datetime) -> list[str]:
    """The answer for a reader."""
    events: Sequence[Mapping[str, Any]] = found["events"]
    count = len(events) + found["not_decided"]
    head = f"{count} event{'' if count == 1 else 's'} from {found['integration']}"
    lines = [f"{head}, {found['ignored']} ignored" if found["ignored"] else head]
    for number, each in enumerate(events, 1):
        lines += ["", *_event_lines(each, found["at"], now, f"{number}. " if count > 1 else "")]
    if found["not_decided"]:
        lines += ["", f"… and {found['not_decided']} more, which are not looked at here"]
    return [*lines, "", "Nothing was stored or sent."]


def event_lines(event: Mapping[str, Any], number: str = "") -> list[str]:
    """An event as it comes out of a mapping, a field a line."""
    rest = {name: value for name, value in event.items() if name not in ("action", "title", "notes")}
    lines = [f"{number}{event['action']}: {event.get('title') or event.get('dedup_key', '')}"]
    lines += [line for name, value in rest.items() for line in _field_lines(name, value)]
    return [*lines, *(f"  {'note':<12} {note}" for note in event.get("notes", ()))]


def _event_lines(each: Mapping[str, Any], at: str, now: datetime, number: str) -> list[str]:
    from ladder.client.wording import because_lines, moment

    lines = event_lines(each["event"], number)
    lines += ["", f"  {each['what']}"]
    if each["stands"]:
        lines.append(f"  now it would be a repeat: incident {each['stands']} of this key is open")
    if each["priority"] is None:
        return lines
    lines += [f"  {'priority':<12} {each['priority']}"]
    lines += [f"  {name:<12} {each[name]}" for name in ("tier", "customer") if each[name]]
    route = each["route"]
    if route is not None:
        when = "" if route["when"] == "true" else f" ({route['when']})"
        lines.append(f"  {'route':<12} {route['rule']}{when}: policy {route['policy']}")
        lines += [f"  {'':<12} not {other}" for other in route["not_these"]]
        lines += [_paged_line(page, at, now) for page in each["first_paged"]]
        lines += [] if each["first_paged"] else [f"  {'paged':<12} nobody"]
    lines += ["", "  What is decided"]
    for step in each["decided"]:
        lines.append(f"    {step['what']}")
        lines += because_lines(step["because"], " " * 6)
    if each["next"]:
        lines += ["", "  What happens next, unless somebody acts"]
        lines += [f"    {moment(step['at'], now)}  {step['what']}" for step in each["next"]]
    return lines


def _paged_line(page: Mapping[str, Any], at: str, now: datetime) -> str:
    from ladder.client.wording import distance, moment

    when = "at once" if page["at"] == at else f"{moment(page['at'], now)} ({distance(page['at'], now)})"
    return f"  {'paged':<12} {page['name']}, {when}: {page['because']}"


def _field_lines(name: str, value: Any) -> list[str]:
    from ladder.client.output import as_json

    if name in ("labels", "attributes"):
        shown = {key: each if isinstance(each, str) else as_json(each, None) for key, each in value.items()}
        return [f"  {name[:-1]:<12} {key} = {each}" for key, each in shown.items()]
    if name == "links":
        return [
            f"  {'link':<12} {each['href']}" + (f" ({each['text']})" if each.get("text") else "")
            for each in value
        ]
    lines = (value if isinstance(value, str) else as_json(value, None)).splitlines() or [""]
    return [f"  {name.replace('dedup_', ''):<12} {lines[0]}", *(f"  {'':<12} {line}" for line in lines[1:])]

"""The commands by which people act on incidents. Importing this is cheap: `ladder --help` stays quick."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from ladder.client import completion
from ladder.client.options import LOCAL, ApiKey, AsJson, Note, Url, Which, Whiches, reaching
from ladder.client.output import print_json, say, say_lines

if TYPE_CHECKING:
    from ladder.client.connection import Connection

End = Annotated[str, typer.Argument(metavar="UNTIL", help="So long, such as 2h, or until 2026-03-08T07:00.")]


class Decision(StrEnum):
    """What somebody with the authority says."""

    approve = "approve"
    reject = "reject"


class Missing(StrEnum):
    """What is missing to solve it here."""

    expertise = "expertise"
    authority = "authority"


class _To(NamedTuple):
    """Where the action goes, and how its answer is shown."""

    url: str
    api_key: str
    json: bool


def _act(
    which: Sequence[str],
    action: str,
    verb: str,
    to: _To,
    arguments: Mapping[str, Any],
) -> None:
    """Post the action for each; what comes of it in a line each, or as JSON (of several a list).

    Of several all are tried. One that could not be done ends the command with 1 once the others are done.
    """
    from ladder.client.incident_ids import pick
    from ladder.client.wording import taken_line

    with reaching(to.url, to.api_key) as connection:
        given = dict(arguments)
        if "into" in given:
            given["into"] = pick(connection, given["into"])
        if len(which) > 1:
            _act_on_all(connection, which, action, verb, given, as_json=to.json)
            return
        done = connection.act(pick(connection, which[0]), action, **given)
    print_json(done) if to.json else say_lines([taken_line(done, verb)])


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
    from ladder.client.incident_ids import pick
    from ladder.client.wording import taken_line

    became: list[dict[str, Any]] = []
    failed = 0
    for one in which:
        try:
            became.append(connection.act(pick(connection, one), action, **given))
        except ClientError as err:
            failed += 1
            became.append({"asked": one, "problem": err.problem()})
            if not as_json:
                say(f"not done {one}: {err}", err=True)
        else:
            if not as_json:
                say_lines([taken_line(became[-1], verb)])
    if as_json:
        print_json(became)
    elif failed:
        say(f"{failed} of {len(which)} could not be done.", err=True)
    if failed:
        raise typer.Exit(1)


def ack(
    incident: Whiches,
    *,
    note: Note = "",
    assignee: Annotated[str, typer.Option(help="Who takes it, where the key acts for nobody.")] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Take incidents: nobody else is paged for them."""
    _act(incident, "acknowledge", "taken", _To(url, api_key, json), {"note": note, "assignee": assignee})


def unack(
    incident: Whiches, *, note: Note = "", json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = ""
) -> None:
    """Give incidents back: their level is paged again."""
    _act(incident, "unacknowledge", "given back", _To(url, api_key, json), {"note": note})


def assign(
    incident: Whiches,
    to: Annotated[
        str, typer.Argument(help="The user who has them from now on.", autocompletion=completion.user)
    ],
    *,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Say who has incidents; they are paged."""
    _act(incident, "assign", "assigned", _To(url, api_key, json), {"to": to, "note": note})


def escalate(
    incident: Whiches,
    *,
    level: Annotated[
        str,
        typer.Option(
            help="To this level instead of the next one up.",
            autocompletion=completion.seen_in_incidents("level"),
        ),
    ] = "",
    policy: Annotated[
        str, typer.Option(help="To another policy.", autocompletion=completion.seen_in_incidents("policy"))
    ] = "",
    because: Annotated[Missing, typer.Option(help="What is missing to solve it here.")] = Missing.expertise,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Hand incidents up to somebody who knows more, or may decide more."""
    given = {"level": level, "policy": policy, "because": because.value, "note": note}
    _act(incident, "escalate", "handed up", _To(url, api_key, json), given)


def snooze(
    incident: Whiches,
    until: End,
    *,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Let the levels rest until then; the clocks go on."""
    _act(incident, "snooze", "snoozed", _To(url, api_key, json), {**_end(until), "note": note})


def wait(
    incident: Whiches,
    until: End,
    *,
    party: Annotated[str, typer.Option("--for", help="Who is waited for: customer, vendor, …")] = "customer",
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Wait for somebody until then: the levels rest, and the clocks whose SLA says so."""
    given = {**_end(until), "for": party, "note": note}
    _act(incident, "wait", f"waiting for {party}:", _To(url, api_key, json), given)


def resume(
    incident: Whiches, *, note: Note = "", json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = ""
) -> None:
    """End a snooze or the waiting: the levels go on."""
    _act(incident, "resume", "resumed", _To(url, api_key, json), {"note": note})


def set_fields(
    incident: Whiches,
    *,
    priority: Annotated[int | None, typer.Option(min=1, max=5, help="1 is the most urgent.")] = None,
    kind: Annotated[str | None, typer.Option(help="A kind of the policy.")] = None,
    service: Annotated[
        str | None,
        typer.Option(
            help="A service of the policy; '' for none.",
            autocompletion=completion.seen_in_incidents("service"),
        ),
    ] = None,
    customer: Annotated[
        str | None, typer.Option(help="Its id or name; '' for none.", autocompletion=completion.customer)
    ] = None,
    attribute: Annotated[
        list[str] | None, typer.Option("--attribute", "-a", help="NAME=VALUE, the value JSON or text.")
    ] = None,
    drop: Annotated[list[str] | None, typer.Option(help="Take this attribute away.")] = None,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Correct the priority, kind, service, customer or attributes of incidents."""
    attributes = _attributes(attribute or (), drop or ())
    fields: dict[str, Any] = {"priority": priority, "kind": kind, "service": service, "customer": customer}
    given = {name: value for name, value in fields.items() if value is not None}
    if attributes:
        given["attributes"] = attributes
    _act(incident, "set", "set", _To(url, api_key, json), {**given, **({"note": note} if note else {})})


def note(
    incident: Which,
    text: Annotated[str, typer.Argument(help="What to write down; stakeholders never see it.")],
    *,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Write an internal note."""
    _act([incident], "note", "noted on", _To(url, api_key, json), {"text": text})


def update(
    incident: Which,
    text: Annotated[str, typer.Argument(help="What everybody who subscribed is to read.")],
    *,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Send an update to the stakeholders."""
    _act([incident], "update", "update sent for", _To(url, api_key, json), {"text": text})


def decide(
    incident: Which,
    decision: Annotated[Decision, typer.Argument(help="approve or reject.")],
    *,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Approve or reject an overrun or a conflict; that settles it."""
    given = {"decision": decision.value, "note": note}
    _act([incident], "decide", "decided", _To(url, api_key, json), given)


def resolve(
    incident: Whiches, *, note: Note = "", json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = ""
) -> None:
    """Say that incidents are solved."""
    _act(incident, "resolve", "resolved", _To(url, api_key, json), {"note": note})


def confirm(
    incident: Which,
    *,
    rating: Annotated[int | None, typer.Option(min=1, max=5, help="How satisfied they are.")] = None,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Say for the customer that it is solved: that closes it."""
    _act([incident], "confirm", "confirmed", _To(url, api_key, json), {"rating": rating, "note": note})


def refuse(
    incident: Which, *, note: Note = "", json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = ""
) -> None:
    """Say for the customer that it is not solved: it comes back, one level higher."""
    _act([incident], "refuse", "refused", _To(url, api_key, json), {"note": note})


def reopen(
    incident: Whiches, *, note: Note = "", json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = ""
) -> None:
    """Open resolved incidents again; whoever had one is paged first."""
    _act(incident, "reopen", "reopened", _To(url, api_key, json), {"note": note})


def close(
    incident: Whiches, *, note: Note = "", json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = ""
) -> None:
    """Close resolved incidents without waiting for an answer."""
    _act(incident, "close", "closed", _To(url, api_key, json), {"note": note})


def merge(
    incident: Whiches,
    *,
    into: Annotated[str, typer.Option(help="The incident that goes on: an id, its beginning, a dedup key.")],
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Merge open or resolved incidents into another open one, which is the same problem."""
    _act(incident, "merge", "merged", _To(url, api_key, json), {"into": into, "note": note})


def subscribe(
    incident: Whiches,
    *,
    who: Annotated[str, typer.Option(help="A user, by default yourself; with --via an address.")] = "",
    via: Annotated[str, typer.Option(help="The channel of the address, such as email.")] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Hear how incidents go on."""
    _act(incident, "subscribe", "subscribed to", _To(url, api_key, json), {"who": who, "via": via})


def unsubscribe(
    incident: Whiches,
    *,
    who: Annotated[str, typer.Option(help="A user, by default yourself; with --via an address.")] = "",
    via: Annotated[str, typer.Option(help="The channel of the address, such as email.")] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Hear no more of incidents."""
    _act(incident, "unsubscribe", "unsubscribed from", _To(url, api_key, json), {"who": who, "via": via})


def reapply(
    incident: Whiches, *, note: Note = "", json: AsJson = False, url: Url = LOCAL, api_key: ApiKey = ""
) -> None:
    """Let open incidents follow the policy in force instead of the one they started with."""
    _act(incident, "reapply", "follows the policy in force:", _To(url, api_key, json), {"note": note})


def _end(said: str) -> dict[str, Any]:
    """`2h` as seconds, a time as a time with its zone. Raises UsageError for anything else."""
    from ladder.client.wording import instant
    from shared.policy.model.durations import parse_duration

    try:
        return {"seconds": parse_duration(said).total_seconds()}
    except ValueError:
        return {"until": instant(said).isoformat()}


def _attributes(named: Sequence[str], dropped: Sequence[str]) -> dict[str, Any]:
    """From `NAME=VALUE`; a value that is no JSON is text. Raises UsageError."""
    from ladder.client.connection import UsageError

    found: dict[str, Any] = dict.fromkeys(dropped)
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


ACTS: Final[Sequence[tuple[str, Callable[..., None]]]] = (
    *((each.__name__, each) for each in (ack, unack, assign, escalate, snooze, wait, resume)),
    ("set", set_fields),
    *((each.__name__, each) for each in (note, update, decide, resolve, confirm, refuse, reopen, close)),
    *((each.__name__, each) for each in (merge, subscribe, unsubscribe, reapply)),
)

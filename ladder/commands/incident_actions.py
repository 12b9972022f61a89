"""The commands by which people act on incidents. Importing this is cheap: `ladder --help` stays quick."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Final

import typer

from ladder.client import completion
from ladder.client.options import LOCAL, ApiKey, AsJson, IncidentArgument, IncidentArguments, Note, Url
from ladder.commands.act import Destination, act, attributes_of, end_of
from shared.json_object import JsonObject

End = Annotated[str, typer.Argument(metavar="UNTIL", help="How long, such as 2h, or until 2026-03-08T07:00.")]


class Decision(StrEnum):
    """What somebody with the authority says."""

    approve = "approve"
    reject = "reject"


class Missing(StrEnum):
    """What is missing to solve it here."""

    expertise = "expertise"
    authority = "authority"


def ack(
    incident: IncidentArguments,
    *,
    note: Note = "",
    assignee: Annotated[str, typer.Option(help="Who takes it, where the key acts for nobody.")] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Take incidents: nobody else is paged for them."""
    act(
        incident,
        "acknowledge",
        "taken",
        Destination(url, api_key, json),
        {"note": note, "assignee": assignee},
    )


def unack(
    incident: IncidentArguments,
    *,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Give incidents back: their level is paged again."""
    act(incident, "unacknowledge", "given back", Destination(url, api_key, json), {"note": note})


def assign(
    incident: IncidentArguments,
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
    act(incident, "assign", "assigned", Destination(url, api_key, json), {"to": to, "note": note})


def escalate(
    incident: IncidentArguments,
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
    act(incident, "escalate", "handed up", Destination(url, api_key, json), given)


def snooze(
    incident: IncidentArguments,
    until: End,
    *,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Let the levels rest until then; the clocks go on."""
    act(incident, "snooze", "snoozed", Destination(url, api_key, json), {**end_of(until), "note": note})


def wait(
    incident: IncidentArguments,
    until: End,
    *,
    party: Annotated[str, typer.Option("--for", help="Who is waited for: customer, vendor, …")] = "customer",
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Wait for somebody until then: the levels rest, and the clocks whose SLA says so."""
    given = {**end_of(until), "for": party, "note": note}
    act(incident, "wait", f"waiting for {party}:", Destination(url, api_key, json), given)


def resume(
    incident: IncidentArguments,
    *,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """End a snooze or the waiting: the levels go on."""
    act(incident, "resume", "resumed", Destination(url, api_key, json), {"note": note})


def set_fields(
    incident: IncidentArguments,
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
    attributes = attributes_of(attribute or (), drop or ())
    fields: JsonObject = {"priority": priority, "kind": kind, "service": service, "customer": customer}
    given = {name: value for name, value in fields.items() if value is not None}
    if attributes:
        given["attributes"] = attributes
    act(
        incident, "set", "set", Destination(url, api_key, json), {**given, **({"note": note} if note else {})}
    )


def note(
    incident: IncidentArgument,
    text: Annotated[str, typer.Argument(help="What to write down; stakeholders never see it.")],
    *,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Write an internal note."""
    act([incident], "note", "noted on", Destination(url, api_key, json), {"text": text})


def update(
    incident: IncidentArgument,
    text: Annotated[str, typer.Argument(help="What everybody who subscribed is to read.")],
    *,
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Send an update to the stakeholders."""
    act([incident], "update", "update sent for", Destination(url, api_key, json), {"text": text})


def decide(
    incident: IncidentArgument,
    decision: Annotated[Decision, typer.Argument(help="approve or reject.")],
    *,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Approve or reject an overrun or a conflict; that settles it."""
    given = {"decision": decision.value, "note": note}
    act([incident], "decide", "decided", Destination(url, api_key, json), given)


def resolve(
    incident: IncidentArguments,
    *,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Say that incidents are solved."""
    act(incident, "resolve", "resolved", Destination(url, api_key, json), {"note": note})


def confirm(
    incident: IncidentArgument,
    *,
    rating: Annotated[int | None, typer.Option(min=1, max=5, help="How satisfied they are.")] = None,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Say for the customer that it is solved: that closes it."""
    act([incident], "confirm", "confirmed", Destination(url, api_key, json), {"rating": rating, "note": note})


def refuse(
    incident: IncidentArgument,
    *,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Say for the customer that it is not solved: it comes back, one level higher."""
    act([incident], "refuse", "refused", Destination(url, api_key, json), {"note": note})


def reopen(
    incident: IncidentArguments,
    *,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Open resolved incidents again; whoever had one is paged first."""
    act(incident, "reopen", "reopened", Destination(url, api_key, json), {"note": note})


def close(
    incident: IncidentArguments,
    *,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Close resolved incidents without waiting for an answer."""
    act(incident, "close", "closed", Destination(url, api_key, json), {"note": note})


def merge(
    incident: IncidentArguments,
    *,
    into: Annotated[str, typer.Option(help="The incident that goes on: an id, its beginning, a dedup key.")],
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Merge open or resolved incidents into another open one, which is the same problem."""
    act(incident, "merge", "merged", Destination(url, api_key, json), {"into": into, "note": note})


def subscribe(
    incident: IncidentArguments,
    *,
    who: Annotated[str, typer.Option(help="A user, by default yourself; with --via an address.")] = "",
    via: Annotated[str, typer.Option(help="The channel of the address, such as email.")] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Hear how incidents go on."""
    act(incident, "subscribe", "subscribed to", Destination(url, api_key, json), {"who": who, "via": via})


def unsubscribe(
    incident: IncidentArguments,
    *,
    who: Annotated[str, typer.Option(help="A user, by default yourself; with --via an address.")] = "",
    via: Annotated[str, typer.Option(help="The channel of the address, such as email.")] = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Hear no more of incidents."""
    act(
        incident,
        "unsubscribe",
        "unsubscribed from",
        Destination(url, api_key, json),
        {"who": who, "via": via},
    )


def reapply(
    incident: IncidentArguments,
    *,
    note: Note = "",
    json: AsJson = False,
    url: Url = LOCAL,
    api_key: ApiKey = "",
) -> None:
    """Let open incidents follow the policy in force instead of the one they started with."""
    act(incident, "reapply", "follows the policy in force:", Destination(url, api_key, json), {"note": note})


ACTS: Final[Sequence[tuple[str, Callable[..., None]]]] = (
    *((each.__name__, each) for each in (ack, unack, assign, escalate, snooze, wait, resume)),
    ("set", set_fields),
    *((each.__name__, each) for each in (note, update, decide, resolve, confirm, refuse, reopen, close)),
    *((each.__name__, each) for each in (merge, subscribe, unsubscribe, reapply)),
)

"""The commands by which people act on incidents. Importing this is cheap: `ladder --help` stays quick."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Final

import typer

from ladder.client import completion
from ladder.client.options import Note
from ladder.commands.act import Arguments, action, attributes_of, end_of
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


@action("acknowledge", "taken")
def ack(
    *,
    note: Note = "",
    assignee: Annotated[str, typer.Option(help="Who takes it, where the key acts for nobody.")] = "",
) -> Arguments:
    """Take incidents: nobody else is paged for them."""
    return {"note": note, "assignee": assignee}


@action("unacknowledge", "given back")
def unack(
    *,
    note: Note = "",
) -> Arguments:
    """Give incidents back: their level is paged again."""
    return {"note": note}


@action("assign", "assigned")
def assign(
    to: Annotated[
        str, typer.Argument(help="The user who has them from now on.", autocompletion=completion.user)
    ],
    *,
    note: Note = "",
) -> Arguments:
    """Say who has incidents; they are paged."""
    return {"to": to, "note": note}


@action("escalate", "handed up")
def escalate(
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
) -> Arguments:
    """Hand incidents up to somebody who knows more, or may decide more."""
    return {"level": level, "policy": policy, "because": because.value, "note": note}


@action("snooze", "snoozed")
def snooze(
    until: End,
    *,
    note: Note = "",
) -> Arguments:
    """Let the levels rest until then; the clocks go on."""
    return {**end_of(until), "note": note}


@action("wait", "waiting for {for}:")
def wait(
    until: End,
    *,
    party: Annotated[str, typer.Option("--for", help="Who is waited for: customer, vendor, …")] = "customer",
    note: Note = "",
) -> Arguments:
    """Wait for somebody until then: the levels rest, and the clocks whose SLA says so."""
    return {**end_of(until), "for": party, "note": note}


@action("resume", "resumed")
def resume(
    *,
    note: Note = "",
) -> Arguments:
    """End a snooze or the waiting: the levels go on."""
    return {"note": note}


@action("set", "set")
def set_fields(
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
) -> Arguments:
    """Correct the priority, kind, service, customer or attributes of incidents."""
    attributes = attributes_of(attribute or (), drop or ())
    fields: JsonObject = {"priority": priority, "kind": kind, "service": service, "customer": customer}
    given = {name: value for name, value in fields.items() if value is not None}
    if attributes:
        given["attributes"] = attributes
    return {**given, **({"note": note} if note else {})}


@action("note", "noted on", several=False)
def note(
    text: Annotated[str, typer.Argument(help="What to write down; stakeholders never see it.")],
) -> Arguments:
    """Write an internal note."""
    return {"text": text}


@action("update", "update sent for", several=False)
def update(
    text: Annotated[str, typer.Argument(help="What everybody who subscribed is to read.")],
) -> Arguments:
    """Send an update to the stakeholders."""
    return {"text": text}


@action("decide", "decided", several=False)
def decide(
    decision: Annotated[Decision, typer.Argument(help="approve or reject.")],
    *,
    note: Note = "",
) -> Arguments:
    """Approve or reject an overrun or a conflict; that settles it."""
    return {"decision": decision.value, "note": note}


@action("resolve", "resolved")
def resolve(
    *,
    note: Note = "",
) -> Arguments:
    """Say that incidents are solved."""
    return {"note": note}


@action("confirm", "confirmed", several=False)
def confirm(
    *,
    rating: Annotated[int | None, typer.Option(min=1, max=5, help="How satisfied they are.")] = None,
    note: Note = "",
) -> Arguments:
    """Say for the customer that it is solved: that closes it."""
    return {"rating": rating, "note": note}


@action("refuse", "refused", several=False)
def refuse(
    *,
    note: Note = "",
) -> Arguments:
    """Say for the customer that it is not solved: it comes back, one level higher."""
    return {"note": note}


@action("reopen", "reopened")
def reopen(
    *,
    note: Note = "",
) -> Arguments:
    """Open resolved incidents again; whoever had one is paged first."""
    return {"note": note}


@action("close", "closed")
def close(
    *,
    note: Note = "",
) -> Arguments:
    """Close resolved incidents without waiting for an answer."""
    return {"note": note}


@action("merge", "merged")
def merge(
    *,
    into: Annotated[str, typer.Option(help="The incident that goes on: an id, its beginning, a dedup key.")],
    note: Note = "",
) -> Arguments:
    """Merge open or resolved incidents into another open one, which is the same problem."""
    return {"into": into, "note": note}


@action("subscribe", "subscribed to")
def subscribe(
    *,
    who: Annotated[str, typer.Option(help="A user, by default yourself; with --via an address.")] = "",
    via: Annotated[str, typer.Option(help="The channel of the address, such as email.")] = "",
) -> Arguments:
    """Hear how incidents go on."""
    return {"who": who, "via": via}


@action("unsubscribe", "unsubscribed from")
def unsubscribe(
    *,
    who: Annotated[str, typer.Option(help="A user, by default yourself; with --via an address.")] = "",
    via: Annotated[str, typer.Option(help="The channel of the address, such as email.")] = "",
) -> Arguments:
    """Hear no more of incidents."""
    return {"who": who, "via": via}


@action("reapply", "follows the policy in force:")
def reapply(
    *,
    note: Note = "",
) -> Arguments:
    """Let open incidents follow the policy in force instead of the one they started with."""
    return {"note": note}


ACTS: Final[Sequence[tuple[str, Callable[..., None]]]] = (
    *((each.__name__, each) for each in (ack, unack, assign, escalate, snooze, wait, resume)),
    ("set", set_fields),
    *((each.__name__, each) for each in (note, update, decide, resolve, confirm, refuse, reopen, close)),
    *((each.__name__, each) for each in (merge, subscribe, unsubscribe, reapply)),
)

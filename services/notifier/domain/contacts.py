"""How recipients are reached: their contacts, from the policy in force."""

from shared.events import Contact, Recipient
from shared.policy import Bundle
from shared.policy.model.people import as_contacts


def _start(address: str, secret: str) -> Contact:
    return Contact(name="webhook", channel="webhook", address=address, secret=secret)


def knows(recipient: Recipient, bundle: Bundle) -> bool:
    """Whether the live policy has this user, team or call; customers and addresses come with the message."""
    match recipient.kind:
        case "user":
            return recipient.name in bundle.users
        case "team":
            return recipient.name in bundle.teams
        case "call":
            return recipient.name in bundle.calls
        case _:
            return True


def contacts_of(recipient: Recipient, bundle: Bundle) -> tuple[Contact, ...]:
    """All contacts of the recipient; for a team, those of its own room. Empty where there are none."""
    if recipient.contacts:
        return recipient.contacts
    match recipient.kind:
        case "user":
            user = bundle.users.get(recipient.name)
            return as_contacts(user.contacts) if user else ()
        case "team":
            team = bundle.teams.get(recipient.name)
            return as_contacts(team.contacts) if team else ()
        case "customer":
            customer = bundle.customers.get(recipient.name)
            return as_contacts(customer.contacts) if customer else ()
        case "call":
            call = bundle.calls.get(recipient.name)
            return (_start(call.webhook, call.secret or ""),) if call else ()
        case _:
            return ()


def timezone_of(kind: str, name: str, bundle: Bundle) -> str:
    """The IANA zone in which the recipient reads times: a user's own, otherwise UTC."""
    user = bundle.users.get(name) if kind == "user" else None
    return user.timezone if user else "UTC"


def display_name(kind: str, name: str, bundle: Bundle) -> str:
    """The name that people use: `Ana Novak` for `ana`; the id where there is no other name."""
    if kind == "user":
        return bundle.display(name)
    if kind == "customer" and (customer := bundle.customers.get(name)):
        return customer.name
    return name


def actor_name(actor: str, bundle: Bundle) -> str:
    """Who did something, in words: `user:ana` is Ana Novak, `integration:prometheus` a machine."""
    kind, colon, name = actor.partition(":")
    match kind if colon else "user":
        case "user":
            return display_name("user", name or actor, bundle)
        case "api":
            return f"API key {name}"
        case "link":
            return f"the holder of a link ({name})"
        case _:
            return f"{kind} {name}"


def is_person(actor: str) -> bool:
    """Whether a person did it, not a machine that reports."""
    return not actor.startswith("integration:")

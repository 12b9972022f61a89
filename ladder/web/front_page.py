"""The page at /: what this is, whether it is well, and where to go. No scripts, nothing from elsewhere. Pure.

Its readers have shown no key, so of the policy it reveals only which one is in force. Where only this machine
can reach it and the demo keys are valid, it shows how to use them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import ladder
from shared import html
from shared.json_object import JsonObject
from shared.policy import Bundle
from shared.security.demo_keys import DEMO_KEY
from shared.security.keys import digest
from shared.service import KnownPolicy

HEADERS: Final[Mapping[str, str]] = {**html.page_headers(), "Vary": "Accept"}
_PARTS: Final[Mapping[str, str]] = {
    "intake": "This is intake: other systems post their events here.",
    "router": "This is the router: it decides who handles what, and by when. People act and ask here.",
    "notifier": "This is the notifier: it reaches people, and keeps their inboxes.",
}
_DEFAULT_URL: Final = "http://127.0.0.1:8080"  # where the command line looks unless told otherwise
_ABOUT: Final[Mapping[str, str]] = {
    "docs": "every operation, to read",
    "openapi": "the same for machines",
    "readiness": "can requests be sent here?",
    "health": "does the process answer and make progress?",
    "metrics": "for Prometheus",
}
_COMMANDS: Final = (
    ("ladder incidents", "what is open"),
    ("ladder explain", "why the newest one stands where it stands, and what happens next"),
    ("ladder ack latest", "take it: the pages stop"),
    ("ladder watch", "follow what happens"),
    ("ladder apply FILE", "put a policy in force, and hear what changed"),
    ("ladder --help", "everything else"),
)


@dataclass(frozen=True, slots=True)
class Front:
    """What the page shows. `reasons`: as in `/readyz`; `url`: this address as the reader called it;
    `loopback`: only this machine can reach it; `links`: name → path of what else this process serves.
    """

    services: Sequence[str]
    reasons: Mapping[str, Sequence[str]]
    policy: KnownPolicy | None
    url: str
    loopback: bool
    links: Mapping[str, str]


def wants_json(accept: str) -> bool:
    """Whether an Accept header prefers JSON to a page."""
    weights = dict(_weights(accept))
    page = max((weights.get(each, 0.0) for each in ("text/html", "application/xhtml+xml")), default=0.0)
    return weights.get("application/json", 0.0) > page


def _weights(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.split(","):
        kind, *parameters = (each.strip().lower() for each in part.split(";"))
        weight = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        try:
            yield kind, float(weight)
        except ValueError:
            yield kind, 0.0


def as_json(front: Front) -> JsonObject:
    """What the page shows, for machines."""
    known = front.policy
    return {
        "name": "Ladder",
        "version": ladder.__version__,
        "services": list(front.services),
        "ready": not front.reasons,
        "reasons": {name: list(why) for name, why in front.reasons.items()},
        "policy": {"hash": known.hash, "revision": known.revision} if known else None,
        "links": dict(front.links),
    }


def render(front: Front) -> str:
    """The page."""
    return html.rendered(
        "ladder.web/front_page.html",
        version=ladder.__version__,
        here=_here(front.services),
        well=not front.reasons,
        faults=list(_faults(front)),
        policy=front.policy,
        links=[(path, _ABOUT[name]) for name, path in front.links.items()],
        examples=_examples(front) if front.policy is not None else None,
        commands=_COMMANDS,
    )


def _here(services: Sequence[str]) -> str:
    if len(services) == 1:
        return _PARTS.get(services[0], services[0])
    return f"All of it runs in this process: {', '.join(services[:-1])} and {services[-1]}."


def _faults(front: Front) -> Iterator[str]:
    several = len(front.services) > 1
    for name, reasons in front.reasons.items():
        for reason in reasons:
            yield f"{name}: {reason}" if several or name not in front.services else reason


@dataclass(frozen=True, slots=True)
class _Examples:
    """Commands to copy; '' for what this process does not serve. `demo`: they contain the demo key."""

    send: str = ""
    demo: bool = False
    inbox: str = ""
    whose: str = ""
    elsewhere: str = ""
    router: bool = False


def _examples(front: Front) -> _Examples:
    demo = _Demo.of(front.policy.bundle if front.policy and front.loopback else None)
    key, whose = demo.key if demo.sends else "", demo.inbox or "NAME"
    return _Examples(
        send=_send(front.url, key) if "intake" in front.services else "",
        demo=bool(key),
        inbox=_inbox(front.url, whose, demo.key) if "notifier" in front.services else "",
        whose=whose,
        elsewhere=f"export LADDER_URL={front.url}" if front.url != _DEFAULT_URL else "",
        router="router" in front.services,
    )


@dataclass(frozen=True, slots=True)
class _Demo:
    """What the demo key may do; `key` is '' if nothing. `sends`: post events; `inbox`: whose it opens."""

    key: str = ""
    sends: bool = False
    inbox: str = ""

    @classmethod
    def of(cls, bundle: Bundle | None) -> "_Demo":
        if bundle is None:
            return cls()
        wanted = digest(DEMO_KEY)
        natives = [one for one in bundle.integrations.values() if one.kind == "native"]
        sends = any(key.sha256.lower() == wanted for one in natives for key in one.keys)
        holder = next(
            (
                one
                for one in bundle.api_keys.values()
                if any(key.sha256.lower() == wanted for key in one.keys)
            ),
            None,
        )
        if holder is None:
            return cls(key=DEMO_KEY if sends else "", sends=sends)
        user = bundle.users.get(holder.acts_as or "")
        contacts = user.contacts.values() if user else ()
        inbox = next((contact.address for contact in contacts if contact.channel == "inbox"), "")
        return cls(key=DEMO_KEY, sends=sends, inbox=inbox)


def _send(url: str, key: str) -> str:
    event = {"title": "Checkout is down", "service": "checkout", "customer": "acme", "severity": "critical"}
    return (
        f"curl -s {url}/v1/events -H 'Authorization: Bearer {key or 'KEY'}' "
        f"-H 'Content-Type: application/json' -d '{json.dumps(event)}'"
    )


def _inbox(url: str, who: str, key: str) -> str:
    return f"curl -s {url}/v1/inbox/{who} -H 'Authorization: Bearer {key or 'KEY'}'"

"""The page at /: what this is, whether it is well, and where to go. No script, nothing from elsewhere. Pure.

Whoever may open it has shown no key, so it tells nothing of the policy but which one is in force; where only
this machine reaches it and the demo's keys are good, it shows how to use those.
"""

import base64
import hashlib
import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import ladder
from shared.policy import Bundle
from shared.security.demo_keys import DEMO_KEY
from shared.security.keys import digest
from shared.service import KnownPolicy

_STYLE: Final = """
:root{color-scheme:light dark;--text:#1b1f24;--quiet:#57606a;--back:#fff;--box:#f6f8fa;--line:#d0d7de;
--link:#0757b8;--well:#116329;--ill:#b3261e}
@media(prefers-color-scheme:dark){:root{--text:#e6edf3;--quiet:#9da7b3;--back:#0d1117;--box:#161b22;
--line:#3d444d;--link:#79b8ff;--well:#4ac26b;--ill:#ff8b82}}
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:0 auto;padding:1.5rem 1rem 3rem;
color:var(--text);background:var(--back);overflow-wrap:anywhere}
h1{margin:0} h2{margin:2rem 0 .4rem;font-size:1.15rem} .quiet{color:var(--quiet)}
a{color:var(--link)} section.state{border:1px solid var(--line);border-left:.4rem solid var(--well);
border-radius:6px;padding:.6rem .9rem;margin:1.2rem 0} section.ill{border-left-color:var(--ill)}
.state p{margin:.2rem 0} .state strong{color:var(--well)} .ill strong{color:var(--ill)}
.state ul{margin:.3rem 0;padding-left:1.2rem}
code,pre{font:14px/1.5 ui-monospace,monospace} pre{background:var(--box);padding:.7rem;margin:.4rem 0;
border-radius:6px;white-space:pre-wrap}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:.4rem 0} dd{margin:0}
@media(max-width:34rem){dl{display:block} dd{margin:0 0 .5rem}}
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Vary": "Accept",
}
_WHAT: Final = (
    "Other systems tell Ladder that something is wrong. Ladder decides who handles it, pages them, moves the "
    "problem up until somebody takes and solves it, and keeps everybody who should know informed."
)
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


@dataclass(frozen=True, slots=True)
class Front:
    """What the page tells. `reasons`: as `/readyz` has them; `url`: this address as the reader called it;
    `loopback`: only this machine reaches it; `links`: name → path of what this process answers beside it.
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


def as_json(front: Front) -> dict[str, Any]:
    """The same for machines."""
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
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Ladder</title><style>{_STYLE}</style>"
        f'<h1>Ladder <span class="quiet">{_text(ladder.__version__)}</span></h1>'
        f"<p>{_WHAT}</p><p>{_text(_here(front.services))}</p>"
        f"{_state(front)}{''.join(_sections(front))}</html>"
    )


def _here(services: Sequence[str]) -> str:
    if len(services) == 1:
        return _PARTS.get(services[0], services[0])
    return f"All of it runs in this process: {', '.join(services[:-1])} and {services[-1]}."


def _state(front: Front) -> str:
    well = not front.reasons
    said = "It is well." if well else "It is not well."
    more = " What it needs is there, and requests can be sent here." if well else ""
    several = len(front.services) > 1
    faults = [
        f"{name}: {reason}" if several or name not in front.services else reason
        for name, reasons in front.reasons.items()
        for reason in reasons
    ]
    listed = "".join(f"<li>{_text(fault)}</li>" for fault in faults)
    return (
        f'<section class="state{"" if well else " ill"}"><p><strong>{said}</strong>{more}</p>'
        f"{f'<ul>{listed}</ul>' if faults else ''}<p>{_policy(front.policy)}</p></section>"
    )


def _policy(known: KnownPolicy | None) -> str:
    if known is None:
        return (
            "No policy is known here: nothing can be posted, and nobody has a key. The first one comes by "
            "<code>LADDER_POLICY</code>."
        )
    return (
        f"Policy in force: revision {known.revision} (<code>{_text(known.hash[:12])}</code>). "
        "With a key, <code>GET /v1/policy</code> at the router tells more."
    )


def _sections(front: Front) -> Iterator[str]:
    demo = _Demo.of(front.policy.bundle if front.policy and front.loopback else None)
    links = ((path, _ABOUT[name]) for name, path in front.links.items())
    yield _section(
        "Where to go", _definitions((f'<a href="{path}">{path}</a>', what) for path, what in links)
    )
    if front.policy is None:
        return
    if "intake" in front.services:
        key = demo.key if demo.sends else ""
        yield _section("Send an event", _example(_send(front.url, key)) + _whose(key))
    if "notifier" in front.services:
        who = demo.inbox or "NAME"
        yield _section(f"The inbox of {_text(who)}", _example(_inbox(front.url, who, demo.key)))
    if "router" in front.services:
        yield _section("Next", _elsewhere(front.url) + _definitions(_commands()))


@dataclass(frozen=True, slots=True)
class _Demo:
    """What the demo's key is good for: to act, and to post where it `sends`; whose inbox it shows."""

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


def _whose(key: str) -> str:
    if key:
        return '<p class="quiet">The key is the demo\'s: it is good on this machine only.</p>'
    return '<p class="quiet">KEY is one of an integration in the policy.</p>'


def _elsewhere(url: str) -> str:
    return "" if url == _DEFAULT_URL else _example(f"export LADDER_URL={url}")


def _commands() -> Iterator[tuple[str, str]]:
    for command, what in (
        ("ladder incidents", "what is open"),
        ("ladder explain", "why the newest one stands where it stands, and what happens next"),
        ("ladder ack latest", "take it: the pages stop"),
        ("ladder watch", "follow what happens"),
        ("ladder apply FILE", "put a policy in force, and hear what changed"),
        ("ladder --help", "everything else"),
    ):
        yield f"<code>{command}</code>", what


def _section(title: str, body: str) -> str:
    return f"<h2>{title}</h2>{body}"


def _example(command: str) -> str:
    return f"<pre>{_text(command)}</pre>"


def _definitions(pairs: Iterator[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{name}</dt><dd class=quiet>{what}</dd>' for name, what in pairs)}</dl>"


def _text(text: str) -> str:
    return html.escape(text)

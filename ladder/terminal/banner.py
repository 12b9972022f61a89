"""What `ladder up` prints once it is up: its address, database, policy, and a command to try. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ladder.serving.listener import Address
from services.router.policy.compiled_cache import InForce
from shared.policy import Bundle, content_hash, not_in_force
from shared.security.demo_keys import DEMO_KEY
from shared.security.keys import digest

_SHOWN = 12  # characters of a hash


@dataclass(frozen=True, slots=True)
class Standing:
    """How a start ended. `given`: what LADDER_POLICY held; `policy`: what is in force, and since when."""

    address: Address
    seconds: float
    stored: str
    eventlog: str
    path: Path | None
    given: Bundle | None
    policy: tuple[InForce, Bundle] | None
    docs: bool = True


def banner(standing: Standing) -> Iterator[str]:
    """The lines, the address in the first."""
    url = standing.address.url
    if standing.policy is None:
        yield f"Ladder runs on {url}, but no policy is in force: nothing can be posted, and nobody has a key."
    else:
        yield f"Ladder is up on {url} after {standing.seconds:.1f} s: intake, router and notifier."
    yield f"  data       {standing.stored}"
    yield f"  event log  {standing.eventlog}"
    if standing.docs:
        yield f"  docs       {url}/docs"
    if standing.policy is None:
        yield "  policy     none: stop this, and start it with LADDER_POLICY=FILE_OR_FOLDER"
        yield "             (deploy/policy is an example; `ladder apply` needs a key out of a policy)"
        return
    yield from _policy(standing, *standing.policy)


def _policy(standing: Standing, in_force: InForce, bundle: Bundle) -> Iterator[str]:
    said = f"{in_force.hash[:_SHOWN]}, revision {in_force.revision}"
    if standing.given is not None and content_hash(standing.given) == in_force.hash:
        yield f"  policy     {standing.path} ({said}); saved changes are taken by themselves"
    else:
        since = in_force.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        yield f"  policy     the one of {since} ({said}, by {in_force.by})"
    if standing.given is not None and content_hash(standing.given) != in_force.hash:
        theirs = content_hash(standing.given)[:_SHOWN]
        yield f"             not LADDER_POLICY={standing.path} ({theirs}), which was in force before that;"
        yield f"             `ladder apply {standing.path}` puts it back"
    for missing in not_in_force(bundle):
        yield f"             not in force yet: {missing}"
    if standing.address.loopback and _has_demo_key(bundle):
        yield f"  key        {DEMO_KEY} (for this machine only)"
        yield from ("", "Try it, and watch what happens here:", "", f"  {_curl(standing.address)}", "")


def _has_demo_key(bundle: Bundle) -> bool:
    natives = [one for one in bundle.integrations.values() if one.kind == "native"]
    return any(key.sha256.lower() == digest(DEMO_KEY) for one in natives for key in one.keys)


def _curl(address: Address) -> str:
    event = {"title": "Checkout is down", "service": "checkout", "customer": "acme", "severity": "critical"}
    return (
        f"curl -s {address.url}/v1/events -H 'Authorization: Bearer {DEMO_KEY}' "
        f"-H 'Content-Type: application/json' -d '{json.dumps(event)}'"
    )

"""What is decided about the canary: by `decide` like everything else, but under a policy of its own.

The policy names one level that pages nobody's channel; routes, customers and `last_resort` of the bundle in
force play no part in it.
"""

from datetime import datetime
from functools import cache
from typing import Final

from msgspec.structs import replace

from services.router.domain.decide import decide
from services.router.domain.draft.names import at_address
from services.router.domain.model.compiled_bundle import CompiledBundle, compile_policy
from services.router.domain.model.context import Context
from services.router.domain.model.decision import Decision
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import DeliveryReported, EventReceived
from shared.events import DeliveryReport, IncidentChanged, IncidentEvent, canary
from shared.policy import Bundle

_VERSIONS: Final = 10  # versions that one canary may go through; the next canary starts above them
_BUNDLE: Final = {
    "version": 1,
    "last_resort": ["user:canary"],
    "users": {"canary": {"name": "Canary"}},
    "tiers": ["canary"],
    "policies": {
        "canary": {
            "levels": [{"name": "canary", "notify": ["user:canary"], "acknowledge_within": "1h"}],
            "finally": {"notify": ["user:canary"], "every": "24h"},
        }
    },
    "routes": [{"policy": "canary"}],
}
_NOBODY: Final = at_address(canary.CHANNEL, canary.CHANNEL)


@cache
def bundle() -> CompiledBundle:
    """The canary's own bundle."""
    return compile_policy(Bundle.model_validate(_BUNDLE), "canary")


def opened(event: IncidentEvent, now: datetime) -> Decision:
    """Open the canary's incident, whose decision asks for its page."""
    return decide(None, EventReceived(replace(event, action="trigger")), _context(), bundle(), now)


def answered(incident: Incident, report: DeliveryReport, now: datetime) -> Decision | None:
    """Resolve it when the report says that its page went out; None when it did not."""
    reached = decide(incident, DeliveryReported(report), _context(), bundle(), now).incident
    if reached is None or report.page != "reached":
        return None
    ends = IncidentEvent(
        event_id=report.report_id,
        integration=incident.integration,
        dedup_key=incident.dedup_key,
        action="resolve",
        received_at=now,
    )
    return decide(reached, EventReceived(ends), _context(), bundle(), now)


def page_of(decision: Decision) -> str:
    """The id of the page that this decision asks for."""
    assert decision.message is not None, "what opens says so"
    (page,) = decision.message.pages
    return page.page_id


def message_of(decision: Decision, ordinal: int) -> IncidentChanged:
    """The message for the notifier. `ordinal` grows from canary to canary, since they share one id."""
    message = decision.message
    assert message is not None, "both steps say what changed"
    version = ordinal * _VERSIONS + message.incident.version
    return replace(
        message,
        caused_at=None,  # a canary must not count in the latency of real pages
        incident=replace(message.incident, id=canary.ID, version=version),
        pages=tuple(replace(page, recipient=_NOBODY) for page in message.pages),
        notices=(),
        clock_events=(),
    )


def _context() -> Context:
    return Context(live=bundle())

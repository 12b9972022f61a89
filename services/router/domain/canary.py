"""What is decided about the canary: by `decide` like everything else, with a policy of its own.

The policy names one level that pages nobody's channel; no route, customer or `last_resort` of the bundle in
force has a part in it.
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

_VERSIONS: Final = 10  # that one canary may go through; the next one's are higher
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
    """The canary's own."""
    return compile_policy(Bundle.model_validate(_BUNDLE), "canary")


def opened(event: IncidentEvent, now: datetime) -> Decision:
    """The canary is an incident, and its page is asked for."""
    return decide(None, EventReceived(replace(event, action="trigger")), _around(), bundle(), now)


def answered(incident: Incident, report: DeliveryReport, now: datetime) -> Decision | None:
    """The report came: the page went out, so it is resolved. None: it did not go out."""
    reached = decide(incident, DeliveryReported(report), _around(), bundle(), now).incident
    if reached is None or report.page != "reached":
        return None
    ends = IncidentEvent(
        event_id=report.report_id,
        integration=incident.integration,
        dedup_key=incident.dedup_key,
        action="resolve",
        received_at=now,
    )
    return decide(reached, EventReceived(ends), _around(), bundle(), now)


def page_of(decision: Decision) -> str:
    """The id of the page that it asks for."""
    assert decision.message is not None, "what opens says so"
    (page,) = decision.message.pages
    return page.page_id


def message_of(decision: Decision, ordinal: int) -> IncidentChanged:
    """What the notifier hears. `ordinal` grows from canary to canary: they share one id."""
    message = decision.message
    assert message is not None, "both steps say what changed"
    version = ordinal * _VERSIONS + message.incident.version
    return replace(
        message,
        caused_at=None,  # its way is not that of a page to somebody
        incident=replace(message.incident, id=canary.ID, version=version),
        pages=tuple(replace(page, recipient=_NOBODY) for page in message.pages),
        notices=(),
        clock_events=(),
    )


def _around() -> Context:
    return Context(live=bundle())

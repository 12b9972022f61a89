"""The levels' next step, once it is due: nobody took the incident in time, or nobody could be reached."""

from operator import attrgetter
from typing import Final

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.stages import Moment
from services.router.domain.escalation import chain, delivery_reports


def _step(draft: Draft) -> None:
    if delivery_reports.is_lost(draft):
        delivery_reports.step_past(draft)
    else:
        chain.time_out(draft)


NEXT_STEP: Final = Moment(
    "the levels' next step",
    attrgetter("incident.chain.due"),
    _step,
    when=lambda draft: draft.incident.chain.due,
)

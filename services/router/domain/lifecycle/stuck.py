"""When a decision fails: it is tried again after a while (docs/rules.md, rule 18)."""

from operator import attrgetter
from typing import Final

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.stages import Moment
from services.router.domain.model.reason import Reason


def _retry(draft: Draft) -> None:
    stuck = draft.incident.stuck
    assert stuck is not None
    draft.set(stuck=None)
    draft.say("retried", f"decided again after an error: {stuck.error}", Reason("rule 18"))


RETRIES: Final = Moment(
    "it is decided again after an error",
    attrgetter("incident.stuck.retry_at"),
    _retry,
    when=lambda draft: draft.incident.stuck,
)

"""What passed between us and the customer, so that whoever is asked next asks nobody twice.

It goes with the case: pages, and what people inside see of the incident, name what the customer was told last
and what they answered last. Nobody outside reads it.
"""

from typing import Final, Literal

from services.router.domain.draft.draft import Draft
from shared.events import CustomerWord

_LONGEST: Final = 500  # characters of one of them


def told(draft: Draft) -> None:
    """Keep the last of what this decision tells the customer."""
    for notice in reversed(draft.notices):
        if notice.recipient.kind == "customer":
            draft.set(customer_told=CustomerWord(at=draft.now, event=notice.event, text=_short(notice.text)))
            return


def said(draft: Draft, event: Literal["confirm", "refuse"], text: str) -> None:
    """Keep what the customer answered."""
    draft.set(customer_said=CustomerWord(at=draft.now, event=event, text=_short(text)))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

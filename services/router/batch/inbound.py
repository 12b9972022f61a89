"""Signals with their address: which incident each is for, and which id the inbox knows it by."""

from dataclasses import dataclass
from typing import Final, TypeAlias

from services.router.domain.model.signals import (
    ActionTaken,
    DeliveryReported,
    EventReceived,
    RelatedMessage,
    Signal,
    TimerFired,
)
from shared.events import DeadLetter

Key: TypeAlias = tuple[str, str]
"""Integration and dedup key."""

_KINDS: Final = {
    EventReceived: "event",
    TimerFired: "timer",
    DeliveryReported: "report",
    ActionTaken: "action",
    RelatedMessage: "related",
}


@dataclass(frozen=True, slots=True)
class InboundSignal:
    """One signal. `address` is an incident's id, or a key: then it is for the newest incident of that key.

    `dead_letter` is the unreadable record that the signal tells of, published with it. `origin` names the
    record it came in, for the case that the database refuses it: topic, partition, offset.
    """

    signal: Signal
    address: str | Key
    id: str = ""  # what the inbox drops repeats by; '' where there is nothing to drop
    dead_letter: DeadLetter | None = None
    origin: tuple[str, int, int] | None = None

    @property
    def kind(self) -> str:
        """In one word: event, timer, report, action."""
        return _KINDS[type(self.signal)]

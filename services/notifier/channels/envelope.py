"""What a channel is given: the delivery, the rendered message, and the address with its secrets resolved."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from services.notifier.channels.results import Result
from services.notifier.domain.delivery import Delivery
from services.notifier.domain.messages.rendered import RenderedMessage


@dataclass(frozen=True, slots=True)
class Envelope:
    """One attempt. `at` is its own time; the delivery's id is the same at every attempt."""

    delivery: Delivery
    rendered: RenderedMessage
    address: str = field(repr=False)
    secret: str = field(repr=False)
    at: datetime


class Channel(Protocol):
    """One way to reach people."""

    async def send(self, envelope: Envelope) -> Result:
        """Try once, within the sender's timeout. Never raises for anything a provider does."""

    async def close(self) -> None:
        """Close its connections."""

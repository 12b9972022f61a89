"""What a channel is given: the delivery, the rendered message, and the address with its secrets resolved."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from services.notifier.channels.results import Result
from services.notifier.domain.conversation import Conversation
from services.notifier.domain.delivery import Delivery
from services.notifier.domain.messages.rendered import RenderedMessage

EarlierPage: TypeAlias = Callable[[Delivery], Awaitable[str]]
"""The provider's id of the newest other page about the same incident at the same address; '' for none."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One attempt. `at` is its own time; the delivery's id is the same at every attempt.

    `conversation`: to which first message it belongs, or which one it changes; None where none is kept. What
    changes a first message has the delivery of that message, as of now, under an id of its own.
    `unsubscribe`: the link by which its reader leaves the subscription that it came by; '' for none.
    `answers`: links that act at once when they are posted to, by action; for buttons, never shown.
    """

    delivery: Delivery
    rendered: RenderedMessage
    address: str = field(repr=False)
    secret: str = field(repr=False)
    at: datetime
    conversation: Conversation | None = None
    answers: Mapping[str, str] = field(default_factory=dict, repr=False)
    unsubscribe: str = field(default="", repr=False)

    @property
    def root(self) -> str:
        """The provider's id of the first message about the same in the same place; '' if it is this one."""
        return self.conversation.root if self.conversation is not None else ""

    @property
    def edits(self) -> bool:
        """Whether it changes the message `root` instead of adding one."""
        return self.conversation is not None and self.conversation.edits


class Channel(Protocol):
    """One way to reach people."""

    async def send(self, envelope: Envelope) -> Result:
        """Try once, within the sender's timeout. Never raises for anything a provider does."""

    async def close(self) -> None:
        """Close its connections."""

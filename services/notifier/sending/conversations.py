"""A delivery's turn in the conversation of its place: it begins it, goes beneath its start, or changes that.

Whoever sends the first message holds the conversation until the outcome is written down; messages that come
meanwhile wait for it. A page waits two seconds at most, and then goes as a message of its own.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.domain.conversation import (
    HELD_FOR,
    Conversation,
    Pointless,
    Turn,
    Wait,
    place_of,
    turn,
)
from services.notifier.domain.delivery import Delivery
from services.notifier.sending.still_wanted import Asking
from services.notifier.storage import conversations
from shared.clock import stopwatch
from shared.database.pool import Database

_LONGEST_WAIT_SECONDS: Final = 2.0
_LOOKS_EVERY_SECONDS: Final = 0.05
_LATER_SECONDS: Final = 1.0
_MUCH_LATER_SECONDS: Final = 60.0  # what waits for a first message is woken when that has gone


@dataclass(frozen=True, slots=True)
class Later:
    """It is not this delivery's turn: it is looked at again after `seconds`."""

    seconds: float


Joined: TypeAlias = Conversation | Pointless | Later


class Conversations:
    """`channels`: the names of those that keep conversations."""

    def __init__(self, database: Database, channels: Collection[str]) -> None:
        self._database = database
        self._channels = frozenset(channels)
        self._asking: dict[str, Delivery] = {}
        self._turns = Asking(database, "notifier conversations", self._take)

    async def join(self, delivery: Delivery) -> Joined | None:
        """What this delivery does in its conversation; None where there is none."""
        if delivery.channel not in self._channels or not delivery.incident_id:
            return Pointless("no conversation is kept there") if delivery.is_state else None
        until = stopwatch() + _LONGEST_WAIT_SECONDS
        self._asking[delivery.id] = delivery
        try:
            found = await self._turns.ask(delivery.id)
            while isinstance(found, Wait) and not delivery.is_state and stopwatch() < until:
                await asyncio.sleep(_LOOKS_EVERY_SECONDS)
                found = await self._turns.ask(delivery.id)
        finally:
            del self._asking[delivery.id]
        if isinstance(found, Conversation | Pointless):
            return found
        if isinstance(found, Wait) and found.for_first:
            return Later(_MUCH_LATER_SECONDS)
        # A page does not wait for a provider, nor for a database: then it is a message of its own.
        if isinstance(found, Wait):
            return Conversation() if delivery.is_urgent else Later(_LATER_SECONDS)
        return Later(_LATER_SECONDS) if delivery.is_state else None

    async def _take(self, connection: AsyncConnection, ids: set[str]) -> Mapping[str, Turn]:
        now = self._database.now()
        asking = [self._asking[name] for name in sorted(ids) if name in self._asking]
        stored = await conversations.locked(connection, asking, now)
        unknown = [one for one in asking if one.is_state and stored[one.id].reference is None]
        coming = await conversations.coming(connection, unknown) if unknown else frozenset()
        turns: dict[str, Turn] = {}
        holding: dict[tuple[str, str], Delivery] = {}
        for one in asking:
            place = (one.incident_id, place_of(one.channel, one.address))
            found = turn(one, stored[one.id], coming=one.id in coming, now=now)
            if isinstance(found, Conversation) and found.holds and holding.setdefault(place, one) is not one:
                found = Wait()
            turns[one.id] = found
        if holding:
            await conversations.hold(connection, list(holding.values()), now, now + HELD_FOR)
        return turns

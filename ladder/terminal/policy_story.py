"""The policy's story in the terminal: that another one is in force, who applied it, and what it changed.

Read from the database, where the router switches it, so that it is shown however it came: by LADDER_POLICY,
by `ladder apply`, or through another replica.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import tzinfo
from typing import Final

from ladder.terminal.plain_text import on_one_line
from services.router.policy.compiled_cache import InForce, moment
from services.router.policy.store import stored
from shared.database.pool import Database
from shared.loops.repeat import for_ever
from shared.policy.model.changes import changes

_EVERY_SECONDS: Final = 0.5
_MOST_LINES: Final = 12


class PolicyStory:
    """Remembers which policy was told of last. `known`: the one that was told of already, if any."""

    def __init__(self, database: Database, say: Callable[[str], None], known: InForce | None) -> None:
        self._database = database
        self._say = say
        self._known = known

    async def tell(self, zone: tzinfo | None = None) -> None:
        """Print every switch, for ever."""

        async def look() -> None:
            await self.tell_once(zone)

        await for_ever("terminal policy", look, self._database.outage, every=_EVERY_SECONDS)

    async def tell_once(self, zone: tzinfo | None = None) -> None:
        """Print the switches since the last look."""
        async with self._database.transaction() as connection:
            _, found = await moment(connection)
            before = self._known
            if found is None or (before is not None and before.revision == found.revision):
                return
            after = await stored(connection, found.hash)
            earlier = await stored(connection, before.hash) if before is not None else after
        self._known = found
        told = await asyncio.to_thread(changes, earlier, after)
        for line in lines(found, told, first=before is None, zone=zone):
            self._say(on_one_line(line))


def lines(
    new: InForce, told: Sequence[str], *, first: bool = False, zone: tzinfo | None = None
) -> Iterator[str]:
    """The switch in words, and each difference on a line of its own."""
    at = new.at.astimezone(zone).strftime("%H:%M:%S")
    how_many = "the first one" if first else _counted(len(told))
    yield f"{at}  policy · {_origin(new)} · revision {new.revision} ({new.hash[:12]}) · {how_many}"
    for sentence in told[:_MOST_LINES]:
        yield f"{at}    {sentence}"
    if len(told) > _MOST_LINES:
        yield f"{at}    … and {len(told) - _MOST_LINES} more"


def _origin(new: InForce) -> str:
    if new.source == "file":
        return f"taken from {new.by}"
    kind, _, name = new.by.partition(":")
    return f"applied by {name}" if kind == "user" else f"applied with the key {name or new.by}"


def _counted(count: int) -> str:
    return {0: "nothing is different", 1: "1 change"}.get(count, f"{count} changes")

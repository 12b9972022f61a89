"""Which connections are kept, and for how long: one without a key costs little, blocks nobody, and ends.

No connection has a timer of its own: all are checked twice a second, so that the bounds cost a request next
to nothing.

Where there are too many, the oldest one that never brought a good key makes room for the next. So a stranger
always displaces strangers, and whoever posts with a key keeps the place.
"""

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

from prometheus_client import Counter, Gauge

from ladder.serving.bounds import Bounds
from shared import telemetry
from shared.auth.failed_attempts import network_of
from shared.loops.alongside import alongside
from shared.loops.outage import Outage
from shared.loops.repeat import for_ever

log = telemetry.logger(__name__)

CONNECTIONS: Final = Gauge(
    "ladder_connections",
    "Open connections: `known` once a key on them was good, `keyless` until then.",
    ("state",),
)
_KEYLESS: Final = CONNECTIONS.labels("keyless")
_KNOWN: Final = CONNECTIONS.labels("known")
ENDED: Final = Counter(
    "ladder_connections_ended_total", "Connections that Ladder ended before their time, by why.", ("why",)
)

TICK: Final = 0.5  # seconds between two looks at all connections
_SETTLED: Final = 1.0  # seconds in which a new connection counts toward no address: it may just have come


class Connection(Protocol):
    """One connection, as far as the others are concerned."""

    @property
    def address(self) -> str:
        """Whose connections count together; '' where it counts for none."""

    @property
    def made_at(self) -> float:
        """By the loop's clock."""

    @property
    def may_leave(self) -> bool:
        """Whether nothing of ours is under way: it waits for what the client sends or reads."""

    def break_off(self) -> None:
        """End it at once, whatever was not sent yet."""

    def overdue(self, now: float) -> str:
        """End it if its time is over; why, '' where it may go on."""


class Connections:
    """All connections of a listener, and who has to leave."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds: Final = bounds
        self._keyless: OrderedDict[Connection, None] = OrderedDict()  # the oldest first
        self._known: OrderedDict[Connection, None] = OrderedDict()
        self._by_address: dict[str, OrderedDict[Connection, None]] = {}

    def __len__(self) -> int:
        return len(self._keyless) + len(self._known)

    def party(self, host: str) -> str:
        """The address or network whose connections count together; '' for a proxy, or without an address."""
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return ""
        return "" if any(address in network for network in self.bounds.proxies) else network_of(host)

    def admit(self, new: Connection, now: float) -> bool:
        """Admit it, if need be in place of another; False if none can be closed."""
        there = self._by_address.get(new.address)
        if there is not None and len(there) >= self.bounds.keyless_per_address:
            crowding = _oldest(there, settled_by=now - _SETTLED)
            if crowding is not None:
                self._end(crowding, "address-crowded")
        if len(self) >= self.bounds.in_all:
            leaving = _oldest(self._keyless) or _oldest(self._known)
            if leaving is None:
                ENDED.labels("refused").inc()
                return False
            self._end(leaving, "crowded")
        self._keyless[new] = None
        _KEYLESS.inc()
        if new.address:
            self._by_address.setdefault(new.address, OrderedDict())[new] = None
        return True

    def keep(self, one: Connection) -> None:
        """It has presented a good key."""
        if one in self._keyless:
            self._forget(one)
            self._known[one] = None
            _KNOWN.inc()

    def gone(self, one: Connection) -> None:
        """It is closed."""
        self._forget(one)
        if one in self._known:
            del self._known[one]
            _KNOWN.dec()

    def _forget(self, one: Connection) -> None:
        if one in self._keyless:
            del self._keyless[one]
            _KEYLESS.dec()
        there = self._by_address.get(one.address)
        if there is not None:
            there.pop(one, None)
            if not there:
                del self._by_address[one.address]

    def _end(self, one: Connection, why: str) -> None:
        ENDED.labels(why).inc()
        self.gone(one)
        one.break_off()

    def check_once(self, now: float) -> None:
        """End those whose time is up."""
        for one in [*self._keyless, *self._known]:
            why = one.overdue(now)
            if why:
                ENDED.labels(why).inc()

    @asynccontextmanager
    async def tended(self) -> AsyncIterator[None]:
        """They are checked inside the block."""
        async with alongside("connections", self._tend()):
            yield

    async def _tend(self) -> None:
        loop = asyncio.get_running_loop()

        async def step() -> None:
            before = loop.time()
            await asyncio.sleep(TICK)
            now = loop.time()
            if now - before <= 2 * TICK:  # else this process was late, not they: what they sent is read first
                self.check_once(now)

        await for_ever(
            "connections", step, Outage(log, "connections_failed", what="looking after connections")
        )


def _oldest(crowd: OrderedDict[Connection, None], settled_by: float | None = None) -> Connection | None:
    """The oldest that nothing of ours is under way for."""
    for one in crowd:
        if settled_by is not None and one.made_at > settled_by:
            return None
        if one.may_leave:
            return one
    return None

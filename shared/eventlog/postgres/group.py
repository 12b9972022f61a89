"""Consumer groups on PostgreSQL: members with a heartbeat, partitions leased to them, an epoch in each lease.

A member acts for itself only: with each heartbeat it gives up what should be somebody else's and takes what
should be its own and is free. Who has not been heard of for a session is struck off by the others. Every read
and every commit names the epoch of the lease, so that a member that was struck off without noticing neither
reads on nor commits over its successor.
"""

import asyncio
import math
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import telemetry
from shared.database.pool import Database
from shared.errors.kinds import Kind, kind_of
from shared.eventlog import Lag, LogSilentError, LogUnavailableError, Partition, Received
from shared.eventlog.packed_headers import unpack
from shared.eventlog.postgres import group_sql as sql
from shared.eventlog.postgres.append import CHANNEL
from shared.eventlog.postgres.assignment import share_out
from shared.eventlog.postgres.wakeups import Wakeups, wait
from shared.loops.alongside import alongside
from shared.loops.repeat import for_ever

_CALL_SECONDS: Final = 5.0
_LONGEST_PAUSE_SECONDS: Final = 0.5
_FETCH_BYTES: Final = 16 * 1024 * 1024
_POLL_SECONDS: Final = 1.0  # wake-ups come by NOTIFY; this is for one that was lost

log = telemetry.logger(__name__)


@dataclass(frozen=True, slots=True)
class _Lease:
    epoch: int
    position: int  # the next offset to read
    committed: int  # the first one that is not done with


class PostgresConsumer:
    """A member of a group, inside `joined()`."""

    def __init__(
        self, database: Database, wakeups: Wakeups, group: str, topics: Sequence[str], session_seconds: float
    ) -> None:
        self._database = database
        self._wakeups = wakeups
        self._group = group
        self._topics = sorted(set(topics))
        self._session_seconds = session_seconds
        self._who = {"group": group, "member": uuid.uuid4().hex}
        self._leases: dict[Partition, _Lease] = {}
        self._ever_assigned = False
        self._turn = 0
        self._news = asyncio.Event()

    @asynccontextmanager
    async def joined(self) -> AsyncIterator["PostgresConsumer"]:
        """Join in the background, leave at the end."""
        with (
            self._wakeups.of(f"topic:{topic}" for topic in self._topics) as self._news,
            self._wakeups.of([f"group:{self._group}"]) as changed,
        ):
            try:
                async with alongside(f"eventlog group {self._group}", self._beat(changed)):
                    yield self
            finally:
                await self._leave()

    def assignment(self) -> frozenset[Partition]:
        return frozenset(self._leases)

    @property
    def ever_assigned(self) -> bool:
        return self._ever_assigned

    async def fetch(self, max_records: int = 500, wait_seconds: float = 1.0) -> Sequence[Received]:
        """See shared.eventlog.Consumer; at most 16 MiB (or one record) at a time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_seconds
        while True:
            self._news.clear()
            try:
                records = await self._fetch_once(max_records)
                self._database.outage.ended(f"fetch {self._group}")
                if records:
                    return records
            except Exception as err:
                if kind_of(err) is Kind.BROKEN:
                    raise
                self._database.outage.began(err, f"fetch {self._group}")
                await asyncio.sleep(min(0.2, max(0.0, deadline - loop.time())))
            left = deadline - loop.time()
            if left <= 0:
                return []
            await wait(self._news, min(left, _POLL_SECONDS))

    async def commit(self, records: Iterable[Received]) -> None:
        """See shared.eventlog.Consumer."""
        done: dict[Partition, int] = {}
        for record in records:
            done[record.partition] = max(done.get(record.partition, 0), record.offset + 1)
        owned = {
            p: replace(self._leases[p], position=offset) for p, offset in done.items() if p in self._leases
        }
        if not owned:
            return
        try:
            await self._commit_twice(owned)
        except Exception as err:
            if kind_of(err) is Kind.BROKEN:
                raise
            raise LogUnavailableError(f"offsets of group {self._group} not stored") from err
        for partition, lease in owned.items():
            current = self._leases.get(partition)
            if current is not None and current.epoch == lease.epoch:
                stored = max(current.committed, lease.position)
                self._leases[partition] = replace(current, committed=stored)

    async def lag(self, now: datetime) -> Mapping[Partition, Lag]:
        """See shared.eventlog.Consumer; ages are by the server's clock."""
        del now
        undone = {p: replace(lease, position=lease.committed) for p, lease in self._leases.items()}
        if not undone:
            return {}
        try:
            async with asyncio.timeout(_CALL_SECONDS), self._database.transaction() as connection:
                rows = (await connection.execute(sql.LAG, _columns(undone))).all()
        except (TimeoutError, PoolTimeoutError) as err:
            raise LogSilentError("PostgreSQL does not answer") from err
        except Exception as err:
            if kind_of(err) is Kind.BROKEN:
                raise
            raise LogUnavailableError(f"lag not known: {err!r}") from err
        return {
            Partition(topic, number): Lag(behind, max(0.0, age or 0.0)) for topic, number, behind, age in rows
        }

    async def _fetch_once(self, most: int) -> list[Received]:
        leases = _turned(self._leases, self._turn)
        self._turn += 1
        if not leases:
            return []
        asked = self._who | _columns(leases) | {"most": most, "bytes": _FETCH_BYTES}
        async with asyncio.timeout(_CALL_SECONDS), self._database.transaction() as connection:
            rows = (await connection.execute(sql.FETCH, asked)).all()
        records = []
        for row in rows:
            partition = Partition(row[0], row[1])
            lease = self._leases.get(partition)
            if lease is None or lease.epoch != leases[partition].epoch:
                continue  # given up while the rows were on their way
            self._leases[partition] = replace(lease, position=row[2] + 1)
            records.append(received(row))
        return records

    async def _commit_twice(self, owned: Mapping[Partition, _Lease]) -> None:
        """The second attempt is for a pool whose connections all died with a server that is back."""
        for attempt in (1, 2):
            try:
                async with asyncio.timeout(_CALL_SECONDS), self._database.transaction() as connection:
                    await connection.execute(sql.COMMIT, self._who | _columns(owned))
            except Exception as err:
                if attempt == 2 or kind_of(err) is Kind.BROKEN:
                    raise
            else:
                return

    async def _beat(self, changed: asyncio.Event) -> None:
        async def step() -> None:
            changed.clear()
            async with asyncio.timeout(_CALL_SECONDS):
                pause = min(self._session_seconds / 3, await self.beat_once())
            await wait(changed, pause)

        outage = self._database.outage
        await for_ever(f"heartbeat {self._group}", step, outage, longest=_LONGEST_PAUSE_SECONDS)

    async def beat_once(self) -> float:
        """Say that this member lives; give up and take partitions until its share is what it should be.

        In how many seconds the next other member would be struck off if it is dead.
        """
        async with self._database.transaction() as connection:
            await self._say_alive(connection)
            rows = (await connection.execute(sql.LEASES, self._who)).all()
            owners = {Partition(row.topic, row.partition): row.owner for row in rows}
            alive = (await connection.execute(sql.MEMBERS, self._who)).all()
            share = share_out(owners, {row.member: frozenset(row.topics) for row in alive})
            me = self._who["member"]
            mine = {p for p, owner in share.items() if owner == me}
            kept = {
                Partition(row.topic, row.partition): row
                for row in rows
                if row.owner == me and Partition(row.topic, row.partition) in mine
            }
            given_up = [p for p, owner in owners.items() if owner == me and p not in mine]
            acquired = await self._acquire(connection, [p for p in mine if owners[p] is None])
            if given_up:
                await connection.execute(sql.GIVE_UP, self._who | _names(given_up))
            if given_up or acquired:
                await connection.execute(sql.NOTIFY, {"channel": CHANNEL, "payload": f"group:{self._group}"})
        self._settle(kept, acquired)
        return max(0.0, min((row.seconds for row in alive if row.member != me), default=math.inf)) + 0.05

    async def _say_alive(self, connection: AsyncConnection) -> None:
        await connection.execute(sql.LOCK_GROUP, self._who)
        await connection.execute(
            sql.BEAT, self._who | {"topics": self._topics, "session": self._session_seconds}
        )
        await connection.execute(sql.STRIKE_OFF, self._who)
        await connection.execute(sql.ADD_LEASES, self._who | {"topics": self._topics})
        await connection.execute(sql.FREE_LEASES, self._who)

    async def _acquire(
        self, connection: AsyncConnection, wanted: Sequence[Partition]
    ) -> dict[Partition, _Lease]:
        if not wanted:
            return {}
        rows = await connection.execute(sql.ACQUIRE, self._who | _names(wanted))
        return {
            Partition(topic, number): _Lease(epoch, position, position)
            for topic, number, epoch, position in rows
        }

    def _settle(self, kept: Mapping[Partition, Any], acquired: Mapping[Partition, _Lease]) -> None:
        """What is kept under its old epoch keeps its position; everything else starts where the group is."""
        leases = dict(acquired)
        for partition, row in kept.items():
            lease = self._leases.get(partition)
            same = lease is not None and lease.epoch == row.epoch
            leases[partition] = lease if lease and same else _Lease(row.epoch, row.committed, row.committed)
        if leases.keys() != self._leases.keys():
            log.info(
                "partition assignment changed",
                action="share_changed",
                group=self._group,
                partitions=len(leases),
            )
        self._leases = leases
        self._ever_assigned = True
        if acquired:
            self._news.set()

    async def _leave(self) -> None:
        self._leases = {}
        try:
            async with asyncio.timeout(2), self._database.transaction() as connection:
                await connection.execute(sql.LOCK_GROUP, self._who)
                await connection.execute(sql.LEAVE_MEMBER, self._who)
                await connection.execute(sql.LEAVE_LEASES, self._who)
                await connection.execute(sql.NOTIFY, {"channel": CHANNEL, "payload": f"group:{self._group}"})
        except Exception as err:  # noqa: BLE001 - the others will find out when the session is over
            log.warning(
                "could not leave the group: its session has to expire",
                action="leave_failed",
                group=self._group,
                error=repr(err),
            )


def received(row: Sequence[Any]) -> Received:
    """A row of topic, partition, offset, key, value, headers, time."""
    topic, number, offset, key, value, headers, at = row
    return Received(Partition(topic, number), offset, key, value, unpack(headers), at)


def _turned(leases: Mapping[Partition, _Lease], turn: int) -> dict[Partition, _Lease]:
    """The same leases, starting with another one each time, so that a full partition starves no other."""
    items = list(leases.items())
    start = turn % len(items) if items else 0
    return dict(items[start:] + items[:start])


def _names(partitions: Iterable[Partition]) -> dict[str, object]:
    listed = list(partitions)
    return {"topics": [p.topic for p in listed], "numbers": [p.number for p in listed]}


def _columns(leases: Mapping[Partition, _Lease]) -> dict[str, object]:
    return _names(leases) | {
        "positions": [lease.position for lease in leases.values()],
        "epochs": [lease.epoch for lease in leases.values()],
    }

"""Heartbeats in the database: beats are accepted from the log, late ones found by a loop.

One replica at a time looks, holding the one row of `heartbeat_watch`. Its `looked_at` moves only while beats
can be accepted: it stops while Ladder, the database or the log is down, or the consumer is behind. After such
a gap, every heartbeat that may have beaten unheard has a full period from now, so that an outage of Ladder
does not page for all of them at once; one that was not expected in the gap keeps its time. While only intake
is away (no canary comes in), late ones page as usual, with the remark that they may have beaten.

What is locked, and in which order: services/router/batch/gather.py.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router import metrics
from services.router.batch import dead_letters, heard_since
from services.router.batch.apply import BatchResult
from services.router.batch.deciding import SignalResult
from services.router.batch.engine import Engine
from services.router.batch.inbound import own_event
from services.router.domain.heartbeats import Deaf, HeartbeatState, dropped, missed, on_signal
from services.router.policy.compiled_cache import InForce
from shared import telemetry
from shared.errors.bisect import REFUSED, WHOEVER, bisect
from shared.errors.kinds import words
from shared.eventlog import Received, codec
from shared.events import HeartbeatReceived, HeartbeatSignalled, IncidentEvent
from shared.loops.pulse import Beat, unwatched
from shared.loops.repeat import for_ever
from shared.policy import Heartbeat

log = telemetry.logger(__name__)

KEEPS_UP: Final = heard_since.KEEPS_UP
_LONGEST: Final = timedelta(seconds=5)
_SHORTEST: Final = timedelta(seconds=0.2)
_MOST: Final = 200


def read(record: Received) -> HeartbeatReceived | None:
    """The beat or signal in a record; None for any other record, and for one that cannot be read.

    Its time is when the log took it: intake's clock is not the one that it is judged by.
    """
    kind = _KINDS.get(record.headers.get("ce_type", b""))
    if kind is None:
        return None
    try:
        beat = codec.decode(kind, record.value, record.headers)
    except codec.UnreadableRecordError:
        return None
    return replace(beat, at=record.at)


async def accept(engine: Engine, beats: Sequence[HeartbeatReceived], *, apart: bool = False) -> None:
    """Record when each last came; late ones are resolved in the same transaction. Repeats change nothing.

    A beat that the database refuses becomes a dead letter, and the others pass. With `apart` (a fault of
    Ladder's own has lasted for a while) so does the one that brings the fault out: its heartbeat is then
    late, and somebody hears.
    """

    async def refuse(beat: HeartbeatReceived, err: Exception) -> Sequence[SignalResult]:
        return await engine.dead_letter(
            dead_letters.of_message(beat, beat.at, f"it cannot be stored: {words(err)}")
        )

    culprits = WHOEVER if apart else REFUSED
    in_order = sorted(beats, key=lambda beat: beat.at)
    await bisect(in_order, lambda some: _accept(engine, some), refuse, culprits)


async def _accept(engine: Engine, beats: Sequence[HeartbeatReceived]) -> Sequence[SignalResult]:
    names = {beat.name for beat in beats}

    async def work(connection: AsyncConnection, now: datetime, in_force: InForce) -> BatchResult:
        expected = (await engine.bundles.one(connection, in_force.hash)).spec.heartbeats
        known = await _locked(connection, sorted(names))
        known |= {
            name: _new(name, expected[name], now) for name in sorted(names - known.keys()) if name in expected
        }
        before, events = dict(known), list[IncidentEvent]()
        for beat in beats:
            if beat.name in known:
                known[beat.name], event = on_signal(known[beat.name], beat, expected.get(beat.name), now)
                events += [event] if event is not None else []
        await _write(connection, [after for name, after in known.items() if after != before[name]])
        return await _decided(engine, events, connection, now, in_force)

    batch = await engine.transaction(work)
    engine.committed(batch)
    return batch.results


class Watch:
    """Finds late heartbeats. `hears`: whether this replica can accept beats now, as far as it knows.

    `canary_every`: how often a canary proves that posts come in; zero: never.
    """

    def __init__(
        self,
        engine: Engine,
        hears: Callable[[], bool],
        *,
        canary_every: timedelta = timedelta(0),
        beat: Beat = unwatched,
    ) -> None:
        self._engine = engine
        self._canary_every = canary_every
        self._beat = beat
        self._hears = hears
        self._deaf_since: datetime | None = None

    async def look_once(self, now: datetime) -> datetime:
        """Trigger what is late; returns when to look again. `now` is the caller's; the database's counts."""
        if not self._hears():
            await self._is_deaf(now)
            return now + _LONGEST
        self._deaf_since = None
        batch, due = await self._engine.transaction(self._look)
        if batch.results:
            self._engine.committed(batch)
        return max(now + _SHORTEST, min(due or now + _LONGEST, now + _LONGEST))

    async def run(self) -> None:
        """Look for ever."""
        away, tell = self._engine.database.outage, self._engine.tell
        await for_ever("router heartbeats", self._look_and_wait, away, beat=self._beat, tell=tell)

    async def _is_deaf(self, now: datetime) -> None:
        """Events of this replica's share are not being read; a moment of that does not matter."""
        self._deaf_since = self._deaf_since or now
        if now - self._deaf_since > heard_since.GAP:
            await self._engine.transaction(lambda connection, now, _: heard_since.breaks(connection, now))

    async def _look_and_wait(self) -> None:
        server_now = self._engine.database.now
        at = await self.look_once(server_now())
        await asyncio.sleep(max(0.0, (at - server_now()).total_seconds()))

    async def _look(
        self, connection: AsyncConnection, now: datetime, in_force: InForce
    ) -> tuple[BatchResult, datetime | None]:
        row = (await connection.execute(_HOLD)).one_or_none()
        if row is None:
            return BatchResult(), None  # another replica is looking
        live = await self._engine.bundles.one(connection, in_force.hash)
        bundle = live.spec
        expected, events = bundle.heartbeats, list[IncidentEvent]()
        if row.policy_hash != in_force.hash:
            events += await _follow(connection, expected, now)
            await heard_since.policy_changed(connection, self._engine.bundles, row.policy_hash, live, now)
        elif not (expected or live.listens):
            return BatchResult(), None
        deaf = await heard_since.goes_on(connection, now, self._canary_every)
        if row.looked_at is not None and now - row.looked_at > heard_since.GAP:
            await _start_afresh(connection, row.looked_at, now)
        events += await _late(connection, expected, now, deaf)
        await connection.execute(_LOOKED, {"hash": in_force.hash, "now": now})
        state = (await connection.execute(_STATE)).one()
        metrics.HEARTBEATS_LATE.set(state.late)
        return await _decided(self._engine, events, connection, now, in_force), state.due


async def every(connection: AsyncConnection) -> Mapping[str, HeartbeatState]:
    """All that are watched, by name."""
    return {row.name: _watched(row) for row in await connection.execute(_ALL)}


def _new(name: str, heartbeat: Heartbeat, now: datetime) -> HeartbeatState:
    """A new heartbeat, counting from now."""
    return HeartbeatState(
        name=name,
        every=heartbeat.every,
        late_after=heartbeat.late_after,
        since=now,
        due_at=now + heartbeat.every + heartbeat.late_after,
    )


async def _decided(
    engine: Engine,
    events: Iterable[IncidentEvent],
    connection: AsyncConnection,
    now: datetime,
    in_force: InForce,
) -> BatchResult:
    signals = [own_event(event) for event in events]
    return await engine.within(signals, connection, now, in_force) if signals else BatchResult()


async def _follow(
    connection: AsyncConnection, expected: Mapping[str, Heartbeat], now: datetime
) -> list[IncidentEvent]:
    """Watch what the policy in force names, and end what it no longer names.

    One whose timing changed has a full period from now.
    """
    known = await _locked(connection)
    gone = sorted(known.keys() - expected.keys())
    await connection.execute(_DROP, {"names": gone})
    written = [_promised(known.get(name), _new(name, heartbeat, now)) for name, heartbeat in expected.items()]
    written = [watched for watched in written if watched != known.get(watched.name)]
    await _write(connection, written)
    return [event for name in gone if (event := dropped(known[name], now)) is not None]


def _promised(before: HeartbeatState | None, new: HeartbeatState) -> HeartbeatState:
    """The heartbeat with the times of the policy in force."""
    if before is None or (before.every, before.late_after) == (new.every, new.late_after):
        return before or new
    due_at = new.due_at if before.late_at is None else before.due_at
    return replace(before, every=new.every, late_after=new.late_after, due_at=due_at)


async def _start_afresh(connection: AsyncConnection, looked_at: datetime, now: datetime) -> None:
    started = (await connection.execute(_START_AFRESH, {"from": looked_at, "now": now})).rowcount
    if started:
        log.warning(
            "beats could not be received for a while: every heartbeat gets a full period from now",
            action="heartbeats_forgiven",
            since=looked_at.isoformat(),
            count=started,
        )


async def _late(
    connection: AsyncConnection, expected: Mapping[str, Heartbeat], now: datetime, deaf: Deaf
) -> list[IncidentEvent]:
    rows = (await connection.execute(_CLAIM, {"now": now, "most": _MOST})).all()
    found = [missed(_watched(row), expected[row.name], now, deaf) for row in rows if row.name in expected]
    await _write(connection, [watched for watched, _ in found])
    for watched, _ in found:
        log.info("heartbeat late", action="heartbeat_late", heartbeat=watched.name)
    return [event for _, event in found]


async def _locked(
    connection: AsyncConnection, names: Sequence[str] | None = None
) -> dict[str, HeartbeatState]:
    rows = await connection.execute(_LOCK, {"all": names is None, "names": list(names or ())})
    return {row.name: _watched(row) for row in rows}


def _watched(row: Any) -> HeartbeatState:
    return HeartbeatState(
        name=row.name,
        every=row.every,
        late_after=row.late_after,
        since=row.since,
        due_at=row.due_at,
        beat_at=row.beat_at,
        late_at=row.late_at,
        by=row.by,
        failed_at=row.failed_at,
        failing=row.failing,
        started_at=row.started_at,
        run=row.run,
        took=row.took,
        said=row.said,
    )


async def _write(connection: AsyncConnection, changed: Sequence[HeartbeatState]) -> None:
    if not changed:
        return
    listed = sorted(changed, key=lambda watched: watched.name)
    columns = {name: [getattr(watched, name) for watched in listed] for name in _COLUMN_TYPES}
    await connection.execute(_WRITE, columns)


_KINDS: Final = {kind.type.encode(): kind for kind in (HeartbeatReceived, HeartbeatSignalled)}
_COLUMN_TYPES: Final = {
    "name": "text",
    "every": "interval",
    "late_after": "interval",
    "since": "timestamptz",
    "beat_at": "timestamptz",
    "by": "text",
    "due_at": "timestamptz",
    "late_at": "timestamptz",
    "failed_at": "timestamptz",
    "failing": "boolean",
    "started_at": "timestamptz",
    "run": "text",
    "took": "interval",
    "said": "text",
}
_COLUMNS: Final = ", ".join(_COLUMN_TYPES)
_HOLD: Final = text("SELECT policy_hash, looked_at FROM router.heartbeat_watch FOR UPDATE SKIP LOCKED")
_LOOKED: Final = text("UPDATE router.heartbeat_watch SET policy_hash = :hash, looked_at = :now")
_ALL: Final = text(f"SELECT {_COLUMNS} FROM router.heartbeat ORDER BY name")
_LOCK: Final = text(f"""
    SELECT {_COLUMNS} FROM router.heartbeat WHERE :all OR name = ANY(CAST(:names AS text[]))
    ORDER BY name FOR UPDATE
""")
_DROP: Final = text("DELETE FROM router.heartbeat WHERE name = ANY(CAST(:names AS text[]))")
_CLAIM: Final = text(f"""
    SELECT {_COLUMNS} FROM router.heartbeat WHERE due_at <= :now
    ORDER BY due_at LIMIT :most FOR UPDATE SKIP LOCKED
""")
# A beat may be as early before its time as it may be late; the gap overlapped that span.
_START_AFRESH: Final = text("""
    UPDATE router.heartbeat SET due_at = :now + every + late_after
    WHERE name IN (
        SELECT name FROM router.heartbeat
        WHERE late_at IS NULL AND due_at - 2 * late_after <= :now AND due_at >= :from
        ORDER BY name FOR UPDATE
    )
""")
_STATE: Final = text("""
    SELECT count(*) FILTER (WHERE late_at IS NOT NULL) AS late, min(due_at) AS due FROM router.heartbeat
""")
_WRITE: Final = text(f"""
    INSERT INTO router.heartbeat ({_COLUMNS})
    SELECT * FROM unnest({", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _COLUMN_TYPES.items())})
    ON CONFLICT (name) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in _COLUMN_TYPES if name not in ("name", "since"))}
""")

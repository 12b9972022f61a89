"""The dead letters of every service, read from their topic and kept until somebody decides on them.

What the router itself sets aside is noted in the same transaction; the topic brings the rest of it, and the
notifier's letters. A letter whose record is too large for the log holds only its beginning
(`shared.eventlog.dead_letters`) and cannot be replayed.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.batch import dead_letters
from services.router.batch.apply import BatchResult
from services.router.batch.engine import Engine
from services.router.batch.inbound import own_event
from services.router.domain.draft.draft import derived_id
from services.router.policy.compiled_cache import InForce
from services.router.tables import SCHEMA
from shared import telemetry
from shared.errors.bisect import bisect
from shared.errors.kinds import words
from shared.eventlog import Received, Record, codec
from shared.eventlog.packed_headers import pack, unpack
from shared.events import (
    DELIVERIES,
    ESCALATIONS,
    INCIDENTS,
    OWN_INTEGRATION,
    REPLAYED,
    DeadLetter,
    IncidentEvent,
)
from shared.outbox import outbox

log = telemetry.logger(__name__)

State: TypeAlias = Literal["waiting", "replayed", "dismissed"]
TOPICS: Final = (INCIDENTS, ESCALATIONS, DELIVERIES)
"""Where a letter may be published again."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. `key`, `headers` and `value` are None until the log has brought them."""

    id: str
    at: datetime
    service: str
    reason: str
    from_topic: str
    partition: int
    offset: int
    shown_key: str
    size: int | None
    sha256: str
    state: State
    decided_at: datetime | None
    decided_by: str
    note: str
    kept: int | None  # bytes of the value that are kept
    key: bytes | None = None
    headers: bytes | None = None
    value: bytes | None = None

    @property
    def complete(self) -> bool:
        """Whether all of the record is kept."""
        return self.kept is not None and self.kept == self.size

    def record(self) -> Record:
        """The record as it was, with a mark that tells receivers that it is meant to come again."""
        assert self.key is not None
        assert self.headers is not None
        assert self.value is not None
        headers = unpack(self.headers) | {REPLAYED: self.id.encode()}
        return Record(self.from_topic, self.key, self.value, headers)


@dataclass(frozen=True, slots=True)
class Decided:
    """What somebody decided about it."""

    state: State
    by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters; empty means any. `after`: those behind this one, newest first."""

    states: Sequence[State]
    topic: str
    service: str
    after: tuple[datetime, str] | None
    most: int


async def accept(engine: Engine, records: Sequence[Received]) -> None:
    """Store a batch of letters, and open incidents for other services'. Raises what is nobody's fault."""
    letters = [letter for record in records if (letter := _read(record)) is not None]

    async def keep(some: Sequence[DeadLetter]) -> Sequence[None]:
        batch = await engine.transaction(lambda *given: _accept(engine, some, *given))
        engine.committed(batch)
        return [None for _ in some]

    async def drop(letter: DeadLetter, err: Exception) -> Sequence[None]:
        """It stays on its topic as long as the log keeps it; there is no dead letter for a dead letter."""
        log.error(
            "the database refused a dead letter: dropped",
            action="letter_refused",
            letter=letter.letter_id,
            error=words(err),
        )
        return [None]

    await bisect(letters, keep, drop)


async def find(connection: AsyncConnection, wanted: Wanted) -> Sequence[Letter]:
    """The letters without their contents, newest first."""
    given = {
        "states": list(wanted.states),
        "topic": wanted.topic,
        "service": wanted.service,
        "after_at": wanted.after[0] if wanted.after else None,
        "after_id": wanted.after[1] if wanted.after else None,
        "most": wanted.most,
    }
    return [_letter(row) for row in await connection.execute(_FIND, given)]


async def one(connection: AsyncConnection, letter_id: str) -> Letter | None:
    """One letter with its contents."""
    row = (await connection.execute(_ONE, {"id": letter_id})).one_or_none()
    return None if row is None else _letter(row)


async def locked(connection: AsyncConnection, letter_id: str) -> Letter | None:
    """The same, locked, so that it is decided once."""
    row = (await connection.execute(_LOCKED, {"id": letter_id})).one_or_none()
    return None if row is None else _letter(row)


async def replay(connection: AsyncConnection, letter: Letter) -> None:
    """Publish its record again, through the outbox: under its key, with its id, behind all that came since.

    The router never wrote the id of what it could not read or store into its inbox; the notifier did, and
    treats a record marked as a replay as a different one.
    """
    await outbox.add(connection, SCHEMA, [letter.record()])


async def decide(connection: AsyncConnection, letter: Letter, decided: Decided, now: datetime) -> Letter:
    """Record the decision, who made it, and when."""
    given = {"id": letter.id, "state": decided.state, "by": decided.by, "note": decided.note, "now": now}
    await connection.execute(_DECIDE, given)
    after = await one(connection, letter.id)
    assert after is not None
    return after


async def resolve_when_none_is_left(
    engine: Engine, letter: Letter, connection: AsyncConnection, now: datetime, in_force: InForce
) -> BatchResult:
    """Resolve the incident about a topic's letters if this was the last one waiting."""
    if (await connection.execute(_ANY_WAITING, {"topic": letter.from_topic})).scalar_one():
        return BatchResult()
    if not await _told_of(connection, letter.from_topic):
        return BatchResult()
    event = IncidentEvent(
        event_id=derived_id("dead letters decided", letter.id),
        integration=OWN_INTEGRATION,
        dedup_key=dead_letters.key_of(letter.from_topic),
        action="resolve",
        received_at=now,
        source="router",
    )
    return await engine.within([own_event(event)], connection, now, in_force)


async def _accept(
    engine: Engine,
    letters: Sequence[DeadLetter],
    connection: AsyncConnection,
    now: datetime,
    in_force: InForce,
) -> BatchResult:
    await connection.execute(_KEEP, _columns(letters))
    strangers = {each.from_topic: each for each in reversed(letters) if each.service != dead_letters.SERVICE}
    # One incident per topic: a letter about the news of a letter would otherwise bring the next, for ever.
    untold = [each for topic, each in sorted(strangers.items()) if not await _told_of(connection, topic)]
    signals = [own_event(dead_letters.event_of(letter)) for letter in untold]
    return await engine.within(signals, connection, now, in_force) if signals else BatchResult()


async def _told_of(connection: AsyncConnection, topic: str) -> bool:
    given = {"integration": OWN_INTEGRATION, "key": dead_letters.key_of(topic)}
    return bool((await connection.execute(_OPEN, given)).scalar_one())


def _read(record: Received) -> DeadLetter | None:
    try:
        letter = codec.decode(DeadLetter, record.value, record.headers)
    except codec.UnreadableRecordError as err:
        place = f"{record.partition.topic}:{record.partition.number}:{record.offset}"
        log.warning(
            "a dead letter could not be read: dropped",
            action="letter_unreadable",
            place=place,
            error=str(err)[:300],
        )
        return None
    cleaned = {
        name: getattr(letter, name).replace("\0", "\N{REPLACEMENT CHARACTER}")
        for name in ("letter_id", "service", "reason", "from_topic")
    }
    return replace(letter, **cleaned)


def _columns(letters: Sequence[DeadLetter]) -> dict[str, list[Any]]:
    each = list({letter.letter_id: letter for letter in letters}.values())
    each.sort(key=lambda letter: letter.letter_id)
    return {
        "ids": [letter.letter_id for letter in each],
        "ats": [letter.at for letter in each],
        "services": [letter.service for letter in each],
        "reasons": [letter.reason for letter in each],
        "topics": [letter.from_topic for letter in each],
        "partitions": [letter.partition for letter in each],
        "offsets": [letter.offset for letter in each],
        "shown": [dead_letters.shown_key(letter) for letter in each],
        "keys": [letter.record_key for letter in each],
        "headers": [pack(letter.record_headers) for letter in each],
        "values": [letter.record_value for letter in each],
        "sizes": [letter.true_size or len(letter.record_value) for letter in each],
        "hashes": [letter.sha256 or hashlib.sha256(letter.record_value).hexdigest() for letter in each],
    }


def _letter(row: Any) -> Letter:
    return Letter(
        id=row.id,
        at=row.at,
        service=row.service,
        reason=row.reason,
        from_topic=row.from_topic,
        partition=row.partition,
        offset=row.offset,
        shown_key=row.record_key,
        size=row.size,
        sha256=row.sha256,
        state=row.state,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        note=row.note,
        kept=row.kept,
        key=row.key,
        headers=row.headers,
        value=row.value,
    )


_COLUMNS: Final = """id, at, service, reason, from_topic, partition, "offset", record_key, size, sha256,
    state, decided_at, decided_by, note, length(value) AS kept"""
# Index dead_letter_newest.
_FIND: Final = text(f"""
    SELECT {_COLUMNS}, CAST(NULL AS bytea) AS key, CAST(NULL AS bytea) AS headers,
           CAST(NULL AS bytea) AS value
    FROM router.dead_letter
    WHERE (CAST(:states AS text[]) = '{{}}' OR state = ANY(CAST(:states AS text[])))
      AND (CAST(:topic AS text) = '' OR from_topic = :topic)
      AND (CAST(:service AS text) = '' OR service = :service)
      AND (CAST(:after_at AS timestamptz) IS NULL
           OR (at, id) < (CAST(:after_at AS timestamptz), CAST(:after_id AS text)))
    ORDER BY at DESC, id DESC LIMIT :most
""")
_WHOLE: Final = f"SELECT {_COLUMNS}, key, headers, value FROM router.dead_letter WHERE id = :id"
# Index dead_letter_pkey, also of the next three.
_ONE: Final = text(_WHOLE)
_LOCKED: Final = text(f"{_WHOLE} FOR UPDATE")
_KEEP: Final = text("""
    INSERT INTO router.dead_letter AS d (id, at, service, reason, from_topic, partition, "offset", record_key,
                                         key, headers, value, size, sha256)
    SELECT * FROM unnest(
        CAST(:ids AS text[]), CAST(:ats AS timestamptz[]), CAST(:services AS text[]),
        CAST(:reasons AS text[]), CAST(:topics AS text[]), CAST(:partitions AS integer[]),
        CAST(:offsets AS bigint[]), CAST(:shown AS text[]), CAST(:keys AS bytea[]),
        CAST(:headers AS bytea[]), CAST(:values AS bytea[]), CAST(:sizes AS bigint[]),
        CAST(:hashes AS text[]))
    ON CONFLICT (id) DO UPDATE
    SET service = excluded.service, key = excluded.key, headers = excluded.headers, value = excluded.value,
        size = excluded.size, sha256 = excluded.sha256
    WHERE d.value IS NULL
""")
_DECIDE: Final = text("""
    UPDATE router.dead_letter SET state = :state, decided_at = :now, decided_by = :by, note = :note
    WHERE id = :id
""")
# Index dead_letter_waiting.
_ANY_WAITING: Final = text("""
    SELECT EXISTS (SELECT FROM router.dead_letter WHERE from_topic = :topic AND state = 'waiting')
""")
# Index incident_open_key.
_OPEN: Final = text("""
    SELECT EXISTS (SELECT FROM router.incident WHERE integration = :integration AND dedup_key = :key
                   AND status IN ('triggered', 'acknowledged'))
""")

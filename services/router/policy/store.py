"""Putting a policy in force: stored by hash, one row switched, published for intake and notifier.

A bundle comes from a file (LADDER_POLICY) or from a person (`PUT /v1/policy`). A person's choice must outlive
restarts and replicas that still have an older file, so every content that a file ever brought is remembered:

- at start a file counts when its content was never brought before, or when nothing is in force;
- a change of the file while Ladder runs counts also when its content is an older one (somebody took a change
  back), unless a person has applied another bundle since.
"""

import asyncio
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router import metrics
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.duty import silence_store
from services.router.policy import missing_names
from services.router.policy.compiled_cache import Bundles, InForce, moment
from services.router.tables import SCHEMA
from shared import telemetry
from shared.events import PolicyPublished
from shared.outbox import outbox
from shared.policy import Bundle, PolicyError, dump_json, hash_of
from shared.policy.model.changes import changes
from shared.policy.publishing.compression import PolicyTooLargeError
from shared.policy.publishing.wire_format import record_of

log = telemetry.logger(__name__)

_LOCK: Final = 0x90_11C4


@dataclass(frozen=True, slots=True)
class Applied:
    """A policy that was put in force, what it lacks that is still named, and what changed, in sentences."""

    in_force: InForce
    lacks: list[PolicyError]
    changes: list[str]


async def switch(
    connection: AsyncConnection, bundle: Bundle, *, source: Literal["file", "api"], by: str
) -> InForce:
    """Put this bundle in force, in the caller's transaction; no change if it already is.

    Raises PolicyTooLargeError for one that could not be published to intake and notifier.
    """
    raw = await asyncio.to_thread(dump_json, bundle)
    chosen = hash_of(raw)
    await connection.execute(_SERIALISE, {"lock": _LOCK})
    now, current = await moment(connection)
    if current is not None and current.hash == chosen:
        return current
    await connection.execute(_STORE, {"hash": chosen, "bundle": raw, "now": now})
    revision = (
        await connection.execute(_SWITCH, {"hash": chosen, "now": now, "source": source, "by": by})
    ).scalar_one()
    switched = InForce(chosen, revision, now, source, by)
    await _publish(connection, switched, raw)
    return switched


async def replace(
    connection: AsyncConnection,
    bundles: Bundles,
    policy: CompiledBundle,
    *,
    source: Literal["file", "api"],
    by: str,
) -> Applied:
    """Put this policy in force in place of the current one. Raises PolicyTooLargeError."""
    await connection.execute(_SERIALISE, {"lock": _LOCK})
    now, current = await moment(connection)
    before = await _bundle_of(connection, bundles, current)
    switched = await switch(connection, policy.spec, source=source, by=by)
    if current is None or current.hash != switched.hash:
        await missing_names.ask_again(connection, before, policy.spec)
        if before is not None:
            await silence_store.rules_changed(connection, before, policy.spec, now)
    lacks = await missing_names.warnings(connection, policy, now, before, bundles)
    return Applied(switched, lacks, await asyncio.to_thread(_changes, before, policy.spec))


def _changes(before: Bundle | None, after: Bundle) -> list[str]:
    return [] if before is None else changes(dump_json(before), dump_json(after))


async def lacks(connection: AsyncConnection, bundles: Bundles, policy: CompiledBundle) -> list[PolicyError]:
    """Names still in use that this policy would lack if it were put in force now."""
    now, current = await moment(connection)
    before = await _bundle_of(connection, bundles, current)
    return await missing_names.warnings(connection, policy, now, before, bundles)


async def _bundle_of(connection: AsyncConnection, bundles: Bundles, current: InForce | None) -> Bundle | None:
    """The bundle in force; None if there is none, or none that this release can read."""
    if current is None:
        return None
    known = (await bundles.get(connection, [current.hash]))[current.hash]
    return None if isinstance(known, Exception) else known.spec


async def apply_file(
    connection: AsyncConnection, bundles: Bundles, policy: CompiledBundle, *, changed: bool, by: str
) -> Applied | None:
    """Put the file's bundle in force if it counts (see above); None when it does not.

    `changed`: the file changed while this process ran.
    """
    await connection.execute(_SERIALISE, {"lock": _LOCK})
    now, current = await moment(connection)
    chosen = policy.hash
    brought_before = (
        await connection.execute(_REMEMBER, {"hash": chosen, "now": now})
    ).scalar_one_or_none() is None
    if current is None or not brought_before or (changed and current.source == "file"):
        return await replace(connection, bundles, policy, source="file", by=by)
    if current.hash != chosen:
        return None
    return Applied(current, await missing_names.warnings(connection, policy, now), [])


async def publish_again(connection: AsyncConnection) -> InForce | None:
    """Publish the policy in force under its revision, so that a topic that lost it has it again.

    Under the lock for switches, so that no older one is ever written after a newer one: everybody starts from
    the last record of a compacted topic.
    """
    await connection.execute(_SERIALISE, {"lock": _LOCK})
    _, current = await moment(connection)
    if current is not None:
        try:
            await _publish(connection, current, await stored(connection, current.hash))
        except PolicyTooLargeError as err:  # accepted by a release that did not check
            log.error("the policy in force is too large to publish", action="policy_too_large", why=str(err))  # noqa: TRY400
    return current


async def alone(connection: AsyncConnection) -> bool:
    """Whether nobody is switching; if so, nobody can until the end of the transaction."""
    return bool((await connection.execute(_TRY_ALONE, {"lock": _LOCK})).scalar_one())


async def stored(connection: AsyncConnection, chosen: str) -> bytes:
    """The bundle with this hash, as JSON."""
    return bytes((await connection.execute(_BUNDLE, {"hash": chosen})).scalar_one())


async def _publish(connection: AsyncConnection, policy: InForce, raw: bytes) -> None:
    metrics.POLICY_REVISION.set(policy.revision)
    message = PolicyPublished(
        hash=policy.hash, revision=policy.revision, at=policy.at, bundle=msgspec.Raw(raw)
    )
    await outbox.add(connection, SCHEMA, [await asyncio.to_thread(record_of, message)])


_SERIALISE: Final = text("SELECT pg_advisory_xact_lock(:lock)")
_TRY_ALONE: Final = text("SELECT pg_try_advisory_xact_lock(:lock)")
_STORE: Final = text("""
    INSERT INTO router.policy (hash, bundle, loaded_at) VALUES (:hash, :bundle, :now) ON CONFLICT DO NOTHING
""")
_SWITCH: Final = text("""
    INSERT INTO router.policy_in_force AS p (hash, revision, at, source, by)
    VALUES (:hash, 1, :now, :source, :by)
    ON CONFLICT (only_row) DO UPDATE
    SET hash = excluded.hash, revision = p.revision + 1, at = excluded.at,
        source = excluded.source, by = excluded.by
    RETURNING revision
""")
_REMEMBER: Final = text("""
    INSERT INTO router.policy_source (hash, at) VALUES (:hash, :now) ON CONFLICT DO NOTHING RETURNING hash
""")
_BUNDLE: Final = text("SELECT bundle FROM router.policy WHERE hash = :hash")

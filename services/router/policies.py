"""Policies ready to decide by: the one in force, and those that incidents started with, by hash."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.customers.book import CustomerBook
from services.router.domain.compiled import CompiledPolicy, compile_json
from services.router.office import Offices
from shared.errors import AwayError, MismatchError

_KEPT: Final = 24


@dataclass(frozen=True, slots=True)
class InForce:
    """The policy that new incidents get. The revision grows with every switch."""

    hash: str
    revision: int
    at: datetime
    source: str  # `file` or `api`
    by: str
    office: int = 0  # the revision of overrides, silences and maintenance
    customers: int = 0  # that of the customers in the database; 0: there never was one


class NoPolicyError(AwayError):
    """No policy is in force yet, so nothing can be decided: try again."""


class UnusablePolicyError(MismatchError):
    """The policy in force cannot be compiled (by this release): stop and try again."""


Compiled: TypeAlias = CompiledPolicy | Exception
"""Or why the policy cannot be used: incidents that started with it are stuck, the others are not."""


async def moment(connection: AsyncConnection) -> tuple[datetime, InForce | None]:
    """The transaction's own time, and the policy in force as this transaction sees it."""
    row = (await connection.execute(_MOMENT)).one()
    now: datetime = row[0]
    if row.hash is None:
        return now, None
    return now, InForce(row.hash, row.revision, row.at, row.source, row.by, row.office, row.customers)


def required(in_force: InForce | None) -> InForce:
    """Raises NoPolicyError when there is none."""
    if in_force is None:
        raise NoPolicyError("no policy is in force yet")
    return in_force


class Policies:
    """The compiled policies of this process, the least used ones forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, CompiledPolicy] = OrderedDict()
        self.offices: Final = Offices()
        self.customers: Final = CustomerBook()

    async def get(self, connection: AsyncConnection, hashes: Iterable[str]) -> Mapping[str, Compiled]:
        """One for each hash: the policy, or why it cannot be used."""
        wanted = set(hashes)
        missing = [content_hash for content_hash in wanted if content_hash not in self._known]
        failed: dict[str, Exception] = {}
        if missing:
            failed = await self._load(connection, missing)
        return {content_hash: failed.get(content_hash) or self._use(content_hash) for content_hash in wanted}

    async def one(self, connection: AsyncConnection, content_hash: str) -> CompiledPolicy:
        """This policy. Raises why it cannot be used."""
        found = (await self.get(connection, [content_hash]))[content_hash]
        if isinstance(found, Exception):
            raise found
        return found

    def keep(self, policy: CompiledPolicy) -> None:
        """Remember a policy that was compiled elsewhere."""
        self._known[policy.hash] = policy
        self._known.move_to_end(policy.hash)

    def _use(self, content_hash: str) -> CompiledPolicy:
        self._known.move_to_end(content_hash)
        return self._known[content_hash]

    async def _load(self, connection: AsyncConnection, hashes: list[str]) -> dict[str, Exception]:
        rows = (await connection.execute(_BUNDLES, {"hashes": hashes})).all()
        failed: dict[str, Exception] = {
            missing: LookupError(f"policy {missing} is not stored") for missing in hashes
        }
        for row in rows:
            try:
                self.keep(await asyncio.to_thread(compile_json, bytes(row.bundle), row.hash))
                del failed[row.hash]
            except Exception as err:  # noqa: BLE001 - one that does not compile must not stop the others
                failed[row.hash] = err
        while len(self._known) > max(_KEPT, len(hashes)):
            self._known.popitem(last=False)
        return failed


_MOMENT: Final = text("""
    SELECT transaction_timestamp(), p.hash, p.revision, p.at, p.source, p.by,
           o.revision AS office, o.customers
    FROM router.office AS o LEFT JOIN router.policy_in_force p ON true
""")
_BUNDLES: Final = text("SELECT hash, bundle FROM router.policy WHERE hash = ANY(CAST(:hashes AS text[]))")

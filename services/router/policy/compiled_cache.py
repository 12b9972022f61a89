"""Compiled bundles by hash: the one in force, and those that incidents started with.

A call returns what it has just found or loaded; the caches only save the loading, so they may forget anything
at any time.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec
from cachetools import LRUCache
from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.customers.book import CustomerBook
from services.router.domain.model.compiled_bundle import CompiledBundle, compile_json
from services.router.duty.overlay import Overlays
from shared.errors.kinds import AwayError, MismatchError
from shared.policy.calendars.open_hours import Calendars, calendars_of
from shared.policy.model.calendar_names import bind_calendars
from shared.policy.model.people import Calendar

# Of bundles as JSON; a compiled one takes some 17 times as much. The one in force comes on top.
KEPT_BYTES: Final = 8 * 1024 * 1024
LEAST_BYTES: Final = 32 * 1024  # the least that a bundle counts: its conditions take more than its text
_CALENDAR_BYTES: Final = 4 * 1024 * 1024  # calendars as JSON, without the rest of their bundles
_LEAST_CALENDAR_BYTES: Final = 1024
_AT_ONCE: Final = 16  # bundles read at once when little of each is kept


# Of router.office as o and router.policy_in_force as p.
IN_FORCE: Final = """
    transaction_timestamp() AS now, p.hash, p.revision, p.at, p.source, p.by,
    o.revision AS overlay, o.customers
"""


@dataclass(frozen=True, slots=True)
class InForce:
    """The policy for new incidents. The revision grows with every switch."""

    hash: str
    revision: int
    at: datetime
    source: str  # `file` or `api`
    by: str
    overlay: int = 0  # the revision of overrides, silences and maintenance
    customers: int = 0  # the revision of the customers in the database; 0: there never was one


class NoPolicyError(AwayError):
    """No policy is in force yet, so nothing can be decided: try again."""


class UnusablePolicyError(MismatchError):
    """The policy in force cannot be compiled (by this release): stop and try again."""


Compiled: TypeAlias = CompiledBundle | Exception
"""A bundle, or why it cannot be used: incidents that started with it are stuck, others are not."""


async def moment(connection: AsyncConnection) -> tuple[datetime, InForce | None]:
    """The transaction's own time, and the policy in force as it sees it."""
    row = (await connection.execute(_MOMENT)).one()
    return row.now, in_force_of(row)


def in_force_of(row: Any) -> InForce | None:
    """The policy in force, from a row with the columns IN_FORCE."""
    if row.hash is None:
        return None
    return InForce(row.hash, row.revision, row.at, row.source, row.by, row.overlay, row.customers)


def required(in_force: InForce | None) -> InForce:
    """Raises NoPolicyError when there is none."""
    if in_force is None:
        raise NoPolicyError("no policy is in force yet")
    return in_force


class Bundles:
    """The compiled bundles of this process: the one in force, and those used last."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        """`kept_bytes`: the limit for all cached bundles, as JSON."""
        self._live: CompiledBundle | None = None
        self.groups = True  # whether the last batch's policy groups incidents; True before the first
        self._known: _Weighed[CompiledBundle] = _Weighed(kept_bytes, LEAST_BYTES)
        self._calendars: _Weighed[Calendars] = _Weighed(_CALENDAR_BYTES, _LEAST_CALENDAR_BYTES)
        self._loading: Final = asyncio.Lock()  # each is loaded once, however many ask for it
        self.overlays: Final = Overlays()
        self.customers: Final = CustomerBook()

    async def get(self, connection: AsyncConnection, hashes: Iterable[str]) -> Mapping[str, Compiled]:
        """For each hash, the bundle or why it cannot be used."""
        wanted = frozenset(hashes)
        found: dict[str, Compiled] = self._remembered(wanted)
        if found.keys() < wanted:
            async with self._loading:
                found |= self._remembered(wanted - found.keys())
                if missing := wanted - found.keys():
                    found |= await self._load(connection, missing)
        return found

    async def one(self, connection: AsyncConnection, content_hash: str) -> CompiledBundle:
        """The bundle in force, which is never evicted. Raises why it cannot be used."""
        found = (await self.get(connection, [content_hash]))[content_hash]
        if isinstance(found, Exception):
            raise found
        self._live = found
        return found

    async def calendars(self, connection: AsyncConnection, hashes: Iterable[str]) -> Mapping[str, Calendars]:
        """Only the calendars of these bundles; empty for one that cannot be read.

        A page of old incidents may span many versions, of which only the calendars are needed.
        """
        wanted = frozenset(hashes)
        found = self._calendars.these(wanted)
        for listed in _in_steps(sorted(wanted - found.keys())):
            rows = (await connection.execute(_BUNDLES, {"hashes": listed})).all()
            for row in rows:
                found[row.hash], size = await asyncio.to_thread(_calendars_in, bytes(row.bundle))
                self._calendars.keep(row.hash, found[row.hash], size)
        return {each: found.get(each, {}) for each in wanted}

    def keep(self, policy: CompiledBundle, size: int) -> None:
        """Cache a bundle that was compiled elsewhere; `size` is in bytes."""
        self._known.keep(policy.hash, policy, size)

    def _remembered(self, hashes: Collection[str]) -> dict[str, Compiled]:
        found: dict[str, Compiled] = {**self._known.these(hashes)}
        if self._live is not None and self._live.hash in hashes:
            found[self._live.hash] = self._live
        return found

    async def _load(self, connection: AsyncConnection, hashes: Collection[str]) -> dict[str, Compiled]:
        rows = (await connection.execute(_BUNDLES, {"hashes": list(hashes)})).all()
        loaded: dict[str, Compiled] = {
            missing: LookupError(f"policy {missing} is not stored") for missing in hashes
        }
        for row in rows:
            raw = bytes(row.bundle)
            try:
                policy = await asyncio.to_thread(compile_json, raw, row.hash)
            except Exception as err:  # noqa: BLE001 - one that does not compile must not stop the others
                loaded[row.hash] = err
            else:
                loaded[row.hash] = policy
                self.keep(policy, len(raw))
        return loaded


def _in_steps(hashes: Sequence[str]) -> Iterator[Sequence[str]]:
    return (hashes[start : start + _AT_ONCE] for start in range(0, len(hashes), _AT_ONCE))


Kept = TypeVar("Kept")


class _Weighed(Generic[Kept]):
    """Values by hash, limited by their sum of bytes; the ones used last stay."""

    def __init__(self, most_bytes: int, least_bytes: int) -> None:
        """`least_bytes`: the least that a value counts."""
        self._least: Final = least_bytes
        self._cache: Final[LRUCache[str, tuple[Kept, int]]] = LRUCache(most_bytes, getsizeof=_size)

    def these(self, hashes: Iterable[str]) -> dict[str, Kept]:
        """Those of these hashes that are cached."""
        return {each: kept[0] for each in hashes if (kept := self._cache.get(each)) is not None}

    def keep(self, content_hash: str, value: Kept, size: int) -> None:
        """Cache the value, unless it is too large by itself."""
        weight = max(size, self._least)
        if weight <= self._cache.maxsize:
            self._cache[content_hash] = (value, weight)


def _size(kept: tuple[object, int]) -> int:
    return kept[1]


class _Hours(msgspec.Struct):
    """Only the calendars of a bundle; the rest is skipped unread."""

    calendars: dict[str, msgspec.Raw] = {}


_CALENDAR: Final = TypeAdapter(Calendar)


def _calendars_in(raw: bytes) -> tuple[Calendars, int]:
    """The calendars of a bundle, and their size in bytes."""
    try:
        named = msgspec.json.decode(raw, type=_Hours).calendars
        read = {name: _CALENDAR.validate_json(bytes(one)) for name, one in named.items()}
    except ValueError:  # a bundle that this release cannot read
        return {}, 0
    bind_calendars(read)
    return calendars_of(read), sum(map(len, map(bytes, named.values())))


_MOMENT: Final = text(f"""
    SELECT {IN_FORCE} FROM router.office AS o LEFT JOIN router.policy_in_force p ON true
""")
_BUNDLES: Final = text("SELECT hash, bundle FROM router.policy WHERE hash = ANY(CAST(:hashes AS text[]))")

"""Findings on the policy in force: what will not work here, and what names something it lacks."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.policy import installation, missing_names
from shared.policy import Installation, PolicyError
from shared.policy.checks.catalogue import lasting, passing
from shared.policy.errors import Finding, Location, located

_NOWHERE: Final = Location("", 0, 0)
_Seen: TypeAlias = tuple[str, frozenset[str] | None]


class Judged:
    """Checks the policy in force; what does not change with time is checked once."""

    def __init__(self) -> None:
        self._seen: tuple[_Seen, Sequence[Finding]] | None = None
        self._looking: Final = asyncio.Lock()  # one check, however many ask

    async def findings(
        self, connection: AsyncConnection, live: CompiledBundle, now: datetime
    ) -> tuple[Installation, list[PolicyError]]:
        """The installation, and every finding; those about the bundle have no places."""
        where = await installation.read(connection, now)
        found = [*await self._lasting(live, where), *await asyncio.to_thread(passing, live.spec, where)]
        standing = await missing_names.warnings(connection, live, now)
        return where, [*(located(each, _NOWHERE) for each in found), *standing]

    async def _lasting(self, live: CompiledBundle, where: Installation) -> Sequence[Finding]:
        wanted = (live.hash, where.sends)
        async with self._looking:
            if self._seen is None or self._seen[0] != wanted:
                self._seen = (wanted, await asyncio.to_thread(lambda: list(lasting(live.spec, where))))
            return self._seen[1]

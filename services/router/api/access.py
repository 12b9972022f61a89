"""Access: whose key it is, under which policy; and what an unreachable database means to a caller."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fastapi import Request, Response
from fastapi.security import HTTPAuthorizationCredentials

from services.router.batch.engine import Engine
from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.signals import Actor
from services.router.policy.compiled_cache import NoPolicyError, moment, required
from shared import telemetry
from shared.auth.access import Holder, KeyCheck, KeyFirst, holder_of, require_key
from shared.clock import utcnow
from shared.database.readers import read_by
from shared.errors.kinds import Kind, kind_of
from shared.eventlog import RecordTooLargeError
from shared.http.problems import Problem
from shared.policy import Bundle
from shared.policy.model.base import Role
from shared.policy.publishing.usable_keys import UsableKeys

log = telemetry.logger(__name__)
_LOOKS_A_SECOND: Final = 20


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of the key, the policy in force, and when the request came."""

    holder: Holder
    live: CompiledBundle
    now: datetime

    @property
    def actor(self) -> Actor:
        """The holder as the timeline names it."""
        user = self.holder.user
        return Actor(f"user:{user}" if user else f"api:{self.holder.key}", self.holder.role, user)


class Route(KeyFirst):
    """A path that checks the key first, and answers 503 (try again) while the database is away."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_safely(request: Request) -> Response:
            try:
                return await handle(request)
            except Problem:
                raise
            except RecordTooLargeError as err:
                raise Problem(
                    422, "too-large", "The event log cannot carry what this would tell", str(err)
                ) from err
            except NoPolicyError as err:
                raise unavailable("no policy is in force yet") from err
            except Exception as err:
                if kind_of(err) not in {Kind.AWAY, Kind.MISMATCH}:
                    raise
                log.debug(
                    "database unavailable", action="api_unavailable", error=repr(err)
                )  # loops report it
                raise unavailable("the database cannot be reached") from err

        return handle_safely


def unavailable(why: str) -> Problem:
    return Problem(503, "unavailable", "Not possible at the moment", why, headers={"Retry-After": "2"})


class Access:
    """Resolves a presented key to a caller, by the policy in force."""

    def __init__(self, engine: Engine, *, loopback: bool) -> None:
        self._engine = engine
        self._usable = UsableKeys(loopback=loopback)
        self._last: CompiledBundle | None = None
        self._looks = 0
        self._second = 0
        self._looking: asyncio.Task[CompiledBundle] | None = None
        self._coming: asyncio.Task[CompiledBundle] | None = None

    def needs(self, role: Role) -> KeyCheck[Caller]:
        """The dependency of a path for callers of at least this role."""

        async def caller(presented: HTTPAuthorizationCredentials | None) -> Caller:
            found = await self._identify(presented)
            found.holder.require(role)
            read_by(found.holder.key)
            return found

        return KeyCheck(caller)

    async def _identify(self, presented: HTTPAuthorizationCredentials | None) -> Caller:
        """The holder of the key. Raises a 401 that does not say what was wrong with it.

        A key that the last known policy does not list may be in a newer one, which is in the database; but
        strangers get only a limited number of look-ups per second.
        """
        require_key(presented)
        if self._last is not None and not self._may_look():
            holder_of(presented, self._usable.of(self._last.spec), utcnow())
        live = self._last = await self.live()
        now = utcnow()
        holder = holder_of(presented, self._usable.of(live.spec), now)
        self._looks -= 1
        return Caller(holder, live, now)

    def role_under(self, bundle: Bundle, caller: Caller) -> Role | None:
        """The role of the caller's key under this bundle; None if the bundle does not know it."""
        for name, door in self._usable.of(bundle).api_keys.items():
            for key in door.keys:
                stands = key.expires is None or caller.now < key.expires
                if stands and key.sha256.lower().startswith(caller.holder.mark):
                    return bundle.role_of(name)
        return None

    def _may_look(self) -> bool:
        """Whether few enough unknown keys were looked up in this second."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._looks = second, 0
        self._looks += 1
        return self._looks <= _LOOKS_A_SECOND

    async def live(self) -> CompiledBundle:
        """The policy in force.

        One look-up at a time serves everybody who asked before it began: frequent callers take at most one of
        the connections that pages need.
        """
        if self._coming is None:
            self._coming = asyncio.create_task(self._look(self._looking), name="policy in force")
            self._coming.add_done_callback(_heard)
        return await asyncio.shield(self._coming)

    async def _look(self, before: "asyncio.Task[CompiledBundle] | None") -> CompiledBundle:
        if before is not None:
            await asyncio.wait([before])
        self._looking, self._coming = self._coming, None  # whoever comes from now on needs another look-up
        async with self._engine.database.transaction() as connection:
            _, in_force = await moment(connection)
            return await self._engine.bundles.one(connection, required(in_force).hash)


def _heard(look: "asyncio.Task[CompiledBundle]") -> None:
    """Mark the error as retrieved: it is for those who wait, and they may be gone."""
    if not look.cancelled():
        look.exception()

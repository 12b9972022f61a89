"""Who is calling: keys, roles, and what an unreachable database means to a caller."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services.router.domain.compiled import CompiledPolicy
from services.router.domain.signals import ROLES, Actor, Role
from services.router.engine import Engine
from services.router.policies import NoPolicyError, moment, required
from shared import security, telemetry
from shared.clock import utcnow
from shared.database import Fault, fault_of
from shared.policy.usable_keys import UsableKeys
from shared.problems import Problem

log = telemetry.logger(__name__)

_bearer: Final = HTTPBearer(
    auto_error=False, scheme_name="key", description="A key of `api_keys` in the policy bundle."
)
Presented: TypeAlias = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


@dataclass(frozen=True, slots=True)
class Caller:
    """The key's owner as it acts, the name of the key, the policy in force, and when the request came."""

    actor: Actor
    key: str
    live: CompiledPolicy
    now: datetime


class Route(APIRoute):
    """A path whose answer to a database that is away is a 503 to try again, not a 500."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_safely(request: Request) -> Response:
            try:
                return await handle(request)
            except Problem:
                raise
            except NoPolicyError as err:
                raise unavailable("no policy is in force yet") from err
            except Exception as err:
                if fault_of(err) not in {Fault.AWAY, Fault.SCHEMA}:
                    raise
                log.warning("database away", action="api_unavailable", error=repr(err))
                raise unavailable("the database cannot be reached") from err

        return handle_safely


def unavailable(why: str) -> Problem:
    return Problem(503, "unavailable", "Not possible at the moment", why, headers={"Retry-After": "2"})


class Access:
    """Turns a presented key into a caller, by the policy in force."""

    def __init__(self, engine: Engine, *, loopback: bool) -> None:
        self._engine = engine
        self._usable = UsableKeys(loopback=loopback)

    def needs(self, role: Role) -> Callable[[Presented], Awaitable[Caller]]:
        """The dependency of a path that this role and higher ones may use."""

        async def caller(presented: Presented) -> Caller:
            found = await self.identify(presented.credentials if presented else "")
            if not found.actor.may(role):
                raise Problem(
                    403,
                    "forbidden",
                    "This key may not do that",
                    f"it has the role {found.actor.role}; this needs {role}",
                )
            return found

        return caller

    async def identify(self, secret: str) -> Caller:
        """Whose key it is. Raises a 401 that does not say what was wrong with it."""
        live = await self.live()
        now = utcnow()
        keys = self._usable.of(live.bundle).api_keys
        name = security.owner_of(secret, ((name, key.keys) for name, key in keys.items()), now)
        if not secret or name is None:
            raise Problem(
                401,
                "unauthorized",
                "A valid key is needed",
                "Authorization: Bearer KEY",
                headers={"WWW-Authenticate": "Bearer"},
            )
        user = keys[name].acts_as or ""
        role = live.bundle.role_of(name)
        assert role in ROLES
        return Caller(Actor(f"user:{user}" if user else f"api:{name}", role, user), name, live, now)

    async def live(self) -> CompiledPolicy:
        """The policy in force."""
        async with self._engine.database.transaction() as connection:
            _, in_force = await moment(connection)
            return await self._engine.policies.one(connection, required(in_force).hash)

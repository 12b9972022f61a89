"""Who may ask: API keys of the policy in force, by role."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared.clock import utcnow
from shared.policy import Bundle
from shared.problems import Problem
from shared.security import owner_of

_RANKS: Final = ("viewer", "responder", "lead", "admin")
_bearer = HTTPBearer(
    auto_error=False, scheme_name="key", description="A key of `api_keys` in the policy bundle."
)
Presented = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def holder_with(role: str, bundle: Callable[[], Bundle | None]) -> Callable[[Presented], Awaitable[str]]:
    """A dependency: the name of the API key, which has this role or a higher one."""

    async def holder(presented: Presented) -> str:
        policy = bundle()
        if policy is None:
            raise Problem(503, "no-policy", "No policy is known yet", headers={"Retry-After": "1"})
        doors = [(name, key.keys) for name, key in policy.api_keys.items()]
        name = owner_of(presented.credentials, doors, utcnow()) if presented else None
        if name is None:
            raise Problem(401, "unauthorized", "An API key is needed", headers={"WWW-Authenticate": "Bearer"})
        if _RANKS.index(policy.role_of(name)) < _RANKS.index(role):
            raise Problem(403, "forbidden", f"This needs the role {role}")
        return name

    return holder

"""Who is calling: the key presented as `Authorization: Bearer`, and what its owner may do.

Keys are `api_keys` of the policy in force, by role: a higher role may do what a lower one may. FastAPI reads
a body before it asks dependencies; a `KeyFirst` route asks for the key first, so that nobody without one is
read (nor answered `100 Continue`).
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar

from fastapi import Depends, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared.auth.failed_attempts import WrongKey, passed
from shared.http.problems import Problem
from shared.policy import Bundle
from shared.policy.model.base import HasRole, Role
from shared.security.keys import digest, owner_of

_bearer: Final = HTTPBearer(
    auto_error=False, scheme_name="key", description="A key of `api_keys` in the policy bundle."
)
Presented: TypeAlias = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
_FOUND: Final = "ladder.callers"
_NO_KEY: Final = (401, "unauthorized", "A valid key is needed", "Authorization: Bearer KEY")
_ASKED_FOR: Final = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Holder(HasRole):
    """A key's name, its role, and the user it acts as; `user` is empty for a key that acts for nobody.

    `mark` tells this key from others of the same name: the beginning of its SHA-256.
    """

    key: str
    role: Role
    user: str = ""
    mark: str = ""

    def require(self, needed: Role) -> None:
        """Raises a 403 that says which role it takes."""
        if not self.may(needed):
            why = f"it has the role {self.role}; this needs {needed}"
            raise Problem(403, "forbidden", "This key may not do that", why)


def holder_of(presented: HTTPAuthorizationCredentials | None, bundle: Bundle, now: datetime) -> Holder:
    """Whose key it is. Raises a 401 that does not say what was wrong with it."""
    require_key(presented)
    secret = presented.credentials if presented else ""
    keys = bundle.api_keys
    name = owner_of(secret, ((name, key.keys) for name, key in keys.items()), now)
    if name is None:
        raise WrongKey(*_NO_KEY, headers=_ASKED_FOR)
    return Holder(name, bundle.role_of(name), keys[name].acts_as or "", digest(secret)[:16])


def require_key(presented: HTTPAuthorizationCredentials | None) -> None:
    """Raises the same 401 where no key was presented at all: then there is nothing to look up."""
    if presented is None or not presented.credentials:
        raise Problem(*_NO_KEY, headers=_ASKED_FOR)


Found = TypeVar("Found")


class KeyCheck(Generic[Found]):
    """A dependency that finds out whose key it is: once a request, however often it is asked."""

    def __init__(self, find: Callable[[HTTPAuthorizationCredentials | None], Awaitable[Found]]) -> None:
        """`find` raises Problem for a key that will not do."""
        self._find = find

    async def __call__(self, request: Request, presented: Presented) -> Found:
        found: dict[KeyCheck[Any], Any] = request.scope.setdefault(_FOUND, {})
        if self not in found:
            found[self] = await self._find(presented)
            passed(request.scope)
        holder: Found = found[self]
        return holder


class KeyFirst(APIRoute):
    """A path whose key is looked at before any of its body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        checks = list(dict.fromkeys(_checks(self.dependant)))

        async def key_first(request: Request) -> Response:
            for check in checks:
                await check(request, await _bearer(request))
            return await handle(request)

        return key_first


def _checks(dependant: Dependant) -> Iterator[KeyCheck[Any]]:
    for each in dependant.dependencies:
        if isinstance(each.call, KeyCheck):
            yield each.call
        yield from _checks(each)

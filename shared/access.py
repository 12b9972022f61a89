"""Who is calling: the key presented as `Authorization: Bearer`, and what its owner may do.

Keys are `api_keys` of the policy in force, by role: a higher role may do what a lower one may.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared.policy import Bundle
from shared.problems import Problem
from shared.security import owner_of

Role: TypeAlias = Literal["viewer", "responder", "lead", "admin"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "responder", "lead", "admin")

_bearer: Final = HTTPBearer(
    auto_error=False, scheme_name="key", description="A key of `api_keys` in the policy bundle."
)
Presented: TypeAlias = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


@dataclass(frozen=True, slots=True)
class Holder:
    """A key's name, its role, and the user it acts as; `user` is empty for a key that acts for nobody."""

    key: str
    role: Role
    user: str = ""

    def may(self, needed: Role) -> bool:
        """Whether the role is high enough."""
        return ROLES.index(self.role) >= ROLES.index(needed)

    def require(self, needed: Role) -> None:
        """Raises a 403 that says which role it takes."""
        if not self.may(needed):
            why = f"it has the role {self.role}; this needs {needed}"
            raise Problem(403, "forbidden", "This key may not do that", why)


def holder_of(presented: HTTPAuthorizationCredentials | None, bundle: Bundle, now: datetime) -> Holder:
    """Whose key it is. Raises a 401 that does not say what was wrong with it."""
    keys = bundle.api_keys
    secret = presented.credentials if presented else ""
    name = owner_of(secret, ((name, key.keys) for name, key in keys.items()), now) if secret else None
    if name is None:
        raise Problem(
            401,
            "unauthorized",
            "A valid key is needed",
            "Authorization: Bearer KEY",
            headers={"WWW-Authenticate": "Bearer"},
        )
    role = bundle.role_of(name)
    assert role in ROLES
    return Holder(name, role, keys[name].acts_as or "")

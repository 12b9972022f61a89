"""Who may use the API: keys of the policy in force, by role; an inbox is for its reader and responders."""

from collections.abc import Callable

from fastapi.security import HTTPAuthorizationCredentials

from shared.auth.access import Holder, KeyCheck, holder_of
from shared.clock import utcnow
from shared.database.readers import read_by
from shared.http.problems import Problem
from shared.policy import Bundle
from shared.policy.model.base import Role


def holder_with(role: Role, bundle: Callable[[], Bundle | None]) -> KeyCheck[Holder]:
    """A dependency: the holder of the key, which needs this role or a higher one."""

    async def holder(presented: HTTPAuthorizationCredentials | None) -> Holder:
        policy = bundle()
        if policy is None:
            raise Problem(503, "no-policy", "No policy is known yet", headers={"Retry-After": "1"})
        found = holder_of(presented, policy, utcnow())
        found.require(role)
        read_by(found.key)
        return found

    return KeyCheck(holder)


def require_reader(holder: Holder, user: str) -> None:
    """Raises a 403 for somebody else's inbox, unless the key is a responder's or a higher one."""
    if holder.user != user and not holder.may("responder"):
        why = "a viewer reads the inbox of the user whom the key acts as; others need the role responder"
        raise Problem(403, "forbidden", "This key may not do that", why)


def may_answer_for(holder: Holder, user: str) -> bool:
    """Whether the holder may have the links with which this user answers: they act as this user."""
    return holder.user == user or holder.may("admin")

"""Who pressed: the user of the policy whom Slack knows by this id, and what they may do."""

from typing import Final

from services.router.api.slack.presses import Meaning
from services.router.domain.model.signals import Actor
from shared.policy import Bundle
from shared.policy.model.base import at_least

_CHANNEL: Final = "slack"


class NotKnownError(Exception):
    """Nobody in the policy, or more than one; the text says so to whoever pressed."""


def presser(person: str, meaning: Meaning, bundle: Bundle) -> Actor:
    """Who acts. Raises NotKnownError.

    Whoever was asked in a message to nobody else is known by that; in a room anybody may press, so that the
    policy must say who they are. Whoever was asked may answer, whatever their role.
    """
    user = _user(person, meaning, bundle)
    role = bundle.users[user].role
    if user == meaning.user and not at_least(role, "responder"):
        role = "responder"
    return Actor(f"user:{user}", role, user)


def _user(person: str, meaning: Meaning, bundle: Bundle) -> str:
    if person and person == meaning.person and meaning.user in bundle.users:
        return meaning.user
    found = sorted(
        name
        for name, user in bundle.users.items()
        if any(each.channel == _CHANNEL and each.address == person for each in user.contacts.values())
    )
    if meaning.user in found:
        return meaning.user
    if len(found) > 1:
        raise NotKnownError(
            f"Nothing was changed: {', '.join(found)} all have your Slack id {person} among their contacts."
        )
    if not found or not person:
        raise NotKnownError(
            "Nothing was changed: Ladder does not know who you are. Have `chat: {slack: "
            f"{person}}}` added to your contacts in the policy, then press again."
        )
    return found[0]


def page_of(meaning: Meaning, actor: Actor) -> str:
    """The page that is answered: somebody's own, or a room's; not that of another."""
    return meaning.page if meaning.user in ("", actor.user) else ""

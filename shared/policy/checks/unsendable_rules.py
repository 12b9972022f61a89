"""Personal rules that reach nobody: every contact they name is of a channel that is not sent here."""

from collections.abc import Iterator
from typing import Final

from shared.policy.checks.installation import NOWHERE, Installation
from shared.policy.errors import Finding
from shared.policy.model.bundle import Bundle
from shared.policy.model.people import User

UNSENDABLE_RULES: Final = "L114"


def findings(bundle: Bundle, installation: Installation = NOWHERE) -> Iterator[Finding]:
    """Rules of one loudness by which nothing is sent, of people whom another contact would reach."""
    for name, user in bundle.users.items():
        for loudness, pages in (("high", "loud pages"), ("low", "pages that are not loud, and news,")):
            named = {step.via for step in getattr(user.rules, loudness)}
            if not named or _any_sent(user, named, installation):
                continue
            others = sorted(set(user.contacts) - named)
            if _any_sent(user, set(others), installation):
                yield Finding(
                    ("users", name, "rules", loudness),
                    code=UNSENDABLE_RULES,
                    severity="warning",
                    said=f"{pages} never reach {name}: "
                    f"none of the contacts that `{loudness}` names can be sent here",
                    mend=f"add a step there, such as `{{via: {_first(user, others, installation)}}}`",
                )


def _any_sent(user: User, contacts: set[str], installation: Installation) -> bool:
    specs = [user.contacts[name] for name in contacts if name in user.contacts]
    return any(installation.can_send(each.channel, each.address) for each in specs)


def _first(user: User, contacts: list[str], installation: Installation) -> str:
    return next(name for name in contacts if _any_sent(user, {name}, installation))

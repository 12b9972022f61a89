"""Contacts that are never used: on channels that cannot be sent here, and people who have no other.

What has to be known of the installation beside its release is whether its notifiers have a mail server; they
say so themselves. Equal findings are one: a line for a channel, with the names, not a line for each contact.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from shared.policy.checks.installation import NOWHERE, Installation
from shared.policy.errors import Finding, Path, dotted
from shared.policy.model.bundle import Bundle
from shared.policy.model.targets import (
    AddressTarget,
    ScheduleTarget,
    Target,
    TeamTarget,
    UserTarget,
    within,
)

UNSENDABLE: Final = "L110"
NO_CONTACT: Final = "L111"
NONE_SENDABLE: Final = "L112"
LAST_RESORT: Final = "L113"
_MOST_NAMED: Final = 8
_SUGGESTED: Final = ("email", "webhook", "inbox")  # what every installation can have
_CONTACT_DEPTH: Final = 5  # users.ana.contacts.phone.sms


def findings(bundle: Bundle, installation: Installation = NOWHERE) -> Iterator[Finding]:
    """Channels that cannot be sent, people whom nothing reaches, a last resort that is none."""
    yield from _channels(bundle, installation)
    silent, deaf = _unreached(bundle, installation)
    if silent:
        yield _nobody(silent, NO_CONTACT, "no contact at all: no page and no message reaches")
    if deaf:
        yield _nobody(deaf, NONE_SENDABLE, "only contacts that cannot be sent here: nothing reaches")
    hears = _Hearing(bundle, installation)
    if not any(hears.one(target) for target in bundle.last_resort):
        yield Finding(
            ("last_resort",),
            code=LAST_RESORT,
            severity="warning",
            said="nobody in `last_resort` can be reached: when Ladder cannot decide, nobody hears of it",
            mend=f"name somebody there who has a contact by {_either(installation)}",
        )


# --- channels ---------------------------------------------------------------------------------------------


def _channels(bundle: Bundle, installation: Installation) -> Iterator[Finding]:
    found: defaultdict[str, dict[str, Path]] = defaultdict(dict)
    for channel, address, whose, path in _contacts(bundle):
        if not installation.can_send(channel, address):
            found[channel].setdefault(whose, path)
    for channel, holders in found.items():
        mend = f"give them a contact by {_either(installation)}"
        if channel == "email":
            mend = f"set LADDER_SMTP_URL for the notifier, or {mend}"
        else:
            mend = f"`ladder channels` says what to set for the notifier; or {mend}"
        reached = all(_has_another(bundle, path, installation) for path in holders.values())
        others = "; another contact reaches each of them" if reached else ""
        yield Finding(
            next(iter(holders.values())),
            code=UNSENDABLE,
            severity="warning",
            said=f"nothing is ever sent by {channel}: {installation.why_not(channel)}; it is "
            f"a contact of {_named(list(holders))}{others}",
            mend="" if reached else mend,
        )


def _has_another(bundle: Bundle, path: Path, installation: Installation) -> bool:
    """Whether whoever has the contact at this path has one that is sent."""
    if len(path) != _CONTACT_DEPTH or path[2] != "contacts":
        return False
    contacts = getattr(bundle, str(path[0]))[path[1]].contacts
    return any(installation.can_send(each.channel, each.address) for each in contacts.values())


def _contacts(bundle: Bundle) -> Iterator[tuple[str, str, str, Path]]:
    """Channel, address, whose contact it is, and where it stands."""
    for section, kind in (("users", ""), ("teams", "team "), ("customers", "customer ")):
        for name, one in getattr(bundle, section).items():
            for contact, spec in one.contacts.items():
                where = (section, name, "contacts", contact, spec.channel)
                yield spec.channel, spec.address, f"{kind}{name}", where
    for path, target in targets_of(bundle):
        for each in within(target):
            if isinstance(each, AddressTarget):
                yield each.channel, each.address, dotted(path), path


def targets_of(bundle: Bundle) -> Iterator[tuple[Path, Target]]:
    """Every target that is paged or told, and where it stands."""
    lists: list[tuple[Path, Sequence[Target]]] = [(("last_resort",), bundle.last_resort)]
    for name, policy in bundle.policies.items():
        path: Path = ("policies", name)
        lists += [
            ((*path, "levels", number, "notify"), level.notify) for number, level in enumerate(policy.levels)
        ]
        lists.append(((*path, "finally", "notify"), policy.finally_.notify))
        for number, point in enumerate(policy.points):
            for index, do in enumerate(point.do):
                inner = (*path, "points", number, "do", index)
                lists += [((*inner, "notify"), do.notify or ()), ((*inner, "inform"), do.inform or ())]
                if do.assign is not None:
                    yield (*inner, "assign"), do.assign
    lists += [
        (("subscriptions", number, "who"), each.who) for number, each in enumerate(bundle.subscriptions)
    ]
    for path, targets in lists:
        for number, target in enumerate(targets):
            yield (*path, number), target


# --- people -----------------------------------------------------------------------------------------------


def _unreached(bundle: Bundle, installation: Installation) -> tuple[list[str], list[str]]:
    """Users without a contact, and with none that can be sent. Who only looks need not be reached."""
    asked = _asked(bundle)
    silent, deaf = [], []
    for name, user in bundle.users.items():
        if user.role == "viewer" and name not in asked:
            continue
        if not user.contacts:
            silent.append(name)
        elif not any(installation.can_send(each.channel, each.address) for each in user.contacts.values()):
            deaf.append(name)
    return silent, deaf


def _asked(bundle: Bundle) -> set[str]:
    """Whom something in the bundle names as somebody to ask or tell."""
    found = {name for user in bundle.users.values() if (name := user.manager)}
    found |= {name for customer in bundle.customers.values() if (name := customer.owner)}
    for team in bundle.teams.values():
        found |= {*team.members, *([team.lead] if team.lead else [])}
    for schedule in bundle.schedules.values():
        found |= {name for layer in schedule.layers for name in layer.rotation}
    for _, target in targets_of(bundle):
        found |= {each.name for each in within(target) if isinstance(each, UserTarget)}
    return found


def _nobody(names: Sequence[str], code: str, what: str) -> Finding:
    have = "has" if len(names) == 1 else "have"
    them = "them" if len(names) > 1 else names[0]
    return Finding(
        ("users", names[0]),
        at_key=True,
        code=code,
        severity="warning",
        said=f"{_named(names)} {have} {what} {them}",
        mend="add a contact, such as `contacts: {mail: {email: …}}` or `{box: {inbox: NAME}}`",
    )


@dataclass(frozen=True, slots=True)
class _Hearing:
    """Whether somebody among a target's people has a contact that can be sent."""

    bundle: Bundle
    installation: Installation

    def one(self, target: Target) -> bool:
        match target:
            case AddressTarget(channel, address):
                return self.installation.can_send(channel, address)
            case UserTarget(name):
                return self._user(name)
            case TeamTarget(name):
                team = self.bundle.teams.get(name)
                room = team.contacts.values() if team else ()
                return any(self.installation.can_send(each.channel, each.address) for each in room) or any(
                    map(self._user, team.members if team else ())
                )
            case ScheduleTarget(name):
                schedule = self.bundle.schedules.get(name)
                layers = schedule.layers if schedule else ()
                return any(self._user(each) for layer in layers for each in layer.rotation)
            case _:
                return True  # depends on the incident

    def _user(self, name: str) -> bool:
        user = self.bundle.users.get(name)
        return user is not None and any(
            self.installation.can_send(each.channel, each.address) for each in user.contacts.values()
        )


# --- words ------------------------------------------------------------------------------------------------


def _named(names: Sequence[str]) -> str:
    """`ana, jan and 12 more`."""
    if len(names) <= _MOST_NAMED:
        return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return f"{', '.join(names[:_MOST_NAMED])} and {len(names) - _MOST_NAMED} more"


def _either(installation: Installation) -> str:
    able = [each for each in _SUGGESTED if installation.can_send(each, "")]
    return " or ".join(filter(None, (", ".join(able[:-1]), able[-1] if able else "")))

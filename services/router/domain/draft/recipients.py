"""Whom a target means now: people, rooms, addresses, each with the reason (docs/policy.md, "Who: targets").

A target that resolves to nobody says why; nothing is dropped silently.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import assert_never

import msgspec

from services.router.domain.draft import customers
from services.router.domain.draft.names import at_address
from services.router.domain.model.context import Context
from services.router.domain.model.incident import Incident
from shared.events import Contact, Recipient
from shared.policy import Bundle
from shared.policy.calendars.wall_clock import local
from shared.policy.model.people import Customer, as_contacts
from shared.policy.model.targets import (
    AddressTarget,
    AssigneeTarget,
    CustomerTarget,
    LeadOf,
    ManagerOf,
    NextTarget,
    OwnerTarget,
    ScheduleTarget,
    SkillTarget,
    Target,
    TeamTarget,
    UserTarget,
)
from shared.policy.oncall.roster import Roster, roster_of
from shared.security.secret_files import named_in


def shown_address(name: str) -> str:
    """An address as a timeline may show it: of a URL only the host, since the rest is often a secret.

    Where the scheme is no web's (`pover://user@token`), the host may be one, too.
    """
    scheme, found, rest = name.partition("://")
    if found and scheme.lower() not in ("http", "https"):
        return f"{scheme}://…"
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}/…" if found else name


class Found(msgspec.Struct, frozen=True):
    """One recipient and the reason; `schedule` is the one that named the person, if any."""

    recipient: Recipient
    why: str
    schedule: str = ""

    @property
    def by_schedule(self) -> bool:
        return bool(self.schedule)


class Resolved(msgspec.Struct, frozen=True):
    """The recipients of some targets, once each, in order; for each target that named nobody, why."""

    found: tuple[Found, ...] = ()
    gaps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # who was passed over on a schedule, and who is on call instead

    def __bool__(self) -> bool:
        return bool(self.found)


def nobody(reason: str) -> Resolved:
    return Resolved(gaps=(reason,))


def merged(parts: Iterable[Resolved]) -> Resolved:
    """All of them; a recipient who is named twice appears once, with the first reason."""
    parts = tuple(parts)
    if len(parts) == 1 and len(parts[0].found) < 2:
        return parts[0]
    found: dict[tuple[str, str], Found] = {}
    gaps: list[str] = []
    notes: list[str] = []
    for part in parts:
        gaps.extend(part.gaps)
        notes.extend(part.notes)
        for each in part.found:
            found.setdefault((each.recipient.kind, each.recipient.name), each)
    return Resolved(tuple(found.values()), tuple(gaps), tuple(notes))


class Directory(msgspec.Struct, frozen=True):
    """The people of the policy in force now, as seen from one incident at one time."""

    context: Context
    bundle: Bundle
    incident: Incident
    now: datetime

    def resolve(self, targets: Iterable[Target], *, rooms: bool = True) -> Resolved:
        """The recipients of these targets. `rooms`: a team's own contacts are told along with its members."""
        resolved = [self._one(target, rooms=rooms) for target in targets]
        return resolved[0] if len(resolved) == 1 else merged(resolved)

    def _one(self, target: Target, *, rooms: bool) -> Resolved:  # noqa: C901, PLR0911, PLR0912 - one line a kind
        match target:
            case UserTarget(name):
                return self._user(name, "named in the policy")
            case TeamTarget(name):
                return self._team(name, rooms=rooms)
            case ScheduleTarget(name):
                return self._on_call(name)
            case NextTarget(name):
                return self._next_on_call(name)
            case AssigneeTarget():
                if not self.incident.assignee:
                    return nobody("assignee: nobody has taken it")
                return self._user(self.incident.assignee, "it is assigned to you")
            case CustomerTarget():
                return self._customer()
            case OwnerTarget():
                return self._owner()
            case SkillTarget(skill, among):
                return self._skilled(skill, among)
            case ManagerOf(of):
                return self._managers(of)
            case LeadOf(of):
                return self._lead(of)
            case AddressTarget(channel, address):
                return Resolved((Found(at_address(channel, address), "named in the policy"),))
            case _:
                assert_never(target)

    def _user(self, name: str, why: str) -> Resolved:
        if name not in self.bundle.users:
            return nobody(f"user:{name}: no such user in the policy in force")
        return Resolved((Found(Recipient(kind="user", name=name), why),))

    def _team(self, name: str, *, rooms: bool) -> Resolved:
        team = self.bundle.teams.get(name)
        if team is None:
            return nobody(f"team:{name}: no such team in the policy in force")
        members = merged(self._user(member, f"you are in team {name}") for member in team.members)
        if not rooms or not team.contacts:
            return members if members.found else nobody(f"team:{name}: it has no members")
        room = Found(Recipient(kind="team", name=name), f"this is the room of team {name}")
        return Resolved((*members.found, room), members.gaps, members.notes)

    def _on_call(self, name: str) -> Resolved:
        roster = self.roster(name)
        if roster is None:
            return nobody(f"schedule:{name}: no such schedule in the policy in force")
        duty = roster.at(self.now)
        if duty.user is None:
            told = duty.passed or duty.override is not None
            why = f": {roster.on_call(self.now).reason}" if told else ""
            return nobody(f"schedule:{name}: nobody is on call now{why}")
        why = f"you are on call for {name}"
        if duty.override is not None:
            why += f" as a stand-in until {local(duty.ends, roster.schedule.timezone)}"
        return self._through(name, duty.user, why, duty.passed)

    def _next_on_call(self, name: str) -> Resolved:
        roster = self.roster(name)
        if roster is None:
            return nobody(f"next:{name}: no such schedule in the policy in force")
        duty = roster.on_call(self.now)
        if not duty.next_user:
            return nobody(f"next:{name}: nobody follows in schedule {name}")
        passed = roster.at(duty.next_from).passed
        return self._through(name, duty.next_user, f"you are the next on call for {name}", passed)

    def _through(self, schedule: str, user: str, why: str, passed: Sequence[str]) -> Resolved:
        """Somebody named by a schedule, and who was passed over for them."""
        over = "; ".join(passed)
        found = Found(Recipient(kind="user", name=user), f"{why}; {over}" if over else why, schedule)
        notes = (f"schedule:{schedule}: {over}: {self.display(user)} is asked instead",) if over else ()
        return Resolved((found,), notes=notes)

    def roster(self, schedule: str) -> Roster | None:
        """Who is on call when on this schedule, by the policy in force; None when there is no such one."""
        return roster_of(self.bundle, schedule, self.context.overlay.overrides)

    def _customer(self) -> Resolved:
        said = self.incident.customer
        if not said:
            return nobody("customer: none is named")
        known = customers.find(self.context, said)
        customer = known.customer
        if customer is None:
            return nobody(f"customer {said!r}: {known.how}")
        contacts, hidden = self._contacts(known.id, customer)
        if not contacts:
            return nobody(f"customer: {known.id} has no contacts{hidden}")
        recipient = Recipient(kind="customer", name=known.id, contacts=contacts)
        return Resolved((Found(recipient, "it concerns you as our customer"),))

    def _contacts(self, customer_id: str, customer: Customer) -> tuple[tuple[Contact, ...], str]:
        """A customer's contacts, and a remark on those left out.

        Customers in the database cannot use a secret unless the policy lets them name it.
        """
        shared = None if customer_id in self.bundle.customers else self.bundle.secrets.customers
        theirs = {
            name: spec
            for name, spec in customer.contacts.items()
            if shared is None or set(named_in(spec.address, spec.secret)) <= set(shared)
        }
        left_out = ", ".join(sorted(customer.contacts.keys() - theirs.keys()))
        why = f" (secrets.customers of the policy does not list what {left_out} names)" if left_out else ""
        return as_contacts(theirs), why

    def _owner(self) -> Resolved:
        customer = customers.find(self.context, self.incident.customer).customer
        if customer is None or not customer.owner:
            return nobody("owner: the incident's customer has no account owner")
        return self._user(customer.owner, f"you look after {customer.name or self.incident.customer}")

    def _skilled(self, skill: str, among: Target) -> Resolved:
        group = self._one(among, rooms=False)
        able = tuple(
            Found(each.recipient, f"you know {skill}; {each.why}", each.schedule)
            for each in group.found
            if each.recipient.kind == "user" and skill in self.bundle.users[each.recipient.name].skills
        )
        if not able:
            return nobody(f"skill {skill}: nobody among {among.text} has it")
        return Resolved(able, group.gaps, group.notes)

    def _managers(self, of: Target) -> Resolved:
        below = self._one(of, rooms=False)
        if not below.found:
            return Resolved(gaps=tuple(f"manager of {of.text}: {gap}" for gap in below.gaps))
        return merged(self._manager(each.recipient.name) for each in below.found)

    def _manager(self, name: str) -> Resolved:
        user = self.bundle.users.get(name)
        if user is None or not user.manager:
            return nobody(f"manager of {name}: none is named")
        return self._user(user.manager, f"you are the manager of {self.display(name)}")

    def _lead(self, of: Target | str) -> Resolved:
        if isinstance(of, str):
            service = self.bundle.services.get(self.incident.service)
            if service is None or not service.team:
                said = self.incident.service
                return nobody(
                    f"lead of service: {said!r} has no team" if said else "lead of service: none is named"
                )
            return self._team_lead(service.team, f"of service {self.incident.service}")
        if isinstance(of, TeamTarget):
            return self._team_lead(of.name, "")
        below = self._one(of, rooms=False)
        names = [each.recipient.name for each in below.found]
        teams = [name for name, team in self.bundle.teams.items() if set(names) & set(team.members)]
        if not teams:
            return nobody(f"lead of {of.text}: no team has them as a member")
        return merged(self._team_lead(team, "") for team in teams)

    def _team_lead(self, team: str, of: str) -> Resolved:
        known = self.bundle.teams.get(team)
        if known is None or not known.lead:
            return nobody(f"lead of team {team}: none is named")
        return self._user(known.lead, " ".join(filter(None, (f"you lead team {team}", of))))

    def shown(self, recipient: Recipient) -> str:
        """A recipient as a timeline shows it."""
        if recipient.kind == "user":
            user = self.bundle.users.get(recipient.name)
            return user.name if user is not None and user.name else recipient.name
        name = shown_address(recipient.name)
        return name if recipient.kind == "address" else f"{recipient.kind} {name}"

    def display(self, name: str) -> str:
        """A user's full name if there is one."""
        return self.bundle.display(name)

"""Which incident a text message answers: those that wait for whoever has the number, and which is meant.

A text names no message that it answers. "1" alone counts only where it can mean one incident; where another
was theirs a moment ago, and somebody else has it or it is over, it may have been meant for that one.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.router.api.phone.words import Said
from services.router.domain.escalation import handoff
from services.router.domain.model.incident import Incident
from services.router.domain.model.parts import OpenPage, Paged
from services.router.domain.model.stored import decode
from shared.policy import Bundle
from shared.policy.checks.unreachable_contacts import targets_of
from shared.policy.model.addresses import PHONES, phone_number
from shared.policy.model.people import ContactSpec
from shared.policy.model.targets import AddressTarget, within

LOOKED_AT: Final = 5_000
"""Of open incidents, the most pressing: where there are more, an answer has to name one."""
READ: Final = 50
"""Of those in which the name stands, so many are read: of more than one it is asked which."""
RECENT: Final = timedelta(minutes=15)
Standing: TypeAlias = Literal["waits", "held", "over"]


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose number it is: users of the policy, and teams and bare addresses as pages name them."""

    users: frozenset[str]
    others: frozenset[str] = frozenset()

    def is_meant(self, name: str, *, user: bool) -> bool:
        """Whether this name of somebody paged is theirs."""
        return name in (self.users if user else self.others)


def holder_of(number: str, bundle: Bundle) -> Holder | None:
    """Whose number it is; None for a stranger's. A number behind `secret:` is not known here."""

    def has(contact: ContactSpec | AddressTarget) -> bool:
        return contact.channel in PHONES and phone_number(contact.address) == number

    if not number:
        return None
    users = {name for name, user in bundle.users.items() if any(map(has, user.contacts.values()))}
    teams = {name for name, team in bundle.teams.items() if any(map(has, team.contacts.values()))}
    everybody = (each for _, target in targets_of(bundle) for each in within(target))
    bare = {each.address for each in everybody if isinstance(each, AddressTarget) and has(each)}
    return Holder(frozenset(users), frozenset(teams | bare)) if users or teams or bare else None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An incident that the text may mean: for whom of those with this number, and which page it answers.

    `other`: a team (`team:desk`) or an address, where no user is meant. `recent`: since a moment ago another
    has it, or it is over.
    """

    incident: Incident
    standing: Standing
    user: str
    other: str
    page: str
    recent: bool


def candidate(incident: Incident, changed_at: datetime, holder: Holder, now: datetime) -> Candidate | None:
    """The incident as theirs; None if they have nothing to do with it.

    It waits for them while an answer would do something: nobody has it, or they are asked to join or to look.
    """
    pages = [page for page in incident.pages if holder.is_meant(page.name, user=page.user)]
    paged = [one for one in incident.paged or () if holder.is_meant(one.name, user=one.kind == "user")]
    held = incident.assignee in holder.users
    if not pages and not paged and not held:
        return None
    page = pages[-1] if pages else None
    still_asked = bool(pages) or any(one.heard != "free" for one in paged)
    standing: Standing = "over"
    if incident.is_open and not incident.parent:
        if held:
            standing = "held"
        elif still_asked if not incident.assignee else page is not None and _may_join(incident, page):
            standing = "waits"
    names = [incident.assignee] if held else [page.name] if page is not None and page.user else []
    names += [one.name for one in paged if one.kind == "user"]
    return Candidate(
        incident=incident,
        standing=standing,
        user=names[0] if names else "",
        other=next((_kind(one) for one in paged if one.kind != "user"), ""),
        page=page.page_id if page is not None else "",
        recent=not held and now - changed_at <= RECENT,
    )


def _kind(paged: Paged) -> str:
    return f"team:{paged.name}" if paged.kind == "team" else paged.kind  # an address may be nobody's to read


def _may_join(incident: Incident, page: OpenPage) -> bool:
    return page.joins or page.looks or (page.user and handoff.was_asked(incident, page.name))


@dataclass(frozen=True, slots=True)
class Meant:
    """The one that is meant; or those among which the text has to choose, beside those that are `over`."""

    one: Candidate | None = None
    among: Sequence[Candidate] = ()
    over: Sequence[Candidate] = ()
    all_seen: bool = True


def meant(said: Said, candidates: Sequence[Candidate], *, all_seen: bool) -> Meant:
    """Which of the candidates the text means. `all_seen`: they are all that there are."""
    waits = [one for one in candidates if one.standing == "waits"]
    held = [one for one in candidates if one.standing == "held"]
    over = [one for one in candidates if one.standing == "over" and (one.recent or said.code)]
    if said.answer != "acknowledge":
        waits += held
    elif not waits and not over:
        waits = held
    if len(waits) + len(over) == 1 and all_seen:
        return Meant(one=(waits or over)[0])
    return Meant(among=waits, over=over, all_seen=all_seen)


async def find(
    connection: AsyncConnection, said: Said, holder: Holder, now: datetime
) -> tuple[Sequence[Candidate], bool]:
    """The candidates, the most pressing first, and whether these are all."""
    names = [msgspec.json.encode(name).decode() for name in sorted(holder.users | holder.others)]
    given: dict[str, object] = {"names": names, "most": LOOKED_AT, "read": READ + 1}
    if said.code:
        first = said.code.ljust(32, "0")
        last = said.code.ljust(32, "f")
        found_rows = await connection.execute(
            _BY_CODE, given | {"first": uuid.UUID(first), "last": uuid.UUID(last)}
        )
        all_seen = True
    else:
        more = await connection.execute(_MORE, {"most": LOOKED_AT})
        all_seen = more.one_or_none() is None
        found_rows = await connection.execute(_OPEN, given | {"since": now - RECENT})
    rows = found_rows.all()
    found = [candidate(decode(row.state), row.updated_at, holder, now) for row in rows[:READ]]
    return [one for one in found if one is not None], all_seen and len(rows) <= READ


# Only states in which the name stands at all are decoded.
_NAMED: Final = """
    EXISTS (SELECT 1 FROM unnest(CAST(:names AS text[])) AS said (name)
            WHERE position(said.name IN looked_at.state) > 0)
"""
_COLUMNS: Final = "state::text AS state, updated_at, priority, opened_at"
_OPEN: Final = text(f"""
    SELECT state, updated_at FROM (
        (SELECT {_COLUMNS} FROM router.incident WHERE status <> 'closed'
         ORDER BY priority, COALESCE(first_breach_at, 'infinity'), customer_value DESC, id LIMIT :most)
        UNION ALL
        (SELECT {_COLUMNS} FROM router.incident WHERE opened_at > :since AND status = 'closed'
         ORDER BY opened_at DESC, id DESC LIMIT :most)
    ) AS looked_at
    WHERE {_NAMED} ORDER BY priority, opened_at LIMIT :read
""")
_MORE: Final = text("SELECT 1 FROM router.incident WHERE status <> 'closed' OFFSET :most LIMIT 1")
_BY_CODE: Final = text(f"""
    SELECT state, updated_at FROM (
        SELECT {_COLUMNS} FROM router.incident WHERE id BETWEEN :first AND :last
        ORDER BY (status = 'closed'), updated_at DESC LIMIT :most
    ) AS looked_at
    WHERE {_NAMED} ORDER BY priority, opened_at LIMIT :read
""")

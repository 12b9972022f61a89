"""Everybody paged since the incident opened, and how they hear of its end (docs/rules.md, rule 21).

Kept apart from `pages`, which is what can still be answered. When it is taken, or others are asked instead,
those paged hear once that nothing is asked of them any more; when it is resolved, dropped or merged,
everybody paged since it opened hears that, even inside a silence that began later. Only the notifier knows
whether a page reached them, so what it is asked to send depends on that (`Notice.paged_since`).
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from services.router.domain.draft.draft import LADDER, Draft
from services.router.domain.draft.names import at_address
from services.router.domain.escalation import paging
from services.router.domain.model.parts import Heard, Paged
from services.router.domain.model.reason import Reason
from services.router.domain.model.vocabulary import EntryKind, NoticeEvent
from shared.events import LOOKING, Page, Recipient
from shared.policy import CustomerTarget

Account: TypeAlias = dict[tuple[str, str], Paged]
_RULE: Final = Reason("rule 21: who was asked hears the end")
_FREE: Final = "Nothing is asked of you."
_WHY: Final = "you were asked to take it"


def has(draft: Draft, user: str) -> bool:
    """Whether this user was paged since it opened, before this decision."""
    return ("user", user) in _of(draft)


def handed_elsewhere(draft: Draft) -> None:
    """Others are asked instead: call off pages to the earlier ones that have not been sent.

    Not while a page from a point has reached nobody: that runs beside the levels.
    """
    looks = any(page.through == "point" and page.state == "sent" for page in draft.initial.pages)
    if draft.pages and draft.settled is None and not looks and _of(draft):
        draft.cancel_pages("handed up", draft.actor)


def conclude(draft: Draft) -> None:
    """Tell those paged what this decision ended for them, and note whom it pages."""
    quiet = not (draft.pages or draft.notices or draft.settled is not None)
    if quiet and not draft.actor.startswith("user:"):
        return
    incident, known = draft.incident, _of(draft)
    if draft.settled is not None and known:
        known = _tell(draft, known)
    paged = tuple(known.values())
    if draft.pages:
        paged, draft.pages[:] = noted(paged, draft.pages, draft.version)
    if aware := _aware(draft):
        paged = tuple(
            replace(each, knows=True) if (each.kind, each.name) in aware else each for each in paged
        )
    if paged != (incident.paged or ()):
        draft.set(paged=paged)


def _aware(draft: Draft) -> set[tuple[str, str]]:
    """Who knows of it whatever became of their pages: they act, are told, or followed it before."""
    told = {(each.recipient.kind, each.recipient.name) for each in draft.notices if not each.paged_since}
    follow = {("user", name) for name in draft.initial.followers}
    return told | follow | {("user", draft.actor.removeprefix("user:"))}


def noted(
    paged: Iterable[Paged], pages: Sequence[Page], version: int
) -> tuple[tuple[Paged, ...], tuple[Page, ...]]:
    """The account with these pages, which a message of this version asks for, and the pages as it does."""
    known, asked = _by_name(paged), list[Page]()
    for page in pages:
        recipient, key = page.recipient, (page.recipient.kind, page.recipient.name)
        before = known.get(key)
        asked.append(replace(page, again=before is not None and before.first < version))
        if before is not None:
            if before.heard and page.through not in LOOKING:
                known[key] = replace(before, since=version, heard="")
            continue
        via = recipient.contacts[0].channel if recipient.kind == "address" and recipient.contacts else ""
        known[key] = Paged(name=recipient.name, kind=recipient.kind, via=via, first=version, since=version)
    return tuple(known.values()), tuple(asked)


def _by_name(paged: Iterable[Paged]) -> Account:
    return {(each.kind, each.name): each for each in paged}


def _of(draft: Draft) -> Account:
    """As it was before this decision; from a row of the last release, those whose pages can be answered."""
    incident, before = draft.incident, draft.initial
    if incident.paged is not None or not before.is_open:
        return _by_name(incident.paged or ())
    users = dict.fromkeys(page.name for page in before.pages if page.user)
    return _by_name(Paged(name=name, first=1, since=1) for name in users)


# --- what they hear ---------------------------------------------------------------------------------------


class _End(msgspec.Struct, frozen=True):
    """What is over, in words. `heard`: tell only those who have not heard this much yet; '' for everybody."""

    event: NoticeEvent
    text: str
    heard: Heard = ""


def _end(draft: Draft) -> _End | None:
    """What this decision ended for those paged; None when they may soon be asked again."""
    assert draft.settled is not None
    match draft.settled.why:
        case "taken" if draft.incident.assignee:
            return _End("taken", f"{_said(draft, 'taken')}. {_FREE}", "free")
        case "taken":
            return _End("taken", f"{_said(draft, 'taken')}. Nothing is asked of you for now.", "rests")
        case "handed up" if draft.pages:
            return _End("escalated", f"{_handed(draft)} {_FREE}", "free")
        case "resolved":
            return _End("resolved", draft.sentence("resolved"))
        case "merged":
            return _End("closed", f"{_said(draft, 'merged')}: it goes on there. {_FREE}")
        case _:
            return None


def _said(draft: Draft, kind: EntryKind) -> str:
    """The timeline's words for it, as the start of a sentence."""
    text = draft.last_said(kind)
    return text[:1].upper() + text[1:]


def _handed(draft: Draft) -> str:
    kind, _, name = draft.actor.partition(":")
    who = f"{draft.directory.display(name)} handed it up" if kind == "user" else "It was handed up"
    return f"{who}: {paging.place(draft)} is asked now."


def _tell(draft: Draft, known: Account) -> Account:
    """The account once everybody concerned has heard it."""
    end = _end(draft)
    if end is None or draft.settled is None:
        return known
    after, told = dict(known), list[str]()
    spared = {("user", each.removeprefix("user:")) for each in (draft.actor, draft.settled.by)}
    spared |= {(page.recipient.kind, page.recipient.name) for page in draft.pages}
    looking = {("user", page.name) for page in draft.incident.pages if page.looks and page.user}
    for key, each in known.items():
        if end.event == "escalated" and key in looking:
            continue  # something is still asked of them
        if end.heard and each.heard in {"free", end.heard}:
            continue
        if end.heard:
            after[key] = replace(each, heard=end.heard)
        recipient = _recipient(draft, each) if key not in spared else None
        if recipient is None:
            continue
        _say_to(draft, recipient, end, 0 if each.knows else each.since if end.heard else each.first)
        told.append(draft.directory.shown(recipient))
    draft.settled = replace(draft.settled, told=True)
    if told:
        text = f"{end.event}: told {', '.join(told)}, if a page reached them"
        draft.say("told", text, _RULE, LADDER)
    return after


def _say_to(draft: Draft, recipient: Recipient, end: _End, since: int) -> None:
    """Tell one of them; one who also hears as a stakeholder hears it that way: at once, and why."""
    outside, told = recipient.kind == "customer", len(draft.notices)
    text, reason = ("", "") if outside else (end.text, _WHY)
    draft.notify(recipient, end.event, text=text, reason=reason, stakeholder=outside, paged_since=since)
    if outside or len(draft.notices) > told:
        return
    for number, notice in enumerate(draft.notices):
        if (notice.event, notice.recipient) == (end.event, recipient):
            draft.notices[number] = replace(
                notice,
                text=text,
                reason=reason,
                stakeholder=False,
                template="",
                digest_seconds=0,
                subscription="",
            )


def _recipient(draft: Draft, each: Paged) -> Recipient | None:
    """How they are reached now; None when the policy in force no longer knows them."""
    bundle = draft.live.spec
    if each.kind == "customer":
        found = draft.directory.resolve((CustomerTarget(),)).found
        return next((one.recipient for one in found if one.recipient.name == each.name), None)
    if each.kind == "address":
        return at_address(each.via, each.name)
    if each.kind == "team":
        return Recipient(kind="team", name=each.name) if each.name in bundle.teams else None
    return Recipient(kind="user", name=each.name) if each.name in bundle.users else None

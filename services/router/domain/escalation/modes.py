"""Which of a level's people a step pages: all, one in turn, or one by one (a level's `mode`, rule 19).

A team's room hears of a level once, with its first page; only people are asked in turn.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from services.router.domain.draft.draft import Draft
from services.router.domain.draft.recipients import Found, shown_address
from services.router.domain.escalation.handoff import THROUGH
from services.router.domain.model.compiled_bundle import CompiledLevel
from services.router.domain.model.parts import OpenPage
from services.router.domain.model.reason import Reason


class Turn(msgspec.Struct, frozen=True):
    """Whom to page now, who of the level comes next, and how a sentence says so (` in turn`, or '')."""

    paged: tuple[Found, ...]
    left: tuple[Found, ...] = ()
    manner: str = ""


def people(found: Iterable[Found]) -> tuple[Found, ...]:
    """Everybody who can take it, which a room cannot."""
    return tuple(each for each in found if each.recipient.kind != "team")


def first(draft: Draft, level: CompiledLevel, found: tuple[Found, ...], *, joins: bool) -> Turn:
    """Whom the level pages as its step begins: a rotation moves on, a joining level is asked as a whole."""
    kind = level.spec.mode.kind
    if kind == "all" or (kind == "one_by_one" and joins):
        return Turn(found)
    able = people(found)
    if kind == "round_robin":
        able = _by_rotation(draft, level, able)
        _advance(draft, level, able)
    rooms = tuple(each for each in found if each.recipient.kind == "team")
    return Turn((able[0], *rooms), able[1:], " in turn" if kind == "round_robin" else " one by one")


def following(draft: Draft) -> Turn | None:
    """Whom the current level pages next in this step; None once it has asked everybody."""
    level = standing(draft)
    if level is None or level.spec.mode.kind == "all":
        return None
    asked = {page.name for page in _asked(draft)}
    able = people(draft.directory.resolve(level.spec.notify).found)
    if level.spec.mode.kind == "round_robin":
        able = _by_rotation(draft, level, able)
    left = tuple(each for each in able if each.recipient.name not in asked)
    return Turn(left[:1], left[1:]) if left else None


def standing(draft: Draft) -> CompiledLevel | None:
    """The level whose step is under way; None while nobody of a level is being asked."""
    chain, levels = draft.incident.chain, draft.policy.levels
    asking = chain.state == "climbing" and not chain.unasked and chain.level < len(levels)
    return levels[chain.level] if asking else None


def _asked(draft: Draft) -> Sequence[OpenPage]:
    """The pages of this step to people, in order."""
    rooms = draft.live.spec.teams
    pages = [page for page in draft.incident.pages if not page.looks]
    return [page for page in pages if page.user or page.name not in rooms]


def _asked_in_turn(draft: Draft) -> Sequence[OpenPage]:
    """Those who were asked in their turn; not people who came on call meanwhile."""
    return [page for page in _asked(draft) if page.through != THROUGH]


def is_lost(draft: Draft) -> bool:
    """Whether the person asked last, alone of their level, cannot be reached for good."""
    level = standing(draft)
    if level is None or level.spec.mode.kind == "all":
        return False
    asked = _asked_in_turn(draft)
    return bool(asked) and asked[-1].state == "unreachable"


def last_asked(draft: Draft) -> str:
    """The display name of whoever was paged last in this step."""
    page = _asked_in_turn(draft)[-1]
    return draft.directory.display(page.name) if page.user else shown_address(page.name)


def ends_at(draft: Draft, level: CompiledLevel, level_ends: datetime, left: Sequence[Found]) -> datetime:
    """When the turn that begins now is over; the end of the level's own time ends every turn."""
    each = level.spec.mode.one_by_one
    return min(draft.now + each, level_ends) if each is not None and left else level_ends


def level_ends(draft: Draft, level: CompiledLevel) -> datetime:
    """When the time of the current level is over.

    Nobody could be asked while Ladder was down: the level's time moves by as much, so that the person
    announced as next is asked and has their time (rule 2).
    """
    chain = draft.incident.chain
    late = max(draft.now - chain.due, timedelta(0)) if chain.due is not None else timedelta(0)
    return (chain.ends or chain.since + level.spec.acknowledge_within) + late


def promises_another(draft: Draft, level: CompiledLevel) -> bool:
    """Whether the page announced another turn of the same level."""
    chain = draft.incident.chain
    ends = chain.ends or chain.since + level.spec.acknowledge_within
    return level.spec.mode.one_by_one is not None and chain.due is not None and chain.due < ends


def advance(draft: Draft, level: CompiledLevel, turn: Turn) -> None:
    """Remember that a rotation has asked this person."""
    if level.spec.mode.kind == "round_robin":
        _advance(draft, level, turn.paged)


def _position(draft: Draft, level: CompiledLevel) -> str:
    key = (draft.policy.name, level.spec.name)
    return draft.rotations.get(key, draft.context.rotations.get(key, ""))


def _by_rotation(draft: Draft, level: CompiledLevel, able: tuple[Found, ...]) -> tuple[Found, ...]:
    """The level's people, starting after the last one who was asked (rule 19).

    If that person is not of the level any more, the next one by name comes first, so that nobody is preferred
    for being listed first.
    """
    last, names = _position(draft, level), [each.recipient.name for each in able]
    if not last:
        return able
    if last in names:
        start = names.index(last) + 1
    else:
        after = min((name for name in names if name > last), default=min(names, default=""))
        start = names.index(after) if after else 0
    return (*able[start:], *able[:start])


def _advance(draft: Draft, level: CompiledLevel, ordered: Sequence[Found]) -> None:
    last, name = _position(draft, level), ordered[0].recipient.name
    draft.rotations[draft.policy.name, level.spec.name] = name
    after = f" after {shown_address(draft.directory.display(last))}" if last and last != name else ""
    text = f"level {level.spec.name}: it is the turn of {draft.directory.shown(ordered[0].recipient)}{after}"
    among = [shown_address(each.recipient.name) for each in ordered]
    values = {"last": shown_address(last), "among": among}
    draft.say("turn", text, Reason("rule 19: round_robin", values=values))

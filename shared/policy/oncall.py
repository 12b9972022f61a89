"""Who is on call when, and who follows: overrides before layers, a later layer before an earlier one.

Time falls into *stretches*, in each of which the same rule names the same person or nobody; every question
is answered by walking along them, never further than a fixed number.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from shared.policy.oncall_turns import instant, local, turn_at
from shared.policy.oncall_windows import spell_at
from shared.policy.people import Layer, Schedule

OVERRIDE: Final = "override"
_LOOKED_AHEAD: Final = 100  # stretches, for who follows
_MERGED: Final = 16  # stretches, for the end of somebody's shift
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody stands in for whoever the layers name, from `begins` until `ends` (aware UTC)."""

    id: str
    user: str
    begins: datetime
    ends: datetime
    by: str = ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time in which one rule names one person (None: nobody). Times in UTC.

    `layer` is the layer's name, or `override`; '' where nothing is active. `number` is the layer's turn.
    """

    user: str | None
    begins: datetime
    ends: datetime
    layer: str = ""
    number: int = 0
    override: Override | None = None


@dataclass(frozen=True, slots=True)
class Shift:
    """What one person has at a stretch, under whatever layers and overrides; None: nobody. Times in UTC."""

    user: str | None
    begins: datetime
    ends: datetime
    layers: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who has the schedule at a moment, until when that may change, and who follows. Times in UTC.

    `user` is None when nobody has it; `reason` says why, in either case. `next_user` is the next other
    person that will have it; somebody alone follows themselves; '' when nobody follows.
    """

    user: str | None
    until: datetime
    layer: str
    next_user: str
    next_from: datetime
    reason: str
    override: Override | None = None


class TooFineError(ValueError):
    """The range holds more turns than are worth listing: ask for a shorter one."""


def on_call(schedule: Schedule, at: datetime, overrides: Sequence[Override] = ()) -> OnCall:
    """Who has the schedule at this moment (aware) and who follows; overrides come before every layer."""
    now = stretch_at(schedule, at, overrides)
    after = _follower(schedule, now, overrides)
    reason = _reason(schedule, now)
    return OnCall(now.user, now.ends, now.layer, after.user or "", after.begins, reason, now.override)


def stretch_at(schedule: Schedule, at: datetime, overrides: Sequence[Override] = ()) -> Stretch:
    """The stretch that holds this moment (aware). Overrides come by their begin and id.

    Where they overlap the one that began last counts.
    """
    found = _of_layers(schedule, at)
    if not overrides:
        return found
    begins, ends, standing = found.begins, found.ends, None
    for each in overrides:
        if each.begins > at:
            ends = min(ends, each.begins)
            break
        if at < each.ends:
            standing, begins, ends = each, each.begins, min(each.ends, ends if standing else each.ends)
        elif each.ends > begins:
            begins = each.ends
    if standing is None:
        return replace(found, begins=begins, ends=ends)
    return Stretch(standing.user, begins, ends, OVERRIDE, override=standing)


def shift_end(schedule: Schedule, at: datetime, overrides: Sequence[Override] = ()) -> datetime:
    """When whoever has the schedule now has it no longer; at the latest when it is to be asked again."""
    found = stretch_at(schedule, at, overrides)
    for _ in range(_MERGED):
        following = stretch_at(schedule, found.ends, overrides)
        if following.user != found.user:
            break
        found = following
    return found.ends


def shifts(
    schedule: Schedule,
    begins: datetime,
    ends: datetime,
    overrides: Sequence[Override] = (),
    *,
    most: int = 10_000,
) -> Iterator[Shift]:
    """All of `begins` … `ends` (aware), without gap or overlap; nobody has two in a row unless alone.

    The first and the last are cut at the range's ends. Raises TooFineError after `most` stretches.
    """
    alone = len({user for layer in schedule.layers for user in layer.rotation}) == 1
    relevant = [each for each in overrides if each.begins < ends and each.ends > begins]
    at, current, seen = begins.astimezone(UTC), None, 0
    while at < ends:
        seen += 1
        if seen > most:
            raise TooFineError(f"more than {most} turns in the range")
        found = stretch_at(schedule, at, relevant)
        over = min(found.ends, ends.astimezone(UTC))
        made = _shift(found, at, over)
        if current is not None and current.user == made.user and not (alone and made.user):
            current = _joined(current, made)
        else:
            if current is not None:
                yield current
            current = made
        at = over
    if current is not None:
        yield current


def _shift(found: Stretch, begins: datetime, ends: datetime) -> Shift:
    layers = (found.layer,) if found.layer and found.override is None else ()
    overrides = (found.override.id,) if found.override is not None else ()
    return Shift(found.user, begins, ends, layers, overrides)


def _joined(first: Shift, second: Shift) -> Shift:
    return Shift(
        first.user,
        first.begins,
        second.ends,
        tuple(dict.fromkeys((*first.layers, *second.layers))),
        tuple(dict.fromkeys((*first.overrides, *second.overrides))),
    )


def _of_layers(schedule: Schedule, at: datetime) -> Stretch:
    """What the layers say; the last one that is active counts."""
    begins, ends = _EARLIEST, datetime.max.replace(tzinfo=UTC)
    for number in range(len(schedule.layers) - 1, -1, -1):
        layer = schedule.layers[number]
        found = _of_layer(layer, layer.name or f"layer {number + 1}", schedule.timezone, at)
        begins, ends = max(begins, found.begins), min(ends, found.ends)
        if found.user is not None:
            return Stretch(found.user, begins, ends, found.layer, found.number)
    return Stretch(None, begins, ends)


def _of_layer(layer: Layer, name: str, zone: str, at: datetime) -> Stretch:
    """The layer's turn where its window is open; nobody while it is closed, or before it begins."""
    turn = turn_at(layer, zone, at)
    if turn is None:
        return Stretch(None, _EARLIEST, instant(layer.starts, zone))
    if layer.only is None:
        return Stretch(turn.user, turn.begins, turn.ends, name, turn.number)
    spell = spell_at(layer.only, zone, at)
    if not spell.is_open:
        return Stretch(None, spell.begins, spell.ends)
    begins, ends = max(turn.begins, spell.begins), min(turn.ends, spell.ends)
    return Stretch(turn.user, begins, ends, name, turn.number)


def _follower(schedule: Schedule, now: Stretch, overrides: Sequence[Override]) -> Stretch:
    """The stretch of the next other person; of the same one where nobody else is ever on call."""
    others = {user for layer in schedule.layers for user in layer.rotation}
    others.update(each.user for each in overrides if each.ends > now.ends)
    others.discard(now.user or "")
    found, same = now, None
    for _ in range(_LOOKED_AHEAD):
        found = stretch_at(schedule, found.ends, overrides)
        if found.user is not None and found.user != now.user:
            return found
        same = same or (found if found.user is not None else None)
        if same is not None and not others:
            break
    return same or Stretch(None, now.ends, now.ends)


def _reason(schedule: Schedule, now: Stretch) -> str:
    zone = schedule.timezone
    if now.override is not None:
        by = f" (an override by {now.override.by})" if now.override.by else ""
        return f"{now.user} stands in until {local(now.ends, zone)}{by}"
    if now.user is not None:
        return f"{now.user} has {now.layer} until {local(now.ends, zone)}"
    first = min(range(len(schedule.layers)), key=lambda number: schedule.layers[number].starts)
    starts = schedule.layers[first].starts
    if now.begins == _EARLIEST or now.ends <= instant(starts, zone):
        name = schedule.layers[first].name or f"layer {first + 1}"
        return f"{name} begins at {starts.isoformat(' ', 'minutes')} {zone}"
    return f"no layer is active until {local(now.ends, zone)} at the earliest"

"""Who is on call when, and who follows: overrides before layers, a later layer before an earlier one.

Of overrides the one made last counts; when it ends, the one beneath goes on. Who is not (any more) among the
people of the policy, or is absent, is passed over: then whatever lies beneath counts, and the reason says so.

Time falls into *stretches*, in each of which the same rule names the same person or nobody; every question
is answered by walking along them, never further than a fixed number.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.policy.calendars.wall_clock import instant, local
from shared.policy.model.people import Layer, Schedule
from shared.policy.oncall.layers import EARLIEST, ends_at, layer_at

OVERRIDE: Final = "override"
_LOOKED_AHEAD: Final = 100  # stretches, for who follows
_MERGED: Final = 16  # stretches, for the end of somebody's shift
_LATEST: Final = datetime.max.replace(tzinfo=UTC)
_FURTHEST: Final = timedelta(days=3660)  # who is on call no sooner than then follows nobody


@dataclass(frozen=True, slots=True)
class Override:
    """From `begins` until `ends` (aware UTC) `user` has what the layers would give to others; '': nobody has.

    With `absent` it changes only what would be that person's: it is `user`'s, or ('') goes to whoever comes
    beneath. Of several the one made last counts.
    """

    id: str
    user: str
    begins: datetime
    ends: datetime
    by: str = ""
    absent: str = ""
    made_at: datetime = EARLIEST

    @property
    def _rank(self) -> tuple[datetime, datetime, str]:
        return self.made_at, self.begins, self.id


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time in which one rule names one person (None: nobody). Times in UTC.

    `layer` is the layer's name, or `override`; '' where nothing is active. `number` is the layer's turn.
    `passed` says who was passed over and why, `absences` by which overrides.
    """

    user: str | None
    begins: datetime
    ends: datetime
    layer: str = ""
    number: int = 0
    override: Override | None = None
    passed: tuple[str, ...] = ()
    absences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shift:
    """What one person has at a stretch, under whatever layers and overrides; None: nobody. Times in UTC.

    `passed`: who was passed over meanwhile, and why.
    """

    user: str | None
    begins: datetime
    ends: datetime
    layers: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()


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
    passed: tuple[str, ...] = ()


class TooFineError(ValueError):
    """The range holds more turns than are worth listing: ask for a shorter one."""


def on_call(
    schedule: Schedule, at: datetime, overrides: Sequence[Override] = (), users: Container[str] | None = None
) -> OnCall:
    """Who has the schedule at this moment (aware) and who follows; overrides come before every layer.

    `users`: the people there are; None counts whoever is named.
    """
    stack = _stack(overrides)
    now = _stretch(schedule, at, stack, users)
    after = _follower(schedule, now, stack, users)
    reason = "; ".join((_reason(schedule, now), *now.passed))
    return OnCall(
        now.user, now.ends, now.layer, after.user or "", after.begins, reason, now.override, now.passed
    )


def stretch_at(
    schedule: Schedule, at: datetime, overrides: Sequence[Override] = (), users: Container[str] | None = None
) -> Stretch:
    """The stretch that holds this moment (aware). Where overrides overlap the one made last counts."""
    return _stretch(schedule, at, _stack(overrides), users)


def shift_end(
    schedule: Schedule, at: datetime, overrides: Sequence[Override] = (), users: Container[str] | None = None
) -> datetime:
    """When whoever has the schedule now has it no longer; at the latest when it is to be asked again."""
    stack = _stack(overrides)
    found = _stretch(schedule, at, stack, users)
    for _ in range(_MERGED):
        following = _stretch(schedule, found.ends, stack, users)
        if following.user != found.user:
            break
        found = following
    return found.ends


def shifts(
    schedule: Schedule,
    begins: datetime,
    ends: datetime,
    overrides: Sequence[Override] = (),
    users: Container[str] | None = None,
    *,
    most: int = 10_000,
) -> Iterator[Shift]:
    """All of `begins` … `ends` (aware), without gap or overlap; nobody has two in a row unless alone.

    The first and the last are cut at the range's ends. Raises TooFineError after `most` stretches.
    """
    alone = len({user for layer in schedule.layers for user in layer.rotation}) == 1
    relevant = _stack([each for each in overrides if each.begins < ends and each.ends > begins])
    at, current, seen = begins.astimezone(UTC), None, 0
    while at < ends:
        seen += 1
        if seen > most:
            raise TooFineError(f"more than {most} turns in the range")
        found = _stretch(schedule, at, relevant, users)
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
    standing = (found.override.id,) if found.override is not None else ()
    overrides = tuple(dict.fromkeys((*standing, *found.absences)))
    return Shift(found.user, begins, ends, layers, overrides, found.passed)


def _joined(first: Shift, second: Shift) -> Shift:
    return Shift(
        first.user,
        first.begins,
        second.ends,
        tuple(dict.fromkeys((*first.layers, *second.layers))),
        tuple(dict.fromkeys((*first.overrides, *second.overrides))),
        tuple(dict.fromkeys((*first.passed, *second.passed))),
    )


# --- from the top to the bottom ---------------------------------------------------------------------------


def _stack(overrides: Sequence[Override]) -> Sequence[Override]:
    """The one that counts before every other first."""
    return sorted(overrides, key=lambda each: each._rank, reverse=True) if overrides else ()  # noqa: SLF001


@dataclass(slots=True)
class _Walk:
    """One look from the last override down to the first layer, and the time in which it goes the same way."""

    zone: str
    at: datetime
    users: Container[str] | None
    begins: datetime = EARLIEST
    ends: datetime = _LATEST
    away: list[Override] = field(default_factory=list)  # absences above what is looked at, the last one first
    passed: list[str] = field(default_factory=list)
    absences: list[str] = field(default_factory=list)

    def covers(self, each: Override) -> bool:
        """Whether it holds now; the walk goes the same way until that changes."""
        if each.begins <= self.at < each.ends:
            self.within(each.begins, each.ends)
            return True
        if each.begins > self.at:
            self.ends = min(self.ends, each.begins)
        else:
            self.begins = max(self.begins, each.ends)
        return False

    def within(self, begins: datetime, ends: datetime) -> None:
        self.begins, self.ends = max(self.begins, begins), min(self.ends, ends)

    def knows(self, user: str) -> bool:
        return self.users is None or user in self.users

    def settled(self, user: str, by: str) -> tuple[str, Override | None] | None:
        """Who has it when this rule names `user`: they, or who stands in; None: what lies beneath."""
        above, absence = len(self.away), None
        while True:
            if not self.knows(user):
                self.passed.append(f"{by} names {user}, who is no user of the policy in force")
                return None
            number = next((n for n in range(above) if self._is_absent(user, self.away[n])), None)
            if number is None:
                return user, absence
            absence = self.away[number]
            until = local(absence.ends, self.zone)
            self.passed.append(f"{user}, whom {by} names, is absent until {until}{_said_by(absence)}")
            self.absences.append(absence.id)
            if not absence.user:
                return None
            user, by, above = absence.user, f"the absence of {user}", number

    def _is_absent(self, user: str, absence: Override) -> bool:
        return absence.absent == user and self.covers(absence)

    def found(
        self, user: str | None, layer: str = "", number: int = 0, override: Override | None = None
    ) -> Stretch:
        passed, absences = tuple(self.passed), tuple(self.absences)
        return Stretch(user, self.begins, self.ends, layer, number, override, passed, absences)


def _stretch(
    schedule: Schedule, at: datetime, stack: Sequence[Override], users: Container[str] | None
) -> Stretch:
    walk = _Walk(schedule.timezone, at, users)
    for each in stack:
        if each.absent:
            walk.away.append(each)
            continue
        if not walk.covers(each):
            continue
        if not each.user:
            return walk.found(None, OVERRIDE, override=each)
        standing = walk.settled(each.user, f"an override{_made_by(each)}")
        if standing is not None:
            return walk.found(standing[0], OVERRIDE, override=standing[1] or each)
    return _of_layers(schedule, walk)


def _made_by(each: Override) -> str:
    return f" by {each.by}" if each.by else ""


def _said_by(each: Override) -> str:
    return f" (says {each.by})" if each.by else ""


def _of_layers(schedule: Schedule, walk: _Walk) -> Stretch:
    """What the layers say; the last one that is active, with somebody who is there, counts."""
    for number in range(len(schedule.layers) - 1, -1, -1):
        layer = schedule.layers[number]
        found = _of_layer(layer, layer.name or f"layer {number + 1}", schedule.timezone, walk.at)
        walk.within(found.begins, found.ends)
        standing = walk.settled(found.user, found.layer) if found.user is not None else None
        if standing is not None:
            user, absence = standing
            if absence is not None:
                return walk.found(user, OVERRIDE, override=absence)
            return walk.found(user, found.layer, found.number)
    return walk.found(None)


def _of_layer(layer: Layer, name: str, zone: str, at: datetime) -> Stretch:
    found = layer_at(layer, zone, at)
    return Stretch(found.user, found.begins, found.ends, name if found.user is not None else "", found.number)


def _follower(
    schedule: Schedule, now: Stretch, stack: Sequence[Override], users: Container[str] | None
) -> Stretch:
    """The stretch of the next other person; of the same one where nobody else is ever on call."""
    others = {user for layer in schedule.layers for user in layer.rotation}
    others.update(each.user for each in stack if each.ends > now.ends)
    others -= {now.user or "", ""}
    found, same = now, None
    for _ in range(_LOOKED_AHEAD):
        found = _stretch(schedule, found.ends, stack, users)
        if found.user is not None and found.user != now.user:
            return found
        same = same or (found if found.user is not None else None)
        if (same is not None and not others) or found.ends - now.ends > _FURTHEST:
            break
    return same or Stretch(None, now.ends, now.ends)


def _reason(schedule: Schedule, now: Stretch) -> str:
    zone = schedule.timezone
    if now.override is not None:
        by = f" (an override by {now.override.by})" if now.override.by else ""
        if now.user is None:
            return f"nobody is on call until {local(now.ends, zone)}, on purpose{by}"
        whose = f" for {now.override.absent}" if now.override.absent else ""
        return f"{now.user} stands in{whose} until {local(now.ends, zone)}{by}"
    if now.user is not None:
        return f"{now.user} has {now.layer} until {local(now.ends, zone)}"
    if now.passed:
        return f"nobody else is on call until {local(now.ends, zone)} at the earliest"
    return _why_no_layer(schedule, now)


def _why_no_layer(schedule: Schedule, now: Stretch) -> str:
    zone = schedule.timezone
    first = min(range(len(schedule.layers)), key=lambda number: schedule.layers[number].starts)
    starts = schedule.layers[first].starts
    if now.begins == EARLIEST or now.ends <= instant(starts, zone):
        name = schedule.layers[first].name or f"layer {first + 1}"
        return f"{name} begins at {starts.isoformat(' ', 'minutes')} {zone}"
    last = max(ends_at(layer, zone) or _LATEST for layer in schedule.layers)
    if last <= now.begins:
        return f"every layer has ended, the last one at {local(last, zone)}"
    return f"no layer is active until {local(now.ends, zone)} at the earliest"

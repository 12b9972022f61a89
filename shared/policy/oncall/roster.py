"""The one answer to "who is on call": a schedule with everything that decides it – layers, overrides, users.

Pages, `/v1/oncall`, shifts, calendars, handoffs and `on_call()` all ask a roster, so that none of them names
somebody who has left while another one does not.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from shared.policy.model.bundle import Bundle
from shared.policy.model.people import Schedule
from shared.policy.oncall import schedules
from shared.policy.oncall.schedules import OnCall, Override, Shift, Stretch

_LOOKED_AT: Final = 2_000  # turns
EVERY: Final = ""  # instead of a schedule's name: an override that holds on every one


@dataclass(frozen=True, slots=True)
class Roster:
    """One schedule, the overrides that stand on it, and the users there are."""

    schedule: Schedule
    users: Container[str]
    overrides: Sequence[Override] = ()

    def at(self, moment: datetime) -> Stretch:
        """Who has it at this moment (aware), since when, until when, and by which rule."""
        return schedules.stretch_at(self.schedule, moment, self.overrides, self.users)

    def on_call(self, moment: datetime) -> OnCall:
        """Who has it at this moment, who follows, and why."""
        return schedules.on_call(self.schedule, moment, self.overrides, self.users)

    def shift_end(self, moment: datetime) -> datetime:
        """When whoever has it then has it no longer; at the latest when it is to be asked again."""
        return schedules.shift_end(self.schedule, moment, self.overrides, self.users)

    def shifts(self, begins: datetime, ends: datetime) -> Iterator[Shift]:
        """All of this time, without gap or overlap. Raises TooFineError for turns too short to list."""
        return schedules.shifts(self.schedule, begins, ends, self.overrides, self.users)

    def opened_by(
        self, override: str, begins: datetime, ends: datetime
    ) -> Iterator[tuple[datetime, datetime]]:
        """The times that nobody has because of this override, in UTC; of very short turns the first ones."""
        if not any(each.id == override and self._concerns(each.absent) for each in self.overrides):
            return
        at, since = begins.astimezone(UTC), None
        for _ in range(_LOOKED_AT):
            found = self.at(at)
            nobodys = found.user is None and override in found.absences
            if since is not None and not nobodys:
                yield since, at
            since = (since or at) if nobodys else None
            at = min(found.ends, ends.astimezone(UTC))
            if at >= ends:
                break
        if since is not None:
            yield since, at

    def _concerns(self, user: str) -> bool:
        """Whether anything could be theirs here."""
        named = any(user in layer.rotation for layer in self.schedule.layers)
        return named or any(each.user == user for each in self.overrides)


def roster_of(bundle: Bundle, name: str, overrides: Mapping[str, Sequence[Override]]) -> Roster | None:
    """The roster of the schedule of this name, by the overrides of each schedule; None: there is none."""
    schedule = bundle.schedules.get(name)
    if schedule is None:
        return None
    own, everywhere = overrides.get(name, ()), overrides.get(EVERY, ())
    return Roster(schedule, bundle.users, (*own, *everywhere) if everywhere else own)

"""Quiet hours: what can wait goes out when they end (docs/rules.md, rule 12).

What cannot: a loud page, one that reaches a person through a schedule, those of `finally` and `last_resort`,
the end of a page that reached somebody, and news of what its reader took within these hours: they are awake.
"""

from datetime import datetime
from typing import Final

from shared.events import IncidentSnapshot, Notice, Page
from shared.events.replies import ANSWERED
from shared.policy import Bundle
from shared.policy.calendars.open_hours import window_hours
from shared.policy.calendars.wall_clock import local
from shared.policy.model.people import User

_PAGES: Final = frozenset({"finally", "last_resort", "handoff"})
_NOTICES: Final = frozenset({"handoff", ANSWERED})


def whose(asked: Page | Notice, bundle: Bundle) -> User | None:
    """The user whose quiet hours delay this, if any do."""
    recipient = asked.recipient
    user = bundle.users.get(recipient.name) if recipient.kind == "user" else None
    if user is None or not user.quiet_hours:
        return None
    if isinstance(asked, Page):
        waits = not (asked.loud or asked.by_schedule or asked.through in _PAGES)
    else:
        waits = asked.event not in _NOTICES and not asked.paged_since
    return user if waits else None


def ends_at(user: User, asked: Page | Notice, incident: IncidentSnapshot, at: datetime) -> datetime | None:
    """When those quiet hours of this user end into which `at` falls; None: none that count here.

    Hours that never end do not count, lest what waits is never said.
    """
    counting = tuple(
        each for number, each in enumerate(user.quiet_hours or ()) if number not in asked.breaks_quiet
    )
    hours = window_hours(counting, user.timezone)
    if not counting or not hours.is_open(at):
        return None
    taken = incident.acknowledged_at if incident.assignee == asked.recipient.name else None
    if taken is not None and isinstance(asked, Notice) and taken >= hours.spell(at).begins:
        return None
    return hours.next_close(at)


def in_words(until: datetime, user: User) -> str:
    """`quiet hours until 07:00 (Europe/Prague)`."""
    return f"quiet hours until {local(until, user.timezone)}"

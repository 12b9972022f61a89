"""By which contacts somebody is notified, how long after the page, and which step starts early.

A page goes by the person's `high` rules where it is loud, otherwise by `low` (docs/rules.md, rules 2 and 7).
No rules for that loudness: every contact at once. A notice asks nothing, so there is no answer to wait for
before the next step: it goes by the first step of `low`, at once.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from services.notifier.domain.contacts import contacts_of
from services.notifier.domain.delivery import State
from shared.events import Contact, Notice, Page, Recipient
from shared.policy import Bundle
from shared.policy.model.durations import format_duration

AT_ONCE: Final = timedelta(0)
Loudness: TypeAlias = Literal["high", "low"]


@dataclass(frozen=True, slots=True)
class ContactStep:
    """One use of a contact.

    `later`: how many later moments the rules name; `rule`: what makes it wait, in words; `use`: 1 for the
    first use of this contact by these rules, 2 for the second.
    """

    contact: Contact
    after: timedelta = AT_ONCE
    later: int = 0
    rule: str = ""
    use: int = 1


def steps_of(recipient: Recipient, loudness: Loudness, bundle: Bundle) -> Sequence[ContactStep]:
    """All steps, the earliest first. Whoever is no user has no rules."""
    contacts = contacts_of(recipient, bundle)
    user = bundle.users.get(recipient.name) if recipient.kind == "user" else None
    known = {contact.name: contact for contact in contacts}
    written = enumerate(getattr(user.rules, loudness) if user is not None else ())
    rules = sorted(((rule.after, n, rule.via) for n, rule in written if rule.via in known))
    if not rules:
        return [ContactStep(contact) for contact in contacts]
    moments = sorted({after for after, _, _ in rules}, reverse=True)
    uses: Counter[str] = Counter()
    steps = []
    for after, number, via in rules:
        uses[via] += 1
        waits = f"rule {loudness}[{number}] after {format_duration(after)}" if after else ""
        steps.append(ContactStep(known[via], after, moments.index(after), waits, uses[via]))
    return steps


def steps_for(asked: Page | Notice, bundle: Bundle) -> Sequence[ContactStep]:
    """The steps by which somebody is paged, or told.

    An end notice is prepared for every contact: which of them a page reached is known when it is sent.
    """
    if isinstance(asked, Page):
        return steps_of(asked.recipient, "high" if asked.loud else "low", bundle)
    if asked.paged_since:
        return [ContactStep(contact) for contact in contacts_of(asked.recipient, bundle)]
    steps = steps_of(asked.recipient, "low", bundle)
    first = {step.contact.name: step.contact for step in steps if step.after == steps[0].after}
    return [ContactStep(contact) for contact in first.values()]


# --- when one starts early --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StepState:
    """What became of one step of a page so far. `quiet`: it waits for the end of quiet hours."""

    id: str
    page_id: str
    later: int
    state: State
    attempts: int
    next_attempt_at: datetime
    last_error: str
    endpoint: str
    quiet: bool = False

    def waits(self, now: datetime) -> bool:
        """Whether its time has not come yet."""
        return self.state == "pending" and not self.attempts and self.next_attempt_at > now

    def is_down(self, resting: Collection[str], now: datetime) -> bool:
        """Whether it has failed for good, or cannot get through for now."""
        if self.state in ("pending", "sending") and self.last_error:
            return True
        kept_back = self.state == "pending" and self.next_attempt_at <= now and self.endpoint in resting
        return self.state == "failed" or kept_back


def early(steps: Iterable[StepState], resting: Collection[str], now: datetime) -> frozenset[str]:
    """The ids of those that start now instead of later: the next ones of each page that gets through nowhere.

    `resting`: endpoints that are sent nothing, as they keep failing. What was called off does not count.
    """
    pages: dict[str, list[StepState]] = {}
    for step in steps:
        if step.state != "cancelled":
            pages.setdefault(step.page_id, []).append(step)
    found: set[str] = set()
    for page in pages.values():
        waiting = [step for step in page if step.waits(now) and not step.quiet]
        place = max((step.later for step in waiting), default=0)
        before = [step for step in page if step.later > place]
        if waiting and before and all(step.is_down(resting, now) for step in before):
            found.update(step.id for step in waiting if step.later == place)
    return frozenset(found)

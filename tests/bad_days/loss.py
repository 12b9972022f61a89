"""Was anything lost, opened twice or paged twice? What clients were told, against database and sink.

Pure: it is handed three lists and returns findings, each with its verdict and the thing it is about. The
tests that end processes gather the lists; `test_loss.py` plants every fault and looks for its verdict.
"""

import enum
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Outcome: TypeAlias = Literal["accepted", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One POST of a trigger and what the client was told.

    accepted: 202. refused: a 4xx, so it must not appear. unknown: a broken connection, a timeout or a 5xx, so
    it may appear or not; the client tries again until it is told something definite.
    """

    key: str  # the dedup key
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class HeldIncident:
    """An incident as the database holds it."""

    id: str
    key: str


@dataclass(frozen=True, slots=True)
class HeldDelivery:
    """A delivery row of a page. `state` is pending, sending, sent, delivered, failed or cancelled."""

    id: str
    page: str
    incident: str
    recipient: str
    state: str


@dataclass(frozen=True, slots=True)
class HeldLetter:
    """A dead letter, by the record key it had: `integration:dedup_key`."""

    record_key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Held:
    """What the database holds, once everything is quiet."""

    incidents: Sequence[HeldIncident]
    deliveries: Sequence[HeldDelivery] = ()
    letters: Sequence[HeldLetter] = ()


@dataclass(frozen=True, slots=True)
class Arrival:
    """One page that a recipient's endpoint received and answered with 2xx."""

    webhook_id: str
    page: str
    incident: str
    recipient: str
    level: str


class Verdict(enum.Enum):
    """What is wrong. Every one of them is a failure."""

    FORGOTTEN = "accepted, but there is no incident"
    SET_ASIDE = "accepted, but it lies in the dead letters"
    OPENED_TWICE = "one key has two incidents"
    UNASKED = "an incident for something that was refused or never posted"
    PAGE_LOST = "an incident whose page never reached the sink"
    SENT_ONLY_IN_ROWS = "a delivery row says sent, the sink never saw it"
    UNSENT = "a delivery is still waiting although everything is quiet"
    PAGE_DOUBLED = "one page went out as two deliveries"
    PAGED_TWICE = "one person was paged by two pages for one level of one incident"
    PAGED_FOR_NOTHING = "a page about an incident that the database does not hold"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong: the verdict, and the key, incident or page that it is about."""

    verdict: Verdict
    about: str

    def __str__(self) -> str:
        return f"{self.verdict.name.lower()} ({self.verdict.value}): {self.about}"


@dataclass(frozen=True, slots=True)
class Account:
    """The outcome of a comparison. `redelivered` counts repeats with one webhook-id: a nuisance, permitted."""

    findings: Sequence[Finding]
    accepted: int
    incidents: int
    pages: int
    redelivered: int

    @property
    def clean(self) -> bool:
        return not self.findings

    def __str__(self) -> str:
        head = (
            f"{self.accepted} accepted, {self.incidents} incidents, {self.pages} pages at the sink, "
            f"{self.redelivered} redelivered, {len(self.findings)} findings"
        )
        tally = Counter(finding.verdict.name for finding in self.findings)
        return "\n".join(
            [head, *(f"  {n} × {name}" for name, n in tally.items()), *map(_line, self.findings[:20])]
        )


def _line(finding: Finding) -> str:
    return f"  - {finding}"


def compare(
    told: Sequence[Attempt],
    held: Held,
    received: Sequence[Arrival],
    *,
    recipients_per_incident: int = 1,
    repeating_levels: frozenset[str] = frozenset({"finally"}),
) -> Account:
    """Everything that is wrong, in the order of Verdict.

    Every incident is expected to have paged at least `recipients_per_incident` different recipients. In
    `repeating_levels` a person is rightly paged again by a new page.
    """
    accepted = {attempt.key for attempt in told if attempt.outcome == "accepted"}
    findings = [
        *_of_posts(accepted, told, held),
        *_of_pages(held, received, recipients_per_incident),
        *_of_doubles(held, received, repeating_levels),
    ]
    ids = {arrival.webhook_id for arrival in received}
    return Account(
        findings=findings,
        accepted=len(accepted),
        incidents=len(held.incidents),
        pages=len({arrival.page for arrival in received}),
        redelivered=len(received) - len(ids),
    )


def _of_posts(accepted: set[str], told: Sequence[Attempt], held: Held) -> Iterable[Finding]:
    by_key = Counter(incident.key for incident in held.incidents)
    set_aside = {letter.record_key.partition(":")[2] for letter in held.letters}
    possible = accepted | {attempt.key for attempt in told if attempt.outcome == "unknown"}
    for key in sorted(accepted - by_key.keys()):
        yield Finding(Verdict.SET_ASIDE if key in set_aside else Verdict.FORGOTTEN, key)
    for key in sorted(by_key):
        if by_key[key] > 1:
            yield Finding(Verdict.OPENED_TWICE, key)
        if key not in possible:
            yield Finding(Verdict.UNASKED, key)


def _of_pages(held: Held, received: Sequence[Arrival], expected: int) -> Iterable[Finding]:
    reached: dict[str, set[str]] = defaultdict(set)
    for arrival in received:
        reached[arrival.incident].add(arrival.recipient)
    for incident in held.incidents:
        if len(reached[incident.id]) < expected:
            yield Finding(Verdict.PAGE_LOST, f"{incident.key} ({incident.id})")
    seen = {arrival.webhook_id for arrival in received}
    for delivery in held.deliveries:
        if delivery.state in {"sent", "delivered"} and delivery.id not in seen:
            yield Finding(Verdict.SENT_ONLY_IN_ROWS, f"delivery {delivery.id} of page {delivery.page}")
        if delivery.state in {"pending", "sending"}:
            yield Finding(Verdict.UNSENT, f"delivery {delivery.id} of page {delivery.page}")


def _of_doubles(
    held: Held, received: Sequence[Arrival], repeating_levels: frozenset[str]
) -> Iterable[Finding]:
    known = {incident.id for incident in held.incidents}
    deliveries: dict[tuple[str, str], set[str]] = defaultdict(set)
    pages: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for arrival in received:
        deliveries[arrival.page, arrival.recipient].add(arrival.webhook_id)
        if arrival.level not in repeating_levels:
            pages[arrival.incident, arrival.recipient, arrival.level].add(arrival.page)
    for (page, recipient), ids in deliveries.items():
        if len(ids) > 1:
            yield Finding(Verdict.PAGE_DOUBLED, f"page {page} to {recipient}: {', '.join(sorted(ids))}")
    for (incident, recipient, level), ids in pages.items():
        if len(ids) > 1:
            yield Finding(
                Verdict.PAGED_TWICE, f"{recipient}, {level} of {incident}: {', '.join(sorted(ids))}"
            )
    for incident in sorted({arrival.incident for arrival in received} - known):
        yield Finding(Verdict.PAGED_FOR_NOTHING, incident)

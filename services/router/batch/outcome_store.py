"""What reports are made from, written with the decision: changed outcomes, stays that began or ended."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from services.router.domain.model.decision import Decision
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import Signal
from services.router.domain.reporting.report_facts import (
    BREACHED,
    TARGETS,
    Ended,
    Outcome,
    after,
    outcome,
    stay_change,
)

_MOST_PAGES: Final = 32767
_EVER_BREACHED: Final = ((1 << len(TARGETS)) - 1) << BREACHED


@dataclass(slots=True)
class Begun:
    """A stay that began in this batch, and may have ended in it, too."""

    incident: Incident
    at: datetime
    pages: int
    ended: Ended | None = None
    stay_seconds: int | None = None
    stay_ms: int = 0


@dataclass(slots=True)
class GoneOn:
    """What happened to a stored stay: more pages, perhaps its end."""

    incident: Incident
    pages: int = 0
    ended: Ended | None = None
    at: datetime | None = None


@dataclass(slots=True)
class Stays:
    """The stays at levels that a batch's decisions began, continued or ended."""

    begun: list[Begun] = field(default_factory=list)
    gone_on: dict[str, GoneOn] = field(default_factory=dict)  # by incident, which has one open stay at most
    _here: dict[str, Begun] = field(default_factory=dict)

    def record(self, before: Incident | None, decision: Decision, signal: Signal | None) -> None:
        """Record one decision; `before` is the incident it was made on."""
        made, incident = stay_change(before, decision, signal), decision.incident
        assert incident is not None, "only a decision that changes an incident is recorded"
        now = incident.decided_at
        if made.ended is not None:
            self._end(incident, made.ended, now)
        if made.begins:
            begun = Begun(incident, now, made.pages)
            self.begun.append(begun)
            self._here[incident.id] = begun
        elif made.pages:
            self._count(incident, made.pages)

    def _end(self, incident: Incident, ended: Ended, now: datetime) -> None:
        here = self._here.pop(incident.id, None)
        if here is not None:
            here.ended = ended
            here.stay_seconds, here.stay_ms = after(here.at, now)
            return
        stored = self.gone_on.setdefault(incident.id, GoneOn(incident))
        stored.incident, stored.ended, stored.at = incident, ended, now

    def _count(self, incident: Incident, pages: int) -> None:
        here = self._here.get(incident.id) or self.gone_on.setdefault(incident.id, GoneOn(incident))
        here.pages += pages


def columns(
    written: Iterable[tuple[Incident | None, Incident]], stays: Stays, level_of: Callable[[Incident], str]
) -> Mapping[str, Mapping[str, object]]:
    """The parameters of the `PARTS` that the batch needs. `written`: each incident before and after."""
    made: dict[str, Mapping[str, object]] = {}
    if changed := _changed(written):
        made["outcomes"] = _outcome_columns(changed)
    if stays.gone_on:
        made["stays_gone_on"] = _gone_on_columns(list(stays.gone_on.values()))
    if stays.begun:
        made["stays_begun"] = _begun_columns(stays.begun, level_of)
    return made


def _changed(written: Iterable[tuple[Incident | None, Incident]]) -> list[tuple[Incident, Outcome]]:
    made = []
    for before, incident in written:
        now = outcome(incident)
        if before is None or outcome(before) != now:
            made.append((incident, now))
    return made


_OUTCOME: Final = {
    "taken_after": "integer",
    "taken_ms": "smallint",
    "machine_first": "boolean",
    "person_after": "integer",
    "person_ms": "smallint",
    "solved_after": "integer",
    "solved_ms": "smallint",
    "promises": "integer",
    "flags": "smallint",
    "reopened": "integer",
    "rating": "smallint",
    "priority": "smallint",
    "tier": "text",
    "service": "text",
    "customer": "text",
    "policy": "text",
}
# Of the first time: what is stored stays, with its milliseconds and whose it was.
_FIRST: Final = {
    "taken_after": ("taken_after", "taken_ms", "machine_first"),
    "person_after": ("person_after", "person_ms"),
}
_NAMES: Final = ("tier", "service", "customer")


def _outcome_columns(changed: list[tuple[Incident, Outcome]]) -> Mapping[str, object]:
    given: dict[str, object] = {
        "outcome_id": [incident.id for incident, _ in changed],
        "outcome_opened_at": [incident.opened_at for incident, _ in changed],
    }
    for name in _OUTCOME:
        given[f"outcome_{name}"] = [getattr(each, name) for _, each in changed]
    return given


def _gone_on_columns(gone_on: list[GoneOn]) -> Mapping[str, object]:
    given: dict[str, object] = {
        "stayed_id": [each.incident.id for each in gone_on],
        "stayed_pages": [each.pages for each in gone_on],
        "stayed_ended": [each.ended for each in gone_on],
        "stayed_at": [each.at for each in gone_on],
        "stayed_priority": [each.incident.priority for each in gone_on],
    }
    for name in _NAMES:
        given[f"stayed_{name}"] = [getattr(each.incident, name) for each in gone_on]
    return given


def _begun_columns(begun: list[Begun], level_of: Callable[[Incident], str]) -> Mapping[str, object]:
    given: dict[str, object] = {
        "stay_id": [each.incident.id for each in begun],
        "stay_opened_at": [each.incident.opened_at for each in begun],
        "stay_entered_at": [each.at for each in begun],
        "stay_held": [each.stay_seconds for each in begun],
        "stay_held_ms": [each.stay_ms for each in begun],
        "stay_ended": [each.ended for each in begun],
        "stay_pages": [min(each.pages, _MOST_PAGES) for each in begun],
        "stay_priority": [each.incident.priority for each in begun],
        "stay_policy": [each.incident.chain.policy for each in begun],
        "stay_level": [level_of(each.incident) for each in begun],
    }
    for name in _NAMES:
        given[f"stay_{name}"] = [getattr(each.incident, name) for each in begun]
    return given


def _outcomes() -> str:
    arrays = ", ".join(f"CAST(:outcome_{name} AS {kind}[])" for name, kind in _OUTCOME.items())
    names = ", ".join(_OUTCOME)
    first = [(name, known) for known, kept in _FIRST.items() for name in kept]
    stays = {"promises", *(name for name, _ in first)}
    updates = ", ".join(f"{name} = excluded.{name}" for name in _OUTCOME if name not in stays)
    kept = ", ".join(
        f"{name} = CASE WHEN o.{known} IS NULL THEN excluded.{name} ELSE o.{name} END"
        for name, known in first
    )
    # The first time that it was taken stays; so does a broken promise, and that it was made.
    return f"""
        INSERT INTO router.outcome AS o (incident_id, opened_at, {names})
        SELECT * FROM unnest(CAST(:outcome_id AS uuid[]), CAST(:outcome_opened_at AS timestamptz[]), {arrays})
        ON CONFLICT (incident_id) DO UPDATE SET {updates}, {kept},
            promises = excluded.promises | (o.promises & {_EVER_BREACHED})
                | ((o.promises & {_EVER_BREACHED}) >> {BREACHED})
    """


# Indexes outcome_pkey and stay_open.
PARTS: Final[Mapping[str, str]] = {
    "outcomes": _outcomes(),
    "stays_gone_on": f"""
        UPDATE router.stay AS s SET
            pages = LEAST(s.pages + given.pages, {_MOST_PAGES}),
            ended = given.ended,
            held = CAST(floor(EXTRACT(epoch FROM given.at - s.entered_at)) AS integer),
            held_ms = CAST(
                COALESCE(floor(EXTRACT(epoch FROM given.at - s.entered_at) * 1000) % 1000, 0) AS smallint
            ),
            priority = given.priority, tier = given.tier, service = given.service, customer = given.customer
        FROM unnest(CAST(:stayed_id AS uuid[]), CAST(:stayed_pages AS integer[]),
                    CAST(:stayed_ended AS smallint[]), CAST(:stayed_at AS timestamptz[]),
                    CAST(:stayed_priority AS smallint[]), CAST(:stayed_tier AS text[]),
                    CAST(:stayed_service AS text[]), CAST(:stayed_customer AS text[]))
             AS given (incident_id, pages, ended, at, priority, tier, service, customer)
        WHERE s.incident_id = given.incident_id AND s.ended IS NULL
    """,
    "stays_begun": """
        INSERT INTO router.stay (incident_id, opened_at, entered_at, held, held_ms, ended, pages, priority,
                                 tier, service, customer, policy, level)
        SELECT * FROM unnest(
            CAST(:stay_id AS uuid[]), CAST(:stay_opened_at AS timestamptz[]),
            CAST(:stay_entered_at AS timestamptz[]), CAST(:stay_held AS integer[]),
            CAST(:stay_held_ms AS smallint[]),
            CAST(:stay_ended AS smallint[]), CAST(:stay_pages AS smallint[]),
            CAST(:stay_priority AS smallint[]), CAST(:stay_tier AS text[]),
            CAST(:stay_service AS text[]), CAST(:stay_customer AS text[]), CAST(:stay_policy AS text[]),
            CAST(:stay_level AS text[]))
    """,
}

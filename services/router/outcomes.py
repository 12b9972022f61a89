"""What reports are made of, written with the decision: outcomes that changed, stays that began or ended."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from services.router.domain.decision import Decision
from services.router.domain.incident import Incident
from services.router.domain.outcomes import BREACHED, TARGETS, Ended, Outcome, outcome, step
from services.router.domain.signals import Signal

_MOST_PAGES: Final = 32767
_EVER_BREACHED: Final = ((1 << len(TARGETS)) - 1) << BREACHED


@dataclass(slots=True)
class Begun:
    """A stay that began in this batch; it may have ended in it, too."""

    incident: Incident
    at: datetime
    pages: int
    ended: Ended | None = None
    held: int | None = None


@dataclass(slots=True)
class GoneOn:
    """What happened to a stay that is stored: more pages, perhaps its end."""

    incident: Incident
    pages: int = 0
    ended: Ended | None = None
    at: datetime | None = None


@dataclass(slots=True)
class Stays:
    """The stays at levels that one batch's decisions began, went on with or ended."""

    begun: list[Begun] = field(default_factory=list)
    gone_on: dict[str, GoneOn] = field(default_factory=dict)  # by incident: it has one open stay at most
    _here: dict[str, Begun] = field(default_factory=dict)

    def follow(self, before: Incident | None, decision: Decision, signal: Signal | None) -> None:
        """Take in one decision; `before` is what it was made about."""
        made, after = step(before, decision, signal), decision.incident
        assert after is not None, "only a decision that changes an incident is followed"
        now = after.decided_at
        if made.ended is not None:
            self._end(after, made.ended, now)
        if made.begins:
            begun = Begun(after, now, made.pages)
            self.begun.append(begun)
            self._here[after.id] = begun
        elif made.pages:
            self._count(after, made.pages)

    def _end(self, after: Incident, ended: Ended, now: datetime) -> None:
        here = self._here.pop(after.id, None)
        if here is not None:
            here.ended, here.held = ended, int((now - here.at) // timedelta(seconds=1))
            return
        stored = self.gone_on.setdefault(after.id, GoneOn(after))
        stored.incident, stored.ended, stored.at = after, ended, now

    def _count(self, after: Incident, pages: int) -> None:
        here = self._here.get(after.id) or self.gone_on.setdefault(after.id, GoneOn(after))
        here.pages += pages


def columns(
    written: Iterable[tuple[Incident | None, Incident]], stays: Stays, level_of: Callable[[Incident], str]
) -> Mapping[str, dict[str, Any]]:
    """The parts of `PARTS` that the batch needs, with arrays. `written`: each as stored, and as it is."""
    made: dict[str, dict[str, Any]] = {}
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
    "solved_after": "integer",
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
_NAMES: Final = ("tier", "service", "customer")


def _outcome_columns(changed: list[tuple[Incident, Outcome]]) -> dict[str, Any]:
    given: dict[str, Any] = {
        "outcome_id": [incident.id for incident, _ in changed],
        "outcome_opened_at": [incident.opened_at for incident, _ in changed],
    }
    for name in _OUTCOME:
        given[f"outcome_{name}"] = [getattr(each, name) for _, each in changed]
    return given


def _gone_on_columns(gone_on: list[GoneOn]) -> dict[str, Any]:
    given: dict[str, Any] = {
        "stayed_id": [each.incident.id for each in gone_on],
        "stayed_pages": [each.pages for each in gone_on],
        "stayed_ended": [each.ended for each in gone_on],
        "stayed_at": [each.at for each in gone_on],
        "stayed_priority": [each.incident.priority for each in gone_on],
    }
    for name in _NAMES:
        given[f"stayed_{name}"] = [getattr(each.incident, name) for each in gone_on]
    return given


def _begun_columns(begun: list[Begun], level_of: Callable[[Incident], str]) -> dict[str, Any]:
    given: dict[str, Any] = {
        "stay_id": [each.incident.id for each in begun],
        "stay_opened_at": [each.incident.opened_at for each in begun],
        "stay_entered_at": [each.at for each in begun],
        "stay_held": [each.held for each in begun],
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
    updates = ", ".join(
        f"{name} = excluded.{name}" for name in _OUTCOME if name not in {"taken_after", "promises"}
    )
    # The first time that it was taken stays; so does a broken promise, and that it was made.
    return f"""
        INSERT INTO router.outcome AS o (incident_id, opened_at, {names})
        SELECT * FROM unnest(CAST(:outcome_id AS uuid[]), CAST(:outcome_opened_at AS timestamptz[]), {arrays})
        ON CONFLICT (incident_id) DO UPDATE SET {updates},
            taken_after = COALESCE(o.taken_after, excluded.taken_after),
            promises = excluded.promises | (o.promises & {_EVER_BREACHED})
                | ((o.promises & {_EVER_BREACHED}) >> {BREACHED})
    """


PARTS: Final[Mapping[str, str]] = {
    "outcomes": _outcomes(),
    "stays_gone_on": f"""
        UPDATE router.stay AS s SET
            pages = LEAST(s.pages + given.pages, {_MOST_PAGES}),
            ended = given.ended,
            held = CAST(EXTRACT(epoch FROM given.at - s.entered_at) AS integer),
            priority = given.priority, tier = given.tier, service = given.service, customer = given.customer
        FROM unnest(CAST(:stayed_id AS uuid[]), CAST(:stayed_pages AS integer[]),
                    CAST(:stayed_ended AS smallint[]), CAST(:stayed_at AS timestamptz[]),
                    CAST(:stayed_priority AS smallint[]), CAST(:stayed_tier AS text[]),
                    CAST(:stayed_service AS text[]), CAST(:stayed_customer AS text[]))
             AS given (incident_id, pages, ended, at, priority, tier, service, customer)
        WHERE s.incident_id = given.incident_id AND s.ended IS NULL
    """,
    "stays_begun": """
        INSERT INTO router.stay (incident_id, opened_at, entered_at, held, ended, pages, priority,
                                 tier, service, customer, policy, level)
        SELECT * FROM unnest(
            CAST(:stay_id AS uuid[]), CAST(:stay_opened_at AS timestamptz[]),
            CAST(:stay_entered_at AS timestamptz[]), CAST(:stay_held AS integer[]),
            CAST(:stay_ended AS smallint[]), CAST(:stay_pages AS smallint[]),
            CAST(:stay_priority AS smallint[]), CAST(:stay_tier AS text[]),
            CAST(:stay_service AS text[]), CAST(:stay_customer AS text[]), CAST(:stay_policy AS text[]),
            CAST(:stay_level AS text[]))
    """,
}

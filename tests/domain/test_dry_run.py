"""Trying events: the decisions of production, and nothing of them kept."""

from datetime import UTC, datetime

import msgspec

from services.router.domain.decide import decide
from services.router.domain.dry_run import MOST_DECIDED, tried_at_once
from services.router.domain.model.compiled_bundle import compile_sized
from services.router.domain.model.context import Context
from services.router.domain.model.signals import EventReceived
from shared.events import IncidentEvent
from shared.policy import Bundle

NIGHT = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)
LEVEL = {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m"}
BUNDLE = Bundle.model_validate(
    {
        "version": 1,
        "last_resort": ["user:ana"],
        "users": {"ana": {"name": "Ana", "timezone": "UTC"}, "bob": {"name": "Bob", "timezone": "UTC"}},
        "calendars": {
            "office": {"timezone": "UTC", "hours": [{"days": "mon-fri", "from": "09:00", "to": "17:00"}]}
        },
        "policies": {
            "day": {
                "levels": [LEVEL | {"hold_until": "office"}],
                "finally": {"notify": ["user:ana"], "every": "1h"},
            },
            "turns": {
                "levels": [LEVEL | {"notify": ["user:ana", "user:bob"], "mode": "round_robin"}],
                "finally": {"notify": ["user:ana"], "every": "1h"},
            },
        },
        "routes": [{"when": "kind == 'turns'", "policy": "turns"}, {"policy": "day"}],
    }
)
AROUND = Context(live=compile_sized(BUNDLE)[0])


def event(key: str = "k", **said) -> IncidentEvent:
    about = {"event_id": f"e-{key}", "integration": "crm", "dedup_key": key, "received_at": NIGHT}
    return IncidentEvent(**about, title="Down", **said)


def test_what_is_held_until_office_hours_pages_then():
    (found,) = tried_at_once([event()], AROUND, NIGHT)
    (first,) = found.first
    assert (first.name, first.at) == ("Ana", datetime(2026, 1, 5, 9, 0, tzinfo=UTC))
    assert found.route is not None
    assert found.route.rule == "routes[1]"


def test_it_decides_what_a_real_event_decides():
    (found,) = tried_at_once([event()], AROUND, NIGHT)
    real = decide(None, EventReceived(event()), AROUND, AROUND.live, NIGHT)
    assert real.message is not None
    assert (found.incident, found.entries) == (real.message.incident, real.entries)


def test_turns_go_on_from_event_to_event_of_one_post():
    found = tried_at_once([event("a", kind="turns"), event("b", kind="turns")], AROUND, NIGHT)
    assert [each.first[0].name for each in found] == ["Ana", "Bob"]


def test_a_second_event_of_a_key_meets_the_incident_of_the_first():
    resolve = msgspec.structs.replace(event(), event_id="later", action="resolve")
    opened, resolved = tried_at_once([event(), resolve], AROUND, NIGHT)
    assert opened.what == "it opens an incident"
    assert (resolved.what, resolved.incident.status) == ("resolved by its sender", "resolved")


def test_of_a_thousand_events_the_first_are_decided():
    assert len(tried_at_once([event(str(n)) for n in range(1000)], AROUND, NIGHT)) == MOST_DECIDED

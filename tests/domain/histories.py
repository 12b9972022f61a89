"""Random organisations and what happens to them: strategies for bundles and for histories of one key."""

import json
from datetime import timedelta
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st

from services.router.domain.model.compiled_bundle import CompiledBundle
from services.router.domain.model.context import NOTHING_CHANGED, Overlay
from shared.policy.oncall.schedules import Override
from tests.domain.tale import START, bundle, compiled

SECRET = "INTERNAL-REMARK"  # in every note: no outsider may ever read it
CLOCKED = ["acknowledge", "respond", "update", "resolve", "close"]
_TARGETS: Any = st.sampled_from(
    [
        "user:ana",
        "user:petra",
        "team:desk",
        "team:room",
        "owner",
        "assignee",
        "customer",
        "schedule:week",
        "next:week",
        "user:gone",
        {"manager_of": "assignee"},
        {"manager_of": "user:ana"},
        {"lead_of": "service"},
        {"webhook": "https://hooks.example/secret-path"},
    ]
)
_SOMEBODY: Any = st.lists(_TARGETS, min_size=1, max_size=2)
_HANDLES = st.sampled_from(
    [
        None,
        None,
        None,
        "priority >= 3",
        "priority <= 2",
        "attributes.size < 3.0",
        "round >= 2",
        "kind == 'incident'",
        "tier == 'gold' || waiting_for == ''",
        "on_call('week') == 'ana'",
    ]
)
_WHEN = st.sampled_from(
    [
        "events >= 2",
        "acknowledged",
        "!acknowledged && priority == 1",
        "waiting_for == 'customer'",
        "attributes.size > 2.0",
        "level == 'finally'",
        "level == 'l1' || round == 2",
        "reopened >= 1",
        "assignee == 'ana'",
        "status == 'triggered'",
    ]
)
_CALENDARS: Any = {
    "office": {
        "timezone": "Europe/Prague",
        "hours": [{"days": "mon-fri", "from": "08:00", "to": "18:00"}],
        "holidays": {
            "country": "CZ",
            "add": ["2026-01-08"],
            "hours": {"01-09": {"from": "06:00", "to": "12:00"}},
        },
    },
    "nights": {
        "timezone": "America/New_York",
        "hours": [{"days": "mon-sun", "from": "20:00", "to": "04:00"}],
    },
}
_CALENDAR_NAMES = st.sampled_from(["always", "always", "office", "nights"])
_DO: Any = st.lists(
    st.one_of(
        st.builds(lambda who: {"notify": who}, _SOMEBODY),
        st.builds(lambda who: {"inform": who}, _SOMEBODY),
        st.sampled_from(
            [
                {"escalate": {"policy": "main"}, "because": "authority"},
                {"escalate": {"policy": "money"}},
                {"escalate": {"level": "l0"}},
                {"set": {"priority": 1}},
                {"set": {"priority": 4, "attributes": {"size": 9}}},
                {"set": {"attributes": {"size": 1}}},
                {"assign": "user:petra"},
                {"assign": "schedule:week"},
                {"update": "We are working on it."},
                {"call": "restart"},
            ]
        ),
    ),
    min_size=1,
    max_size=2,
)


@st.composite
def _points(draw: Any) -> list[dict[str, Any]]:
    made = []
    for number in range(draw(st.integers(0, 3))):
        point: dict[str, Any] = {"name": f"p{number}", "do": draw(_DO)}
        if draw(st.booleans()):
            share = draw(st.sampled_from(["20%", "50%", "100%", "150%"]))
            point["at"] = f"{share} of {draw(st.sampled_from(CLOCKED))}"
        else:
            point["when"] = draw(_WHEN)
            for name, lengths in (("held_for", ["10m", "2h"]), ("repeat", ["30m", "3h"])):
                if draw(st.booleans()):
                    point[name] = draw(st.sampled_from(lengths))
        made.append(point)
    return made


@st.composite
def _ladders(draw: Any) -> dict[str, Any]:
    levels = []
    for number in range(draw(st.integers(1, 3))):
        level: dict[str, Any] = {"name": f"l{number}", "notify": draw(_SOMEBODY)}
        level["acknowledge_within"] = draw(st.sampled_from(["1m", "5m", "1h"]))
        handles, solve = draw(_HANDLES), draw(st.sampled_from([None, None, "10m", "2h"]))
        level |= {"handles": handles} if handles else {}
        level |= {"solve_within": solve} if solve else {}
        mode = draw(st.sampled_from(["all", "all", "round_robin", {"one_by_one": "2m"}]))
        held = draw(st.sampled_from([None, None, None, "office", "nights"]))
        level |= {"mode": mode} | ({"hold_until": held} if held else {})
        levels.append(level)
    grace = draw(st.sampled_from([None, None, {"wait": "2m"}, {"wait": "10m", "call": "restart"}]))
    closing = draw(st.sampled_from([None, None, {"confirmed_by": "customer", "after": "3h"}]))
    final = draw(st.sampled_from([[], ["owner"], ["user:karel"], ["user:gone"]]))
    waits = draw(st.sampled_from([{}, {}, {"hold_until": "office"}, {"hold_until": "nights"}]))
    return {
        "levels": levels,
        "rounds": draw(st.integers(1, 3)),
        "finally": {"notify": final, "every": draw(st.sampled_from(["10m", "1h"]))} | waits,
        "points": draw(_points()),
        "reopen_within": draw(st.sampled_from(["0s", "30m", "1d"])),
        "forgotten_after": draw(st.sampled_from(["45m", "1d"])),
        **({"grace": grace} if grace else {}),
        **({"close": closing} if closing else {}),
    }


@st.composite
def _slas(draw: Any) -> list[dict[str, Any]]:
    made = []
    for number in range(draw(st.integers(0, 3))):
        sla: dict[str, Any] = {"name": f"sla{number}"}
        sla["when"] = draw(st.sampled_from(["true", "priority <= 2", "tier == 'gold'", "events >= 3"]))
        sla["calendar"] = draw(_CALENDAR_NAMES)
        for target in CLOCKED:
            if draw(st.booleans()):
                lengths = ["5m", "20m", "1h", "4h", "1d"]
                # a silence is noticed each time: short ones would fill the history
                sla[target] = draw(st.sampled_from(lengths[2:] if target == "update" else lengths))
                by = draw(st.sampled_from(["", "", "person", "anybody"])) if target in CLOCKED[:3] else ""
                sla[target] = {"within": sla[target], "by": by} if by else sla[target]
        sla["pause_while"] = draw(st.sampled_from([[], ["customer"], ["customer", "vendor"]]))
        sla["warn_at"] = draw(st.sampled_from([[], ["50%"], ["50%", "80%"]]))
        made.append(sla)
    return made


_GROUPS: Any = [{"name": "same kind", "when": "kind == 'money'", "by": ["kind"], "within": "1h"}]
_WINDOW: Any = [
    {
        "name": "night work",
        "when": "priority >= 2",
        "window": {"days": "mon-sun", "from": "03:00", "to": "05:30", "timezone": "UTC"},
        "then": "page",
    },
    {
        "name": "dropped",
        "when": "severity == 'info'",
        "window": [{"days": "mon-sun", "from": "12:00", "to": "13:00", "timezone": "UTC"}],
        "then": "drop",
    },
]
_NIGHT_WORK: Any = [{"name": "nights", "when": "priority >= 3", "window": {"calendar": "nights"}}]
_SILENCES: Any = st.sampled_from(
    [None, None, {"silent_after": "2h", "then": "ask"}, {"silent_after": "90m", "then": "resolve"}]
)
_CAUSE: Any = [{"name": "explained", "when": "kind == 'incident'", "while_open": "kind == 'money'"}]


@st.composite
def _sections(draw: Any) -> str:
    """A bundle's sections as JSON, so that equal ones are compiled once."""
    week = {"rotation": ["ana", "petra"], "shift": "1d", "starts": "2026-01-05T08:00"}
    nights = {
        "rotation": ["karel"],
        "shift": "1d",
        "starts": "2026-01-05T20:00",
        "only": [{"days": "mon-fri", "from": "20:00", "to": "08:00"}, {"days": "sat"}],
        "count": "open",
        "ends": "2026-01-08T06:00",
    }
    layers = draw(st.sampled_from([[week], [week, nights], [nights]]))
    handoff = draw(st.sampled_from(["inform", "page", "none"]))
    subscription = {
        "who": [*draw(_SOMEBODY), "customer"],
        "when": draw(st.sampled_from(["true", "tier == 'gold'", "priority == 1"])),
        "events": ["opened", "escalated", "update", "at_risk", "breached", "taken", "resolved", "closed"],
    }
    silence = draw(_SILENCES)
    sender = {"kind": "native", "keys": [{"sha256": "0" * 64}], **(silence or {})}
    priorities = [{"when": "events >= 3", "priority": 2}, {"when": "attributes.size > 4.0", "priority": 1}]
    return json.dumps(
        {
            "policies": {"main": draw(_ladders()), "money": draw(_ladders())},
            "slas": draw(_slas()),
            "integrations": {"test": sender},
            "schedules": {"week": {"timezone": "Europe/Prague", "layers": layers, "handoff": handoff}},
            "calendars": _CALENDARS,
            "calls": {"restart": {"webhook": "https://automation.example/secret-path"}},
            "grouping": draw(st.sampled_from([[], [], _GROUPS])),
            "suppress": draw(st.sampled_from([[], [], _WINDOW, _NIGHT_WORK, _CAUSE])),
            "teams": {
                "desk": {
                    "members": ["ana", "petra"],
                    "lead": "petra",
                    "contacts": {"room": {"inbox": "desk"}},
                },
                "room": {"contacts": {"room": {"inbox": "room"}}},
            },
            "priorities": draw(st.sampled_from([[], priorities])),
            "loud": draw(st.sampled_from([None, "priority <= 2"])),
            "subscriptions": [subscription] if draw(st.booleans()) else [],
            "routes": draw(
                st.sampled_from(
                    [
                        [{"policy": "main"}],
                        [{"policy": "money", "when": "kind == 'money'"}, {"policy": "main"}],
                        [{"policy": "main", "start_at": "l0"}],
                    ]
                )
            ),
        }
    )


@lru_cache(maxsize=500)
def organisation(sections: str) -> CompiledBundle:
    return compiled(
        bundle(**{name: value for name, value in json.loads(sections).items() if value is not None})
    )


organisations = _sections()

fields: Any = st.fixed_dictionaries(
    {},
    optional={
        "severity": st.sampled_from(["critical", "error", "warning", "info"]),
        "attributes": st.sampled_from([{"size": 1}, {"size": 3.5}, {"size": 9}, {"other": "x"}]),
        "waiting_for": st.sampled_from(["customer", "vendor", ""]),
        "customer": st.sampled_from(["acme", "Acme Ltd", "unknown"]),
        "tier": st.sampled_from(["gold", "standard"]),
        "kind": st.sampled_from(["incident", "money"]),
        "service": st.just("checkout"),
        "source_minutes": st.integers(-60, 60),
    },
)
_ACTIONS = st.sampled_from(["trigger", "trigger", "acknowledge", "resolve", "update", "note", "change"])
_EVENTS = st.tuples(st.just("event"), _ACTIONS, fields)
acts = st.tuples(
    st.just("act"),
    st.sampled_from(["acknowledge", "acknowledge", "resolve", "escalate", "escalate", "note", "update"]),
    st.sampled_from(["ana", "petra", "karel", ""]),
    st.fixed_dictionaries(
        {"note": st.just(SECRET)},
        optional={
            "policy": st.sampled_from(["main", "money"]),
            "level": st.sampled_from(["l0", "l1"]),
            "answers": st.integers(1, 4),  # the page that is answered, counted from the last one
        },
    ),
)
_REPORTS = st.tuples(
    st.just("report"), st.integers(1, 4), st.sampled_from(["unreachable", "unreachable", "reached"])
)
_TIMES = st.tuples(
    st.sampled_from(["later", "later", "later", "down", "early", "back"]),
    st.sampled_from([1, 59, 60, 300, 601, 3600, 7200, 90_000]),
)
_BEGINS = START + timedelta(hours=2)
# Who stands in for a while; somebody who left; nobody; who is away from everything; one inside another.
_STANDING = [
    Override("o1", "karel", _BEGINS, _BEGINS + timedelta(days=1)),
    Override("o2", "gone", START, START + timedelta(days=3)),
    Override("o3", "", _BEGINS, _BEGINS + timedelta(hours=5)),
    Override("o4", "", START, START + timedelta(days=2), absent="ana"),
    Override("o5", "petra", _BEGINS, _BEGINS + timedelta(hours=1), made_at=START),
]
OFFICES = [
    NOTHING_CHANGED,
    *(Overlay(number, {"" if each.absent else "week": [each]}) for number, each in enumerate(_STANDING, 1)),
    Overlay(9, {"week": [_STANDING[0], _STANDING[4]], "": [_STANDING[3]]}),
]
_OVERRIDES = st.tuples(st.just("office"), st.integers(0, len(OFFICES) - 1))
histories = st.lists(
    st.one_of(_EVENTS, acts, _REPORTS, _TIMES, st.just(("policy",)), _OVERRIDES), min_size=3, max_size=14
)

_EVERY_ACTION = st.sampled_from(
    [
        *("acknowledge", "acknowledge", "unacknowledge", "resolve", "reopen", "confirm", "refuse", "close"),
        *(
            "escalate",
            "assign",
            "snooze",
            "wait",
            "resume",
            "set",
            "note",
            "update",
            "decide",
            "merge",
            "reapply",
        ),
        *("subscribe", "unsubscribe"),
    ]
)
_OPTIONS: Any = {
    "policy": st.sampled_from(["main", "money"]),
    "level": st.sampled_from(["l0", "l1"]),
    "answers": st.integers(1, 4),
}
_NEEDED: Any = {
    "assign": {"to": st.sampled_from(["ana", "petra", "gone"])},
    "snooze": {"until": st.sampled_from([60, 3600, 200_000])},
    "wait": {
        "until": st.sampled_from([60, 3600, 200_000]),
        "waiting_for": st.sampled_from(["customer", "vendor"]),
    },
    "set": {
        "changes": st.sampled_from(
            [
                {"priority": 1},
                {"priority": 5},
                {"kind": "money"},
                {"attributes": {"size": 9}},
                {"customer": "acme"},
                {"service": "checkout"},
            ]
        )
    },
    "decide": {"decision": st.sampled_from(["approve", "reject"])},
    "merge": {"into": st.integers(0, 5)},
    "confirm": {"rating": st.integers(1, 5)},
    "subscribe": {"who": st.sampled_from(["ana", "karel", "gone"])},
    "unsubscribe": {"who": st.sampled_from(["ana", "karel", "gone"])},
}


@st.composite
def _acts_of_all_kinds(draw: Any) -> tuple[str, str, str, dict[str, Any]]:
    action = draw(_EVERY_ACTION)
    user = draw(st.sampled_from(["ana", "petra", "karel", ""]))
    given = draw(
        st.fixed_dictionaries({"note": st.just(SECRET)}, optional=_OPTIONS if action == "escalate" else {})
    )
    given |= {name: draw(values) for name, values in _NEEDED.get(action, {}).items()}
    if draw(st.booleans()) and action == "acknowledge":
        given["answers"] = draw(st.integers(1, 4))
    return "act", action, user, given


acts_of_all_kinds: Any = _acts_of_all_kinds()

"""The road of one signal through the domain: calls, stays in files, and files, counted from `decide`.

The same stories each time, under `sys.setprofile`: one incident under the policy of `bench decide`, one under
a policy that uses every part. A stay is a stretch of work in one file of the domain: it ends when control
moves to another one, or back. Comprehensions count as part of whatever contains them. It measures the tree it
is started with: `PYTHONPATH=TREE python bench/road.py`.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import CodeType, FrameType
from typing import Any, Final

from shared.events import DeliveryReport, IncidentEvent
from shared.policy import Bundle, content_hash

_DOMAIN: Final = "services/router/domain/"
_INSIDE: Final = frozenset({"<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>"})
START: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def _first(*places: tuple[str, str]) -> Any:
    """The first of these that exists; trees of different ages have them in different places."""
    for module, name in places:
        try:
            return getattr(import_module(f"services.router.domain.{module}"), name)
        except ModuleNotFoundError:
            continue
    raise LookupError(f"none of {places} is in this tree")


decide: Final = _first(("decide", "decide"))
_Context: Final = _first(("model.context", "Context"), ("surroundings", "Surroundings"))
_compile: Final = _first(("model.compiled_bundle", "compile_policy"), ("compiled", "compile_policy"))


def _signal(name: str) -> Any:
    return _first(("model.signals", name), ("signals", name))


# --- the stories -------------------------------------------------------------------------------------------


def _plain() -> dict[str, Any]:
    """As in `bench decide`, with fewer rules: their number does not lengthen the road."""
    return {
        "version": 1,
        "last_resort": ["user:petra"],
        "tiers": ["gold", "standard"],
        "users": {
            name: {"name": name.title(), "contacts": {"mail": {"email": f"{name}@example.com"}}}
            for name in ("ana", "petra")
        },
        "policies": {
            "desk": {
                "levels": [
                    {
                        "name": "first",
                        "notify": ["user:ana"],
                        "acknowledge_within": "5m",
                        "solve_within": "1h",
                    },
                    {"name": "second", "notify": ["user:petra"], "acknowledge_within": "10m"},
                ],
                "finally": {"notify": ["user:petra"], "every": "15m"},
            }
        },
        "routes": [{"when": "service == 'other'", "policy": "desk"}, {"policy": "desk"}],
        "priorities": [{"when": "labels.team == 'other'", "priority": 2}],
        "slas": [{"name": "everybody", "acknowledge": "1h", "resolve": "2d"}],
        "subscriptions": [{"who": ["user:petra"], "when": "kind == 'other'", "events": ["opened"]}],
    }


def _full() -> dict[str, Any]:
    """Schedules, points, shares, grouping, suppression, customers, a level above, a confirmation."""
    plain = _plain()
    desk = plain["policies"]["desk"]
    desk["levels"][0] |= {"notify": ["schedule:desk"], "handles": "priority >= 1"}
    desk["points"] = [
        {"name": "half", "at": "50% of acknowledge", "do": [{"inform": ["user:petra"]}]},
        {"name": "grave", "when": "priority == 1", "held_for": "1m", "do": [{"notify": ["user:petra"]}]},
    ]
    desk["close"] = {"after": "3d"}
    return plain | {
        "schedules": {
            "desk": {
                "timezone": "UTC",
                "layers": [
                    {
                        "name": "desk",
                        "rotation": ["ana", "petra"],
                        "shift": "7d",
                        "starts": "2026-01-05T09:00",
                    }
                ],
            }
        },
        "customers": {
            "acme": {"name": "Acme", "tier": "gold", "contacts": {"mail": {"email": "ops@acme.example"}}}
        },
        "services": {"checkout": {"depends_on": ["database"]}, "database": {}},
        "grouping": [{"name": "host", "when": "labels.host != ''", "by": ["labels.host"], "within": "10m"}],
        "suppress": [
            {"name": "follows", "when": "service == 'checkout'", "while_open": "service == 'database'"}
        ],
        "subscriptions": [
            {"who": ["user:petra"], "when": "priority <= 3", "events": ["opened", "taken", "resolved"]},
            {"who": ["customer"], "when": "true", "events": ["opened", "update", "resolved"]},
        ],
        "integrations": {
            "bench": {"kind": "native", "silent_after": "1d", "keys": [{"sha256": "0" * 64}]},
        },
    }


def _event(step: str, **more: Any) -> Any:
    fields = {
        "event_id": f"road-{step}",
        "integration": "bench",
        "dedup_key": "problem",
        "action": "trigger",
        "received_at": START,
        "title": "Disk is nearly full",
        "severity": "error",
        "service": "checkout",
        "customer": "acme",
        "attributes": {"used": 0.96, "size_gb": 500},
        "labels": {"team": "storage", "host": "db-3"},
    }
    return _signal("EventReceived")(IncidentEvent(**(fields | more)))


def _story() -> Iterator[tuple[str, timedelta, Any]]:
    """The signals of one incident. None stands for a report about its first page."""
    timer, minutes = _signal("TimerFired")(), lambda number: timedelta(minutes=number)
    ana = _signal("Actor")("ana", "responder", user="ana")
    arguments, acted = _signal("ActionArguments"), _signal("ActionTaken")
    yield "event: opens", minutes(0), _event("open")
    yield "report: page reached", minutes(0.5), None
    yield "event: repeated", minutes(1), _event("again")
    yield "event: repeated, worse", minutes(2), _event("worse", severity="critical")
    yield "timer: next level", minutes(5), timer
    yield "action: acknowledge", minutes(6), acted("acknowledge", ana)
    yield "event: update", minutes(7), _event("news", action="update", attributes={"used": 0.98})
    yield "action: note", minutes(8), acted("note", ana, arguments(text="looking"))
    yield "action: update", minutes(9), acted("update", ana, arguments(text="we are on it"))
    yield "timer: solve_within", minutes(66), timer
    yield "event: resolved", minutes(70), _event("over", action="resolve")
    yield "timer: closes", timedelta(days=5), timer


# --- the count ---------------------------------------------------------------------------------------------


@dataclass
class Road:
    """The cost of one signal."""

    name: str
    calls: int = 0
    stays: int = 0
    files: set[str] = field(default_factory=set)


class _Counter:
    """Follows control; a frame outside the domain (a condition, a struct) belongs to its caller."""

    def __init__(self, road: Road) -> None:
        self.road, self._stack, self._known = road, [""], dict[CodeType, str]()
        self.called = Counter[str]()

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        del argument
        if event not in {"call", "return"}:
            return
        code = frame.f_code
        place = self._known.get(code)
        if place is None:
            _, found, path = code.co_filename.rpartition(_DOMAIN)
            place = self._known[code] = path if found else ""
        if not place:
            return
        if event == "call":
            if code.co_name not in _INSIDE:
                self.road.calls += 1
                self.called[f"{place}:{code.co_qualname}"] += 1
            self._goes_to(place)
            self._stack.append(place)
        elif len(self._stack) > 1:
            self._stack.pop()
            self._goes_to(self._stack[-1], since=place)

    def _goes_to(self, place: str, *, since: str | None = None) -> None:
        before = self._stack[-1] if since is None else since
        if place and place != before:
            self.road.stays += 1
            self.road.files.add(place)


def roads(policy: dict[str, Any]) -> tuple[list[Road], Counter[str]]:
    """The roads of the story's signals, and how often each function was called in all."""
    bundle = Bundle.model_validate(policy)
    rules = _compile(bundle, content_hash(bundle))
    context = _Context(live=rules, groups={("host", '["db-3",""]'): None})
    _play(context, rules, Road(""))  # fills the caches that last for ever
    found, called = list[Road](), Counter[str]()
    for road, counter in _play(context, rules):
        found.append(road)
        called += counter.called
    return found, called


def _play(context: Any, rules: Any, only: Road | None = None) -> list[tuple[Road, _Counter]]:
    incident, page, made = None, "", list[tuple[Road, _Counter]]()
    for name, after, told in _story():
        now = START + after
        signal = told if told is not None else _reached(page, now)
        road = only or Road(name)
        counter = _Counter(road)
        sys.setprofile(counter if only is None else None)
        try:
            decision = decide(incident, signal, context, rules, now)
        finally:
            sys.setprofile(None)
        made.append((road, counter))
        incident = decision.incident or incident
        if decision.message is not None and decision.message.pages and not page:
            page = decision.message.pages[0].page_id
    return made


def _reached(page: str, now: datetime) -> Any:
    report = DeliveryReport(
        report_id="road-report",
        incident_id="",
        page_id=page,
        at=now,
        outcome="delivered",
        channel="email",
        recipient="ana@example.com",
        page="reached",
        event="page",
    )
    return _signal("DeliveryReported")(report)


def _print(title: str, found: Sequence[Road]) -> None:
    print(f"{title:<30} {'calls':>7} {'stays':>7} {'files':>7}")
    for road in found:
        print(f"  {road.name:<28} {road.calls:>7} {road.stays:>7} {len(road.files):>7}")
    calls, stays, count = (sum(each.calls for each in found), sum(each.stays for each in found), len(found))
    files = sum(len(each.files) for each in found)
    print(
        f"  {'a signal, on average':<28} {calls / count:>7.0f} {stays / count:>7.0f} {files / count:>7.0f}\n"
    )


def run(most: int = 0) -> None:
    """Print the roads; `most`: with that many of the functions called most."""
    for title, policy in (("a plain policy", _plain()), ("every part in use", _full())):
        found, called = roads(policy)
        _print(title, found)
        for name, times in called.most_common(most):
            print(f"    {times:>6}  {name}")


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 0)

"""`decide` in microseconds per signal: a policy of 100 rules, with and without failing expressions.

Each round takes the same incidents through the same life: opened, repeated twice, a level timeout,
acknowledged, resolved. The three policies take turns. Aim: 100 µs when nothing fails.
"""

import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.rounds import Ratio, Series, alternating, by_name, show
from services.router.domain.decide import decide
from services.router.domain.model.compiled_bundle import CompiledBundle, compile_json
from services.router.domain.model.context import Context
from services.router.domain.model.incident import Incident
from services.router.domain.model.signals import ActionTaken, Actor, EventReceived, Signal, TimerFired
from shared.events import IncidentEvent
from shared.policy import content_hash, dump_json, load

ROUNDS = 7
INCIDENTS = 300
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ANA = Actor("ana", "responder", user="ana")


def policy(erring: int) -> str:
    """A bundle of 100 rules, `erring` of which fail at run time because they read a missing attribute."""
    fail = "attributes.missing > {0}.0"
    plain = "service == 'service-{0}' && tier == 'gold' && priority <= 3"
    routes = [f'  - {{when: "{(fail if n < erring else plain).format(n)}", policy: desk}}' for n in range(39)]
    priorities = [f"  - {{when: \"labels.team == 'team-{n}'\", priority: 2}}" for n in range(20)]
    slas = [
        f"  - {{name: sla-{n}, when: \"customer.id == 'c{n}' && priority == 1\", acknowledge: 15m}}"
        for n in range(19)
    ]
    subscriptions = [
        f"  - {{who: [user:petra], when: \"kind == 'kind-{n}'\", events: [opened, resolved]}}"
        for n in range(20)
    ]
    return "\n".join(
        [
            "version: 1",
            "last_resort: [user:petra]",
            "tiers: [gold, standard]",
            "users:",
            "  ana: {name: Ana, timezone: UTC, contacts: {mail: {email: ana@example.com}}}",
            "  petra: {name: Petra, timezone: UTC, contacts: {mail: {email: petra@example.com}}}",
            "policies:",
            "  desk:",
            "    levels:",
            "      - {name: first, notify: [user:ana], acknowledge_within: 5m, solve_within: 1h}",
            "      - {name: second, notify: [user:petra], acknowledge_within: 10m}",
            "    finally: {notify: [user:petra], every: 15m}",
            "routes:",
            *routes,
            "  - {policy: desk}",
            "priorities:",
            *priorities,
            "slas:",
            *slas,
            "  - {name: everybody, acknowledge: 1h, resolve: 2d}",
            "subscriptions:",
            *subscriptions,
        ]
    )


def compiled(erring: int) -> CompiledBundle:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "policy.yaml"
        path.write_text(policy(erring), encoding="utf-8")
        bundle = load(path)
    return compile_json(dump_json(bundle), content_hash(bundle))


def event(number: int, step: str, action: str = "trigger") -> EventReceived:
    return EventReceived(
        IncidentEvent(
            event_id=f"{number:08d}-{step}",
            integration="bench",
            dedup_key=f"problem-{number}",
            action=action,  # type: ignore[arg-type]
            received_at=START,
            title="Disk is nearly full",
            severity="error",
            service="checkout",
            attributes={"used": 0.96, "size_gb": 500},
            labels={"team": "storage", "host": "db-3"},
        )
    )


def life(number: int) -> Sequence[tuple[timedelta, Signal]]:
    return [
        (timedelta(0), event(number, "open")),
        (timedelta(minutes=1), event(number, "again")),
        (timedelta(minutes=2), event(number, "once-more")),
        (timedelta(minutes=5), TimerFired()),
        (timedelta(minutes=6), ActionTaken("acknowledge", ANA)),
        (timedelta(minutes=30), event(number, "over", "resolve")),
    ]


def microseconds(rules: CompiledBundle) -> float:
    """The mean over all signals of all incidents."""
    context = Context(live=rules)
    lives = [life(number) for number in range(INCIDENTS)]
    signals = 0
    began = time.perf_counter()
    for each in lives:
        incident: Incident | None = None
        for after, signal in each:
            incident = decide(incident, signal, context, rules, START + after).incident or incident
            signals += 1
    return (time.perf_counter() - began) / signals * 1e6


def run() -> None:
    contenders = {
        "no expression errs": compiled(0),
        "1 of 100 errs": compiled(1),
        "10 of 100 err": compiled(10),
    }
    series = by_name(*(Series(name, "µs a signal") for name in contenders))
    for name, rules in contenders.items():
        microseconds(rules)  # warm
        del name
    for number in range(ROUNDS):
        for name in alternating(list(contenders), number):
            series[name].values.append(microseconds(contenders[name]))
    ratios = [Ratio("1 of 100 errs, against none", series["1 of 100 errs"], series["no expression errs"])]
    show("decide, 100 rules (aim ≤ 100 µs when nothing errs)", list(series.values()), ratios)

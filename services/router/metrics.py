"""What the router tells a Prometheus about itself."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_TINY: Final = (0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.02, 0.1)

SIGNALS: Final = Counter("ladder_signals_total", "Signals decided, by kind", ["kind"])
REPEATS: Final = Counter(
    "ladder_signals_repeated_total", "Signals dropped because they had been applied before"
)
BATCH_SIGNALS: Final = Histogram(
    "ladder_batch_signals", "Signals in one transaction", buckets=(1, 2, 5, 10, 25, 50, 100, 200, 350, 500)
)
BATCH_SECONDS: Final = Histogram("ladder_batch_seconds", "Time of one transaction", buckets=_QUICK)
DECIDE_SECONDS: Final = Histogram(
    "ladder_decide_seconds", "Mean time of a decision, per batch", buckets=_TINY
)
RETRIES: Final = Counter(
    "ladder_transaction_retries_total", "Transactions tried again, by reason", ["reason"]
)
PAGES: Final = Counter("ladder_pages_requested_total", "Pages asked for, by what led to them", ["through"])
ESCALATIONS_AVOIDED: Final = Counter(
    "ladder_escalations_avoided_total", "Incidents that automation solved before anybody was paged"
)
TRIGGERS_HELD: Final = Counter(
    "ladder_triggers_held_total",
    "Triggers dated before the last resolve of their key: nobody is paged for two minutes",
    ["integration"],
)
CLOCK_EVENTS: Final = Counter(
    "ladder_clock_events_total",
    "What happened to SLA clocks: activate, pause, resume, fulfil, warn, breach",
    ["target", "event"],
)
TIMER_LATENESS: Final = Histogram(
    "ladder_timer_late_seconds", "How late due times were acted on", buckets=_QUICK
)
TIMERS_OVERDUE: Final = Gauge("ladder_timers_overdue", "Incidents whose due time is more than a second past")
HEARTBEATS_LATE: Final = Gauge("ladder_heartbeats_late", "Heartbeats that are late at the moment")
DECIDED_AGAIN: Final = Counter(
    "ladder_batches_decided_again_total", "Batches decided once more: another one had taken the same turn"
)
SET_ASIDE: Final = Counter("ladder_set_aside_total", "Signals set aside because deciding failed")
STUCK: Final = Gauge("ladder_incidents_stuck", "Incidents that cannot be decided at the moment")
DEAD_LETTERS: Final = Counter(
    "ladder_dead_letters_total", "Records that could not be read or stored", ["topic"]
)
EXPRESSION_FAILURES: Final = Counter(
    "ladder_expression_failures_total",
    "Decisions in which an expression could not be evaluated, by the section in which it stands",
    ["place"],
)
POLICY_REFUSED: Final = Counter("ladder_policy_refused_total", "Policy bundles that were refused", ["source"])
POLICY_REVISION: Final = Gauge("ladder_policy_revision", "Revision of the policy in force")

"""What the notifier counts."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

MESSAGES: Final = Counter(
    "ladder_notifier_messages_total", "Messages from the router by what became of them", ["result"]
)
DELIVERIES: Final = Counter(
    "ladder_deliveries_total",
    "Attempts by channel, sort (page, notice) and result",
    ["channel", "sort", "result"],
)
PAGES: Final = Counter("ladder_pages_total", "Pages by channel and final result", ["channel", "result"])
RECEIPTS: Final = Counter(
    "ladder_receipts_total",
    "What providers said later of messages, by channel and state",
    ["channel", "state"],
)
FIRST_ATTEMPT_SECONDS: Final = Histogram(
    "ladder_event_to_first_attempt_seconds",
    "From the moment intake received an event to the first attempt to page somebody for it",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
SEND_SECONDS: Final = Histogram(
    "ladder_send_seconds",
    "How long one attempt took",
    ["channel"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15),
)
IN_FLIGHT: Final = Gauge("ladder_sends_in_flight", "Attempts under way")
OPEN_BREAKERS: Final = Gauge(
    "ladder_breakers_open", "Endpoints that are left alone because they keep failing"
)
PENDING: Final = Gauge(
    "ladder_deliveries_pending", "Deliveries that wait for an attempt (counted up to 10,000)"
)
OLDEST_PENDING_SECONDS: Final = Gauge(
    "ladder_deliveries_oldest_due_seconds", "How long the oldest delivery that is due has waited"
)

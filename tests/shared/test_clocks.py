"""Which clock is read where."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
# What these compare with the process's clock came from the process's clock, or from a person's.
READ_IT: Final = {
    "shared/clock.py",
    "shared/database/pool.py",  # until the server has told its time
    "shared/health/consumer_progress.py",  # when this process last moved
    "shared/eventlog/kafka/group.py",  # the same
    "services/router/app.py",
    "shared/consumer_loop.py",  # when it last moved, or waited
    "services/notifier/app.py",
    "services/router/api/access.py",  # keys that end, links that end, who is on call now
    "services/router/api/schedules.py",
    "services/router/api/links/replies.py",
    "services/router/api/links/lists.py",
    "services/router/api/links/unsubscribe.py",
    "services/router/api/slack/buttons.py",  # Slack's time, by its clock, and when somebody pressed
    "services/notifier/api/access.py",
    "services/notifier/deadman.py",  # a metric for a clock outside
}


def test_no_loop_compares_a_row_with_the_clock_of_its_process() -> None:
    """Due times, leases, holds, retention: what stands in a table is compared with the database's time only.

    Whoever wants to read the process's clock in a service has to say here why that is right.
    """
    reading = {
        str(path.relative_to(ROOT))
        for folder in ("shared", "services/router", "services/notifier")
        for path in (ROOT / folder).rglob("*.py")
        if "utcnow" in path.read_text(encoding="utf-8")
    }
    assert reading <= READ_IT, f"not to be read in {sorted(reading - READ_IT)}"

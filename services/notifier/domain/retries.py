"""Should it be tried again? And when?

Pages are retried at short intervals for an hour or until they must be acted on, whichever is later; calls to
automation likewise, as long as they are of use; everything else at long ones, as Standard Webhooks suggests.
"""

from datetime import datetime, timedelta
from typing import Final

PAGE_STEPS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)  # the last one repeats
NOTICE_STEPS: Final = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0)
_PAGE_LASTS: Final = timedelta(hours=1)
_NOTICE_LASTS: Final = timedelta(hours=36)
_AT_LEAST: Final = timedelta(seconds=30)  # whatever is said of it: one attempt that is not hurried


def gives_up_at(
    *, is_page: bool, created_at: datetime, act_by: datetime | None, until: datetime | None = None
) -> datetime:
    """When a delivery fails for good; `until`: it is of no use after that."""
    if not is_page:
        last = created_at + _NOTICE_LASTS
        return last if until is None else max(created_at + _AT_LEAST, min(last, until))
    until = created_at + _PAGE_LASTS
    return until if act_by is None else max(until, min(act_by, created_at + _NOTICE_LASTS))


def next_attempt(
    now: datetime,
    *,
    is_urgent: bool,
    attempts: int,
    give_up_at: datetime,
    retry_after: float | None,
    jitter: float,
) -> datetime | None:
    """When to try again after `attempts` attempts; None when it is over.

    `jitter` in [0, 1) spreads a crowd over a fifth of the wait. A page waits for `Retry-After` at most five
    minutes: a provider that says "tomorrow" must not silence it.
    """
    if now >= give_up_at:
        return None
    steps = PAGE_STEPS if is_urgent else NOTICE_STEPS
    if attempts > len(steps) and not is_urgent:
        return None
    wait = steps[min(attempts, len(steps)) - 1] * (1 + jitter / 5)
    if retry_after is not None:
        wait = max(wait, min(retry_after, 300.0) if is_urgent else min(retry_after, 86_400.0))
    at = now + timedelta(seconds=wait)
    return at if at < give_up_at else None

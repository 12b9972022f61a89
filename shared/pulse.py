"""The pulse of a loop: when it last came round, for whoever watches from outside.

A loop that hangs raises nothing and logs nothing. So each one beats at the end of every round, and one that
has not for longer than any round takes is named by /healthz. Waiting for a server that is away is a round: a
new start would not bring it back.
"""

from collections.abc import Callable
from typing import Final

from prometheus_client import Gauge

from shared.clock import stopwatch

LONGEST_ROUND_SECONDS: Final = 120.0  # many times what a round may take: every call in it has a timeout

AGE_SECONDS: Final = Gauge("ladder_loop_age_seconds", "How long ago this loop last came round", ["loop"])


class Pulse:
    """One loop's; it counts from the first beat, with which the loop begins. `clock` counts seconds."""

    def __init__(
        self, name: str, *, longest: float = LONGEST_ROUND_SECONDS, clock: Callable[[], float] = stopwatch
    ) -> None:
        self._name = name
        self._longest = longest
        self._clock = clock
        self._beaten_at: float | None = None
        AGE_SECONDS.labels(name).set_function(lambda: self.age)

    def beat(self) -> None:
        """A round is over."""
        self._beaten_at = self._clock()

    def rest(self) -> None:
        """The loop has ended, as it should: nothing is expected of it until it begins again."""
        self._beaten_at = None

    @property
    def age(self) -> float:
        """Seconds since the last beat; 0 before the first one."""
        return 0.0 if self._beaten_at is None else self._clock() - self._beaten_at

    def stopped(self) -> str | None:
        """In a sentence, that it should have come round long ago; otherwise None."""
        if self.age <= self._longest:
            return None
        return f"{self._name} has not come round for {self.age:.0f} s"

"""The pulse of a loop: when it last came round, for whoever watches from outside.

A loop that hangs raises nothing and logs nothing. So each one beats at the end of every round, and one that
has not for longer than any round takes is named by /healthz. Waiting for a server that is away is a round: a
new start would not bring it back. Failing by a fault of Ladder's own is none (shared.loops.repeat).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeAlias

from prometheus_client import Gauge

from shared.clock import stopwatch

LONGEST_ROUND_SECONDS: Final = 300.0  # many times what a round may take: every call in it has a timeout
Beat: TypeAlias = Callable[[], None]

AGE_SECONDS: Final = Gauge("ladder_loop_age_seconds", "How long ago this loop last came round", ["loop"])


class Pulse:
    """One loop's; it counts from the first beat, with which the loop begins. `clock` counts seconds."""

    def __init__(self, name: str, *, clock: Callable[[], float] = stopwatch) -> None:
        self._name = name
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
        if self.age <= LONGEST_ROUND_SECONDS:
            return None
        return f"{self._name} has not come round for {self.age:.0f} s"


class Pulses:
    """Those of one service's loops, which begin and end together. `clock` counts seconds."""

    def __init__(self, *, clock: Callable[[], float] = stopwatch) -> None:
        self._clock = clock
        self._pulses: list[Pulse] = []

    def beat_of(self, name: str) -> Beat:
        """What the loop of this name calls at the end of each round."""
        pulse = Pulse(name, clock=self._clock)
        self._pulses.append(pulse)
        return pulse.beat

    @contextmanager
    def beating(self) -> Iterator[None]:
        """The loops run inside the block: in it each of them is expected to come round."""
        for pulse in self._pulses:
            pulse.beat()
        try:
            yield
        finally:
            for pulse in self._pulses:
                pulse.rest()

    def stopped(self) -> Sequence[str]:
        """The loops that should have come round long ago, in sentences."""
        return [why for pulse in self._pulses if (why := pulse.stopped()) is not None]


def unwatched() -> None:
    """The beat of a loop that nobody watches."""

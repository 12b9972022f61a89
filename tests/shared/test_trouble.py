"""An outage in a few lines, however many loops it breaks."""

from structlog.testing import capture_logs

from shared import telemetry
from shared.loops.outage import AGAIN_AFTER_SECONDS, Trouble


class Seconds:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class RefusedError(Exception):
    """An answer of the server."""

    sqlstate = "42P01"


AWAY = ConnectionRefusedError("nobody listens")


def trouble(clock: Seconds) -> Trouble:
    return Trouble(telemetry.logger("test"), "away", what="PostgreSQL", clock=clock)


def test_many_failures_of_many_loops_are_one_line() -> None:
    one = trouble(Seconds())
    with capture_logs() as lines:
        for _ in range(100):
            for part in ("timers", "consume", "relay"):
                one.is_on(AWAY, part)
                one.is_on(TimeoutError(), part)
    assert [line["event"] for line in lines] == ["PostgreSQL is away or refuses"]


def test_it_is_over_when_it_is_over_for_every_loop() -> None:
    one = trouble(Seconds())
    with capture_logs() as lines:
        one.is_on(AWAY, "timers")
        one.is_on(AWAY, "relay")
        one.is_over("timers")
        assert len(lines) == 1
        one.is_over("relay")
        one.is_over("relay")
    assert [line["event"] for line in lines] == ["PostgreSQL is away or refuses", "PostgreSQL is back"]


def test_what_lasts_is_said_again_at_long_intervals() -> None:
    clock = Seconds()
    one = trouble(clock)
    with capture_logs() as lines:
        while clock.now < 2.5 * AGAIN_AFTER_SECONDS:
            one.is_on(AWAY)
            clock.now += 1
    assert len(lines) == 3
    assert lines[-1]["event"] == "PostgreSQL is still away or refuses"


def test_an_answer_that_says_more_is_told_at_once() -> None:
    one = trouble(Seconds())
    with capture_logs() as lines:
        one.is_on(AWAY)
        one.is_on(RefusedError("no such table"))
        one.is_on(RefusedError("no such table"))
    assert len(lines) == 2
    assert "no such table" in lines[-1]["error"]


def test_a_loop_that_ended_in_its_trouble_does_not_hide_the_next_one() -> None:
    clock = Seconds()
    one = trouble(clock)
    with capture_logs() as lines:
        one.is_on(AWAY, "gone for ever")
        clock.now += 1000
        one.is_on(AWAY, "relay")
    assert [line["event"] for line in lines] == ["PostgreSQL is away or refuses"] * 2

"""An outage in a few lines, however many loops it breaks."""

from structlog.testing import capture_logs

from shared import telemetry
from shared.loops.outage import AGAIN_AFTER_SECONDS, Outage


class Seconds:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class StatementError(Exception):
    """An answer of the server."""

    sqlstate = "42P01"


AWAY = ConnectionRefusedError("nobody listens")


def outage(clock: Seconds) -> Outage:
    return Outage(telemetry.logger("test"), "away", what="PostgreSQL", clock=clock)


def test_many_failures_of_many_loops_are_one_line() -> None:
    one = outage(Seconds())
    with capture_logs() as lines:
        for _ in range(100):
            for part in ("timers", "consume", "relay"):
                one.began(AWAY, part)
                one.began(TimeoutError(), part)
    assert [line["event"] for line in lines] == ["PostgreSQL is away or refuses"]


def test_it_is_over_when_it_is_over_for_every_loop() -> None:
    one = outage(Seconds())
    with capture_logs() as lines:
        one.began(AWAY, "timers")
        one.began(AWAY, "relay")
        one.ended("timers")
        assert len(lines) == 1
        one.ended("relay")
        one.ended("relay")
    assert [line["event"] for line in lines] == ["PostgreSQL is away or refuses", "PostgreSQL is back"]


def test_what_lasts_is_said_again_at_long_intervals() -> None:
    clock = Seconds()
    one = outage(clock)
    with capture_logs() as lines:
        while clock.now < 2.5 * AGAIN_AFTER_SECONDS:
            one.began(AWAY)
            clock.now += 1
    assert len(lines) == 3
    assert lines[-1]["event"] == "PostgreSQL is still away or refuses"


def test_an_answer_that_says_more_is_told_at_once() -> None:
    one = outage(Seconds())
    with capture_logs() as lines:
        one.began(AWAY)
        one.began(StatementError("no such table"))
        one.began(StatementError("no such table"))
    assert len(lines) == 2
    assert "no such table" in lines[-1]["error"]


def test_a_loop_that_ended_in_its_trouble_does_not_hide_the_next_one() -> None:
    clock = Seconds()
    one = outage(clock)
    with capture_logs() as lines:
        one.began(AWAY, "gone for ever")
        clock.now += 1000
        one.began(AWAY, "relay")
    assert [line["event"] for line in lines] == ["PostgreSQL is away or refuses"] * 2

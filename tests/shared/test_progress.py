"""Liveness of a consumer: it moved, or it has nothing to read, or it waits for somebody else."""

import math
from datetime import timedelta

from prometheus_client import REGISTRY

from shared.eventlog import Lag, LogSilentError, LogUnavailableError, Partition, Received
from shared.health.consumer_progress import STUCK_AFTER, Progress
from shared.health.probes import SILENT_AFTER_SECONDS, STALE_AFTER_SECONDS
from tests.shared.times import AT

FIRST, SECOND = Partition("ladder.incidents", 0), Partition("ladder.incidents", 1)
LATER = STUCK_AFTER + timedelta(seconds=1)


class Seconds:
    """A clock that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def progress(clock: Seconds | None = None) -> Progress:
    return Progress("ladder-test", ["ladder.incidents"], clock=clock or Seconds())


def shown(name: str) -> float:
    value = REGISTRY.get_sample_value(name, {"group": "ladder-test", "topic": "ladder.incidents"})
    assert value is not None
    return value


def record(partition: Partition) -> Received:
    return Received(partition, 1, b"", b"", {}, AT)


def test_a_consumer_that_does_not_move_for_minutes_is_stuck() -> None:
    one = progress()
    one.saw({FIRST: Lag(3, 1.0)}, AT)
    one.saw({FIRST: Lag(9, 300.0)}, AT + LATER)
    assert not one.stuck(AT + STUCK_AFTER)
    (reason,) = one.stuck(AT + LATER)
    assert "ladder.incidents/0" in reason
    assert "9 records behind" in reason


def test_one_partition_that_stands_still_is_seen_beside_others_that_move() -> None:
    one = progress()
    one.saw({FIRST: Lag(3, 1.0), SECOND: Lag(3, 1.0)}, AT)
    one.done([record(SECOND)], AT + LATER)
    one.saw({FIRST: Lag(3, 1.0), SECOND: Lag(3, 1.0)}, AT + LATER)
    (reason,) = one.stuck(AT + LATER)
    assert "ladder.incidents/0" in reason


def test_a_consumer_that_moves_is_not_stuck_however_far_it_is_behind() -> None:
    one = progress()
    one.saw({FIRST: Lag(1000, 900.0)}, AT)
    one.done([record(FIRST)], AT + LATER)
    one.saw({FIRST: Lag(2000, 900.0)}, AT + LATER)
    assert not one.stuck(AT + LATER)


def test_nothing_to_read_is_not_stuck_and_starts_the_count_anew() -> None:
    one = progress()
    one.saw({FIRST: Lag(3, 1.0)}, AT)
    one.saw({FIRST: Lag(0, 0.0)}, AT + LATER)
    one.saw({FIRST: Lag(1, 1.0)}, AT + LATER * 1.5)
    assert not one.stuck(AT + LATER * 1.5)


def test_a_partition_that_went_to_another_member_is_not_held_against_this_one() -> None:
    one = progress()
    one.saw({FIRST: Lag(3, 1.0)}, AT)
    one.saw({}, AT + LATER)
    assert not one.stuck(AT + LATER)


def test_a_log_that_says_that_it_is_away_is_no_reason_to_start_anew() -> None:
    """It refuses connections: a new start would meet the same."""
    clock = Seconds()
    one = progress(clock)
    one.saw({FIRST: Lag(3, 1.0)}, AT)
    for _ in range(100):
        clock.now += 5
        one.unseen(LogUnavailableError("the brokers refuse connections"))
    assert not one.stuck(AT + LATER)


def test_a_log_that_gives_no_answer_for_a_minute_is_a_reason_to_start_anew() -> None:
    clock = Seconds()
    one = progress(clock)
    one.saw({FIRST: Lag(3, 1.0)}, AT)
    clock.now += SILENT_AFTER_SECONDS - 1
    one.unseen(LogSilentError("no broker answers"))
    assert not one.stuck(AT)
    clock.now += 1
    (reason,) = one.stuck(AT)
    assert "lag of ladder-test could not be looked at for 60 s" in reason
    assert "no broker answers" in reason


def test_a_log_that_never_answered_this_process_is_waited_for() -> None:
    """The new start has just been tried: starting again and again would help nobody."""
    clock = Seconds()
    one = progress(clock)
    clock.now += 10 * SILENT_AFTER_SECONDS
    one.unseen(LogSilentError("no broker answers"))
    assert not one.stuck(AT + LATER)


def test_whoever_looks_having_ended_is_seen_as_well() -> None:
    """Nobody reports a failure then: that nothing is reported is enough."""
    clock = Seconds()
    one = progress(clock)
    one.saw({}, AT)
    clock.now += SILENT_AFTER_SECONDS
    (reason,) = one.stuck(AT)
    assert "nobody looks any more" in reason


def test_waiting_for_the_database_is_no_reason_to_start_anew() -> None:
    one = progress()
    one.saw({FIRST: Lag(3, 1.0)}, AT)
    one.saw({FIRST: Lag(3, 300.0)}, AT + LATER)
    one.waits(AT + LATER)
    assert not one.stuck(AT + LATER)


def test_the_lag_is_shown_by_topic() -> None:
    one = progress()
    one.saw({FIRST: Lag(3, 7.0), SECOND: Lag(4, 2.0)}, AT)
    assert shown("ladder_consumer_lag_records") == 7
    assert shown("ladder_consumer_lag_seconds") == 7.0


def test_a_lag_that_cannot_be_looked_at_is_no_number_any_more_and_its_age_grows() -> None:
    """Instead of keeping its last good value."""
    clock = Seconds()
    one = progress(clock)
    one.saw({FIRST: Lag(0, 0.0)}, AT)
    clock.now += STALE_AFTER_SECONDS + 1
    one.unseen(LogSilentError("no broker answers"))
    assert math.isnan(shown("ladder_consumer_lag_records"))
    assert math.isnan(shown("ladder_consumer_lag_seconds"))
    age = REGISTRY.get_sample_value("ladder_look_age_seconds", {"look": "lag of ladder-test"})
    assert age == STALE_AFTER_SECONDS + 1

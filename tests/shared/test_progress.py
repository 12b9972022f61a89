"""Liveness of a consumer: it moved, or it has nothing to read, or it waits for somebody else."""

from datetime import timedelta

from shared.eventlog import Lag, Partition, Received
from shared.progress import LAG_RECORDS, LAG_SECONDS, STUCK_AFTER, Progress
from tests.shared.times import AT

FIRST, SECOND = Partition("ladder.incidents", 0), Partition("ladder.incidents", 1)
LATER = STUCK_AFTER + timedelta(seconds=1)


def progress() -> Progress:
    return Progress("ladder-test", ["ladder.incidents"])


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
    one.took([record(SECOND)], AT + LATER)
    one.saw({FIRST: Lag(3, 1.0), SECOND: Lag(3, 1.0)}, AT + LATER)
    (reason,) = one.stuck(AT + LATER)
    assert "ladder.incidents/0" in reason


def test_a_consumer_that_moves_is_not_stuck_however_far_it_is_behind() -> None:
    one = progress()
    one.saw({FIRST: Lag(1000, 900.0)}, AT)
    one.took([record(FIRST)], AT + LATER)
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


def test_a_log_that_does_not_answer_is_no_reason_to_start_anew() -> None:
    one = progress()
    one.saw({FIRST: Lag(3, 1.0)}, AT)
    assert not one.stuck(AT + LATER)


def test_waiting_for_the_database_is_no_reason_to_start_anew() -> None:
    one = progress()
    one.saw({FIRST: Lag(3, 1.0)}, AT)
    one.saw({FIRST: Lag(3, 300.0)}, AT + LATER)
    one.waits(AT + LATER)
    assert not one.stuck(AT + LATER)


def test_the_lag_is_shown_by_topic() -> None:
    one = progress()
    one.saw({FIRST: Lag(3, 7.0), SECOND: Lag(4, 2.0)}, AT)
    labels = ("ladder-test", "ladder.incidents")
    assert LAG_RECORDS.labels(*labels)._value.get() == 7
    assert LAG_SECONDS.labels(*labels)._value.get() == 7.0

"""A loop that hangs raises nothing and logs nothing: its pulse is what others see."""

from prometheus_client import REGISTRY

from shared.pulse import LONGEST_ROUND_SECONDS, Pulse
from tests.shared.test_progress import Seconds


def test_a_loop_that_does_not_come_round_is_named() -> None:
    clock = Seconds()
    pulse = Pulse("router timers", clock=clock)
    pulse.beat()
    clock.now += LONGEST_ROUND_SECONDS
    assert pulse.stopped() is None
    clock.now += 1
    assert pulse.stopped() == "router timers has not come round for 121 s"
    assert REGISTRY.get_sample_value("ladder_loop_age_seconds", {"loop": "router timers"}) == 121


def test_a_loop_that_comes_round_is_well_however_long_it_has_been_running() -> None:
    clock = Seconds()
    pulse = Pulse("router timers", clock=clock)
    for _ in range(100):
        pulse.beat()
        clock.now += LONGEST_ROUND_SECONDS
    assert pulse.stopped() is None


def test_a_loop_that_has_not_begun_or_has_ended_is_not_missed() -> None:
    clock = Seconds()
    pulse = Pulse("router timers", clock=clock)
    clock.now += 10 * LONGEST_ROUND_SECONDS
    assert pulse.stopped() is None
    pulse.beat()
    pulse.rest()
    clock.now += 10 * LONGEST_ROUND_SECONDS
    assert pulse.stopped() is None

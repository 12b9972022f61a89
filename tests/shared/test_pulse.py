"""A loop that hangs raises nothing and logs nothing: its pulse is what others see."""

from prometheus_client import REGISTRY

from shared.loops.pulse import LONGEST_ROUND_SECONDS, Pulse, Pulses
from tests.shared.test_progress import Seconds


def test_a_loop_that_does_not_come_round_is_named() -> None:
    clock = Seconds()
    pulse = Pulse("router timers", clock=clock)
    pulse.beat()
    clock.now += LONGEST_ROUND_SECONDS
    assert pulse.stopped() is None
    clock.now += 1
    assert pulse.stopped() == "router timers has not come round for 301 s"
    assert REGISTRY.get_sample_value("ladder_loop_age_seconds", {"loop": "router timers"}) == 301


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


def test_the_loops_of_a_service_are_expected_to_come_round_while_it_runs() -> None:
    """Also one that never came round at all; none of them before, or after the service has ended."""
    clock = Seconds()
    pulses = Pulses(clock=clock)
    beats = [pulses.beat_of(name) for name in ("consume", "timers")]
    clock.now += 10 * LONGEST_ROUND_SECONDS
    assert pulses.stopped() == []
    with pulses.beating():
        clock.now += LONGEST_ROUND_SECONDS + 1
        beats[0]()
        assert pulses.stopped() == ["timers has not come round for 301 s"]
    assert pulses.stopped() == []

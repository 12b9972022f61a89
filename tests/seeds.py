"""Histories that nobody wrote: a fresh seed in every run, printed at its head and told by what fails."""

import os
import time
from collections.abc import Callable
from typing import Final

VARIABLE: Final = "LADDER_TEST_SEED"


def chosen() -> int:
    """The run's seed: what LADDER_TEST_SEED says, otherwise a fresh one for this run and its workers."""
    return int(os.environ.setdefault(VARIABLE, str(time.time_ns() % 10**9)))


def play_for(seconds: float, play: Callable[[int], None]) -> int:
    """Play seed after seed until the time is up; how many were played. What fails names its seed."""
    ends, number = time.monotonic() + seconds, chosen()
    while time.monotonic() < ends:
        try:
            play(number)
        except BaseException as err:
            err.add_note(f"{VARIABLE}={number} repeats it")
            raise
        number += 1
    return number - chosen()

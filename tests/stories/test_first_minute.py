"""The newcomer's first minute: one process, one curl, and the ladder climbs until somebody takes it."""

import time

from tests.stories.telling import Story
from tests.world.stage import one_process

STEP = 3.0
LATE = 1.0  # the promise: POST to page within a second, from the first request after ready


async def test_the_page_climbs_to_the_last_rung_until_somebody_takes_it() -> None:
    async with one_process(step=f"{STEP:.0f}s") as world:
        await world.cluster.up("up")
        story = Story(world, "checkout-down", STEP)

        accepted = await story.somebody_reports_the_problem()
        first = await story.is_paged("ana", within=LATE, level="desk")
        assert first.at - accepted <= LATE
        second = await story.is_paged("petra", within=STEP + LATE, level="experts")
        last = await story.is_paged("karel", within=STEP + LATE, level="finally")
        assert STEP - 0.5 <= second.at - first.at <= STEP + LATE
        assert STEP - 0.5 <= last.at - second.at <= STEP + LATE

        await story.somebody_takes_it()
        await story.there_is_silence(after=time.monotonic() + 1)
        account = await story.account()
        assert account.clean, account

"""The words that stories are told in."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

from tests.bad_days.loss import Account
from tests.waiting import until
from tests.world.bundle import quick
from tests.world.posting import Loader
from tests.world.silence import never
from tests.world.sink import Hit
from tests.world.stage import World


@dataclass
class Story:
    """One problem and who hears of it. Times are seconds; `step` is how long a level waits for somebody."""

    world: World
    key: str
    step: float
    loader: Loader = field(init=False)

    def __post_init__(self) -> None:
        self.loader = self.world.loader(quick)

    async def somebody_reports_the_problem(self) -> float:
        """Post it; the moment it was accepted, on the sink's clock."""
        await self.loader.post([self.key])
        return time.monotonic()

    async def is_paged(self, who: str, *, within: float, level: str) -> Hit:
        """The person's first page about the problem; AssertionError when it is late or from another level."""
        pages = await until(lambda: self.world.sink.pages(f"/{who}", key=self.key), within)
        assert pages[0].page["level"] == level
        return pages[0]

    def nobody_was_paged_but(self, *people: str) -> None:
        paged = {hit.path.removeprefix("/") for hit in self.world.sink.pages(key=self.key)}
        assert paged == set(people)

    async def somebody_takes_it(self) -> dict[str, Any]:
        """Acknowledge through the API; the incident as it is then."""
        (incident,) = await self.world.incidents.incidents(dedup_key=self.key)
        body = json.dumps({"action": "acknowledge"}).encode()
        answer = await self.world.incidents.act(incident["id"], body)
        assert answer.status == 200, answer.body
        return dict(answer.json())

    async def there_is_silence(self, *, after: float) -> None:
        """From `after` on nobody is paged about it any more, for longer than the next level would wait."""
        await never(
            lambda: [hit for hit in self.world.sink.pages(key=self.key) if hit.at > after],
            for_seconds=self.step * 2 + 1,
        )

    async def reasons(self) -> list[str]:
        """The timeline in words."""
        (incident,) = await self.world.incidents.incidents(dedup_key=self.key)
        timeline = await self.world.incidents.get(f"/v1/incidents/{incident['id']}/timeline")
        return [f"{entry['kind']}: {entry['text']}" for entry in timeline["items"]]

    async def account(self) -> Account:
        return await self.world.account(self.key, self.loader)

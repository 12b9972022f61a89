"""The demo's keys open nothing of the notifier where others can reach the process."""

import httpx2
import pytest

from shared.security.demo_keys import DEMO_KEY
from shared.security.keys import digest
from tests.services.notifier.building import bundle as notifiers_bundle
from tests.services.notifier.test_service import notifier
from tests.waiting import until

EVERYWHERE = "0.0.0.0:8080"


@pytest.mark.parametrize(("listen", "status"), [("127.0.0.1:0", 200), (EVERYWHERE, 401)])
async def test_the_notifiers_api_takes_no_demo_key_from_others(
    database_url: str, listen: str, status: int
) -> None:
    demo = {"demo": {"keys": [{"sha256": digest(DEMO_KEY)}], "role": "admin"}}
    async with notifier(database_url, listen=listen) as running:
        await running.publish_policy(notifiers_bundle({"ana": {"box": {"inbox": "ana"}}}, api_keys=demo))
        await until(lambda: not running.service.unready())
        answer: httpx2.Response = await running.get("/v1/inbox/ana", key=DEMO_KEY)
        assert answer.status_code == status

"""The demo's keys open nothing where others can reach the process, however the policy and the key come in."""

from typing import Any

import pytest

from services.intake.settings import IntakeSettings
from shared.policy import Bundle, load
from shared.policy.publishing.usable_keys import UsableKeys
from shared.security.demo_keys import DEMO_KEY, DEMO_ROUTING_KEY
from shared.security.keys import digest
from tests.ladder.running import POLICY
from tests.services.intake.fakes import FakeLog, bearer, intake

EVERYWHERE = "0.0.0.0:8080"
EVENT = {"title": "Checkout is down"}
ENQUEUED = {
    "routing_key": DEMO_ROUTING_KEY,
    "event_action": "trigger",
    "payload": {"summary": "Disk full", "source": "db-1", "severity": "warning"},
}
WAYS_IN: list[tuple[str, dict[str, Any]]] = [
    ("/v1/events", {"headers": bearer(DEMO_KEY), "json": EVENT}),
    ("/v1/events", {"auth": ("anybody", DEMO_KEY), "json": EVENT}),
    ("/v1/events", {"auth": (DEMO_KEY, ""), "json": EVENT}),  # the user name counts when alone
    (f"/v1/events?key={DEMO_KEY}", {"json": EVENT}),
    (f"/v1/integrations/demo/{DEMO_KEY}", {"json": EVENT}),
    (f"/v1/integrations/demo?key={DEMO_KEY}", {"json": EVENT}),
    ("/v2/enqueue", {"json": ENQUEUED}),
]


@pytest.fixture(scope="module")
def example() -> Bundle:
    return load(POLICY)


@pytest.mark.parametrize(("path", "request_"), WAYS_IN)
async def test_intake_takes_no_demo_key_from_others(
    example: Bundle, path: str, request_: dict[str, Any]
) -> None:
    async with intake(FakeLog(policy=example), listen="127.0.0.1:0") as near:
        assert (await near.post(path, **request_)).status_code == 202
    log = FakeLog(policy=example)
    async with intake(log, listen=EVERYWHERE) as far:
        assert (await far.post(path, **request_)).status_code in {400, 401}
    assert log.records == []


async def test_keys_beside_the_demos_still_count(example: Bundle) -> None:
    mine = example.integrations["demo"].keys[0].model_copy(update={"sha256": digest("mine")})
    demo = example.integrations["demo"]
    both = demo.model_copy(update={"keys": (*demo.keys, mine)})
    policy = example.model_copy(update={"integrations": {**example.integrations, "demo": both}})
    async with intake(FakeLog(policy=policy), listen=EVERYWHERE) as far:
        assert (await far.post("/v1/events", json=EVENT, headers=bearer("mine"))).status_code == 202
        assert (await far.post("/v1/events", json=EVENT, headers=bearer(DEMO_KEY))).status_code == 401


def test_the_example_is_left_as_it_is_on_this_machine(example: Bundle) -> None:
    assert UsableKeys(loopback=True).of(example) is example
    left = UsableKeys(loopback=False).of(example)
    assert not left.api_keys["demo"].keys
    assert left.users == example.users


@pytest.mark.parametrize(
    ("listen", "loopback"),
    [
        ("127.0.0.1:8080", True),
        ("localhost:0", True),
        ("[::1]:80", True),
        (":8080", False),
        ("0.0.0.0:80", False),
        ("10.1.2.3:80", False),
    ],
)
def test_a_service_knows_whether_others_reach_it(listen: str, *, loopback: bool) -> None:
    assert IntakeSettings(listen=listen).loopback is loopback

"""Expressions that fail at run time: counted in a metric, and shown with the policy by every replica."""

from prometheus_client import REGISTRY

from services.router.batch.engine import Engine
from shared.policy import dump_json
from tests.domain.tale import bundle
from tests.services.router.api import SCHEDULES, Api, keys
from tests.services.router.desk import Desk, event

MISSING = [{"when": "attributes.budget > 1.0", "priority": 1}]


def counted(place: str) -> float:
    return REGISTRY.get_sample_value("ladder_expression_failures_total", {"place": place}) or 0.0


async def test_a_lead_sees_with_the_policy_which_expression_fails_how_often_and_why(
    served: Api, desk: Desk
) -> None:
    """Two replicas take events; one of them has not written down yet what it saw, and is asked."""
    policy = bundle(api_keys=keys(), schedules=SCHEDULES, priorities=MISSING)
    admin = {"Authorization": "Bearer admin"}
    applied = await served.client.put("/v1/policy", content=dump_json(policy), headers=admin)
    assert (applied.status_code, applied.json()["failing"]) == (200, [])
    before = counted("priorities"), counted("map")
    other = Desk(desk.database, Engine(desk.database))
    await other.accept(event("a"), event("b", attributes={"budget": 5}))
    await other.engine.failures.store_once()
    assert await other.engine.failures.store_once() == 0
    await desk.accept(event("c"), event("d", unmapped={"service": "nothing named 'job' was sent\0"}))
    for _ in range(2):  # as it is seen, and as it is stored
        shown = (await served.get("/v1/policy")).json()["failing"]
        assert {each["place"]: (each["count"], each["reason"]) for each in shown} == {
            "priorities[0].when": (3, 'Key not found in map : "budget"'),
            "integrations.test.map.service": (1, "nothing named 'job' was sent�"),
        }
        assert {each["policy"] for each in shown} == {applied.json()["hash"]}
        assert all(each["since"] <= each["last_at"] for each in shown)
        await desk.engine.failures.store_once()
    assert (counted("priorities"), counted("map")) == (before[0] + 3, before[1] + 1)

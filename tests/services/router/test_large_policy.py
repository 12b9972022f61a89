"""A large policy is taken whole or refused with its size: never in force here and unknown elsewhere."""

from pathlib import Path
from typing import Any

from services.router.batch.engine import Engine
from services.router.loops.policy_watch import PolicyWatch
from services.router.policy import store
from shared.eventlog import Partition, Received
from shared.eventlog.packed_headers import unpack
from shared.events import LARGEST_RECORD, POLICY
from shared.policy import Bundle
from shared.policy.publishing.wire_format import read
from tests.policy.large import as_json, incompressible, large
from tests.services.router.api import Api, keys
from tests.services.router.desk import NOON, Desk


async def put(api: Api, plain: dict[str, Any]) -> Any:
    headers = {"Authorization": "Bearer admin", "content-type": "application/json"}
    return await api.client.put("/v1/policy", content=as_json(plain), headers=headers, timeout=120)


async def newest(desk: Desk) -> Received:
    [row] = await desk.sql(
        "SELECT key, value, headers FROM router.outbox WHERE topic = :t ORDER BY id DESC LIMIT 1", t=POLICY
    )
    return Received(Partition(POLICY, 0), 0, row.key, row.value, unpack(row.headers), NOON)


async def test_a_policy_of_ten_thousand_users_and_a_thousand_policies_is_applied_and_told(
    served: Api,
) -> None:
    """It was taken with 200 and held up every page behind it; now intake and notifier get it, whole."""
    answer = await put(served, large(api_keys=keys() | {"ana": keys()["admin"]}))
    assert answer.status_code == 200, answer.text
    record = await newest(served.desk)
    assert len(record.value) < LARGEST_RECORD
    told = read(record)
    assert (told.hash, told.revision) == (answer.json()["hash"], answer.json()["revision"])
    bundle = Bundle.model_validate_json(bytes(told.bundle))
    assert (len(bundle.users), len(bundle.policies)) == (10_000, 1_000)
    assert (await served.get("/v1/policy")).json()["hash"] == told.hash


async def test_a_policy_that_cannot_be_told_of_is_refused_with_its_size(
    served: Api,
) -> None:
    """422 before it is in force, and the reason says how large it is and what would fit."""
    before = (await served.get("/v1/policy")).json()
    answer = await put(served, incompressible(5_000_000))
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert "5025016 bytes as JSON" in error["reason"]
    assert "at most 3143680 compressed can be published" in error["reason"]
    assert (await served.get("/v1/policy")).json() == before


async def test_a_file_that_cannot_be_told_of_is_refused_and_the_last_good_one_stays(
    desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "policy.json"
    file.write_bytes(as_json(incompressible(5_000_000)))
    watch = PolicyWatch(desk.database, Engine(desk.database).bundles, file, lambda: None)
    found = await watch.watch_once()
    assert found is not None
    assert found.source == "api"  # the one from before
    assert "5025016 bytes as JSON" in watch.refused


async def test_a_policy_in_force_that_cannot_be_told_of_stops_nothing(desk: Desk) -> None:
    """A release that did not look put it in force: a router that starts says so and goes on."""
    await desk.sql(
        "UPDATE router.policy SET bundle = decode(repeat('00', 17000000), 'hex') || bundle",
    )
    async with desk.database.transaction() as connection:
        assert await store.publish_again(connection) is not None
    assert await desk.count("outbox") == 0

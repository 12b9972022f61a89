"""What an explanation foretells beside what the incident itself holds: the office, others, the directory."""

from datetime import datetime, timedelta
from typing import Any

from shared.clock import utcnow
from tests.domain.tale import bundle, ladder
from tests.services.router.api import SCHEDULES, Api, keys
from tests.services.router.desk import event
from tests.services.router.test_relations import CAUSES, GROUPING, by_key, hand_on
from tests.services.router.test_silences import ask, at, silence


async def next_of(served: Api, key: str = "checkout") -> list[dict[str, Any]]:
    incident = (await by_key(served.desk))[key]
    answer = await served.get(f"/v1/incidents/{incident.id}/explain")
    assert answer.status_code == 200, answer.text
    steps: list[dict[str, Any]] = answer.json()["next"]
    assert [step["at"] for step in steps] == sorted(step["at"] for step in steps)
    assert all(step["unless"] for step in steps)
    return steps


def second_level(*notify: Any, **more: Any) -> dict[str, Any]:
    levels = [
        {"name": "desk", "notify": ["user:karel"], "acknowledge_within": "5m"},
        {"name": "experts", "notify": notify, "acknowledge_within": "10m", **more},
    ]
    return {"policies": {"main": ladder(levels=levels)}}


async def put(served: Api, **sections: Any) -> None:
    await served.desk.put_in_force(bundle(**({"api_keys": keys(), "schedules": SCHEDULES} | sections)))


async def test_whoever_stands_in_is_the_one_who_will_be_paged(served: Api) -> None:
    await put(served, **second_level("schedule:desk"))
    await served.desk.accept(event())
    (first, *_) = await next_of(served)
    has, other = ("ana", "petra") if "Ana" in first["what"] else ("petra", "ana")
    body = {"schedule": "desk", "user": other, "from": at(hours=-1), "to": at(hours=1)}
    made = await ask(served, "POST", "/v1/overrides", json=body)
    assert made.status_code == 201, made.text
    (first, *_) = await next_of(served)
    assert other.capitalize() in first["what"]
    assert has.capitalize() not in first["what"]


async def test_a_silence_changes_the_future_from_the_moment_it_is_posted(served: Api) -> None:
    await served.desk.accept(event(service="checkout"))
    (first, *_) = await next_of(served)
    assert "level experts is paged" in first["what"]
    made = await silence(served, key="lead")
    begins, ends, paged = (await next_of(served))[:3]
    assert "nobody is notified: silence of api:lead" in begins["what"]
    assert datetime.fromisoformat(begins["at"]) <= utcnow()
    assert ends["what"].startswith(f"silence {made['id']} is over")
    assert abs(datetime.fromisoformat(ends["at"]) - datetime.fromisoformat(made["until"])) < timedelta(
        seconds=1
    )
    assert "level desk is paged" in paged["what"]
    await ask(served, "DELETE", f"/v1/silences/{made['id']}")
    assert "level experts is paged" in (await next_of(served))[0]["what"]


async def test_maintenance_that_is_still_to_come_stands_in_the_future(served: Api) -> None:
    await served.desk.accept(event(service="checkout"))
    body = {"name": "upgrade", "when": "service == 'checkout'", "from": at(minutes=2), "to": at(hours=2)}
    made = await ask(served, "POST", "/v1/maintenance", json=body | {"then": "drop"})
    assert made.status_code == 201, made.text
    begins, dropped, closed = await next_of(served)
    assert datetime.fromisoformat(begins["at"]) == datetime.fromisoformat(made.json()["from"])
    assert begins["what"].startswith("nobody is notified: maintenance upgrade of api:lead")
    assert dropped["what"].startswith("dropped: maintenance upgrade is over")
    assert closed["what"].startswith("closed")


async def test_a_cause_and_a_group_are_looked_up_for_the_future_too(served: Api) -> None:
    await put(served, **CAUSES)
    await served.desk.accept(event(service="checkout"))
    await served.desk.accept(event("payments", service="payments"))
    (first, *_) = await next_of(served)
    assert "nobody is notified: rule payments" in first["what"]
    await hand_on(served.desk)
    (only,) = await next_of(served)
    assert "nobody is notified while rule payments applies" in only["what"]


async def test_a_grouped_incident_goes_on_with_its_parent(served: Api) -> None:
    await put(served, **GROUPING)
    for key in ("checkout", "second"):
        await served.desk.accept(event(key, service="checkout"))
    first, *others = await next_of(served, "second")
    assert (await by_key(served.desk))["checkout"].id in first["what"]
    assert not [step for step in others if "paged" in step["what"]]


async def test_the_owner_of_a_customer_of_the_directory_is_foretold_by_name(served: Api) -> None:
    await put(served, **second_level("owner"))
    body = {"name": "Dune", "tier": "gold", "owner": "petra", "match": ["dune.example"]}
    assert (await ask(served, "PUT", "/v1/customers/dune", json=body)).status_code == 200
    await served.desk.accept(event(customer="dune.example"))
    assert "Petra" in (await next_of(served))[0]["what"]
    await ask(served, "PUT", "/v1/customers/dune", json=body | {"owner": "ana"})
    assert "Ana" in (await next_of(served))[0]["what"]


async def test_the_next_of_a_round_robin_is_foretold_and_asking_does_not_move_it(served: Api) -> None:
    await put(served, **second_level("user:ana", "user:petra", mode="round_robin"))
    await served.desk.accept(event())
    foretold = [(await next_of(served))[0]["what"] for _ in range(2)]
    assert foretold[0] == foretold[1]
    (incident,) = await served.desk.incidents()
    assert (await served.act(incident.id, "escalate", because="expertise")).status_code == 200
    await served.desk.accept(event("second"))
    (following, *_) = await next_of(served, "second")
    assert ("Ana" in following["what"]) != ("Ana" in foretold[0])


async def test_what_it_started_with_counts_and_people_are_those_of_now(served: Api) -> None:
    await put(served, **second_level("user:petra"))
    await served.desk.accept(event())
    people = {"ana": {"name": "Ana"}, "petra": {"name": "Petronella"}, "karel": {"name": "Karel"}}
    users = {name: {**user, "contacts": {"box": {"inbox": name}}} for name, user in people.items()}
    levels = [{"name": "others", "notify": ["user:ana"], "acknowledge_within": "1m"}]
    await put(served, users=users, policies={"main": ladder(levels=levels)})
    (first, *_) = await next_of(served)
    assert "level experts is paged" in first["what"]
    assert "Petronella" in first["what"]


async def test_one_whose_policy_cannot_be_used_says_so(served: Api) -> None:
    await served.desk.accept(event())
    (incident,) = await served.desk.incidents()
    await put(served, **second_level("user:petra"))
    broken = {"bundle": b'{"version": 99}', "hash": incident.policy_hash}
    await served.desk.sql("UPDATE router.policy SET bundle = :bundle WHERE hash = :hash", **broken)
    served.desk.engine.bundles.__init__()  # as after a restart
    (only,) = await next_of(served)
    assert "the policy it started with cannot be used" in only["what"]
    assert only["unless"] == "somebody re-applies the policy in force"

"""Rule 17: customers are those of the moment – a changed tier counts at once for incidents that are open."""

from typing import Any

from tests.domain.tale import bundle, ladder
from tests.services.router.api import api_of, keys
from tests.services.router.conftest import database, desk, router_template, router_url  # noqa: F401 - fixtures
from tests.services.router.desk import Desk, event
from tests.services.router.test_customers import Customers

SLAS = [
    {"name": "gold", "when": "tier == 'gold'", "acknowledge": "5m"},
    {"name": "others", "acknowledge": "1h"},
]


async def test_a_customer_who_becomes_gold_gets_its_promise_by_the_next_event(desk: Desk) -> None:  # noqa: F811
    async with api_of(desk, keys()) as api:
        customers = Customers(api)
        await desk.put_in_force(bundle(api_keys=keys(), slas=SLAS))
        await customers.have("globex", tier="silver", match=["globex.example"], owner="petra")
        await desk.accept(event(customer="ops@globex.example"))
        before = await desk.only()
        await customers.have("globex", tier="gold", match=["globex.example"], owner="petra")
        assert await desk.only() == before  # by itself a change decides nothing
        await desk.accept(event(title="Checkout is still down"), event(title="still", customer="globex"))
    after = await desk.only()
    assert (before.sla, after.sla, after.tier) == ("others", "gold", "gold")
    assert [clock.goal for clock in after.clocks if clock.state == "running"] == [300]


async def test_its_owner_is_the_one_of_the_moment_and_a_removed_one_has_none(desk: Desk) -> None:  # noqa: F811
    points: list[dict[str, Any]] = [
        {"name": f"event {n}", "when": f"events == {n}", "do": [{"notify": ["owner"]}]} for n in (2, 3)
    ]
    level = {"name": "desk", "notify": ["owner"], "acknowledge_within": "5m"}
    main = ladder(levels=[level], points=points)
    async with api_of(desk, keys()) as api:
        customers = Customers(api)
        await desk.put_in_force(bundle(api_keys=keys(), policies={"main": main}))
        await customers.have("globex", owner="ana")
        await desk.accept(event(customer="globex"))
        await customers.have("globex", owner="petra")
        await desk.accept(event())
        assert (await customers.ask("DELETE", "/globex")).status_code == 204
        await desk.accept(event())
    assert [page.recipient.name for page in await desk.pages()] == ["ana", "petra"]
    said = await desk.sql("SELECT text FROM router.timeline WHERE kind = 'nobody'")
    assert [row.text for row in said] == [
        "point event 3: owner: the incident's customer has no account owner"
    ]

"""`/v1/users/{name}/test-page`: how somebody is paged, tried out on a whole Ladder."""

from urllib.parse import urlsplit

from tests.api.hosted import Office, problem
from tests.waiting import until

PATH = "/v1/users/{}/test-page"


async def begun(office: Office, user: str = "me", key: str = "rita", **query: str):
    """A test that has begun: this minute may have had one."""
    query = {"hurry": "false"} | query

    async def tried():
        answer = await office.ask("POST", PATH.format(user), key, params=query)
        return answer if answer.status_code != 429 else None

    answer = await until(tried, seconds=65)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def states(office: Office, trial) -> dict[str, str]:
    items = (await office.get("/v1/deliveries", incident=trial["id"])).json()["items"]
    return {item["contact"]: item["state"] for item in items}


async def test_a_test_page_walks_the_rules_and_ends_by_its_link(office: Office) -> None:
    trial = await begun(office)
    said = [(step["contact"], step["delayed_by"], step["cannot_be_sent"][:20]) for step in trial["steps"]]
    assert said == [
        ("box", "", ""),
        ("phone", "rule high[1] after 1h", "LADDER_TWILIO_ACCOUN"),
        ("other", "rule high[2] after 2h", ""),
    ]

    async def arrived() -> bool:
        return (await states(office, trial))["box"] == "delivered"

    await until(arrived)
    message = await office.paged(trial["id"], "rita")
    assert message is not None
    assert (message["event"], message["title"]) == ("test", "Test page for Rita Nova")
    link = urlsplit(message["links"]["acknowledge"]).path

    shown = await office.get(link, key="")
    assert "End the test" in shown.text
    assert (await states(office, trial))["phone"] == "pending"  # looking never acts
    ended = await office.ask("POST", link, key="")
    assert (ended.status_code, "Nothing more comes" in ended.text) == (200, True)
    assert await states(office, trial) == {"box": "delivered", "phone": "cancelled", "other": "cancelled"}

    again = problem(await _twice(office), 429, "too-many-tests")
    assert "the next test of rita may begin in" in again["detail"]


async def _twice(office: Office):
    """The answer to one too many: two may stand on both sides of a full minute."""
    answers = [await office.ask("POST", PATH.format("rita"), "rita") for _ in range(3)]
    await office.ask("DELETE", PATH.format("rita"), "rita")
    return answers[-1]


async def test_ones_own_rules_are_tried_with_ones_own_key_and_others_by_a_lead(office: Office) -> None:
    for method in ("POST", "DELETE"):
        problem(await office.ask(method, PATH.format("rita"), "ana"), 403, "forbidden")
        problem(await office.ask(method, PATH.format("nobody"), "lead"), 404, "not-found")
        problem(await office.ask(method, PATH.format("me"), "lead"), 404, "not-found")
    assert (await office.ask("DELETE", PATH.format("petra"), "lead")).json() == {
        "user": "petra",
        "called_off": 0,
    }


async def test_a_link_that_is_not_ours_ends_nothing(office: Office) -> None:
    for method in ("GET", "POST"):
        answer = await office.ask(method, f"{PATH.format('rita')}/made-up", "")
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (404, "text/html")

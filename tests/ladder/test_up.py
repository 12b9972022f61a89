"""`ladder up` as a newcomer meets it: a process of its own, the example policy, its printed lines, its API."""

import html
import json
import re
import shlex
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ladder.embedded.os_processes import working_in
from ladder.embedded.postgres import EmbeddedPostgres
from shared.security.demo_keys import DEMO_KEY
from tests.client.conftest import Printed, Terminal
from tests.ladder.running import POLICY, Up
from tests.waiting import until


@pytest.fixture(scope="module")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    """One that runs for the whole module; a test that ends it starts it again."""
    running = Up(tmp_path_factory.mktemp("up") / "data dir", trusted_proxies="127.0.0.1")
    await running.start()
    yield running
    await running.end()


def _servers(up_folder: Path) -> list[int]:
    return list(working_in(EmbeddedPostgres(up_folder / "postgres").data))


async def test_it_says_where_it_is_what_it_runs_on_and_one_line_to_try(up: Up) -> None:
    await until(lambda: "event log  PostgreSQL" in up.said)
    await until(lambda: "ladder-demo-key" in up.said)
    await until(lambda: up.said.count("curl -s ") == 1)
    async with up.client() as client:
        assert (await client.get("/readyz")).json() == {"ready": True, "reasons": {}}


async def test_its_address_in_a_browser_says_that_it_is_well_and_shows_what_works_here(up: Up) -> None:
    async with up.client() as client:
        page = await client.get("/", headers={"Accept": "text/html", "Authorization": ""})
        assert page.status_code == 200
        assert "It is well." in page.text
        assert "intake, router and notifier" in page.text
        [sent, inbox, elsewhere] = [html.unescape(one) for one in re.findall("<pre>(.*?)</pre>", page.text)]
        assert sent in up.said, "the line to try is the terminal's"
        assert shlex.split(inbox)[2] == f"{up.url}/v1/inbox/ana"
        assert elsewhere == f"export LADDER_URL={up.url}"
        for path in re.findall('href="(.*?)"', page.text):
            assert (await client.get(path)).status_code == 200


async def test_an_event_pages_the_first_level_and_the_story_says_whom_and_why(up: Up) -> None:
    answer = await up.post("Checkout is down")
    assert answer.status_code == 202

    async def paged() -> bool:
        return any("Checkout is down" in item["title"] for item in await up.inbox("ana"))

    await until(paged)
    await until(lambda: "page → ana (service desk, round 1): " in up.said)


async def test_whoever_takes_it_is_named_and_nobody_else_is_paged(up: Up) -> None:
    await up.post("Payments are slow", dedup_key="slow")
    async with up.client() as client:

        async def opened() -> str:
            items = (await client.get("/v1/incidents?dedup_key=slow")).json()["items"]
            return items[0]["id"] if items else ""

        incident = await until(opened)
        taken = await client.post(f"/v1/incidents/{incident}/actions", json={"action": "acknowledge"})
        assert taken.status_code == 200, taken.text
        assert taken.json()["assignee"] == "ana"
    await until(lambda: "pages stop (taken) · “Payments are slow”" in up.said)


@pytest.mark.parametrize(
    ("reached", "begin"),
    [
        (
            {"X-Forwarded-Proto": "https", "Host": "ladder.example.com"},
            "https://ladder.example.com/v1/schedules/",
        ),
        ({"Host": "ladder.test:8080"}, "http://ladder.test:8080/v1/schedules/"),
    ],
    ids=["by a proxy", "as it is"],
)
async def test_a_calendars_address_is_the_one_by_which_people_reach_it(
    up: Up, reached: dict[str, str], begin: str
) -> None:
    """Absolute, and https where a proxy that is trusted speaks https."""
    async with up.client() as client:
        (schedule, *_) = (await client.get("/v1/schedules")).json()["items"]
        given = await client.post(f"/v1/schedules/{schedule['name']}/feed", headers=reached)
    assert given.json()["url"].startswith(begin)


@pytest.mark.parametrize(
    ("situation", "kind", "level", "inboxes"),
    [
        ("support", "customer_case", "", {"ela", "jan"}),  # whose week it is
        ("incidents", "incident", "team", {"petr"}),  # automation would have had a minute for itself
        ("projects", "", "board", {"ruth"}),  # the office may be closed
        ("crisis", "crisis", "", {"igor"}),
    ],
)
async def test_a_situation_can_be_tried_as_the_readme_says_and_be_taken_back(
    up: Up, situation: str, kind: str, level: str, inboxes: set[str]
) -> None:
    """Apply it, send as the README does, be paged in the inbox, take it, and apply the example again."""
    ladder = Terminal(up.url)
    before = up.said.count(" policy · applied by ")
    applied = ladder("apply", str(POLICY / "situations" / f"{situation}.yaml"), key=DEMO_KEY)
    assert applied.exit_code == 0, applied.err
    await until(lambda: up.said.count(" policy · applied by ") == before + 1)

    async def posted() -> bool:  # intake learns of the policy by the log
        return (await up.post(f"Tried {situation}")).status_code == 202 and sent().exit_code == 0

    def sent() -> Printed:
        more = ["--kind", kind] if kind else []
        asked = ["send", "The till is down", "--dedup-key", f"try-{situation}", "--customer", "acme"]
        return ladder(*asked, "--severity", "critical", *more, key=DEMO_KEY)

    await until(posted)
    if level:
        up_to = ("escalate", f"try-{situation}", "--level", level)
        await until(lambda: ladder(*up_to, key=DEMO_KEY).exit_code == 0)

    async def paged() -> bool:
        kept = [item for user in inboxes for item in await up.inbox(user)]
        return any("The till is down" in item["title"] for item in kept)

    await until(paged)
    taken = ladder("ack", f"try-{situation}", key=DEMO_KEY)
    assert taken.exit_code == 0, taken.err
    assert "taken by" in taken.out
    back = ladder("apply", "--json", str(POLICY), key=DEMO_KEY)
    assert back.exit_code == 0, back.err
    assert json.loads(back.out)["changes"]


async def test_after_a_kill_in_the_middle_nothing_accepted_is_lost(tmp_path: Path) -> None:
    up = Up(tmp_path / "killed")
    await up.start()
    accepted = [await up.post(f"Problem {number}", dedup_key=f"kill-{number}") for number in range(20)]
    assert {answer.status_code for answer in accepted} == {202}
    await up.end(signal.SIGKILL)

    await up.start()
    async with up.client() as client:

        async def all_there() -> bool:
            items = (await client.get("/v1/incidents?limit=100")).json()["items"]
            return {f"kill-{number}" for number in range(20)} == {item["dedup_key"] for item in items}

        await until(all_there, seconds=15)
    assert await up.end() == 0


async def test_it_names_the_policy_that_is_in_force_after_another_one_was_applied(tmp_path: Path) -> None:
    up = Up(tmp_path / "applied")
    await up.start()
    await until(lambda: f"policy     {POLICY} (" in up.said)
    other = (POLICY / "ladder.yaml").read_text().replace("every: 20s", "every: 30s")
    async with up.client() as client:
        answer = await client.put("/v1/policy", content=other)
        assert answer.status_code == 200, answer.text
    await up.end()
    await up.start()
    applied = answer.json()["hash"][:12]
    await until(lambda: f"({applied}, revision 2, by user:ana)" in up.said)
    await until(lambda: f"not LADDER_POLICY={POLICY} (" in up.said)
    await until(lambda: f"`ladder apply {POLICY}` puts it back" in up.said)
    await up.end()


async def test_without_a_policy_it_says_that_none_is_in_force_and_what_to_do(tmp_path: Path) -> None:
    up = Up(tmp_path / "none", policy="")
    await up.start()
    await until(lambda: "policy     none" in up.said)
    assert up.said.startswith(f"Ladder runs on {up.url}, but no policy is in force")
    await until(lambda: "start it with LADDER_POLICY=" in up.said)
    assert await up.end() == 0


async def test_a_save_of_the_policy_is_told_with_what_changed_and_a_broken_one_with_its_place(
    tmp_path: Path,
) -> None:
    file = tmp_path / "policy.yaml"
    good = (POLICY / "ladder.yaml").read_text()
    file.write_text(good)
    up = Up(tmp_path / "edited", policy=file)
    await up.start()
    better = good.replace("acknowledge_within: 15s  ", "acknowledge_within: 30s  ")
    file.write_text(better.replace("desk: {members: [ana]", "desk: {members: [ana, petra]"))
    await until(lambda: "team desk: petra added" in up.said)
    assert f"policy · taken from {file} · revision 2 (" in up.said
    assert "    policies.quick.levels[0].acknowledge_within: 15s → 30s\n" in up.said
    file.write_text(good.replace("every: 20s", "every: soon"))
    place = 1 + good[: good.index("every: 20s")].count("\n")
    await until(lambda: f"what was in force stays in force: {file}:{place}:" in up.said)
    assert "Traceback" not in up.said
    assert (await up.post("Still taken")).status_code == 202
    assert await up.end() == 0


async def test_a_signal_ends_it_cleanly_with_one_line_and_ends_the_database(tmp_path: Path) -> None:
    up = Up(tmp_path / "ended")
    await up.start()
    assert _servers(tmp_path / "ended")
    assert await up.end(signal.SIGTERM) == 0
    assert up.said.splitlines()[-1] == "Ladder has stopped."
    assert "Traceback" not in up.said
    assert not _servers(tmp_path / "ended")


async def test_a_second_one_on_the_same_folder_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    first, second = Up(tmp_path / "shared"), Up(tmp_path / "shared")
    await first.start()
    second._output = tmp_path / "second.out"
    with pytest.raises(AssertionError, match="Another `ladder up` \\(process "):
        await second.start()
    assert second.exit_code == 2
    assert (await first.post("Still here")).status_code == 202
    assert await first.end() == 0

"""What will not work is told whoever puts a policy in force, and by `GET /v1/policy` from then on."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from services.router.batch.engine import Engine
from services.router.loops.policy_watch import PolicyWatch
from services.router.policy import installation
from shared.clock import utcnow
from shared.policy import content_hash, dump_json
from shared.policy.model.targets import CHANNELS
from tests.domain.tale import bundle
from tests.services.router.api import Api
from tests.services.router.desk import Desk
from tests.services.router.test_duty import alone_is, ask, policy, users

UNTOLD = {"t": {"title": "{{ title }}", "body": "We are on it."}}
UPDATES = [{"who": ["customer"], "events": ["update"], "template": "t"}]


@pytest.fixture
async def served(served: Api) -> Api:
    await served.desk.put_in_force(policy(schedules={"desk": alone_is("ana")}, users=users()))
    return served


def with_contacts(**contacts: Any) -> dict[str, Any]:
    return {name: one | {"contacts": contacts} for name, one in users().items()}


async def put(served: Api, **sections: Any) -> httpx2.Response:
    content = dump_json(policy(schedules={"desk": alone_is("ana")}, **sections))
    return await ask(served, "PUT", "/v1/policy", "admin", content=content)


async def told_by_a_notifier(desk: Desk) -> None:
    """One has said what it can send: everything but ntfy."""
    async with desk.database.transaction() as connection:
        await installation.heard(connection, sorted({*CHANNELS} - {"ntfy"}), utcnow())


async def test_whoever_applies_a_policy_hears_of_contacts_that_are_never_used(served: Api) -> None:
    await told_by_a_notifier(served.desk)
    answer = await put(served, users=with_contacts(box={"inbox": "x"}, other={"ntfy": "somewhere"}))
    assert answer.status_code == 200, answer.text
    [finding] = answer.json()["findings"]
    assert (finding["severity"], finding["code"]) == ("warning", "L110")
    assert finding["path"] == f"users.{min(users())}.contacts.other.ntfy"
    [warning] = answer.json()["warnings"]
    assert warning == f"{finding['path']}: {finding['message']}"

    shown = (await served.get("/v1/policy")).json()
    assert shown["warnings"] == [warning]
    assert shown["findings"] == [finding | {"file": "", "line": 0, "column": 0}]


async def test_the_router_knows_that_there_is_no_mail_server_once_a_notifier_has_said_so(served: Api) -> None:
    mail = with_contacts(mail={"email": "somebody@example.com"})
    assert (await put(served, users=mail)).json()["warnings"] == []
    assert (await served.get("/v1/policy")).json()["sends"] is None

    async with served.desk.database.transaction() as connection:
        await installation.heard(connection, ["webhook", "inbox"], utcnow() - timedelta(hours=5))
    shown = (await served.get("/v1/policy")).json()
    assert shown["sends"]["channels"] == ["inbox", "webhook"]
    assert {each["code"] for each in shown["findings"]} == {"L110", "L112", "L113"}
    assert "(as a notifier said 5 h ago)" in shown["warnings"][0]

    async with served.desk.database.transaction() as connection:
        await installation.heard(connection, ["email", "webhook", "inbox"], utcnow())
    assert (await served.get("/v1/policy")).json()["findings"] == []


async def test_a_policy_that_can_never_do_what_it_says_is_not_put_in_force(served: Api) -> None:
    before = (await served.get("/v1/policy")).json()["hash"]
    answer = await put(served, users=users(), subscriptions=UPDATES, templates=UNTOLD)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert (error["severity"], error["code"], error["path"]) == ("error", "L141", "templates.t.body")
    assert error["mend"] == "put {{ text }} where it is to stand"
    assert (await served.get("/v1/policy")).json()["hash"] == before


async def test_a_policy_can_be_tried_on_the_server_before_it_is_applied(served: Api) -> None:
    """Who stands in by an override is known there, and who would be gone; nothing is changed."""
    before = (await served.get("/v1/policy")).json()
    now = utcnow()
    times = {"from": (now - timedelta(minutes=1)).isoformat(), "to": (now + timedelta(days=3)).isoformat()}
    assert (await ask(served, "POST", "/v1/overrides", json=times | {"absent": "ana"})).status_code == 201
    content = dump_json(policy(schedules={"desk": alone_is("ana")}, users=users(), loud="tier == 'glod'"))

    answer = (await ask(served, "POST", "/v1/policy/check", "admin", content=content)).json()

    assert {(each["severity"], each["code"]) for each in answer["findings"]} == {
        ("warning", "L121"),
        ("error", "L130"),
    }
    assert (answer["ok"], len(answer["hash"])) == (False, 64)
    assert (await served.get("/v1/policy")).json()["revision"] == before["revision"]
    broken = (await ask(served, "POST", "/v1/policy/check", "admin", content=b"version: 1\n")).json()
    assert (broken["ok"], broken["hash"]) == (False, None)
    assert broken["findings"][0]["code"] == "L100"


def watch(desk: Desk, file: Path) -> PolicyWatch:
    return PolicyWatch(desk.database, Engine(desk.database).bundles, file, lambda: None)


async def test_a_file_that_the_last_release_took_is_taken_again_after_an_upgrade(
    desk: Desk, tmp_path: Path
) -> None:
    """What it cannot do is said in the terminal; whoever changes it is asked to mend that first."""
    file, old = tmp_path / "policy.yaml", bundle(subscriptions=UPDATES, templates=UNTOLD)
    file.write_bytes(dump_json(old))
    router = watch(desk, file)
    with capture_logs() as lines:
        found = await router.watch_once()
    assert found is not None
    assert found.hash == content_hash(old)
    [told] = [each for each in lines if each["action"] == "policy_finding" and each["code"] == "L141"]
    assert told["event"].startswith(f"policy: {file}:1:")

    file.write_bytes(dump_json(bundle(subscriptions=UPDATES, templates=UNTOLD, last_resort=["user:petra"])))
    again = await router.watch_once()
    assert again is not None
    assert again.hash == content_hash(old)
    assert "writes `text` nowhere" in router.refused


async def test_what_will_not_work_is_told_in_the_terminal_when_the_file_is_saved(
    desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_bytes(dump_json(bundle()))
    router = watch(desk, file)
    await router.watch_once()
    await told_by_a_notifier(desk)
    file.write_bytes(dump_json(bundle(last_resort=["user:petra", {"ntfy": "somewhere"}])))
    with capture_logs() as lines:
        await router.watch_once()
    told = [each["event"] for each in lines if each["action"] == "policy_finding"]
    assert [
        each for each in told if "nothing is ever sent by ntfy: the notifier has no settings for it" in each
    ]

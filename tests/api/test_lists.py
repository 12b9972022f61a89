"""The page behind a message that lists several: all that somebody is asked for."""

import re
from datetime import datetime, timedelta

import httpx2
import pytest

from shared.clock import utcnow
from shared.security.keys import Signer
from tests.api.hosted import SECRET, Office

SIGNER = Signer((SECRET,))


def path(name: str = "ana", kind: str = "user", until: datetime | None = None) -> str:
    token = SIGNER.sign("list", {kind: name}, until or utcnow() + timedelta(hours=1))
    return f"/v1/replies/list/{token}"


async def chosen(office: Office, incidents: list[str], name: str = "ana") -> httpx2.Response:
    form = "&".join(f"incident={each}" for each in incidents)
    return await office.ask("POST", path(name), key="", content=form.encode())


async def holder(office: Office, incident_id: str) -> tuple[str, str]:
    shown = (await office.get(f"/v1/incidents/{incident_id}")).json()
    return shown["status"], shown["assignee"]


async def test_the_list_shows_what_is_asked_of_somebody_and_opening_it_takes_nothing(office: Office) -> None:
    found = await office.opened("listed", customer="acme")
    shown = (await office.get(path(), key="")).text
    assert "For Ana Novak" in shown
    assert "listed is down" in shown
    assert "for Acme (gold)" in shown
    assert f'value="{found["id"]}"' in shown
    assert (await holder(office, found["id"]))[0] == "triggered"
    assert "listed is down" not in (await office.get(path("petra"), key="")).text


async def test_a_line_leads_to_its_incident_and_its_buttons(office: Office) -> None:
    await office.opened("led-to")
    shown = (await office.get(path(), key="")).text
    (token,) = re.findall(r'<a href="\.\./link/([^"]+)">\[P\d\] led-to is down</a>', shown)
    assert "Take it" in (await office.get(f"/v1/replies/link/{token}", key="")).text


async def test_one_press_takes_what_was_listed_and_nothing_else(office: Office) -> None:
    ours = [(await office.opened(f"taken-{number}"))["id"] for number in range(2)]
    other = (await office.opened("not-chosen"))["id"]
    said = (await chosen(office, [*ours, "nonsense"])).text
    assert "You have taken 2 incidents." in said
    assert [await holder(office, each) for each in ours] == [("acknowledged", "ana")] * 2
    assert await holder(office, other) == ("triggered", "")
    again = (await chosen(office, ours)).text
    assert "You have taken nothing. 2 incidents had changed" in again


async def test_a_list_takes_only_what_its_holder_was_asked_for(office: Office) -> None:
    theirs = (await office.opened("not-petras"))["id"]
    assert "You have taken nothing." in (await chosen(office, [theirs], "petra")).text
    assert await holder(office, theirs) == ("triggered", "")


@pytest.mark.parametrize(
    "link",
    [
        path("nobody"),
        path(kind="customer"),
        path(until=utcnow() - timedelta(seconds=1)),
        path() + "x",
    ],
    ids=["somebody who left", "a customer", "expired", "altered"],
)
async def test_a_list_of_nobody_here_is_not_shown(office: Office, link: str) -> None:
    assert (await office.get(link, key="")).status_code == 404
    assert (await office.ask("POST", link, key="")).status_code == 404

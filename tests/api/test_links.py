"""The signed link in a page: whoever only looks at it changes nothing."""

import html
import re
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.api.hosted import Office


async def linked(office: Office, name: str, **fields: Any) -> tuple[str, str]:
    """An incident's id, and the path of the link in ana's page."""
    found = await office.opened(name, **fields)
    message = await office.paged(found["id"])
    assert message is not None
    return found["id"], urlsplit(message["links"]["acknowledge"]).path


async def status(office: Office, incident_id: str) -> tuple[str, str, int]:
    """Where it stands, who has it, and how often somebody did something to it."""
    shown = (await office.get(f"/v1/incidents/{incident_id}")).json()
    items = (await office.get(f"/v1/incidents/{incident_id}/timeline")).json()["items"]
    done = sum(item["actor"].startswith(("user:", "link:")) for item in items)
    return shown["status"], shown["assignee"], done


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
async def test_opening_a_link_never_acts(office: Office, method: str) -> None:
    """Mail scanners, previews and browsers that fetch ahead open what they find."""
    incident_id, link = await linked(office, f"opened-by-{method}")
    before = await status(office, incident_id)
    for _ in range(3):
        answer = await office.ask(method, link, key="")
        assert answer.status_code == (200 if method == "GET" else 405)
    assert await status(office, incident_id) == before


async def test_pressing_the_button_takes_it_for_the_person_of_the_link(office: Office) -> None:
    incident_id, link = await linked(office, "pressed")
    done = await office.ask("POST", link, key="")
    assert done.status_code == 200
    assert "Ana Novak" in done.text
    shown = (await office.get(f"/v1/incidents/{incident_id}")).json()
    assert (shown["status"], shown["assignee"]) == ("acknowledged", "ana")
    again = await office.ask("POST", link, key="")
    assert again.status_code == 200
    assert "Take it" not in (await office.get(link, key="")).text


def forms(page: str) -> dict[str, str]:
    """The page's buttons: where each posts to, by its words."""
    found = re.findall(
        r'<form method="post" action="([^"]+)">.*?<button[^>]*>([^<]+)</button>', page, re.DOTALL
    )
    return {html.unescape(words): f"/v1/replies/link/{token}" for token, words in found}


EVIDENCE: Any = {
    "description": "db-3 has no room left.\nSee the graph.",
    "labels": {"instance": "db-3:9100", "fingerprint": "a9b8c7d6e5f40312", "__name__": "disk_free"},
    "links": [
        {"href": "https://runbooks.example/disk", "text": "runbook_url"},
        {"href": "mailto:ops@example.com", "text": "graph"},
    ],
}


async def test_ana_sees_on_the_page_what_it_is_about_why_her_and_until_when(office: Office) -> None:
    incident_id, link = await linked(office, "evident", **EVIDENCE)
    shown = (await office.get(link, key="")).text
    for words in ("db-3 has no room left.\nSee the graph.", "db-3:9100", "desk", "named in the policy"):
        assert words in shown, words
    assert "Nobody has taken it yet." in shown
    assert "<dt>Act by</dt>" in shown
    assert "<dt>Otherwise</dt><dd>level experts is paged" in shown
    assert '<a href="https://runbooks.example/disk" rel="noopener noreferrer">Runbook</a>' in shown
    for noise in ("a9b8c7d6", "disk_free", "mailto"):
        assert noise not in shown, noise
    message = await office.paged(incident_id)
    assert message is not None
    assert message["links"]["Runbook"] == "https://runbooks.example/disk"
    assert "instance: db-3:9100" in message["text"]
    assert "a9b8c7d6" not in message["text"]


async def test_after_taking_it_the_page_leads_on_to_what_is_next(office: Office) -> None:
    incident_id, link = await linked(office, "leads-on")
    assert list(forms((await office.get(link, key="")).text)) == ["Take it", "It is solved", "Hand it up"]
    taken = (await office.ask("POST", link, key="")).text
    assert "You have taken it." in taken
    offered = forms(taken)
    assert list(offered) == ["It is solved", "Hand it up", "Give it back"]
    for _ in range(2):
        assert (await office.get(offered["It is solved"], key="")).status_code == 200  # looking does nothing
    assert (await status(office, incident_id))[0] == "acknowledged"
    solved = await office.ask("POST", offered["It is solved"], key="", content=b"note=a+new+disk")
    assert "It is resolved." in solved.text
    assert not forms(solved.text)
    items = (await office.get(f"/v1/incidents/{incident_id}/timeline")).json()["items"]
    assert [item["actor"] for item in items if "a new disk" in item["text"]] == ["user:ana"]


async def test_handing_it_up_twice_by_the_same_button_hands_it_up_once(office: Office) -> None:
    incident_id, link = await linked(office, "handed-once")
    up = forms((await office.ask("POST", link, key="")).text)["Hand it up"]
    for _ in range(2):
        assert "It was handed up." in (await office.ask("POST", up, key="", content=b"note=help")).text
    shown = (await office.get(f"/v1/incidents/{incident_id}")).json()
    assert (shown["level"], shown["status"], shown["assignee"]) == ("experts", "triggered", "")


async def test_what_was_given_back_can_be_taken_again_from_the_same_page(office: Office) -> None:
    incident_id, link = await linked(office, "taken-twice")
    take = forms((await office.get(link, key="")).text)["Take it"]
    back = forms((await office.ask("POST", take, key="")).text)["Give it back"]
    offered = forms((await office.ask("POST", back, key="")).text)
    assert (await status(office, incident_id))[1] == ""
    stale = await office.ask("POST", take, key="")  # the page before, by the browser's Back
    assert (stale.status_code, "Look again" in stale.text) == (409, True)
    assert (await status(office, incident_id))[1] == ""
    again = await office.ask("POST", offered["Take it"], key="")
    assert "You have taken it." in again.text
    assert (await status(office, incident_id))[1] == "ana"


async def test_a_button_of_a_page_that_is_out_of_date_does_nothing(office: Office) -> None:
    incident_id, link = await linked(office, "out-of-date")
    offered = forms((await office.get(link, key="")).text)
    await office.act(incident_id, "escalate", key="lead")
    before = await status(office, incident_id)
    late = await office.ask("POST", offered["Hand it up"], key="")
    assert (late.status_code, "Look again" in late.text) == (409, True)
    assert await status(office, incident_id) == before


async def test_what_petra_has_ana_is_not_offered_without_being_told_from_whom_she_takes_it(
    office: Office,
) -> None:
    incident_id, link = await linked(office, "taken-by-another")
    await office.act(incident_id, "assign", key="lead", to="petra")
    shown = await office.get(link, key="")
    assert "Petra Dvorak has taken it." in shown.text
    offered = forms(shown.text)
    assert list(offered) == ["Take it over from Petra Dvorak"]
    refused = await office.ask("POST", link, key="")
    assert (refused.status_code, "Nothing was changed" in refused.text) == (409, True)
    done = await office.ask("POST", offered["Take it over from Petra Dvorak"], key="")
    assert "You have taken it over." in done.text
    assert (await status(office, incident_id))[1] == "ana"


async def test_the_incident_of_a_message_opens_in_a_browser_and_offers_nothing(office: Office) -> None:
    incident_id, _ = await linked(office, "to-look-at", **EVIDENCE)
    message = await office.paged(incident_id)
    assert message is not None
    look = urlsplit(message["links"]["incident"]).path
    shown = await office.get(look, key="")
    _is_self_contained(shown)
    assert "db-3 has no room left." in shown.text
    assert not forms(shown.text)
    before = await status(office, incident_id)
    pressed = await office.ask("POST", look, key="")
    assert (pressed.status_code, "only shows it" in pressed.text) == (409, True)
    assert await status(office, incident_id) == before


async def test_a_link_to_what_is_over_says_so_kindly(office: Office) -> None:
    incident_id, link = await linked(office, "over")
    await office.act(incident_id, "resolve", key="lead")
    shown = await office.get(link, key="")
    assert "resolved already" in shown.text
    assert "<button" not in shown.text
    refused = await office.ask("POST", link, key="")
    assert (refused.status_code, "Nothing was changed" in refused.text) == (409, True)


async def test_a_page_runs_nothing_loads_nothing_and_shows_what_was_sent_as_text(office: Office) -> None:
    title = '<script>alert(1)</script> & "quotes" <img src=https://evil.example/x>'
    _, link = await linked(office, "hostile-title", title=title)
    page = await office.get(link, key="")
    _is_self_contained(page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text


async def test_the_documentation_runs_nothing_and_loads_nothing(office: Office) -> None:
    _is_self_contained(await office.get("/docs", key=""))


def _is_self_contained(page: httpx2.Response) -> None:
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"
    assert '<meta name="viewport"' in page.text
    for loads in ("<script", "<img", "<link", "<iframe", "src=", "@import", "url("):
        assert loads not in page.text.replace("src=https://evil", ""), loads


@pytest.mark.parametrize("token", ["x", "a.b", "%00", "%ff.%ff", "..", "a" * 20_000, "eyJ9.eyJ9", "é"])
async def test_a_token_that_is_none_is_a_page_that_says_so(office: Office, token: str) -> None:
    for method in ("GET", "POST"):
        answer = await office.ask(method, f"/v1/replies/link/{token}", key="")
        assert answer.status_code == 404


async def test_a_link_that_was_altered_does_nothing(office: Office) -> None:
    incident_id, link = await linked(office, "altered")
    before = await status(office, incident_id)
    head, _, signature = link.rpartition(".")
    for altered in (f"{head}.", f"{head}.{signature[:-4]}AAAA", f"{head[:-4]}AAAA.{signature}"):
        assert (await office.ask("POST", altered, key="")).status_code == 404
    assert await status(office, incident_id) == before

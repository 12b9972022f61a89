"""The signed link in a page: whoever only looks at it changes nothing."""

from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.api.office import Office


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
    assert "<button" not in (await office.get(link, key="")).text


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

"""Answers by telephone: what a text or a key does, what it never does, and what whoever answers hears."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any
from xml.etree import ElementTree as ET

import httpx2
import pytest
from pydantic import SecretStr

from services.router.api.phone import asked, words
from services.router.api.phone.words import Said
from shared.phones.answers import code_of
from shared.phones.signatures import HEADER, signature
from shared.security.short_references import shortened
from tests.domain.tale import START, bundle, ladder
from tests.services.router.api import SCHEDULES, SIGNER, Api, api_of, keys
from tests.services.router.desk import Desk

TOKENS = ("the token", "the next token")
PUBLIC = "https://ladder.test/base"
ANA, PETRA, DESK_PHONE = "+420777000111", "+420777000222", "+420777000333"
PEOPLE: dict[str, Any] = {
    "ana": {"name": "Ana Novak", "contacts": {"phone": {"sms": "+420 777 000 111"}}},
    "petra": {"name": "Petra Dvorak", "role": "lead", "contacts": {"call": {"voice": "00420777000222"}}},
    "karel": {"name": "Karel", "contacts": {"box": {"inbox": "karel"}}},
}
TEAMS = {"desk": {"members": ["ana"], "contacts": {"duty": {"sms": DESK_PHONE}}}}
BOTH = ladder(
    levels=[{"name": "desk", "notify": ["user:ana", "user:petra"], "acknowledge_within": "5m"}],
    **{"finally": {"notify": ["team:desk"], "every": "15m"}},
)


@dataclass
class Phones:
    """Telephones, and the provider that posts for them."""

    served: Api
    numbers: count = field(default_factory=lambda: count(1))

    async def post(
        self, path: str, form: dict[str, str], token: str = TOKENS[0], url: str = ""
    ) -> httpx2.Response:
        called = url or f"{PUBLIC}{path}"
        headers = {HEADER: signature(called, list(form.items()), token)}
        return await self.served.client.post(path, data=form, headers=headers)

    async def text(self, number: str, body: str, sid: str = "") -> str:
        """Text this; what is texted back."""
        form = {
            "MessageSid": sid or f"SM{next(self.numbers)}",
            "From": number,
            "To": "+15005550006",
            "Body": body,
        }
        answer = await self.post("/v1/replies/twilio/sms", form)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/xml")
        found = ET.fromstring(answer.text).find("Message")
        return "" if found is None else str(found.text)

    async def press(self, key: str, reference: str, sid: str = "CA1") -> str:
        """Press a key in a call; what is said."""
        answer = await self.post(f"/v1/replies/twilio/voice/{reference}", {"CallSid": sid, "Digits": key})
        assert answer.status_code == 200, answer.text
        said = [each.text or "" for each in ET.fromstring(answer.text).iter("Say")]
        return said[0]

    async def stands(self, incident_id: str) -> tuple[str, str]:
        shown = (await self.served.get(f"/v1/incidents/{incident_id}")).json()
        return shown["status"], shown["assignee"]

    async def page(self, incident_id: str, user: str = "ana", **instead: str) -> str:
        """The reference in the call to this person."""
        found = next(each for each in await self.served.desk.incidents() if each.id == incident_id)
        page = next(each for each in found.pages if each.name == user)
        claims = {
            "incident": incident_id,
            "page": page.page_id,
            "user": user,
            "recipient": f"user:{user}",
            "action": "acknowledge",
        }
        long = SIGNER.sign("reply", claims | instead, START + timedelta(days=3650))
        return shortened(SIGNER, "reply", long, START)


@pytest.fixture
async def phones(desk: Desk) -> AsyncIterator[Phones]:
    given = {"twilio_token": SecretStr(", ".join(TOKENS)), "public_url": PUBLIC}
    async with api_of(desk, keys(), **given) as served:
        policy = bundle(
            users=PEOPLE, teams=TEAMS, policies={"main": BOTH}, api_keys=keys(), schedules=SCHEDULES
        )
        await desk.put_in_force(policy)
        yield Phones(served)


async def test_one_takes_the_one_that_waits_and_two_resolves_it(phones: Phones) -> None:
    incident = await phones.served.opened("checkout", title="Checkout is down")
    assert await phones.text(ANA, " 1 ") == "Taken. Ladder pages nobody else.\nCheckout is down"
    assert await phones.stands(incident) == ("acknowledged", "ana")
    assert await phones.text(ANA, "1") == "Taken. Ladder pages nobody else.\nCheckout is down"
    assert await phones.text(PETRA, "Ack!") == "Ana Novak has it already.\nCheckout is down"
    assert await phones.text(ANA, "2") == "It is resolved.\nCheckout is down"
    assert await phones.stands(incident) == ("resolved", "ana")
    assert await phones.text(ANA, "1") == "Nothing waits for an answer from you."


async def test_of_several_nothing_is_guessed_and_a_code_says_which(phones: Phones) -> None:
    first = await phones.served.opened("checkout", title="Checkout is down")
    second = await phones.served.opened("database", title="Database is slow")
    said = await phones.text(ANA, "1")
    assert said.startswith("Nothing was changed. Which one? Text\n")
    assert f"1 {code_of(first)}: Checkout is down" in said
    assert {await phones.stands(each) for each in (first, second)} == {("triggered", "")}
    assert "Database is slow" in await phones.text(ANA, f"1 {code_of(second).upper()}")
    assert await phones.stands(second) == ("acknowledged", "ana")
    assert "Nothing was changed. Which one?" in await phones.text(ANA, "2")
    note = await phones.text(ANA, f"2{code_of(second)} a new disk")
    assert note == "It is resolved.\nDatabase is slow"
    timeline = (await phones.served.get(f"/v1/incidents/{second}/timeline")).json()["items"]
    assert [item["actor"] for item in timeline if "a new disk" in item["text"]] == ["user:ana"]


async def test_one_that_was_meant_for_what_another_just_took_takes_nothing_else(phones: Phones) -> None:
    """Ana reads of the checkout; before she answers Petra has it, and the database pages Ana."""
    checkout = await phones.served.opened("checkout", title="Checkout is down")
    await phones.text(PETRA, "1")
    database = await phones.served.opened("database", title="Database is slow")
    said = await phones.text(ANA, "1")
    assert said.startswith("Petra Dvorak has it already. (Checkout is down)\nIf you mean this one, text\n1 ")
    assert await phones.stands(database) == ("triggered", "")
    assert await phones.stands(checkout) == ("acknowledged", "petra")
    await phones.served.desk.sql(
        "UPDATE router.incident SET updated_at = now() - interval '1 hour' WHERE id = CAST(:id AS uuid)",
        id=checkout,
    )
    assert (await phones.text(ANA, "1")).startswith("Taken.")


async def test_the_same_text_that_comes_again_acts_once_and_is_answered_alike(phones: Phones) -> None:
    first = await phones.served.opened("checkout", title="Checkout is down")
    answer = await phones.text(ANA, "1", "SM7")
    await phones.served.act(first, "unacknowledge")
    second = await phones.served.opened("database", title="Database is slow")
    assert await phones.text(ANA, "1", "SM7") == answer
    assert [await phones.stands(each) for each in (first, second)] == [("triggered", "")] * 2
    await phones.served.desk.sql(
        "UPDATE router.idempotency SET answer = replace(convert_from(answer, 'UTF8'), '202', '201')::bytea "
        "WHERE caller = 'telephone'"
    )
    assert await phones.text(ANA, "1", "SM7") == "This was answered before."


async def test_strangers_and_words_of_the_provider_are_answered_by_silence(phones: Phones) -> None:
    incident = await phones.served.opened("checkout")
    for number in ("+420777999999", "Ladder", "", "420777000111"):
        assert await phones.text(number, "1") == ""
        assert await phones.text(number, "what is this?") == ""
    for word in ("STOP", "start", "Yes", "HELP"):
        assert await phones.text(ANA, word) == ""
    assert await phones.stands(incident) == ("triggered", "")


async def test_what_is_no_answer_is_explained_but_not_again_and_again(phones: Phones) -> None:
    """An answering machine that texts back would otherwise be answered for ever."""
    incident = await phones.served.opened("checkout")
    assert (await phones.text(ANA, "1 hour please")).startswith("Not understood, and nothing was changed.")
    assert await phones.text(ANA, "I am driving and will answer later") == ""
    assert await phones.stands(incident) == ("triggered", "")


async def test_the_telephone_of_a_team_or_of_nobody_takes_what_it_was_asked_but_ends_nothing(
    phones: Phones,
) -> None:
    front = "+420 777 000 444"
    level = {"name": "desk", "notify": ["team:desk", {"sms": front}], "acknowledge_within": "5m"}
    shared = {"users": PEOPLE, "teams": TEAMS, "api_keys": keys(), "schedules": SCHEDULES}
    await phones.served.desk.put_in_force(bundle(policies={"main": ladder(levels=[level])}, **shared))
    incident = await phones.served.opened("checkout", title="Checkout is down")
    assert await phones.text(DESK_PHONE, "2") == (
        "Nothing was changed: from this number only 1 is possible.\nCheckout is down"
    )
    assert await phones.text("+420777000444", "1") == "Taken. Ladder pages nobody else.\nCheckout is down"
    assert await phones.stands(incident) == ("acknowledged", "")
    items = (await phones.served.get(f"/v1/incidents/{incident}/timeline")).json()["items"]
    assert "telephone:address" in {item["actor"] for item in items}


async def test_a_code_of_what_was_never_theirs_says_nothing_about_it(phones: Phones) -> None:
    await phones.served.desk.put_in_force(
        bundle(users=PEOPLE, teams=TEAMS, policies={"main": ladder()}, api_keys=keys(), schedules=SCHEDULES)
    )
    incident = await phones.served.opened("secret", title="A secret of the desk")
    assert await phones.text(PETRA, f"1 {code_of(incident)}") == "Nothing waits for an answer from you."
    assert await phones.text(PETRA, f"2 {code_of(incident)}") == "Nothing waits for an answer from you."
    assert await phones.stands(incident) == ("triggered", "")


def test_where_more_is_open_than_is_looked_at_an_answer_has_to_name_it() -> None:
    only = asked.Candidate(None, "waits", "ana", "", "page", recent=False)  # type: ignore[arg-type]
    assert asked.meant(Said("acknowledge"), [only], all_seen=False).one is None
    assert asked.meant(Said("acknowledge"), [only], all_seen=True).one is only


async def test_four_takes_it_and_six_hands_it_up(phones: Phones) -> None:
    incident = await phones.served.opened("checkout", title="Checkout is down")
    reference = await phones.page(incident)
    assert await phones.press("9", reference) == "Press 4 to take it, or 6 to hand it up."
    assert await phones.press("", reference) == "Press 4 to take it, or 6 to hand it up."
    assert await phones.stands(incident) == ("triggered", "")
    other = await phones.page(incident, "petra")
    for _ in range(2):
        assert await phones.press("4", reference) == "Taken. Ladder pages nobody else."
    assert await phones.stands(incident) == ("acknowledged", "ana")
    assert await phones.press("4", other, "CA2") == "Ana Novak has it already.\nCheckout is down"
    assert (await phones.press("6", other, "CA2")).startswith(
        "Nothing was changed: it is not yours to hand up"
    )
    for _ in range(2):
        assert await phones.press("6", reference) == "It was handed up. You hear how it goes on."
    assert await phones.stands(incident) == ("triggered", "")
    items = (await phones.served.get(f"/v1/incidents/{incident}/timeline")).json()["items"]
    assert sum("handed it up" in item["text"] for item in items) == 1


async def test_a_call_that_is_not_ladders_or_too_old_does_nothing(phones: Phones) -> None:
    incident = await phones.served.opened("checkout")
    whose = await phones.page(incident)
    for reference in (
        "AAAA",
        whose[:-2] + "AA",
        await phones.page(incident, recipient="user:nobody"),
    ):
        assert await phones.press("4", reference) == (
            "This call is out of date. Please use the newest message about it. Goodbye."
        )
    assert await phones.stands(incident) == ("triggered", "")


async def test_without_a_good_signature_nothing_is_read(phones: Phones) -> None:
    incident = await phones.served.opened("checkout")
    form = {"MessageSid": "SM1", "From": ANA, "Body": "1"}
    paths = ("/v1/replies/twilio/sms", f"/v1/replies/twilio/voice/{await phones.page(incident)}")
    for path in paths:
        for token, url in (("guessed", ""), (TOKENS[0], f"{PUBLIC}/v1/replies/twilio/other")):
            answer = await phones.post(path, form, token, url)
            assert (answer.status_code, answer.json()["type"]) == (401, "urn:ladder:problem:wrong-signature")
    assert await phones.stands(incident) == ("triggered", "")
    unnamed = await phones.post(paths[0], {"From": ANA, "Body": "1"})
    assert unnamed.status_code == 422
    for url in (
        "",
        "http://ladder/v1/replies/twilio/sms",
        "https://ladder.test:443/base/v1/replies/twilio/sms",
    ):
        answer = await phones.post(paths[0], form | {"MessageSid": f"SM {url}"}, TOKENS[1], url)
        assert answer.status_code == 200
    assert await phones.stands(incident) == ("acknowledged", "ana")


async def test_where_no_provider_is_set_up_the_paths_say_so(desk: Desk) -> None:
    async with api_of(desk, keys()) as served:
        answer = await served.client.post("/v1/replies/twilio/sms", data={"Body": "1"})
        assert (answer.status_code, answer.json()["detail"]) == (
            404,
            "LADDER_TWILIO_TOKEN is not set in this process",
        )


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("1", Said("acknowledge")),
        ("2.", Said("resolve")),
        ("4", Said("acknowledge")),  # as in a call
        ("6", Said("escalate")),
        ("Take it", Said("acknowledge")),
        ("hand it up", Said("escalate")),
        ("1 4f7c", Said("acknowledge", "4f7c")),
        ("14F7C", Said("acknowledge", "4f7c")),
        ("1-1234", Said("acknowledge", "1234")),
        ("2 4f7c replaced the disk", Said("resolve", "4f7c", "replaced the disk")),
        ("resolved 4f7c", Said("resolve", "4f7c")),
        ("Stop", "of the provider"),
        ("1 hour please", None),
        ("2 of them failed", None),  # a sentence is no answer
        ("12", None),
        ("3", None),
        ("one", None),
        ("resolved4f7c", None),
        ("\0", None),
        ("", None),
    ],
)
def test_only_what_is_wholly_an_answer_is_one(text: str, means: object) -> None:
    assert words.read(text) == means

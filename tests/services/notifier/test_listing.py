"""What a message says that stands for several, in the words of each channel."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import msgspec
import pytest

from services.notifier.channels import Envelope, ntfy, slack_blocks, sms, teams, voice
from services.notifier.domain.delivery import Delivery
from services.notifier.domain.dispatch import NOT_READ, dispatched
from services.notifier.domain.messages import listing
from services.notifier.domain.messages.compose import render
from services.notifier.domain.plan import plan
from services.notifier.sending.links import list_link
from shared.phones.texts import segments
from shared.security.keys import Signer
from tests.services.notifier.building import T0, bundle, changed, incident, notice, page

SIGNER = Signer(("a key",))
POLICY = bundle({"ana": {"phone": {"sms": "+420777000111"}}})
NOW = T0 + timedelta(minutes=3)
URL = "https://ladder.example.com"


def paged(number, priority=3, **said) -> Delivery:
    about = incident(id=f"inc-{number}", title=f"Shop {number} is down", priority=priority, **said)
    return plan(changed(page(page_id=f"page-{number}"), incident=about), POLICY, T0).deliveries[0]


def told(number, event="resolved", **said) -> Delivery:
    about = incident(id=f"old-{number}", title=f"Mail {number} is slow", priority=4)
    one = notice(event, notice_id=f"notice-{number}", **said)
    return plan(changed(notices=[one], incident=about), POLICY, T0).deliveries[0]


def listed(*members, links=None) -> Envelope:
    dispatch = dispatched(members)
    shown = listing.readable(dispatch)
    alone = partial(render, bundle=POLICY, links={}, now=NOW)
    links = {"list": list_link(shown[0], URL, SIGNER)} if links is None else links
    said = listing.render(dispatch, shown, alone, links, NOW)
    return Envelope(listing.listing_of(dispatch, shown), said, "+420777000111", "", NOW)


STORM = listed(paged(0, priority=1), *(paged(number) for number in range(1, 12)), told(1))


def test_the_most_pressing_comes_first_and_ten_are_listed():
    said = STORM.rendered
    assert said.title == "[P1] Shop 0 is down, and 12 more"
    assert said.opening == "You are asked to take 12 incidents. There is also news of one incident."
    lines = said.text.split("\n\n")[1].splitlines()
    assert lines[0] == "1. [P1] Shop 0 is down – Acme (gold), 3 minutes ago"
    assert (len(lines), lines[-1]) == (11, "and 3 more")


def test_of_an_incident_that_is_in_it_twice_the_newest_is_listed():
    older, newer = paged(1), replace(paged(1, severity="critical"), version=2, id="newer")
    said = listed(older, newer, told(1), told(2)).rendered
    assert said.opening == "You are asked to take one incident. There is also news of 2 incidents."
    assert len(said.facts) == 3


def test_news_only_say_what_happened_to_each():
    said = listed(told(1), told(2, "opened")).rendered
    assert said.opening == "There is news of 2 incidents."
    assert {line for _, line in said.facts} == {
        "Resolved: [P4] Mail 1 is slow",
        "Opened: [P4] Mail 2 is slow",
    }


def test_somebody_outside_reads_no_more_than_the_titles_of_their_own_messages():
    members = [told(number, stakeholder=True) for number in range(2)]
    alone = [render(one, POLICY, {}, NOW).title for one in members]
    said = listed(*members, links={}).rendered
    assert [line for _, line in said.facts] == alone
    assert "gold" not in said.text
    assert "list" not in said.links


def test_a_page_whose_content_was_not_read_counts_all_the_same():
    members = [paged(0), *(replace(paged(number), content=NOT_READ) for number in range(1, 10_000))]
    assert listed(*members).rendered.title == "[P3] Shop 0 is down, and 9,999 more"


def test_its_id_follows_from_what_is_in_it():
    together = [paged(1), paged(2)]
    assert dispatched(together).id == dispatched(together[::-1]).id
    assert dispatched(together).id != dispatched([*together, paged(3)]).id
    assert dispatched([paged(1)]).id == paged(1).id


def _slack(envelope):
    return msgspec.json.encode(slack_blocks.message(envelope.rendered)).decode()


@pytest.mark.parametrize(
    "written",
    [
        lambda it: sms.text_of(it, SIGNER, two_way=True),
        lambda it: msgspec.json.encode(ntfy.written(it, "topic", "id")).decode(),
        lambda it: teams.written(it.rendered, 1).decode(),
        _slack,
    ],
    ids=["sms", "ntfy", "teams", "slack"],
)
def test_every_channel_names_the_most_pressing_and_leads_to_all(written):
    said = written(STORM)
    assert "[P1] Shop 0 is down, and 12 more" in said
    assert f"{URL}/v1/replies/list/" in said
    assert "/v1/replies/link/" not in said


def test_a_text_message_with_a_list_is_two_segments_at_most():
    assert segments(sms.text_of(STORM, SIGNER, two_way=True)) <= 2


def test_a_call_says_how_many_and_which_is_the_most_pressing():
    said = voice.twiml_of(STORM, SIGNER, URL)
    assert "Priority 1. Shop 0 is down, and 12 more." in said
    assert "You are asked to take 12 incidents." in said
    assert "Press" not in said


def test_on_a_phone_it_is_as_loud_as_its_most_pressing_page():
    assert ntfy.written(STORM, "topic", "id")["priority"] == 5
    assert ntfy.written(listed(told(1), told(2)), "topic", "id")["priority"] < 4

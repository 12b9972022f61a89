"""Test pages: the whole of a person's rules, as a real page would go, by messages that ask for nothing."""

from datetime import timedelta

from services.notifier.channels import slack_blocks
from services.notifier.domain.delivery_outcome import report
from services.notifier.domain.messages.compose import render
from services.notifier.domain.trials import deliveries_of, waits_until
from services.notifier.sending.links import answers_of, links_of
from shared.security.keys import Signer
from tests.domain.test_personal_rules import HIGH, MORNING, NIGHT, QUIET, T0, ana

RULES = {"high": HIGH, "low": [{"via": "mail"}]}


def trial(loudness="high", *, quiet=None, hurry=False, by="user:petra", now=T0):
    policy = ana(quiet, **RULES)
    return deliveries_of("trial-1", "ana", loudness, by, hurry=hurry, bundle=policy, now=now)


def test_it_walks_all_rules_with_their_delays():
    made = trial()
    assert [(one.contact, one.next_attempt_at - T0) for one in made] == [
        ("chat", timedelta(0)),
        ("phone", timedelta(minutes=2)),
        ("call", timedelta(minutes=4)),
    ]
    assert {one.event for one in made} == {"test"}
    assert [one.contact for one in trial("low")] == ["mail"]


def test_in_a_hurry_ten_seconds_stand_between_two_steps():
    assert [(one.next_attempt_at - T0).total_seconds() for one in trial(hurry=True)] == [0, 10, 20]


def test_whoever_asks_for_it_is_awake_and_hears_what_a_real_page_would_do():
    (made,) = trial("low", quiet=QUIET, now=NIGHT)
    assert made.next_attempt_at == NIGHT
    assert waits_until("ana", ana(QUIET), NIGHT) == "quiet hours until 2026-03-03 07:00 Europe/Prague"
    assert waits_until("ana", ana(QUIET), MORNING) == ""


def test_its_message_says_that_it_is_a_test_by_whom_and_how_to_end_it():
    first = trial()[0]
    links = links_of(first, "https://ladder.test", Signer(("k",)))
    said = render(first, ana(**RULES), links, T0)
    assert said.title == "Test page for Ana"
    assert "only a test" in said.opening
    assert (
        "petra asked for it, to try your `high` rules: chat at once, phone after 2m, call after 4m"
        in said.text
    )
    assert list(links) == ["acknowledge"]
    assert links["acknowledge"].startswith("https://ladder.test/v1/users/ana/test-page/")
    assert answers_of(first, "https://ladder.test", Signer(("k",))) == links  # one press on a phone ends it


def test_nothing_in_it_acts_on_an_incident_and_the_router_hears_nothing():
    first = trial()[0]
    assert list(slack_blocks.offered(first, beneath=False)) == []
    assert report(first, "failed", "404", unreachable=True, now=T0) is None

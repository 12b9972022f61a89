"""Rule 15: from resolved to closed – confirmed, refused, or taken as solved after a silence."""

from datetime import timedelta

from services.router.domain.model.parts import Confirmed
from services.router.domain.model.signals import RelatedMessage
from tests.domain.tale import START, Tale, on_main, tale

CLOSE = {"confirmed_by": "customer", "after": "3d"}


def closing(**parts) -> Tale:
    story = tale(**on_main(close=CLOSE | parts.pop("close", {}), **parts.pop("ladder", {})), **parts)
    story.event(customer="acme")
    return story


def asked(story: Tale) -> list[str]:
    return [notice.recipient.name for notice in story.notices if notice.event == "confirm"]


def test_the_customer_is_asked_to_confirm_when_it_is_resolved_and_once_more_halfway():
    story = closing()
    story.later(hours=1)
    story.act("resolve")
    assert asked(story) == ["acme"]
    notice = next(notice for notice in story.notices if notice.event == "confirm")
    assert notice.stakeholder
    assert "Without an answer we take it as solved on 2026-01-10 at 04:00 UTC" in notice.text
    story.later(hours=35, minutes=59)
    assert asked(story) == ["acme"]
    story.later(minutes=2)
    assert asked(story) == ["acme", "acme"]
    story.later(days=1)
    assert asked(story) == ["acme", "acme"]


def test_after_the_silence_it_is_closed():
    story = closing()
    story.act("resolve")
    story.later(days=2, hours=23, minutes=59)
    assert story.standing.status == "resolved"
    story.later(minutes=1)
    assert story.standing.status == "closed"
    assert story.said("closed") == ["closed: resolved, and 3 d without an answer"]


def test_confirmed_it_is_closed_with_what_the_customer_said():
    story = closing(slas=[{"name": "s", "close": "30d"}])
    story.act("resolve")
    story.later(hours=5)
    story.act("confirm", rating=4)
    incident = story.standing
    assert (incident.status, incident.confirmed) == ("closed", Confirmed(story.now, rating=4))
    assert incident.clocks[0].state == "fulfilled"
    assert "confirmed by Ana, 4 of 5" in story.said("closed")[0]


def test_refused_it_comes_back_one_level_above_the_one_that_solved_it_with_its_whole_story():
    story = closing()
    opened = story.standing.id
    story.act("acknowledge")
    story.act("resolve")
    story.later(hours=5)
    story.act("refuse", note="It still fails for half of us.")
    incident = story.standing
    assert (incident.id, incident.status, incident.reopened) == (opened, "triggered", 1)
    assert story.paged == ["ana", "petra"]
    assert "It still fails for half of us" in story.pages[-1].reason
    assert "ana" in incident.followers
    story.act("acknowledge", user="petra")
    story.act("resolve", user="petra")
    assert asked(story) == ["acme", "acme"]


def test_refused_at_the_top_finally_is_asked():
    story = closing()
    story.later(minutes=6)
    story.act("acknowledge", user="petra")
    story.act("resolve", user="petra")
    story.act("refuse", user="petra")
    assert story.paged == ["ana", "petra", "karel"]
    assert story.pages[-1].through == "finally"


def test_a_customer_that_cannot_be_asked_is_told_of_and_the_silence_closes_it():
    story = tale(**on_main(close=CLOSE))
    story.event()
    story.act("resolve")
    assert "nobody can be asked to confirm" in story.said("confirming")[0]
    story.later(days=3)
    assert story.standing.status == "closed"


def test_the_same_key_within_reopen_within_reopens_what_is_not_confirmed_yet():
    story = closing()
    story.act("resolve")
    story.later(minutes=59)
    story.event()
    assert (story.standing.status, story.standing.reopened) == ("triggered", 1)


def test_the_same_key_later_opens_a_new_one_and_the_unconfirmed_one_gives_way():
    story = closing()
    story.act("resolve")
    story.later(minutes=61)
    old = story.standing
    decision = story.event()
    assert story.standing.id != old.id
    assert story.standing.previous == old.id
    (message,) = decision.outgoing
    assert (message.to, message.relation) == (old.id, "came_back")
    new, story.incident = story.standing, old
    story.tell(RelatedMessage(message))
    assert story.standing.status == "closed"
    assert f"the same problem came back as incident {new.id}" in story.said("closed")[0]


def test_a_short_silence_does_not_cut_the_time_in_which_the_same_key_reopens():
    story = closing(close={"after": "10m"})
    story.act("resolve")
    story.later(minutes=30)
    assert story.standing.status == "resolved"
    story.later(minutes=30)
    assert story.standing.closed_at == START + timedelta(hours=1)


def test_without_a_close_nobody_is_asked_and_it_closes_when_the_same_key_would_open_a_new_one():
    story = tale()
    story.event(customer="acme")
    story.act("resolve")
    story.later(minutes=60)
    assert (asked(story), story.standing.status) == ([], "closed")


def test_after_downtime_beyond_the_silence_it_is_closed_without_another_question():
    story = closing()
    story.act("resolve")
    story.down_for(days=4)
    assert (asked(story), story.standing.status) == (["acme"], "closed")


def test_the_question_goes_by_the_template_that_the_policy_names():
    story = closing(close={"template": "done"}, templates={"done": {"title": "Solved?", "body": "?"}})
    story.act("resolve")
    assert [notice.template for notice in story.notices if notice.event == "confirm"] == ["done"]

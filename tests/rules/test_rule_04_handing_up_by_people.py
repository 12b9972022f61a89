"""Rule 4: a person hands it up, because of expertise or authority; who did follows on."""

from datetime import timedelta

from tests.domain.tale import ladder, on_main, tale

FINANCE = {
    "levels": [{"name": "controller", "notify": ["user:karel"], "acknowledge_within": "1d"}],
    "finally": {"notify": ["user:petra"], "every": "1d"},
}


def test_handing_up_pages_the_next_level_now_with_the_note_and_who_did_follows_on():
    story = tale()
    story.event()
    story.act("acknowledge")
    story.act("escalate", because="expertise", note="the index is broken")
    assert (story.standing.status, story.standing.assignee) == ("triggered", "")
    assert story.paged == ["ana", "petra"]
    assert "Ana handed it up (expertise): the index is broken" in story.pages[-1].reason
    story.act("acknowledge", user="petra")
    assert [notice.event for notice in story.notices if notice.recipient.name == "ana"] == ["taken"]


def test_at_the_top_finally_is_paged():
    story = tale()
    story.event()
    story.act("escalate")
    story.act("escalate", user="petra")
    assert story.paged == ["ana", "petra", "karel"]
    assert story.standing.chain.state == "finally"


def test_a_policy_that_is_entered_twice_goes_to_finally():
    story = tale(policies={"main": ladder(), "finance": FINANCE})
    story.event()
    story.act("escalate", policy="finance", because="authority")
    assert (story.standing.chain.policy, story.paged) == ("finance", ["ana", "karel"])
    story.act("escalate", user="karel", policy="main")
    assert story.paged[-1] == "petra"  # finally of where it stands


def test_handing_up_ends_a_snooze():
    story = tale()
    story.event()
    story.act("snooze", until=story.now + timedelta(hours=4))
    story.act("escalate")
    assert story.standing.snooze is None
    assert story.paged == ["ana", "petra"]
    story.later(minutes=10)
    assert story.paged == ["ana", "petra", "karel"]


def test_a_level_or_policy_that_is_not_there_is_refused_with_those_that_are():
    story = tale(**on_main())
    story.event()
    assert "its levels: desk, experts" in story.act("escalate", level="nowhere").refusal.reason
    assert "known: main" in story.act("escalate", policy="nowhere").refusal.reason
    assert "not to both" in story.act("escalate", level="experts", policy="main").refusal.reason
    assert story.paged == ["ana"]

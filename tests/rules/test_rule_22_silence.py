"""Rule 22: what its sender forgot. A silence resolves an incident, or somebody is asked about it."""

from datetime import timedelta
from typing import Any

import pytest

from services.router.domain.forecast import forecast
from services.router.domain.model.context import Context, Heard
from shared.events import Page
from tests.domain.tale import START, Tale, bundle, compiled, ladder, tale
from tests.rules.crowd import Crowd, crowd

ALERTS = {"alert_group": '{}:{alertname="down"}'}


def integrations(**said: Any) -> dict[str, Any]:
    return {"test": {"kind": "native", "keys": [{"sha256": "0" * 64}], **said}}


def silent(then: str = "ask", after: str = "6h", **sections: Any) -> Tale:
    return tale(integrations=integrations(silent_after=after, then=then), **sections)


def asked(story: Tale) -> list[Page]:
    return [page for page in story.pages if page.through == "silence"]


# --- when it spoke ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["trigger", "update", "note", "acknowledge"])
def test_an_incident_knows_when_its_sender_last_spoke(action: str) -> None:
    story = tale()
    story.event()
    assert story.standing.last_event_at == START
    story.later(minutes=3)
    assert story.standing.last_event_at == START  # no timer and no person is its sender
    story.act("note", text="looking")
    assert story.standing.last_event_at == START
    story.event(action)
    assert story.standing.last_event_at == START + timedelta(minutes=3)
    assert story.decisions[-1].incident == story.standing


def test_every_page_says_when_the_sender_last_spoke() -> None:
    story = tale()
    story.event()
    story.later(minutes=4)
    story.event()
    story.later(minutes=2)
    message = story.decisions[-1].message
    assert message is not None
    assert [page.recipient.name for page in message.pages] == ["petra"]
    assert message.incident.last_event_at == START + timedelta(minutes=4)


# --- then: resolve ----------------------------------------------------------------------------------------


def test_after_six_hours_of_silence_it_is_resolved_and_the_timeline_says_so() -> None:
    story = silent("resolve")
    story.event()
    story.act("acknowledge")
    story.later(hours=5, minutes=59)
    assert story.standing.status == "acknowledged"
    story.later(minutes=1)
    assert story.standing.status == "resolved"
    assert story.said("resolved") == ["resolved: its sender (test) has been silent for 6 h"]
    (why,) = [each.reason for each in story.entries if each.kind == "silent"]
    assert why is not None
    assert (why.rule, why.values["silent_after"]) == ("integrations.test.silent_after", "6 h")
    assert [(each.recipient.name, each.event) for each in story.notices][-1] == ("ana", "resolved")


def test_what_was_resolved_by_a_silence_pages_when_its_sender_speaks_again() -> None:
    story = silent("resolve", after="40m")
    story.event(occurred_at=START - timedelta(minutes=1))
    story.later(minutes=40)
    assert story.standing.status == "resolved"
    pages = len(story.pages)
    story.event(occurred_at=START - timedelta(minutes=1))  # Alertmanager keeps the first time
    assert story.standing.status == "triggered"
    assert len(story.pages) > pages


def test_each_repeat_begins_the_silence_anew() -> None:
    story = silent("resolve")
    story.event()
    for _ in range(5):
        story.later(hours=5)
        story.event()
    story.later(hours=5, minutes=59)
    assert story.standing.status != "resolved"
    story.later(minutes=1)
    assert story.standing.status == "resolved"


def test_what_a_person_reopened_is_not_resolved_again_by_the_same_silence() -> None:
    story = silent("resolve")
    story.event()
    story.later(hours=6)
    story.act("reopen", "petra", "lead")
    assert story.standing.status == "triggered"
    story.later(days=2)
    assert story.standing.status == "triggered"
    story.event()
    story.later(hours=6)
    assert story.standing.status == "resolved"


# --- then: ask --------------------------------------------------------------------------------------------


def test_whoever_has_it_is_asked_once_whether_it_still_stands() -> None:
    story = silent("ask", after="6h")
    story.event()
    story.act("acknowledge")
    story.later(hours=6)
    (page,) = asked(story)
    assert page.recipient.name == "ana"
    assert page.reason == "it is assigned to you, and its sender (test) has been silent for 6 h"
    assert (story.standing.status, story.standing.assignee) == ("acknowledged", "ana")
    assert "Ana is asked whether it still stands" in story.said("paged")[-1]
    story.later(hours=17)
    assert len(asked(story)) == 1


def test_the_answer_is_written_down_and_the_next_silence_asks_again() -> None:
    story = silent()
    story.event()
    story.act("acknowledge")
    story.later(hours=6)
    story.act("acknowledge", page=asked(story)[0].page_id)
    assert story.said("seen") == ["Ana says that it still stands"]
    story.later(hours=12)
    assert len(asked(story)) == 1
    story.event()
    story.later(hours=6)
    assert len(asked(story)) == 2


def test_while_nobody_has_it_the_level_is_asked() -> None:
    story = silent(after="7m")
    story.event()
    story.later(minutes=7)
    assert story.paged == ["ana", "petra", "petra"]
    assert story.said("paged")[-1].startswith(
        "level experts is paged because its sender (test) has been silent for 7 min (does it still stand?)"
    )
    story.later(minutes=9)
    assert story.paged == ["ana", "petra", "petra"]  # the level has its full time again
    story.later(minutes=1)
    assert story.paged[-1] == "karel"


def test_after_a_machines_acknowledge_the_level_is_asked() -> None:
    story = silent(after="20m")
    story.event()
    story.event("acknowledge")
    story.later(minutes=20)
    assert (story.standing.status, story.paged) == ("triggered", ["ana", "ana"])


def test_when_the_one_who_is_asked_cannot_be_reached_the_next_level_joins() -> None:
    story = silent()
    story.event()
    story.act("acknowledge")
    story.later(hours=6)
    story.report(asked(story)[0], "unreachable")
    assert story.paged == ["ana", "ana", "petra"]
    assert story.standing.assignee == "ana"


def test_without_a_then_a_silence_asks() -> None:
    story = tale(integrations=integrations(silent_after="1h"))
    story.event()
    story.act("acknowledge")
    story.later(hours=1)
    assert len(asked(story)) == 1


# --- what keeps it still ----------------------------------------------------------------------------------


@pytest.mark.parametrize("then", ["ask", "resolve"])
@pytest.mark.parametrize("action", ["snooze", "wait"])
def test_a_silence_counts_from_the_end_of_a_rest(then: str, action: str) -> None:
    story = silent(then)
    story.event()
    story.act("acknowledge")
    story.act(action, until=START + timedelta(hours=10), waiting_for="vendor" if action == "wait" else "")
    story.later(hours=15, minutes=59)
    assert (story.standing.status, asked(story)) == ("acknowledged", [])
    story.later(minutes=1)
    assert (story.standing.status == "resolved") == (then == "resolve")
    assert len(asked(story)) == (then == "ask")


@pytest.mark.parametrize("then", ["ask", "resolve"])
def test_what_is_suppressed_is_neither_resolved_nor_asked_about(then: str) -> None:
    story = crowd(integrations=integrations(silent_after="1h", then=then))
    story.silence("true", hours=9)
    story.event("a")
    story.later(hours=9, minutes=59)
    assert story.of("a").status == "triggered"
    before = len(story.paged("a"))
    assert before > 0  # the end of the silence pages as ever
    story.later(minutes=1)
    assert (story.of("a").status == "resolved") == (then == "resolve")


def test_a_level_that_waits_for_its_calendar_is_not_asked_before_it_opens() -> None:
    overlay = {"office": {"timezone": "UTC", "hours": [{"days": "mon-fri", "from": "08:00", "to": "18:00"}]}}
    levels = [{"name": "desk", "notify": ["user:ana"], "acknowledge_within": "2h", "hold_until": "office"}]
    story = silent(after="1h", calendars=overlay, policies={"main": ladder(levels=levels)})
    story.event()
    story.later(hours=4, minutes=59)
    assert story.paged == []
    story.later(minutes=1)
    assert story.paged == ["ana"]  # by that page she is asked: one is enough
    story.later(hours=1)
    assert story.paged == ["ana"]
    assert "is asked by that page" in " ".join(story.said("silent"))


GROUPING = [{"name": "all", "by": ["service"], "within": "1h"}]


def test_a_member_is_resolved_by_its_senders_silence_but_never_asked_about() -> None:
    for then, ended in (("resolve", 0), ("ask", 1)):
        story = crowd(grouping=GROUPING, integrations=integrations(silent_after="6h", then=then))
        story.event("a", service="checkout")
        story.event("b", service="checkout")
        for _ in range(3):
            story.later(hours=2, minutes=1)
            story.event("a", service="checkout")
        assert story.paged("b") == []
        assert story.of("a").members_open == ended
        assert story.of("a").status == "triggered"


def test_a_parent_that_only_a_forgotten_member_keeps_open_is_asked_about() -> None:
    story = crowd(grouping=GROUPING, integrations=integrations(silent_after="6h", then="ask"))
    story.event("a", service="checkout")
    story.event("b", service="checkout")
    story.act("a", "acknowledge")
    story.event("a", "resolve")
    story.later(hours=6)
    assert [page.through for page in story.pages_of("a")] == ["level", "silence"]
    assert story.said("a", "paged")[-1] == (
        "Ana is asked whether it still stands: its sender said 6 h ago that it is over, and what is grouped"
        " under it stands: 1 incident"
    )
    story.later(hours=20)
    assert story.paged("a") == ["ana", "ana"]
    story.event("b", "resolve")
    assert story.of("a").status == "resolved"


# --- whose rule, and when Ladder itself did not listen ----------------------------------------------------


def test_the_rule_is_that_of_the_policy_in_force() -> None:
    story = tale()
    story.event()
    story.act("acknowledge")
    story.later(hours=1)
    story.policy = compiled(bundle(integrations=integrations(silent_after="6h", then="resolve")))
    story.act("note", text="still looking")
    story.later(hours=5)
    assert story.standing.status == "resolved"


@pytest.mark.parametrize("then", ["ask", "resolve"])
def test_nobody_is_resolved_or_asked_about_because_ladder_did_not_listen(then: str) -> None:
    """Down for eight hours: the silence counts from when it listens again."""
    story = silent(then)
    story.event()
    story.act("acknowledge")
    back = START + timedelta(hours=8)
    story.heard = Heard(START - timedelta(days=1), START + timedelta(minutes=1))  # has not looked since
    story.down_for(hours=8)
    story.later(minutes=2)
    story.heard = Heard(back, START + timedelta(days=9))
    story.later(hours=5, minutes=57)
    assert (story.standing.status, asked(story)) == ("acknowledged", [])
    story.later(minutes=3)
    assert (story.standing.status == "resolved") == (then == "resolve")
    assert len(asked(story)) == (then == "ask")


def test_while_ladder_does_not_listen_it_looks_again_now_and_then() -> None:
    story = silent("resolve")
    story.event()
    story.act("acknowledge")
    story.heard = Heard(START, START + timedelta(hours=5))
    before = len(story.decisions)
    story.later(hours=8)
    assert story.standing.status == "acknowledged"
    assert len(story.decisions) - before < 30


def test_while_intake_was_down_the_silence_is_not_taken_for_the_senders() -> None:
    """Its senders were refused for four hours, the router read all the while: six hours count from then."""
    story = silent("resolve")
    story.event()
    story.act("acknowledge")
    story.heard = Heard(START, START + timedelta(hours=1))  # the last canary came through then
    story.later(hours=6, minutes=30)
    assert story.standing.status == "acknowledged"
    story.heard = Heard(START + timedelta(hours=5), START + timedelta(days=1))
    story.later(hours=4, minutes=29)
    assert story.standing.status == "acknowledged"
    story.later(minutes=1)
    assert story.standing.status == "resolved"
    (why,) = [each.reason for each in story.entries if each.kind == "silent"]
    assert why is not None
    assert why.values["ladder_has_listened_since"] == (START + timedelta(hours=5)).isoformat()


def test_without_canaries_a_silence_asks_instead_of_resolving_and_says_why() -> None:
    """LADDER_CANARY_SECONDS=0: a sender that could not come in is as silent as one that forgot."""
    story = silent("resolve")
    story.heard = Heard(START, START + timedelta(days=9), proven=False)
    story.event()
    story.act("acknowledge")
    story.later(hours=6)
    assert story.standing.status == "acknowledged"
    (page,) = asked(story)
    assert page.reason == (
        "it is assigned to you, and its sender (test) has been silent for 6 h, or could not reach Ladder"
        " (that is not known without canaries)"
    )
    (why,) = [
        each.reason
        for each in story.entries
        if each.reason and each.reason.instead_of and "silent" in each.text
    ]
    assert why.instead_of == [
        "then: resolve: LADDER_CANARY_SECONDS is 0, so nothing proves that its sender could be heard"
    ]
    story.later(hours=17)
    assert (story.standing.status, len(asked(story))) == ("acknowledged", 1)


def test_what_comes_says_the_silence_too() -> None:
    story = silent("resolve")
    story.event()
    story.act("acknowledge")
    (step,) = [
        each
        for each in forecast(story.standing, Context(story.policy), story.policy)
        if "silent" in each.what
    ]
    assert step.at == START + timedelta(hours=6)
    assert step.unless == "its sender says something, or it is resolved before"


# --- a group of alerts that is over and does not name everybody -------------------------------------------


def alerts(story: Crowd, *keys: str, left_out: int = 0, **said: Any) -> None:
    """One post of a group."""
    for key in keys:
        story.event(key, left_out=left_out, **(ALERTS | said))


def over(story: Crowd, *keys: str, left_out: int = 0) -> None:
    """One post of a group in which all is resolved."""
    for key in keys:
        last = key == keys[-1]
        story.post(key, "resolve", left_out=left_out, alert_group_over=last, **ALERTS)


def test_siblings_that_a_cut_group_no_longer_names_are_asked_about() -> None:
    story = crowd()
    alerts(story, "a", "b", "c")
    story.act("c", "acknowledge")
    over(story, "a", "b", left_out=3)
    assert [story.of(key).status for key in "abc"] == ["resolved", "resolved", "acknowledged"]
    (line,) = story.said("c", "silent")
    assert line.startswith("its alert group is over and did not name it; its sender left 3 out:")
    story.later(minutes=1)
    assert [(page.recipient.name, page.through) for page in story.pages_of("c")] == [
        ("ana", "level"),
        ("ana", "silence"),
    ]
    over(story, "a", "b", left_out=3)  # the other one of the pair says it again
    story.later(minutes=5)
    assert len(story.pages_of("c")) == 2


def test_what_was_cut_from_an_earlier_post_is_asked_about_although_the_last_one_is_whole() -> None:
    story = crowd()
    alerts(story, "a", "b", left_out=1)
    alerts(story, "c", left_out=2)
    over(story, "a", "b")
    story.later(minutes=1)
    assert "did not name it" in " ".join(story.said("c", "paged"))


def test_a_group_that_was_never_cut_asks_about_nobody() -> None:
    story = crowd()
    alerts(story, "a", "b", "c")
    over(story, "a", "b")
    story.later(minutes=2)
    assert story.said("c", "silent") == []


def test_who_is_heard_of_within_the_minute_is_not_asked_about() -> None:
    story = crowd()
    alerts(story, "a", "b")
    over(story, "a", left_out=1)
    story.later(seconds=30)
    alerts(story, "b")
    story.later(minutes=2)
    assert len(story.pages_of("b")) == 1


def test_another_group_and_another_integration_are_no_siblings() -> None:
    story = crowd()
    alerts(story, "a")
    alerts(story, "b", alert_group='{}:{alertname="other"}')
    story.event("c")
    over(story, "a", left_out=1)
    story.later(minutes=2)
    assert story.said("b", "silent") == story.said("c", "silent") == []


def test_a_cut_group_of_which_no_incident_is_known_still_asks_about_the_others() -> None:
    story = crowd()
    alerts(story, "b")
    over(story, "unknown", left_out=1)
    story.later(minutes=1)
    assert len(story.pages_of("b")) == 2


def test_siblings_are_asked_about_although_the_last_one_that_is_named_was_merged() -> None:
    story = crowd()
    alerts(story, "a", "b", "c", left_out=1)
    story.event("d")
    story.act("b", "merge", into=story.of("d").id)
    over(story, "a", "b")
    story.later(minutes=1)
    assert "did not name it" in " ".join(story.said("c", "paged"))


def test_a_sibling_that_is_grouped_is_asked_about_at_its_parent() -> None:
    story = crowd(grouping=[{"name": "all", "by": ["service"], "within": "1h"}])
    story.event("a", service="checkout")
    alerts(story, "b", "c", service="checkout")
    story.act("a", "acknowledge")
    over(story, "b", left_out=1)
    story.later(minutes=2)
    assert story.paged("c") == []
    assert "c is down" in story.said("a", "paged")[-1]
    assert [page.through for page in story.pages_of("a")] == ["level", "silence"]


def test_of_a_parent_that_is_over_itself_it_is_asked_for_the_member_that_nobody_named() -> None:
    story = crowd(grouping=[{"name": "all", "by": ["service"], "within": "1h"}])
    alerts(story, "a", "b", "c", service="checkout")
    story.act("a", "acknowledge")
    over(story, "a", "b", left_out=1)
    story.later(minutes=2)
    assert story.said("a", "paged")[-1].startswith("Ana is asked whether it still stands: c is down")

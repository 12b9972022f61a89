"""What several rules mean together: merged and merged again, rests that end, the end of a suppression."""

from datetime import timedelta

from tests.domain.tale import ladder, on_main, tale
from tests.rules.crowd import crowd

PROMISES = [{"name": "quick", "calendar": "always", "acknowledge": "5m", "resolve": "4h"}]
OFFICE = {"office": {"timezone": "UTC", "hours": [{"days": "mon-fri", "from": "08:00", "to": "18:00"}]}}
DESK = {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m"}
EXPERTS = {"name": "experts", "notify": ["user:petra"], "acknowledge_within": "10m"}


def test_what_comes_back_after_it_was_merged_can_be_taken_by_anybody():
    story = crowd()
    story.event("disk")
    story.event("node")
    story.act("disk", "acknowledge")
    story.act("disk", "merge", into=story.of("node").id)
    story.act("node", "resolve")
    story.event("disk")
    assert (story.of("disk").status, story.of("disk").assignee) == ("triggered", "")
    assert story.paged("disk") == ["ana", "ana"], "whoever had it is paged first"
    assert story.act("disk", "acknowledge", "petra").refusal is None
    assert story.of("disk").assignee == "petra"


def test_nothing_is_promised_of_a_merged_incident_until_it_comes_back():
    story = crowd(slas=PROMISES)
    story.event("disk")
    story.event("node")
    story.act("disk", "merge", into=story.of("node").id)
    assert {clock.state for clock in story.of("disk").clocks} == {"cancelled"}
    story.act("node", "resolve")
    story.event("disk")
    assert {clock.state for clock in story.of("disk").clocks} == {"running"}


def test_what_was_merged_goes_along_when_its_incident_is_merged_into_a_third_one():
    story = crowd()
    for key in ("disk", "node", "rack"):
        story.event(key)
    story.act("disk", "merge", into=story.of("node").id)
    story.act("node", "merge", into=story.of("rack").id)
    story.event("disk")
    assert story.of("disk").status == "closed"
    assert story.of("disk").parent == story.of("rack").id
    assert any("triggered again" in text for text in story.said("rack", "repeated"))
    story.act("rack", "resolve")
    story.event("disk")
    assert story.of("disk").status == "triggered"


def test_nobody_joins_while_it_is_snoozed_and_whoever_was_missed_joins_afterwards():
    story = tale(**on_main(levels=[DESK | {"solve_within": "30m"}, EXPERTS]))
    story.event()
    story.act("acknowledge")
    story.later(minutes=31)
    story.act("snooze", until=story.now + timedelta(hours=2))
    story.report(story.pages[-1], "unreachable")
    story.later(hours=1)
    assert story.paged == ["ana", "petra"]
    story.later(hours=2)
    assert story.paged == ["ana", "petra", "karel"]


def test_a_level_that_waits_to_join_says_why_it_does():
    experts = EXPERTS | {"hold_until": "office"}
    story = tale(calendars=OFFICE, **on_main(levels=[DESK | {"handles": "priority >= 3"}, experts]))
    story.event(severity="warning")
    story.act("acknowledge")
    story.act("set", role="lead", changes={"priority": 1})
    story.later(hours=6)
    assert story.said("paged")[-1] == "level experts joins because calendar office is open: Petra"


def test_a_level_that_waits_to_join_still_does_after_a_snooze():
    experts = EXPERTS | {"hold_until": "office"}
    story = tale(calendars=OFFICE, **on_main(levels=[DESK | {"handles": "priority >= 3"}, experts]))
    story.event(severity="warning")
    story.act("acknowledge")
    story.act("set", role="lead", changes={"priority": 1})
    story.act("snooze", until=story.now + timedelta(hours=1))
    story.later(hours=6)
    assert story.paged == ["ana", "petra"]


def test_a_snooze_made_longer_stops_the_levels_that_a_point_has_asked_meanwhile():
    handed = {"name": "long", "when": "status == 'triggered'", "held_for": "30m"}
    story = tale(**on_main(points=[handed | {"do": [{"escalate": {"level": "experts"}}]}]))
    story.event()
    story.act("snooze", until=story.now + timedelta(hours=2))
    story.later(minutes=31)
    story.act("snooze", until=story.now + timedelta(hours=5))
    story.later(hours=4)
    assert story.paged == ["ana", "petra"]


def test_whoever_was_assigned_while_it_was_suppressed_hears_of_it_at_the_end():
    story = crowd()
    story.silence("true", hours=2)
    story.event("disk")
    story.act("disk", "assign", to="petra")
    assert story.paged("disk") == []
    story.later(hours=3)
    told = [(each.recipient.name, each.reason) for each in story.notices("disk")]
    assert ("petra", "it is assigned to you") in told
    assert story.paged("disk") == []


def test_a_policy_that_makes_it_more_urgent_wakes_it_and_asks_who_is_competent():
    levels = [DESK | {"handles": "priority >= 3"}, EXPERTS]
    story = tale(policies={"main": ladder(levels=levels)})
    story.event(severity="warning")
    story.act("snooze", until=story.now + timedelta(hours=2))
    newer = tale(policies={"main": ladder(levels=levels)}, priorities=[{"when": "true", "priority": 1}])
    story.policy = newer.policy
    assert story.act("reapply", role="lead").refusal is None
    assert story.standing.priority == 1
    assert story.standing.snooze is None
    story.later(minutes=1)
    assert story.paged == ["ana", "petra"]


def test_the_time_to_resolve_goes_on_when_it_was_resolved_during_a_suppression_and_comes_back_after_it():
    story = crowd(slas=PROMISES)
    story.event("disk")
    story.silence("true", minutes=30)
    story.event("disk", "resolve")
    story.later(minutes=40)
    story.event("disk")
    states = {clock.target: clock.state for clock in story.of("disk").clocks}
    assert states["resolve"] == "running"
    story.later(hours=5)
    assert any("breach: resolve" in text for text in story.said("disk", "breach"))


def test_what_was_dropped_and_comes_back_is_promised_again():
    story = crowd(slas=PROMISES)
    story.maintenance("true", then="drop", hours=1)
    story.event("disk")
    story.later(minutes=70)
    assert story.of("disk").status == "resolved"
    story.event("disk")
    assert {clock.state for clock in story.of("disk").clocks} == {"running"}


def test_what_is_refused_during_a_suppression_goes_one_level_up_when_that_ends():
    story = crowd(**on_main(close={"confirmed_by": "customer", "after": "3h"}))
    story.event("disk", customer="acme")
    story.act("disk", "acknowledge")
    story.act("disk", "resolve")
    story.silence("true", hours=1)
    story.act("disk", "refuse")
    assert story.paged("disk") == ["ana"]
    story.later(minutes=61)
    assert story.paged("disk") == ["ana", "petra"]


def test_what_a_point_raises_as_the_incident_opens_no_other_point_lowers_again():
    raised = {"name": "raised", "when": "kind == 'incident'", "do": [{"set": {"priority": 1}}]}
    noted = {"name": "noted", "when": "priority == 1", "do": [{"set": {"attributes": {"size": 2}}}]}
    story = tale(**on_main(points=[raised, noted]))
    story.event(severity="warning")
    assert story.standing.priority == 1
    assert story.said("priority") == ["priority 3", "priority rises from 3 to 1"]


def test_clocks_start_once_although_points_change_the_incident_as_it_opens():
    assigned = {"name": "hers", "when": "kind == 'incident'", "do": [{"assign": "user:petra"}]}
    noted = {"name": "noted", "when": "assignee == 'petra'", "do": [{"set": {"attributes": {"size": 2}}}]}
    story = tale(slas=PROMISES, **on_main(points=[assigned, noted]))
    story.event()
    assert {clock.target: clock.state for clock in story.standing.clocks} == {
        "acknowledge": "fulfilled",
        "resolve": "running",
    }
    assert len(story.said("activate")) == 2


def test_a_point_that_hands_up_ends_the_snooze():
    handed = {"name": "long", "when": "status == 'triggered'", "held_for": "30m"}
    story = tale(**on_main(points=[handed | {"do": [{"escalate": {"level": "experts"}}]}]))
    story.event()
    story.act("snooze", until=story.now + timedelta(hours=2))
    story.later(minutes=31)
    assert story.paged == ["ana", "petra"]
    assert story.standing.snooze is None

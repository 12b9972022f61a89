"""A project office: docs/situations/projects.md."""

from tests.situations.telling import clock, situation


def overrun(story, budget, forecast):
    return story.event(
        "bridge", kind="budget_overrun", title="Bridge costs more",
        attributes={"budget": budget, "forecast": forecast, "project": "bridge"},
    )  # fmt: skip


def test_a_small_overrun_is_decided_by_a_planner():
    story = situation("projects", 2026, 1, 7, 9)  # a Wednesday, ten in Prague
    overrun(story, 4000, 4200)
    [asked] = story.paged("bridge")
    assert asked in {"dan", "eva"}
    story.act("bridge", "acknowledge", user=asked, role="responder")
    decision = story.act("bridge", "decide", user=asked, role="responder", decision="approve")
    assert decision.refusal is None
    settled = story.of("bridge")
    assert (settled.status, settled.approval.decision, settled.approval.by) == ("resolved", "approve", asked)
    story.later(hours=2)
    assert story.of("bridge").status == "closed"


def test_a_tenth_over_the_budget_goes_to_finance_and_a_planner_may_not_decide_it():
    story = situation("projects", 2026, 1, 7, 9)
    overrun(story, 40_000, 40_500)
    [planner] = story.paged("bridge")
    story.act("bridge", "acknowledge", user=planner, role="responder")
    refused = story.act("bridge", "decide", user=planner, role="responder", decision="approve").refusal
    assert refused is not None
    assert "5000" in refused.reason
    assert "Olga" in refused.reason, "it says who could"

    story.event("bridge", "update", attributes={"forecast": 52_000})
    assert story.of("bridge").chain.policy == "finance"
    assert story.paged("bridge")[-1] == "hugo"
    story.act("bridge", "acknowledge", user="hugo")
    assert story.act("bridge", "decide", user="hugo", decision="approve", note="The steel.").refusal is None
    assert story.of("bridge").status == "resolved"
    assert story.of("bridge").handed_up == 1


def test_two_projects_that_want_the_same_people_are_settled_by_the_head_of_the_office():
    story = situation("projects", 2026, 1, 7, 9)
    story.event(
        "crane", kind="resource_conflict", title="Both want the crane",
        attributes={"resource": "crane", "projects": ["bridge", "tower"]},
    )  # fmt: skip
    assert story.paged("crane") == ["olga"]
    assert any("planners is passed" in text for text in story.said("crane", "level_skipped"))
    refused = story.act("crane", "decide", user="dan", role="responder", decision="approve").refusal
    assert refused is not None
    assert refused.kind == "forbidden"
    assert (
        story.act("crane", "decide", user="olga", decision="reject", note="The tower waits.").refusal is None
    )
    assert story.of("crane").approval.decision == "reject"


def test_a_date_that_slips_is_counted_in_days_of_the_office():
    story = situation("projects", 2026, 1, 9, 15)  # a Friday, four in the afternoon in Prague
    story.event(
        "tower", kind="deadline_overrun", title="The tower is late",
        attributes={"due": "2026-01-30T00:00:00Z", "project": "tower"},
    )  # fmt: skip
    [planner] = story.paged("tower")
    story.act("tower", "acknowledge", user=planner, role="responder")
    story.later(days=2, hours=17)  # Monday, nine in the morning: one hour of the office has passed
    assert clock(story, "tower", "resolve") == ("running", False)
    before = len(story.paged("tower"))
    story.later(days=3, hours=1)  # Thursday, ten: 24 hours of the office and one more
    assert clock(story, "tower", "resolve") == ("running", True)
    assert "olga" in story.paged("tower")[before:], "the promise is broken: the manager is asked"
    story.act("tower", "resolve", user=planner, role="responder")
    assert story.of("tower").status == "resolved"

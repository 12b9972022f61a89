"""Rule 17: a person can re-apply the current policy; until then the one it started with goes on."""

from typing import Any

from tests.domain.tale import Tale, bundle, compiled, ladder, tale


def under(story: Tale, **sections: Any) -> None:
    """Another policy is put in force."""
    story.policy = compiled(bundle(**sections))


def test_it_stays_on_the_level_of_the_same_name_with_the_time_it_has_left():
    story = tale()
    story.event()
    story.later(minutes=2)
    levels = [
        {"name": "triage", "notify": ["user:karel"], "acknowledge_within": "1m"},
        *ladder()["levels"][:1],
        {"name": "crisis", "notify": ["user:karel"], "acknowledge_within": "10m"},
    ]
    under(story, policies={"main": ladder(levels=levels)})
    story.act("reapply", user="petra", role="lead", note="the new ladder is right")
    assert story.standing.policy_hash == story.policy.hash
    assert story.said("policy") == ["Petra applied the policy in force"]
    story.later(minutes=2)
    assert story.paged == ["ana"]
    story.later(minutes=1)
    assert story.paged == ["ana", "karel"]
    assert story.standing.chain.level == 2


def test_without_a_level_of_that_name_it_is_routed_anew():
    story = tale()
    story.event()
    levels = [{"name": "other", "notify": ["user:petra"], "acknowledge_within": "5m"}]
    under(story, policies={"next": ladder(levels=levels)}, routes=[{"policy": "next"}])
    story.act("reapply", user="petra", role="lead")
    assert (story.standing.chain.policy, story.paged) == ("next", ["ana", "petra"])
    assert story.pages[-1].reason.endswith("Petra applied the policy in force)")


def test_what_is_taken_stays_taken_and_nobody_is_paged():
    story = tale()
    story.event()
    story.act("acknowledge")
    levels = [{"name": "other", "notify": ["user:petra"], "acknowledge_within": "5m", "solve_within": "1h"}]
    under(story, policies={"next": ladder(levels=levels)}, routes=[{"policy": "next"}])
    story.act("reapply", user="petra", role="lead")
    assert (story.standing.assignee, story.paged) == ("ana", ["ana"])
    story.later(hours=1)
    assert story.paged == ["ana", "karel"]  # solve_within of the new policy: past its one level


def test_promises_are_measured_anew_with_the_time_that_has_passed():
    story = tale(slas=[{"name": "s", "resolve": "4h"}])
    story.event()
    story.later(hours=2)
    under(story, slas=[{"name": "s", "resolve": "1h"}])
    story.act("reapply", user="petra", role="lead")
    assert [clock.goal for clock in story.standing.clocks] == [3600]
    story.later(seconds=1)
    assert story.said("breach") == ["breach: resolve was promised within 1 h (SLA s)"]


def test_points_keep_what_they_have_done_by_their_names():
    told = {"name": "told", "when": "true", "do": [{"inform": ["user:karel"]}]}
    fresh = {"name": "fresh", "when": "true", "do": [{"inform": ["user:petra"]}]}
    story = tale(policies={"main": ladder(points=[told])})
    story.event()
    under(story, policies={"main": ladder(points=[fresh, told])})
    story.act("reapply", user="petra", role="lead")
    assert [notice.recipient.name for notice in story.notices] == ["karel", "petra"]


def test_it_is_impossible_while_nothing_has_changed():
    story = tale()
    story.event()
    refused = story.act("reapply", user="petra", role="lead").refusal
    assert (refused.kind, refused.reason) == ("conflict", "it follows the policy in force already")
    assert "reapply" not in refused.possible


def test_automation_that_the_new_policy_no_longer_names_has_no_chance_any_more():
    """It waited from the first moment, so that automation had not begun yet."""
    story = tale(policies={"main": ladder(grace={"wait": "2m"})})
    story.event(waiting_for="customer")
    under(story)
    story.act("reapply", user="petra", role="lead")
    story.event("update", waiting_for="")
    assert story.paged == ["ana"]

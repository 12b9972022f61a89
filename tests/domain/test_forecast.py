"""What explain says comes next is what then comes."""

from datetime import timedelta

from services.router.domain.forecast import NextStep, forecast
from services.router.domain.model.context import Context
from tests.domain.tale import START, Tale, on_main, tale
from tests.rules.crowd import Crowd, crowd

SLA = {"slas": [{"name": "s", "acknowledge": "5m", "resolve": "4h"}]}
OFFICE = {"office": {"timezone": "UTC", "hours": [{"days": "mon-fri", "from": "08:00", "to": "18:00"}]}}


def foretold(story: Tale) -> list[NextStep]:
    return forecast(story.standing, Context(story.policy), story.policy)


def foretold_of(story: Crowd, key: str) -> list[NextStep]:
    board = story.board
    context = Context(board.live, overlay=board.overlay, causes=board.causes)
    return forecast(story.of(key), context, board.live)


def after(**span: float):
    return START + timedelta(**span)


def test_the_end_of_the_waiting_and_what_follows_are_foretold():
    story = tale()
    story.event()
    story.event("update", waiting_for="customer")
    coming = forecast(story.standing, Context(story.policy), story.policy)
    assert [step.at for step in coming][:2] == [START + timedelta(days=1)] * 2
    assert "no longer waiting for customer" in coming[0].what
    assert "level desk is paged" in coming[1].what


def test_a_breach_is_foretold_although_finally_repeats_before_it():
    story = tale(slas=[{"name": "s", "resolve": "4h"}])
    story.event()
    story.later(minutes=20)
    coming = forecast(story.standing, Context(story.policy), story.policy)
    assert [step.what.partition(" ")[0] for step in coming] == ["finally", "breach:"]


def test_a_point_that_will_have_held_long_enough_is_foretold():
    points = [{"name": "p", "when": "events >= 1", "held_for": "2d", "do": [{"inform": ["user:karel"]}]}]
    story = tale(**on_main(points=points))
    story.event()
    story.act("acknowledge")
    coming = forecast(story.standing, Context(story.policy), story.policy)
    assert any(step.at == START + timedelta(days=2) and "point p" in step.what for step in coming)


def test_a_snooze_ends_and_the_clocks_go_on_meanwhile():
    story = tale(**SLA)
    story.event()
    story.act("snooze", until=after(hours=1))
    first, second, third = foretold(story)[:3]
    assert (first.at, first.what.partition(" ")[0]) == (after(minutes=5), "breach:")
    assert first.unless == "what was promised is done before"
    assert (second.at, second.what) == (after(hours=1), "no longer snoozed: its time is over")
    assert "somebody resumes it" in second.unless
    assert "level desk is paged because the snooze is over" in third.what


def test_what_automation_may_still_solve_is_paged_when_its_time_is_over():
    story = tale(**on_main(grace={"wait": "2m"}))
    story.event()
    (first, *_) = foretold(story)
    assert (first.at, first.unless) == (after(minutes=2), "somebody takes it or it is resolved before")
    assert "automation did not solve it within 2 min" in first.what


def test_a_held_level_is_paged_when_its_calendar_opens():
    levels = [
        {"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m", "hold_until": "office"},
    ]
    story = tale(calendars=OFFICE, **on_main(levels=levels))
    story.event()
    (first, *_) = foretold(story)
    assert (first.at, "calendar office is open" in first.what) == (after(hours=5), True)


def test_what_was_frozen_counts_and_not_what_the_policy_says_now():
    """Calendars and levels are the ones that the incident started with (rule 17)."""
    levels = [{"name": "desk", "notify": ["user:ana"], "acknowledge_within": "5m", "hold_until": "office"}]
    story = tale(calendars=OFFICE, **on_main(levels=levels))
    story.event()
    before = foretold(story)
    now = tale(
        calendars={"office": OFFICE["office"] | {"hours": [{"days": "sat", "from": "08:00", "to": "09:00"}]}}
    ).policy
    assert forecast(story.standing, Context(now), story.policy) == before


def test_one_that_is_resolved_waits_for_its_confirmation():
    story = tale(**on_main(close={"confirmed_by": "customer", "after": "3d"}))
    story.event(customer="acme")
    story.act("resolve")
    asked, closed = foretold(story)
    assert (asked.at, closed.at) == (after(hours=36), after(days=3))
    assert "asked to confirm" in asked.what
    assert closed.what.startswith("closed")
    assert closed.unless == "it is confirmed or refused, or the same problem comes back before"


def test_one_that_is_grouped_goes_on_with_its_parent():
    story = crowd(**SLA, grouping=[{"name": "g", "by": ["service"], "within": "5m"}])
    story.event("a", service="checkout")
    story.event("b", service="checkout")
    first, *others = foretold_of(story, "b")
    assert f"grouped under incident {story.of('a').id}" in first.what
    assert not any("paged" in step.what for step in others), "it has no ladder of its own"
    assert "paged" in foretold_of(story, "a")[1].what


def test_the_end_of_a_silence_is_foretold_with_the_page_that_follows():
    story = crowd(**SLA)
    story.event("a", service="checkout")
    story.silence("service == 'checkout'", hours=1)
    awake, paged = foretold_of(story, "a")[:2]
    assert (awake.at, paged.at) == (after(hours=1), after(hours=1))
    assert awake.what == "silence s0 is over and it still stands: notifying begins"
    assert awake.unless == "it is resolved before, or what keeps it quiet ends before"
    assert "level desk is paged because silence s0 is over" in paged.what


def test_what_maintenance_drops_is_foretold_as_dropped():
    story = crowd(**SLA)
    story.event("a", service="checkout")
    story.maintenance("service == 'checkout'", then="drop", hours=1)
    dropped, closed = foretold_of(story, "a")
    assert dropped.what == "dropped: maintenance upgrade is over and drops what still stands"
    assert closed.what.startswith("closed")


def test_a_window_that_is_still_to_come_is_foretold():
    window = {"days": "wed", "from": "03:03", "to": "04:00", "timezone": "UTC"}
    story = crowd(suppress=[{"name": "later", "when": "service == 'checkout'", "window": window}])
    story.event("a", service="checkout")
    begins, ends, paged = foretold_of(story, "a")[:3]
    assert (begins.at, ends.at, paged.at) == (after(minutes=3), after(hours=1), after(hours=1))
    assert "nobody is notified: rule later" in begins.what
    assert begins.unless == "it is resolved before"


def test_one_that_is_explained_by_a_cause_whose_end_nobody_knows_says_so():
    rule = {"name": "payments", "when": "service == 'checkout'", "while_open": "service == 'payments'"}
    story = crowd(services={"checkout": {}, "payments": {}}, suppress=[rule])
    story.event("p", service="payments")
    story.event("a", service="checkout")
    (only,) = foretold_of(story, "a")
    assert (only.at, "rule payments" in only.what) == (story.of("a").next_due_at, True)


def test_a_point_says_what_it_does_and_that_taking_it_does_not_prevent_it():
    do = [{"set": {"priority": 1}}, {"update": "We are still on it"}]
    story = tale(**SLA, **on_main(points=[{"name": "late", "at": "75% of resolve", "do": do}]))
    story.event()
    steps = [step for step in foretold(story) if step.at == after(hours=3)]
    assert [step.what for step in steps][1:] == [
        "priority rises from 2 to 1",
        "stakeholders read: We are still on it",
    ]
    assert {step.unless for step in steps} == {"its condition no longer holds, or it is resolved before"}


def test_what_is_overdue_because_nothing_ran_comes_now():
    story = tale()
    story.event()
    now = after(hours=2)
    first, second, *_ = forecast(story.standing, Context(story.policy), story.policy, since=now)
    assert first.at == now
    assert "level experts is paged" in first.what
    assert second.at == now + timedelta(minutes=10), "its window counts from then (rule 2)"


def test_a_silence_that_it_has_not_heard_of_yet_counts_from_now_on():
    story, silenced = crowd(**SLA), crowd(**SLA)
    story.event("a", service="checkout")
    silenced.silence("service == 'checkout'", hours=1)
    context = Context(story.board.live, overlay=silenced.board.overlay)
    now = after(minutes=1)
    begins, ends, *_ = forecast(story.of("a"), context, story.board.live, since=now)
    assert (begins.at, ends.at) == (now, after(hours=1))
    assert begins.what.startswith("nobody is notified: silence of ana")

"""Clocks and the chain of authority (docs/rules.md, rules 2, 8, 10)."""

from datetime import timedelta

from services.router.domain.forecast import forecast
from services.router.domain.model.context import Context
from tests.domain.tale import START, on_main, tale

SLAS = [{"name": "promise", "acknowledge": "10m", "resolve": "1h", "warn_at": ["50%"]}]


def at(share: str, *do: dict) -> dict:
    return {"name": share, "at": share, "do": list(do)}


def test_taking_it_fulfils_the_acknowledge_clock_and_resolving_the_other():
    story = tale(slas=SLAS)
    story.event()
    story.later(minutes=3)
    story.act("acknowledge")
    story.act("resolve")
    clocks = {clock.target: clock for clock in story.standing.clocks}
    assert {clock.state for clock in clocks.values()} == {"fulfilled"}
    assert clocks["acknowledge"].elapsed(story.now, story.policy.calendars) == 180


def test_a_warning_and_then_the_breach_of_each_clock_of_its_own():
    story = tale(slas=SLAS)
    story.event()
    story.later(minutes=70)
    assert [text.partition(":")[2][:27] for text in story.said("breach")] == [
        " acknowledge was promised w",
        " resolve was promised withi",
    ]
    assert len(story.said("warn")) == 2


def test_points_at_shares_call_on_authority_and_do_not_stop_the_levels():
    points = [at("50% of resolve", {"notify": [{"manager_of": "user:ana"}]})]
    story = tale(slas=SLAS, **on_main(points=points))
    story.event()
    story.later(minutes=30)
    assert story.paged == ["ana", "petra", "karel", "petra", "karel"]
    assert [page.through for page in story.pages][-2:] == ["point", "finally"]


def test_of_several_overdue_shares_only_the_highest_acts():
    points = [
        at("50% of resolve", {"notify": ["user:ana"]}),
        at("80% of resolve", {"notify": ["user:karel"]}),
    ]
    story = tale(slas=SLAS, **on_main(points=points))
    story.event()
    story.act("acknowledge")
    story.down_for(minutes=55)
    assert story.paged == ["ana", "karel"]
    assert "recorded only" in story.said("point")[0]


def test_a_pages_acknowledgement_from_a_point_marks_it_seen_and_the_levels_go_on():
    points = [at("5% of resolve", {"notify": ["user:karel"]})]
    story = tale(slas=SLAS, **on_main(points=points))
    story.event()
    story.later(minutes=3)
    story.act("acknowledge", user="karel", page=story.pages[-1].page_id)
    assert story.standing.status == "triggered"
    story.later(minutes=2)
    assert story.paged == ["ana", "karel", "petra"]


def test_a_condition_fires_once_an_opening():
    points = [{"name": "big", "when": "events >= 2", "do": [{"inform": ["user:karel"]}]}]
    story = tale(**on_main(points=points))
    story.event()
    story.event()
    story.event()
    assert [notice.recipient.name for notice in story.notices] == ["karel"]
    story.event("resolve")
    story.event()
    assert [notice.recipient.name for notice in story.notices if notice.event == "inform"] == [
        "karel",
        "karel",
    ]


def test_a_condition_held_for_a_while_fires_and_repeats_while_it_holds():
    points = [
        {
            "name": "slow",
            "when": "waiting_for == 'customer'",
            "held_for": "2h",
            "repeat": "3h",
            "do": [{"inform": ["user:karel"]}],
        }
    ]
    story = tale(**on_main(points=points))
    story.event()
    story.event("update", waiting_for="customer")
    story.later(hours=1, minutes=59)
    assert story.notices == []
    story.later(minutes=1)
    assert len(story.notices) == 1
    story.later(hours=3)
    assert len(story.notices) == 2
    story.event("update", waiting_for="")
    story.later(hours=5)
    assert len(story.notices) == 2


def test_a_condition_that_escalates_to_a_policy_says_with_which_values():
    points = [
        {
            "name": "over budget",
            "when": "attributes.forecast > attributes.budget * 1.1",
            "do": [{"escalate": {"policy": "money"}, "because": "authority"}],
        }
    ]
    money = {"levels": [{"name": "controller", "notify": ["user:karel"], "acknowledge_within": "1d"}]}
    sections = on_main(points=points)
    story = tale(policies={**sections["policies"], "money": money})
    story.event(attributes={"budget": 100, "forecast": 100})
    assert story.paged == ["ana"]
    story.event("update", attributes={"forecast": 120})
    assert story.paged == ["ana", "karel"]
    fired = next(entry for entry in story.entries if entry.kind == "point")
    assert fired.reason is not None
    assert fired.reason.values == {"attributes.forecast": 120, "attributes.budget": 100}


def test_a_point_whose_condition_fails_did_not_match():
    points = [{"name": "p", "when": "attributes.missing > 1.0", "do": [{"inform": ["user:karel"]}]}]
    story = tale(**on_main(points=points))
    story.event()
    assert story.notices == []


def test_points_pause_with_their_clock():
    slas = [{"name": "s", "resolve": "1h", "pause_while": ["customer"]}]
    points = [at("50% of resolve", {"inform": ["user:karel"]})]
    story = tale(slas=slas, **on_main(points=points))
    story.event()
    story.later(minutes=20)
    story.event("update", waiting_for="customer")
    story.later(hours=5)
    story.event("update", waiting_for="")
    story.later(minutes=9)
    assert story.notices == []
    story.later(minutes=1)
    assert len(story.notices) == 1


def test_reopening_continues_the_resolve_clock():
    story = tale(slas=SLAS)
    story.event()
    story.act("acknowledge")
    story.later(minutes=20)
    story.act("resolve")
    story.later(minutes=30)
    story.event()
    resolve = next(clock for clock in story.standing.clocks if clock.target == "resolve")
    assert (resolve.state, resolve.elapsed(story.now, story.policy.calendars)) == ("running", 20 * 60)


def test_another_sla_measures_the_same_time_against_its_own_promise_and_breaches_once():
    slas = [{"name": "fast", "when": "priority == 1", "resolve": "10m"}, {"name": "slow", "resolve": "1d"}]
    story = tale(slas=slas)
    story.event(severity="warning")
    story.act("acknowledge")
    story.later(minutes=20)
    story.event(severity="critical")
    story.later(minutes=20)
    assert len(story.said("breach")) == 1


def test_stakeholders_hear_of_risk_and_breach():
    subscriptions = [{"who": ["user:karel"], "events": ["at_risk", "breached", "escalated"]}]
    story = tale(slas=[SLAS[0] | {"acknowledge": "2h"}], subscriptions=subscriptions)
    story.event()
    story.act("acknowledge")
    story.later(minutes=61)
    assert [notice.event for notice in story.notices] == ["at_risk", "breached"]


def test_what_explain_says_comes_next_is_what_then_happens():
    points = [at("50% of resolve", {"inform": [{"manager_of": "user:ana"}]})]
    story = tale(slas=SLAS, **on_main(rounds=2, points=points))
    story.event()
    coming = forecast(story.standing, Context(story.policy), story.policy)
    before = len(story.decisions)
    story.later(minutes=45)
    kinds = {"paged", "level_skipped", "warn", "breach", "point", "informed"}
    happened = [(e.at, e.text) for d in story.decisions[before:] for e in d.entries if e.kind in kinds]
    assert [(step.at, step.what) for step in coming][: len(happened)] == happened[: len(coming)]
    assert len(happened) > 5
    assert coming[0].at == START + timedelta(minutes=5)

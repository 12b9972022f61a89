"""The chain of competence (docs/rules.md, rules 1, 2, 4, 5, 7)."""

from datetime import timedelta

import pytest

from tests.domain.tale import START, ladder, on_main, tale


def test_a_trigger_pages_the_first_level_and_says_why():
    story = tale()
    story.event()
    assert story.paged == ["ana"]
    page = story.pages[0]
    assert page.act_by == START + timedelta(minutes=5)
    assert "level desk" in page.reason
    assert page.otherwise == "level experts is paged"


def test_an_unacknowledged_page_moves_to_the_next_level():
    story = tale()
    story.event()
    story.later(minutes=4, seconds=59)
    assert story.paged == ["ana"]
    story.later(seconds=1)
    assert story.paged == ["ana", "petra"]
    assert "did not take it within 5 min" in story.said("paged")[-1]


def test_past_the_last_level_finally_repeats_until_somebody_takes_it():
    story = tale()
    story.event()
    story.later(minutes=46)
    assert story.paged == ["ana", "petra", "karel", "karel", "karel"]
    assert len({page.page_id for page in story.pages}) == 5
    story.act("acknowledge", user="karel", role="admin")
    story.later(hours=12)
    assert len(story.pages) == 5


def test_rounds_go_up_the_ladder_again_before_finally():
    story = tale(**on_main(rounds=2))
    story.event()
    story.later(minutes=31)
    assert story.paged == ["ana", "petra", "ana", "petra", "karel"]


def test_the_route_may_start_higher_and_skipped_levels_are_on_record():
    story = tale(routes=[{"policy": "main", "start_at": "experts"}], **on_main(rounds=2))
    story.event()
    story.later(minutes=21)
    assert story.paged == ["petra", "petra", "karel"]
    assert story.said("level_skipped") == ["level desk is skipped: the route starts higher"]


def test_a_level_that_does_not_handle_it_is_passed_with_the_condition_and_its_values():
    levels = [ladder()["levels"][0] | {"handles": "priority >= 3"}, ladder()["levels"][1]]
    story = tale(**on_main(levels=levels))
    story.event(severity="critical")
    assert story.paged == ["petra"]
    skipped = next(entry for entry in story.entries if entry.kind == "level_skipped")
    assert skipped.reason is not None
    assert skipped.reason.expression == "priority >= 3"
    assert skipped.reason.values == {"priority": 1}


def test_a_condition_of_competence_that_fails_counts_as_competent():
    levels = [ladder()["levels"][0] | {"handles": "attributes.size < 3.0"}, ladder()["levels"][1]]
    story = tale(**on_main(levels=levels))
    story.event()
    assert story.paged == ["ana"]


def test_a_level_that_names_nobody_is_passed_at_once_and_says_so():
    levels = [{"name": "empty", "notify": ["assignee"], "acknowledge_within": "5m"}, ladder()["levels"][1]]
    story = tale(**on_main(levels=levels))
    story.event()
    assert story.paged == ["petra"]
    assert story.said("nobody") == ["assignee: nobody has taken it"]


def test_when_every_level_and_finally_are_empty_last_resort_is_paged():
    levels = [{"name": "empty", "notify": ["assignee"], "acknowledge_within": "5m"}]
    story = tale(**on_main(levels=levels, **{"finally": {"notify": ["owner"], "every": "10m"}}))
    story.event()
    assert story.paged == ["karel"]
    assert story.pages[0].through == "last_resort"
    story.later(minutes=10)
    assert story.paged == ["karel", "karel"]


def test_after_downtime_each_chain_takes_one_step_and_its_window_counts_from_now():
    story = tale()
    story.event()
    story.down_for(hours=5)
    assert story.paged == ["ana", "petra"]
    assert story.standing.next_due_at == story.now + timedelta(minutes=10)


def test_pages_that_reach_nobody_move_on_at_once():
    story = tale()
    story.event()
    story.report(story.pages[0], "unreachable")
    assert story.paged == ["ana", "petra"]


def test_at_most_one_such_step_a_minute():
    story = tale()
    story.event()
    story.report(story.pages[0], "unreachable")
    story.later(seconds=10)
    story.report(story.pages[1], "unreachable")
    assert story.paged == ["ana", "petra"]
    story.later(seconds=49)
    assert story.paged == ["ana", "petra"]
    story.later(seconds=1)
    assert story.paged == ["ana", "petra", "karel"]


def test_one_page_that_arrives_keeps_the_level():
    levels = [ladder()["levels"][0] | {"notify": ["user:ana", "user:petra"]}, ladder()["levels"][1]]
    story = tale(**on_main(levels=levels))
    story.event()
    story.report(story.pages[0], "unreachable")
    story.report(story.pages[1], "reached")
    assert story.paged == ["ana", "petra"]
    assert story.standing.chain.level == 0


def test_a_stale_report_is_written_down_and_changes_nothing():
    story = tale()
    story.event()
    first = story.pages[0]
    story.later(minutes=5)
    story.report(first, "unreachable")
    assert story.paged == ["ana", "petra"]
    assert story.said("delivery") != []


def test_handing_up_pages_the_next_level_now_with_the_note_and_the_giver_follows():
    story = tale()
    story.event()
    story.act("acknowledge")
    story.act("escalate", because="expertise", note="it is the database")
    assert story.paged == ["ana", "petra"]
    assert "Ana handed it up (expertise): it is the database" in story.said("paged")[-1]
    assert story.standing.status == "triggered"
    story.act("acknowledge", user="petra", role="lead")
    assert [notice.recipient.name for notice in story.notices if notice.event == "taken"] == ["ana"]


def test_handing_up_at_the_top_goes_to_finally_even_with_rounds_left():
    story = tale(**on_main(rounds=3))
    story.event()
    story.act("escalate")
    story.act("escalate", user="petra")
    assert story.paged == ["ana", "petra", "karel"]


def test_a_named_level_is_paged_now():
    story = tale()
    story.event()
    story.later(minutes=5)
    story.act("escalate", user="petra", level="desk")
    assert story.paged == ["ana", "petra", "ana"]


def test_another_policy_ends_this_chain_and_a_policy_entered_twice_goes_to_finally():
    other = ladder(levels=[{"name": "finance", "notify": ["user:petra"], "acknowledge_within": "1d"}])
    story = tale(policies={"main": ladder(), "money": other})
    story.event()
    story.act("escalate", policy="money", because="authority")
    assert (story.standing.chain.policy, story.paged) == ("money", ["ana", "petra"])
    story.act("escalate", policy="main")
    assert story.paged[-1] == "karel"
    assert story.standing.chain.policy == "money"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("user:petra", ["petra"]),
        ("team:desk", ["ana", "petra"]),
        ({"manager_of": "user:ana"}, ["petra"]),
        ({"manager_of": {"manager_of": "user:ana"}}, ["karel"]),
        ({"lead_of": "service"}, ["petra"]),
        ({"lead_of": "team:desk"}, ["petra"]),
        ("owner", ["petra"]),
        ("customer", ["acme"]),
        ({"email": "desk@example.com"}, ["desk@example.com"]),
        ("schedule:week", ["ana"]),
        ({"manager_of": "user:karel"}, ["karel"]),  # nobody: passed at once, finally
    ],
)
def test_targets_resolve(target, expected):
    levels = [{"name": "only", "notify": [target], "acknowledge_within": "5m"}]
    week = {
        "timezone": "Europe/Prague",
        "layers": [{"rotation": ["ana", "petra"], "shift": "1w", "starts": "2026-01-05T08:00"}],
    }
    story = tale(**on_main(levels=levels), schedules={"week": week})
    story.event(service="checkout", customer="Acme Ltd")
    assert story.paged == expected


def test_a_customers_page_carries_its_addresses():
    levels = [{"name": "only", "notify": ["customer"], "acknowledge_within": "5m"}]
    story = tale(**on_main(levels=levels))
    story.event(customer="boss@acme.example")
    assert [c.address for c in story.pages[0].recipient.contacts] == ["ops@acme.example"]


def test_a_machines_acknowledge_rests_the_levels_for_a_while_and_names_nobody():
    story = tale()
    story.event()
    story.event("acknowledge")
    assert (story.standing.status, story.standing.assignee) == ("acknowledged", "")
    story.later(minutes=29)
    assert story.paged == ["ana"]
    story.later(minutes=1)
    assert story.paged == ["ana", "petra"]
    assert story.standing.status == "triggered"


def test_taken_and_unsolved_within_solve_within_the_next_level_joins_and_the_assignee_stays():
    levels = [ladder()["levels"][0] | {"solve_within": "1h"}, ladder()["levels"][1]]
    story = tale(**on_main(levels=levels))
    story.event()
    story.act("acknowledge")
    story.later(hours=1)
    assert story.paged == ["ana", "petra"]
    assert (story.standing.status, story.standing.assignee) == ("acknowledged", "ana")
    story.later(hours=3)
    assert story.paged == ["ana", "petra"]


def test_a_change_that_the_level_is_not_competent_for_hands_it_up():
    levels = [ladder()["levels"][0] | {"handles": "priority >= 3"}, ladder()["levels"][1]]
    story = tale(**on_main(levels=levels))
    story.event(severity="warning")
    story.event(severity="critical")
    assert story.paged == ["ana", "petra"]


def test_taken_and_untouched_the_assignee_is_asked_and_then_the_level_is_paged_again():
    story = tale()
    story.event()
    story.act("acknowledge")
    story.later(days=1)
    assert [notice.recipient.name for notice in story.notices] == ["ana"]
    story.later(days=1)
    assert story.paged == ["ana", "ana"]
    assert story.standing.status == "triggered"
